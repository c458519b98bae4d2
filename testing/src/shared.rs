use std::{env, path::PathBuf};

/// Where a broker and a store answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Engines {
    /// `amqp://USER:PASSWORD@HOST:PORT`.
    pub rabbitmq: String,
    /// `HOST:PORT` of the native protocol.
    pub cassandra: String,
    /// User and password of the store, where it asks for them.
    pub login: Option<(&'static str, &'static str)>,
    /// PEM file with the authority to trust, where they speak TLS.
    pub ca: Option<PathBuf>,
}

impl Engines {
    /// Those that all tests share, out of `FORYOU_TEST_RABBITMQ` and `FORYOU_TEST_CASSANDRA`. A test uses names of its own there
    /// ([`unique`]), removes at its end what it made, and disturbs nobody.
    ///
    /// # Panics
    /// When they are not set: a test that cannot run has not passed.
    #[track_caller]
    pub fn shared() -> Self {
        let [rabbitmq, cassandra] = ["FORYOU_TEST_RABBITMQ", "FORYOU_TEST_CASSANDRA"].map(variable);
        Self { rabbitmq, cassandra, login: None, ca: None }
    }

    /// Settings of foryou for both engines, as TOML, with `name` before the names of queues and as keyspace.
    ///
    /// # Panics
    /// When `rabbitmq` is not of the form above.
    pub fn settings(&self, name: &str) -> String {
        format!("{}{}", self.bus_settings(name), self.store_settings(name))
    }

    /// Settings of foryou for RabbitMQ alone.
    ///
    /// # Panics
    /// When `rabbitmq` is not of the form above.
    pub fn bus_settings(&self, name: &str) -> String {
        let parts = self.rabbitmq.split_once("://").and_then(|(scheme, rest)| {
            let (login, host) = rest.rsplit_once('@')?;
            let (user, password) = login.split_once(':')?;
            Some((scheme, user, password, host))
        });
        let Some((scheme, user, password, host)) = parts else {
            panic!("FORYOU_TEST_RABBITMQ is not amqp://USER:PASSWORD@HOST:PORT")
        };
        format!(
            "bus.kind = \"rabbitmq\"\nbus.rabbitmq.url = \"{scheme}://{host}\"\nbus.rabbitmq.user = \"{user}\"\n\
             bus.rabbitmq.password = \"{password}\"\nbus.rabbitmq.name = \"{name}\"\nbus.rabbitmq.ca = {:?}\n",
            self.ca.clone().unwrap_or_default()
        )
    }

    /// Settings of foryou for the store alone.
    pub fn store_settings(&self, name: &str) -> String {
        let (user, password) = self.login.unwrap_or_default();
        let nodes = &self.cassandra;
        format!(
            "store.kind = \"scylla\"\nstore.scylla.nodes = \"{nodes}\"\nstore.scylla.keyspace = \"{name}\"\n\
             store.scylla.user = \"{user}\"\nstore.scylla.password = \"{password}\"\n\
             store.scylla.tls = {}\nstore.scylla.ca = {:?}\n",
            self.ca.is_some(),
            self.ca.clone().unwrap_or_default()
        )
    }
}

/// A name that no other test has: `t_` and random digits, good for exchanges, queues and keyspaces.
pub fn unique() -> String {
    format!("t_{}", uuid::Uuid::now_v7().simple())
}

#[track_caller]
fn variable(name: &str) -> String {
    match env::var(name) {
        Ok(value) if !value.is_empty() => value,
        _ => panic!(
            "{name} is not set. `make test` brings the engines up by itself; for `cargo test`: `make engines`, then \
             `eval \"$(scripts/engines.sh env test)\"`. `make test-embedded` runs the tests that need no engines."
        ),
    }
}
