//! What the configuration names for everything to run on: the feature store, the event bus, and, where both are shared, the list
//! of nodes.

use std::{net::SocketAddr, sync::Arc};

use anyhow::ensure;
use foryou_actors::{
    ports::{bus::EventBus, catalogue::CatalogueFeed, cluster::Cluster, store::FeatureStore},
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
    stores::{embedded::EmbeddedStore, scylla::ScyllaStore},
};

/// What everything runs on.
pub struct Engines {
    /// The feature store.
    pub store: Arc<dyn FeatureStore>,
    /// The event bus.
    pub bus: Arc<dyn EventBus>,
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
        let (store, cluster) = open_shared_store(config, &config.node_name()).await?;
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
        Ok(Self { store, bus, cluster, feed, membership, services })
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
    Ok(open_shared_store(config, OFFLINE).await?.0)
}

/// Opens the list of nodes, where the store is one that nodes share.
pub async fn open_cluster(config: &Config) -> anyhow::Result<Option<Arc<dyn Cluster>>> {
    match config.store.kind {
        StoreKind::Embedded => Ok(None),
        StoreKind::Scylla => Ok(open_shared_store(config, OFFLINE).await?.1),
    }
}

type SharedStore = (Arc<dyn FeatureStore>, Option<Arc<dyn Cluster>>);

async fn open_shared_store(config: &Config, owner: &str) -> anyhow::Result<SharedStore> {
    match config.store.kind {
        StoreKind::Embedded => Ok((Arc::new(EmbeddedStore::open(&config.data.dir.join("store"))?), None)),
        StoreKind::Scylla => {
            let store = Arc::new(ScyllaStore::connect(&config.store.scylla, owner).await?);
            Ok((store.clone(), Some(store)))
        }
    }
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
