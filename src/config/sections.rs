//! The sections of the configuration, but for `feed`. `foryou.toml` says what each key does.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::{Real, Secret, Whole};
use crate::models::RankerEngine;

/// Where things are kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "foryou.toml says it")]
pub struct Data {
    pub dir: PathBuf,
}

impl Default for Data {
    fn default() -> Self {
        Self { dir: ".foryou".into() }
    }
}

/// Whether there is a page to feel a feed at, `/demo`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Demo {
    /// Where the server is reached over loopback only and checks nobody.
    #[default]
    Auto,
    /// Yes.
    On,
    /// No.
    Off,
}

/// The HTTP server.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "foryou.toml says it")]
pub struct Server {
    pub bind: SocketAddr,
    pub workers: Whole<0, 1024>,
    pub body_limit_kb: Whole<1, 65_536>,
    pub max_in_flight: Whole<1, 1_000_000>,
    pub max_connections: Whole<1, 1_000_000>,
    pub head_timeout_ms: Whole<1, 600_000>,
    pub body_timeout_ms: Whole<1, 600_000>,
    pub keep_alive_s: Whole<0, 3_600>,
    pub drain_s: Whole<0, 3_600>,
    pub demo: Demo,
    pub tls: Tls,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            bind: SocketAddr::from(([127, 0, 0, 1], 8080)),
            workers: const { Whole::new(0) },
            body_limit_kb: const { Whole::new(2_048) },
            max_in_flight: const { Whole::new(4_096) },
            max_connections: const { Whole::new(25_000) },
            head_timeout_ms: const { Whole::new(5_000) },
            body_timeout_ms: const { Whole::new(10_000) },
            keep_alive_s: const { Whole::new(75) },
            drain_s: const { Whole::new(20) },
            demo: Demo::default(),
            tls: Tls::default(),
        }
    }
}

/// The server's certificate.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[expect(missing_docs, reason = "foryou.toml says it")]
pub struct Tls {
    pub cert: PathBuf,
    pub key: PathBuf,
}

impl Tls {
    /// Whether the server speaks TLS.
    pub fn is_on(&self) -> bool {
        !(self.cert.as_os_str().is_empty() && self.key.as_os_str().is_empty())
    }
}

/// Which event bus.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BusKind {
    /// A durable log in the data folder.
    #[default]
    Embedded,
    /// RabbitMQ.
    Rabbitmq,
}

/// The event bus.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "foryou.toml says it")]
pub struct Bus {
    pub kind: BusKind,
    pub partitions: Whole<1, 4_096>,
    pub max_depth: Whole<1_000, 100_000_000>,
    pub credit: Whole<1, 1_000_000>,
    pub linger_us: Whole<0, 1_000_000>,
    pub max_quarantined: Whole<100, 10_000_000>,
    pub rabbitmq: Rabbitmq,
}

impl Default for Bus {
    fn default() -> Self {
        Self {
            kind: BusKind::default(),
            partitions: const { Whole::new(foryou_actors::ports::bus::PARTITIONS as u32) },
            max_depth: const { Whole::new(100_000) },
            credit: const { Whole::new(4_096) },
            linger_us: const { Whole::new(0) },
            max_quarantined: const { Whole::new(100_000) },
            rabbitmq: Rabbitmq::default(),
        }
    }
}

/// How RabbitMQ is reached and used.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "foryou.toml says it")]
pub struct Rabbitmq {
    pub url: String,
    pub user: String,
    pub password: Secret,
    pub ca: PathBuf,
    pub name: String,
    pub heartbeat_s: Whole<1, 600>,
    pub timeout_ms: Whole<100, 600_000>,
    pub buffer: Whole<1, 1_000_000>,
    pub delivery_limit: Whole<1, 10_000>,
    pub replicas: Whole<1, 9>,
}

impl Default for Rabbitmq {
    fn default() -> Self {
        Self {
            url: "amqp://127.0.0.1:5672".into(),
            user: "guest".into(),
            password: Secret::new("guest"),
            ca: PathBuf::new(),
            name: "foryou".into(),
            heartbeat_s: const { Whole::new(5) },
            timeout_ms: const { Whole::new(5_000) },
            buffer: const { Whole::new(10_000) },
            delivery_limit: const { Whole::new(20) },
            replicas: const { Whole::new(3) },
        }
    }
}

/// Which feature store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StoreKind {
    /// A key-value store in the data folder.
    #[default]
    Embedded,
    /// ScyllaDB, or another server of its protocol.
    Scylla,
}

/// The feature store.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "foryou.toml says it")]
pub struct Store {
    pub kind: StoreKind,
    pub linger_ms: Whole<0, 10_000>,
    pub batch: Whole<1, 100_000>,
    pub queue: Whole<1, 10_000_000>,
    pub scylla: Scylla,
}

impl Default for Store {
    fn default() -> Self {
        Self {
            kind: StoreKind::default(),
            linger_ms: const { Whole::new(5) },
            batch: const { Whole::new(1_024) },
            queue: const { Whole::new(16_384) },
            scylla: Scylla::default(),
        }
    }
}

/// How ScyllaDB is reached and used.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "foryou.toml says it")]
pub struct Scylla {
    pub nodes: String,
    pub keyspace: String,
    pub replication: String,
    pub user: String,
    pub password: Secret,
    pub tls: bool,
    pub ca: PathBuf,
    pub timeout_ms: Whole<10, 600_000>,
    pub connect_timeout_ms: Whole<10, 600_000>,
    pub activity_days: Whole<1, 36_500>,
    pub event_ids_days: Whole<1, 36_500>,
    pub quarantine_days: Whole<1, 3_650>,
}

impl Default for Scylla {
    fn default() -> Self {
        Self {
            nodes: "127.0.0.1:9042".into(),
            keyspace: "foryou".into(),
            replication: "{'class': 'NetworkTopologyStrategy', 'replication_factor': 1}".into(),
            user: String::new(),
            password: Secret::default(),
            tls: false,
            ca: PathBuf::new(),
            timeout_ms: const { Whole::new(2_000) },
            connect_timeout_ms: const { Whole::new(2_000) },
            activity_days: const { Whole::new(365) },
            event_ids_days: const { Whole::new(14) },
            quarantine_days: const { Whole::new(30) },
        }
    }
}

/// How several nodes share the people: only where bus and store are shared, too.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "foryou.toml says it")]
pub struct Cluster {
    pub node: String,
    pub advertise: String,
    pub secret: Secret,
    pub ca: PathBuf,
    pub heartbeat_ms: Whole<50, 60_000>,
    pub gone_after_ms: Whole<200, 600_000>,
    pub forward_timeout_ms: Whole<10, 60_000>,
    pub statistics_ms: Whole<100, 600_000>,
}

impl Default for Cluster {
    fn default() -> Self {
        Self {
            node: String::new(),
            advertise: String::new(),
            secret: Secret::default(),
            ca: PathBuf::new(),
            heartbeat_ms: const { Whole::new(500) },
            gone_after_ms: const { Whole::new(2_500) },
            forward_timeout_ms: const { Whole::new(2_500) },
            statistics_ms: const { Whole::new(2_000) },
        }
    }
}

/// Sessions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "foryou.toml says it")]
pub struct Sessions {
    pub arbiters: Whole<0, 1_024>,
    pub idle_s: Whole<1, 604_800>,
    pub budget_mb: Whole<1, 10_000_000>,
}

impl Default for Sessions {
    fn default() -> Self {
        Self {
            arbiters: const { Whole::new(0) },
            idle_s: const { Whole::new(900) },
            budget_mb: const { Whole::new(1_024) },
        }
    }
}

/// The models of a release.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "foryou.toml says it")]
pub struct Models {
    pub onnxruntime: PathBuf,
    pub ranker: RankerEngine,
    pub keep: Whole<2, 10_000>,
}

impl Default for Models {
    fn default() -> Self {
        Self { onnxruntime: PathBuf::new(), ranker: RankerEngine::default(), keep: const { Whole::new(10) } }
    }
}

impl Models {
    /// The ONNX Runtime library, where one is named.
    pub fn library(&self) -> Option<&Path> {
        Some(self.onnxruntime.as_path()).filter(|path| !path.as_os_str().is_empty())
    }
}

/// Training.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "foryou.toml says it")]
pub struct Training {
    pub threads: Whole<0, 1_024>,
    pub seed: Whole<0, { u32::MAX }>,
    pub window_days: Whole<1, 3_650>,
    pub max_rows: Whole<1_000, 100_000_000>,
}

impl Default for Training {
    fn default() -> Self {
        Self {
            threads: const { Whole::new(0) },
            seed: const { Whole::new(1) },
            window_days: const { Whole::new(14) },
            max_rows: const { Whole::new(1_000_000) },
        }
    }
}

/// Feed sockets.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "foryou.toml says it")]
pub struct Sockets {
    pub max: Whole<1, 10_000_000>,
    pub per_user: Whole<1, 1_000>,
    pub coalesce_ms: Whole<0, 10_000>,
    pub spread_ms: Whole<0, 600_000>,
    pub heartbeat_ms: Whole<100, 600_000>,
    pub idle_s: Whole<1, 86_400>,
    pub send_timeout_ms: Whole<10, 600_000>,
    pub unread_kb: Whole<64, 4_096>,
    pub frame_limit_kb: Whole<1, 1_024>,
}

impl Default for Sockets {
    fn default() -> Self {
        Self {
            max: const { Whole::new(20_000) },
            per_user: const { Whole::new(8) },
            coalesce_ms: const { Whole::new(50) },
            spread_ms: const { Whole::new(10_000) },
            heartbeat_ms: const { Whole::new(20_000) },
            idle_s: const { Whole::new(1_800) },
            send_timeout_ms: const { Whole::new(10_000) },
            unread_kb: const { Whole::new(256) },
            frame_limit_kb: const { Whole::new(16) },
        }
    }
}

/// The admin console.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "foryou.toml says it")]
pub struct Console {
    pub freshness_objective_ms: Whole<1, 60_000>,
    pub freshness_window_s: Whole<5, 3_600>,
    pub listeners: Whole<1, 10_000>,
}

impl Default for Console {
    fn default() -> Self {
        Self {
            freshness_objective_ms: const { Whole::new(50) },
            freshness_window_s: const { Whole::new(60) },
            listeners: const { Whole::new(32) },
        }
    }
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Text on a terminal, JSON elsewhere.
    #[default]
    Auto,
    /// For people.
    Text,
    /// For machines, one object a line.
    Json,
}

/// Logs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "foryou.toml says it")]
pub struct Log {
    pub filter: String,
    pub format: LogFormat,
}

impl Default for Log {
    fn default() -> Self {
        Self {
            filter: "info,fjall=warn,lsm_tree=warn,ort=warn,scylla=off,lapin=off".into(),
            format: LogFormat::default(),
        }
    }
}

/// Traces.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "foryou.toml says it")]
pub struct Traces {
    pub endpoint: String,
    pub headers: Secret,
    pub ca: PathBuf,
    pub share: Real<0, 1>,
}

impl Default for Traces {
    fn default() -> Self {
        Self {
            endpoint: String::new(),
            headers: Secret::default(),
            ca: PathBuf::new(),
            share: const { Real::new(0.05) },
        }
    }
}
