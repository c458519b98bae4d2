//! The configuration: compiled-in defaults, one TOML file over them, `FORYOU__SECTION__KEY` over both.
//!
//! `foryou.toml` in the repository documents every key. What has been loaded holds: ranges are in the types.

mod access;
mod bounded;
mod error;
mod feed;
mod overlay;
mod secret;
mod sections;

use std::path::Path;

use serde::{Deserialize, Serialize};

pub use access::{Access, AccessMode, AdminLogin, Limits, Tokens};
pub use bounded::{Real, Whole};
pub use error::ConfigError;
pub use feed::{Candidates, Diversity, Exploration, Feed, Utility};
pub use secret::Secret;
pub use sections::{
    Bus, BusKind, Cluster, Console, Data, Demo, Log, LogFormat, Models, Rabbitmq, Scylla, Server, Sessions, Sockets,
    Store, StoreKind, Tls, Traces, Training,
};

/// What every environment variable that overrides a key begins with.
pub const ENVIRONMENT_PREFIX: &str = "FORYOU__";

/// Everything that can be set.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Config {
    /// Where things are kept.
    pub data: Data,
    /// The HTTP server.
    pub server: Server,
    /// The event bus.
    pub bus: Bus,
    /// The feature store.
    pub store: Store,
    /// Several nodes.
    pub cluster: Cluster,
    /// Who may do what.
    pub access: Access,
    /// Sessions.
    pub sessions: Sessions,
    /// Feed sockets.
    pub sockets: Sockets,
    /// The making of a feed.
    pub feed: Feed,
    /// The models of a release.
    pub models: Models,
    /// Training.
    pub training: Training,
    /// The admin console.
    pub console: Console,
    /// Logs.
    pub log: Log,
    /// Traces.
    pub traces: Traces,
}

impl Config {
    /// Loads from `file`, if there is one, and this process's environment.
    pub fn load(file: Option<&Path>) -> Result<Self, ConfigError> {
        let variables = std::env::vars_os().filter_map(|(name, value)| {
            let name = name.into_string().ok().filter(|name| name.starts_with(ENVIRONMENT_PREFIX))?;
            Some((name, value.to_string_lossy().into_owned()))
        });
        match file {
            Some(path) => {
                let text = std::fs::read_to_string(path)
                    .map_err(|source| ConfigError::Unreadable { path: path.to_owned(), source })?;
                Self::read(&text, &path.display().to_string(), variables)
            }
            None => Self::read("", "", variables),
        }
    }

    /// Reads TOML `text` (called `origin` in errors) and lays `variables` over it.
    pub fn read(
        text: &str,
        origin: &str,
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        let mut table = Self::default().to_table()?;
        overlay::file(&mut table, text, origin)?;
        overlay::environment(&mut table, variables)?;
        serde_path_to_error::deserialize(table).map_err(|e| ConfigError::Refused {
            key: e.path().to_string(),
            reason: e.into_inner().message().trim().to_owned(),
        })
    }

    /// The same without its secrets, to be shown.
    #[must_use]
    pub fn masked(&self) -> Self {
        let mut shown = self.clone();
        for secret in [
            &mut shown.bus.rabbitmq.password,
            &mut shown.store.scylla.password,
            &mut shown.cluster.secret,
            &mut shown.access.admin.users,
            &mut shown.traces.headers,
        ] {
            *secret = secret.masked();
        }
        shown
    }

    /// Where the other nodes reach this one: `host:port`.
    pub fn advertised(&self) -> String {
        match self.cluster.advertise.as_str() {
            "" => self.server.bind.to_string(),
            advertise => advertise.to_owned(),
        }
    }

    /// This node's name: stable over restarts, unique in the cluster.
    pub fn node_name(&self) -> String {
        match self.cluster.node.as_str() {
            "" => self.advertised(),
            node => node.to_owned(),
        }
    }

    /// What is in force, as TOML: with secrets, so for files that only foryou reads.
    pub fn to_toml(&self) -> Result<String, ConfigError> {
        toml::to_string(self).map_err(|e| ConfigError::Defaults(e.to_string()))
    }

    fn to_table(&self) -> Result<toml::Table, ConfigError> {
        toml::Table::try_from(self).map_err(|e| ConfigError::Defaults(e.to_string()))
    }
}

/// A number of threads as configured; 0 stands for one per core.
pub fn threads(configured: usize) -> usize {
    match configured {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        threads => threads,
    }
}

#[cfg(test)]
mod tests;
