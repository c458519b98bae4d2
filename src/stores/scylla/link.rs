//! The connection to the store, which is replaced when it was away.

use std::{sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use foryou_actors::{complaint::Complaint, ports::store::StoreError};
use parking_lot::Mutex;
use scylla::{client::session::Session, serialize::row::SerializeRow, statement::prepared::PreparedStatement};
use tokio::sync::Notify;
use uuid::Uuid;

use super::{
    connect::{connect, named, use_keyspace},
    errors::DriverError,
    statements::Statements,
};
use crate::config::Scylla;

/// How often a store that seems well is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// The pause between attempts to reach one that is away.
const TRY_EVERY: Duration = Duration::from_millis(200);

/// A session of the driver with its statements.
pub struct Connected {
    pub session: Session,
    pub on: Statements,
}

impl Connected {
    async fn open(config: &Scylla) -> Result<Self, StoreError> {
        let session = connect(config).await?;
        use_keyspace(&session, config).await?;
        let on = Statements::prepare(&session).await?;
        Ok(Self { session, on })
    }

    /// The node where a row's partition is at home; none where that makes no difference.
    pub fn home(&self, statement: &PreparedStatement, values: &impl SerializeRow) -> Option<Uuid> {
        let cluster = self.session.get_cluster_state();
        if cluster.get_nodes_info().len() < 2 {
            return None;
        }
        let (table, token) = (statement.get_table_spec()?, statement.calculate_token(values).ok()??);
        let homes = cluster.get_token_endpoints(table.ks_name(), table.table_name(), token);
        homes.first().map(|(node, _)| node.host_id)
    }

    async fn probe(&self) -> Result<(), DriverError> {
        self.session.execute_unpaged(&self.on.probe, ()).await?;
        Ok(())
    }
}

/// The connection as of now, and what is wrong with it.
pub struct Link {
    config: Scylla,
    now: ArcSwap<Connected>,
    trouble: Mutex<Option<String>>,
    doubt: Notify,
    complaint: Complaint,
}

impl Link {
    /// Begins with a session that is connected.
    pub async fn new(config: &Scylla, session: Session) -> Result<Self, StoreError> {
        let on = Statements::prepare(&session).await?;
        let (now, trouble, doubt) = (ArcSwap::from_pointee(Connected { session, on }), Mutex::default(), Notify::new());
        Ok(Self { config: config.clone(), now, trouble, doubt, complaint: Complaint::default() })
    }

    /// The connection, or why there is none: while the store is away nobody waits for it.
    pub fn get(&self) -> Result<Arc<Connected>, StoreError> {
        match &*self.trouble.lock() {
            Some(reason) => Err(StoreError::Away(reason.clone())),
            None => Ok(self.now.load_full()),
        }
    }

    /// What is wrong.
    pub fn trouble(&self) -> Option<String> {
        self.trouble.lock().clone()
    }

    /// Turns an error of a request into the store's, and has the connection looked at.
    pub fn failed(&self, error: impl Into<DriverError>) -> StoreError {
        let error = error.into();
        if !matches!(error, DriverError::Answer(_)) {
            self.doubt.notify_one();
        }
        error.into()
    }

    /// Looks at the connection for as long as it is polled, and makes a new one while the store does not answer: the driver's own
    /// way back takes up to ten seconds.
    pub async fn watch(&self) {
        loop {
            let _either = tokio::time::timeout(LOOK_EVERY, self.doubt.notified()).await;
            let connected = self.now.load_full();
            let Err(error) = connected.probe().await else { continue };
            let mut reason = format!("{}: {error}", self.config.nodes);
            if let Some(left_out) = self.complaint.failed() {
                tracing::warn!(reason, left_out, "the feature store is away");
            }
            *self.trouble.lock() = Some(reason.clone());
            drop(connected);
            while let Err(error) = self.again().await {
                if let Some(left_out) = self.complaint.failed() {
                    tracing::warn!(reason = error, left_out, "the feature store is still away");
                }
                if error != reason {
                    *self.trouble.lock() = Some(error.clone());
                    reason = error;
                }
                tokio::time::sleep(TRY_EVERY).await;
            }
            *self.trouble.lock() = None;
            if let Some(failed) = self.complaint.works() {
                tracing::info!(failed, "the feature store is back");
            }
        }
    }

    /// Tries the old connection and a new one at once: what was frozen goes on with the old one, what was restarted with the new.
    async fn again(&self) -> Result<(), String> {
        let old = self.now.load_full();
        // A new one that is let in may still be refused what it asks.
        let open = async {
            let new = Connected::open(&self.config).await?;
            new.probe().await.map_err(|error| named(&self.config, &error))?;
            Ok(new)
        };
        let (mut probed, mut opened) = (std::pin::pin!(old.probe()), std::pin::pin!(open));
        let opened = tokio::select! {
            Ok(()) = &mut probed => return Ok(()),
            opened = &mut opened => opened,
        };
        self.now.store(Arc::new(opened.map_err(StoreError::reason)?));
        Ok(())
    }
}
