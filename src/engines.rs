//! What the configuration names for everything to run on: the feature store, the event bus, and, where both are shared, the list
//! of nodes.

use std::{net::SocketAddr, sync::Arc};

use anyhow::ensure;
use foryou_actors::{
    ports::{
        access::AccessStore, audit::AuditLog, bus::EventBus, catalogue::CatalogueFeed, cluster::Cluster,
        quarantine::Quarantine, store::FeatureStore,
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
    models::{
        Releases,
        shelf::{FolderShelf, ReleaseSync, SharedShelf, Shelf},
    },
    quarantine::SharedQuarantine,
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
    /// Events that could never be applied; none where they stay in RabbitMQ, since the store is not one that nodes share.
    pub quarantine: Option<Arc<dyn Quarantine>>,
    /// All model releases, and which is active.
    pub shelf: Arc<dyn Shelf>,
    /// The list of nodes, where the store is one that nodes share.
    pub cluster: Option<Arc<dyn Cluster>>,
    /// Changes of the catalogue, where the bus is one that nodes share.
    pub feed: Option<Arc<dyn CatalogueFeed>>,
    /// Which node holds whose session.
    pub membership: Membership,
    /// What has to run before events are taken: the membership's service, where there are several nodes, and what fills the quarantine.
    pub services: Vec<ServiceSpec>,
}

impl Engines {
    /// Opens what the configuration names, for a server that listens at `bound`.
    pub async fn open(config: &Config, bound: SocketAddr) -> anyhow::Result<Self> {
        let Opened { store, cluster, access, audit, shared } = open_all(config, &config.node_name()).await?;
        let shelf = shelf(config, shared.clone());
        let (bus, feed, quarantine, filling) = open_bus(config).await?.parts(config, shared);
        let (membership, mut services) = match &cluster {
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
        services.extend(filling);
        if config.store.kind == StoreKind::Scylla {
            services.push(ReleaseSync::spec(shelf.clone()));
        }
        Ok(Self { store, bus, access, audit, quarantine, shelf, cluster, feed, membership, services })
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

/// Opens where releases are, for a command: beside a server that runs, too.
pub async fn open_shelf(config: &Config) -> anyhow::Result<Arc<dyn Shelf>> {
    Ok(match config.store.kind {
        StoreKind::Embedded => shelf(config, None),
        StoreKind::Scylla => shelf(config, open_all(config, OFFLINE).await?.shared),
    })
}

fn shelf(config: &Config, shared: Option<Arc<ScyllaStore>>) -> Arc<dyn Shelf> {
    let (releases, keep) = (Releases::new(&config.data.dir), config.models.keep.count());
    match shared {
        Some(store) => Arc::new(SharedShelf::new(store, releases, keep)),
        None => Arc::new(FolderShelf::new(releases, keep)),
    }
}

/// What lies in the store, or beside it.
struct Opened {
    store: Arc<dyn FeatureStore>,
    cluster: Option<Arc<dyn Cluster>>,
    access: Arc<dyn AccessStore>,
    audit: Arc<dyn AuditLog>,
    /// The store once more, where it is one that nodes share.
    shared: Option<Arc<ScyllaStore>>,
}

async fn open_all(config: &Config, owner: &str) -> anyhow::Result<Opened> {
    match config.store.kind {
        StoreKind::Embedded => {
            let store = Arc::new(EmbeddedStore::open(&config.data.dir.join("store"))?);
            let (access, audit) = access_files(config);
            Ok(Opened { store, cluster: None, access, audit, shared: None })
        }
        StoreKind::Scylla => {
            let store = Arc::new(ScyllaStore::connect(&config.store.scylla, owner).await?);
            let audit = Arc::new(ScyllaAudit::new(store.clone(), config.access.audit_days.get()));
            Ok(Opened {
                store: store.clone(),
                cluster: Some(store.clone()),
                access: store.clone(),
                audit,
                shared: Some(store),
            })
        }
    }
}

fn access_files(config: &Config) -> (Arc<dyn AccessStore>, Arc<dyn AuditLog>) {
    let folder = config.data.dir.join("access");
    (Arc::new(KeyFile::new(&folder)), Arc::new(AuditFiles::new(&folder, config.access.audit_days.get())))
}

/// Opens the quarantine for a command; none where rejected events stay in RabbitMQ.
pub async fn open_quarantine(config: &Config) -> anyhow::Result<Option<Arc<dyn Quarantine>>> {
    let shared = match (config.bus.kind, config.store.kind) {
        (BusKind::Rabbitmq, StoreKind::Embedded) => return Ok(None),
        (BusKind::Rabbitmq, StoreKind::Scylla) => open_all(config, OFFLINE).await?.shared,
        (BusKind::Embedded, _) => None,
    };
    Ok(open_bus(config).await?.parts(config, shared).2)
}

enum OpenedBus {
    Embedded(Arc<EmbeddedBus>),
    Rabbit(Arc<RabbitBus>),
}

type BusParts = (Arc<dyn EventBus>, Option<Arc<dyn CatalogueFeed>>, Option<Arc<dyn Quarantine>>, Option<ServiceSpec>);

impl OpenedBus {
    /// The bus, its catalogue feed, the quarantine, and what fills that.
    fn parts(self, config: &Config, shared: Option<Arc<ScyllaStore>>) -> BusParts {
        match self {
            Self::Embedded(bus) => (bus.clone(), None, Some(bus), None),
            Self::Rabbit(bus) => {
                let max = config.bus.max_quarantined.get().into();
                let kept = shared.map(|store| SharedQuarantine::new(store, bus.clone(), max));
                let filling = kept.clone().map(SharedQuarantine::service);
                (bus.clone(), Some(bus), kept.map(|kept| kept as Arc<dyn Quarantine>), filling)
            }
        }
    }
}

async fn open_bus(config: &Config) -> anyhow::Result<OpenedBus> {
    match config.bus.kind {
        BusKind::Embedded => {
            let settings = BusSettings {
                partitions: config.bus.partitions.get() as u16,
                max_unacked: config.bus.max_depth.count(),
                max_quarantined: config.bus.max_quarantined.count(),
                ..BusSettings::default()
            };
            Ok(OpenedBus::Embedded(Arc::new(EmbeddedBus::open(&config.data.dir.join("bus"), settings)?)))
        }
        BusKind::Rabbitmq => {
            Ok(OpenedBus::Rabbit(Arc::new(RabbitBus::connect(&config.bus, &config.node_name()).await?)))
        }
    }
}
