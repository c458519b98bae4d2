//! A session of the driver, as configured.

use std::{sync::Arc, time::Duration};

use foryou_actors::ports::store::StoreError;
use scylla::{
    client::{execution_profile::ExecutionProfile, session::Session, session_builder::SessionBuilder},
    errors::{DbError, RequestAttemptError, UseKeyspaceError},
    policies::speculative_execution::SimpleSpeculativeExecutionPolicy,
    statement::{Consistency, SerialConsistency},
};

use super::{errors::DriverError, tls};
use crate::config::Scylla;

/// How often the driver asks whether all nodes have a changed schema.
const SCHEMA_INTERVAL: Duration = Duration::from_millis(50);
/// How long a change of the schema may take.
pub const SCHEMA_TIMEOUT: Duration = Duration::from_secs(30);

/// Connects to no keyspace in particular.
pub async fn connect(config: &Scylla) -> Result<Session, StoreError> {
    let (timeout, connect_timeout) = (config.timeout_ms.millis(), config.connect_timeout_ms.millis());
    let profile = ExecutionProfile::builder()
        .consistency(Consistency::LocalQuorum)
        .serial_consistency(Some(SerialConsistency::LocalSerial))
        .request_timeout(Some(timeout))
        .speculative_execution_policy(Some(Arc::new(SimpleSpeculativeExecutionPolicy {
            max_retry_count: 1,
            retry_interval: timeout / 4,
        })))
        .build();
    let mut builder = SessionBuilder::new()
        .known_nodes(config.nodes.split(',').map(str::trim).filter(|node| !node.is_empty()))
        .connection_timeout(connect_timeout)
        .hostname_resolution_timeout(Some(connect_timeout))
        .metadata_request_clientside_timeout(timeout)
        .keepalive_interval(timeout.max(Duration::from_secs(1)))
        .keepalive_timeout(timeout.max(Duration::from_secs(1)))
        .schema_agreement_interval(SCHEMA_INTERVAL)
        .schema_agreement_timeout(SCHEMA_TIMEOUT)
        .keyspaces_to_fetch([config.keyspace.as_str()])
        .fetch_full_schema_metadata(false)
        .default_execution_profile_handle(profile.into_handle());
    if !config.user.is_empty() {
        builder = builder.user(&config.user, config.password.reveal());
    }
    if config.tls {
        builder = builder.tls_context(Some(tls::client(&config.ca)?));
    }
    // The driver bounds each step; this bounds their sum.
    let limit = connect_timeout + 2 * timeout;
    let built = tokio::time::timeout(limit, builder.build()).await;
    let late = || {
        DriverError::Failed(
            format!("no node was ready within {} ms: is it frozen, or is a firewall in between?", limit.as_millis())
                .into(),
        )
    };
    built.map_err(|_| late()).and_then(|built| built.map_err(DriverError::from)).map_err(|error| named(config, &error))
}

/// Has all statements mean the configured keyspace.
pub async fn use_keyspace(session: &Session, config: &Scylla) -> Result<(), StoreError> {
    let used = session.use_keyspace(&config.keyspace, false).await;
    used.map_err(|error| match error {
        UseKeyspaceError::RequestError(RequestAttemptError::DbError(DbError::Invalid, _)) => {
            StoreError::Away(format!("keyspace {:?} is not there; run `foryou migrate`", config.keyspace))
        }
        error => named(config, &DriverError::Failed(error.to_string().into())),
    })
}

/// The error with the nodes' addresses before it.
pub fn named(config: &Scylla, error: &DriverError) -> StoreError {
    StoreError::Away(format!("{}: {error}", config.nodes))
}
