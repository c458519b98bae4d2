//! What the configuration names for everything to run on: the feature store, the event bus, and, where both are shared, the list
//! of nodes.

use std::{net::SocketAddr, sync::Arc};

use anyhow::ensure;
use foryou_actors::{
    ports::{
        access::AccessStore, audit::AuditLog, bus::EventBus, catalogue::CatalogueFeed, cluster::Cluster,
        store::FeatureStore,
    },
    services::{
        membership::{Membership, MembershipSettings},
        supervisor::ServiceSpec,
    },
};
use foryou_schemas::Timestamp;

use crate::{
    brokers::{
        embedded::{BusSettings, EmbeddedBus},
        rabbitmq::RabbitBus,
    },
    config::{BusKind, Config, StoreKind},
    stores::{
        embedded::EmbeddedStore,
        files::{AuditFiles, KeyFile},
        scylla::{ScyllaAudit, ScyllaStore},
    },
};

/// What everything runs on.
pub struct Engines {
    /// The feature store.
    pub store: Arc<dyn FeatureStore>,
    /// The event bus.
    pub bus: Arc<dyn EventBus>,
    /// The keys of servers.
    pub access: Arc<dyn AccessStore>,
    /// The audit log.
    pub audit: Arc<dyn AuditLog>,
    /// The list of nodes, where the store is one that nodes share.
    pub cluster: Option<Arc<dyn Cluster>>,
    /// Changes of the catalogue, where the bus is one that nodes share.
    pub feed: Option<Arc<dyn CatalogueFeed>>,
    /// Which node holds whose session.
    pub membership: Membership,
    /// What has to run before events are taken: the membership's service, where there are several nodes.
    pub services: Vec<ServiceSpec>,
}

impl Engines {
    /// Opens what the configuration names, for a server that listens at `bound`.
    pub async fn open(config: &Config, bound: SocketAddr) -> anyhow::Result<Self> {
        let Opened { store, cluster, access, audit } = open_all(config, &config.node_name()).await?;
        let (bus, feed) = open_bus(config).await?;
        let (membership, services) = match &cluster {
            Some(cluster) if feed.is_some() => {
                let (membership, service) = Membership::new(member(config, bus.partitions(), bound)?, cluster.clone());
                (membership, vec![service])
            }
            cluster => {
                let name = config.node_name();
                if let Some(cluster) = cluster {
                    // What an earlier process of this name left unfinished.
                    cluster.take_over(&name).await?;
                }
                (Membership::alone(&name, bus.partitions()), Vec::new())
            }
        };
        Ok(Self { store, bus, access, audit, cluster, feed, membership, services })
    }
}

fn member(config: &Config, partitions: u16, bound: SocketAddr) -> anyhow::Result<MembershipSettings> {
    let address = match config.cluster.advertise.as_str() {
        "" => bound.to_string(),
        address => address.to_owned(),
    };
    ensure!(
        !(config.cluster.advertise.is_empty() && bound.ip().is_unspecified()),
        "server.bind is {bound}, where other nodes cannot reach this one; set cluster.advertise to the HOST:PORT that they can"
    );
    Ok(MembershipSettings {
        name: config.node_name().into(),
        address: address.into(),
        incarnation: uuid::Uuid::now_v7().to_string().into(),
        started_at: Timestamp::now(),
        version: env!("CARGO_PKG_VERSION").into(),
        partitions,
        heartbeat: config.cluster.heartbeat_ms.millis(),
        gone_after: config.cluster.gone_after_ms.millis(),
    })
}

/// Who owns what a command writes while no server runs.
const OFFLINE: &str = "import";

/// Opens the feature store for a command.
pub async fn open_store(config: &Config) -> anyhow::Result<Arc<dyn FeatureStore>> {
    Ok(open_all(config, OFFLINE).await?.store)
}

/// Opens where keys and the audit log are kept, for a command: beside a server that runs, too.
pub async fn open_access(config: &Config) -> anyhow::Result<(Arc<dyn AccessStore>, Arc<dyn AuditLog>)> {
    match config.store.kind {
        StoreKind::Embedded => Ok(access_files(config)),
        StoreKind::Scylla => {
            let opened = open_all(config, OFFLINE).await?;
            Ok((opened.access, opened.audit))
        }
    }
}

/// Opens the list of nodes, where the store is one that nodes share.
pub async fn open_cluster(config: &Config) -> anyhow::Result<Option<Arc<dyn Cluster>>> {
    match config.store.kind {
        StoreKind::Embedded => Ok(None),
        StoreKind::Scylla => Ok(open_all(config, OFFLINE).await?.cluster),
    }
}

/// What lies in the store, or beside it.
struct Opened {
    store: Arc<dyn FeatureStore>,
    cluster: Option<Arc<dyn Cluster>>,
    access: Arc<dyn AccessStore>,
    audit: Arc<dyn AuditLog>,
}

async fn open_all(config: &Config, owner: &str) -> anyhow::Result<Opened> {
    match config.store.kind {
        StoreKind::Embedded => {
            let store = Arc::new(EmbeddedStore::open(&config.data.dir.join("store"))?);
            let (access, audit) = access_files(config);
            Ok(Opened { store, cluster: None, access, audit })
        }
        StoreKind::Scylla => {
            let store = Arc::new(ScyllaStore::connect(&config.store.scylla, owner).await?);
            let audit = Arc::new(ScyllaAudit::new(store.clone(), config.access.audit_days.get()));
            Ok(Opened { store: store.clone(), cluster: Some(store.clone()), access: store, audit })
        }
    }
}

fn access_files(config: &Config) -> (Arc<dyn AccessStore>, Arc<dyn AuditLog>) {
    let folder = config.data.dir.join("access");
    (Arc::new(KeyFile::new(&folder)), Arc::new(AuditFiles::new(&folder, config.access.audit_days.get())))
}

type SharedBus = (Arc<dyn EventBus>, Option<Arc<dyn CatalogueFeed>>);

async fn open_bus(config: &Config) -> anyhow::Result<SharedBus> {
    match config.bus.kind {
        BusKind::Embedded => {
            let settings = BusSettings {
                partitions: config.bus.partitions.get() as u16,
                max_unacked: config.bus.max_depth.count(),
                ..BusSettings::default()
            };
            Ok((Arc::new(EmbeddedBus::open(&config.data.dir.join("bus"), settings)?), None))
        }
        BusKind::Rabbitmq => {
            let bus = Arc::new(RabbitBus::connect(&config.bus, &config.node_name()).await?);
            Ok((bus.clone(), Some(bus)))
        }
    }
}
