use async_trait::async_trait;
use foryou_actors::ports::contract::Subject;

use foryou_testing::{Engines, unique};

use super::*;
use crate::config::Secret;

/// A keyspace of its own, which is dropped at the end.
pub struct Keyspace(pub Scylla);

impl Keyspace {
    pub fn on(engines: &Engines) -> Self {
        let (user, password) = engines.login.unwrap_or_default();
        Self(Scylla {
            nodes: engines.cassandra.clone(),
            keyspace: unique(),
            user: user.into(),
            password: Secret::new(password),
            ..Scylla::default()
        })
    }

    pub async fn open_as(&self, owner: &str) -> ScyllaStore {
        ScyllaStore::connect(&self.0, owner).await.unwrap()
    }
}

async fn drop_keyspace(config: &Scylla) -> Result<(), StoreError> {
    let session = connect::connect(config).await?;
    let mut drop = scylla::statement::Statement::new(format!("DROP KEYSPACE IF EXISTS {}", config.keyspace));
    drop.set_request_timeout(Some(connect::SCHEMA_TIMEOUT));
    session.query_unpaged(drop, ()).await.map_err(errors::DriverError::from)?;
    Ok(())
}

impl Drop for Keyspace {
    fn drop(&mut self) {
        let config = self.0.clone();
        // A runtime of its own: the test's is busy with this drop.
        let dropped = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                // A server under load may be silent for longer than connections bear. What is dropped twice is gone all the same.
                let until = std::time::Instant::now() + connect::SCHEMA_TIMEOUT;
                while let Err(error) = drop_keyspace(&config).await {
                    assert!(std::time::Instant::now() < until, "{} is not dropped: {error}", config.keyspace);
                    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
                }
            });
        });
        // A second panic would end the process before the first one is told.
        if let Err(panic) = dropped.join()
            && !std::thread::panicking()
        {
            std::panic::resume_unwind(panic);
        }
    }
}

#[async_trait]
impl Subject for Keyspace {
    type Port = ScyllaStore;
    async fn open(&self) -> ScyllaStore {
        migrate(&self.0).await.unwrap();
        self.open_as("t").await
    }
}

mod real_engines;
