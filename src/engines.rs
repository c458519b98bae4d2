//! The store and the bus that the configuration names.

use std::sync::Arc;

use anyhow::bail;
use foryou_actors::ports::{bus::EventBus, cluster::Cluster, store::FeatureStore};

use crate::{
    brokers::embedded::{BusSettings, EmbeddedBus},
    config::{BusKind, Config, StoreKind},
    stores::embedded::EmbeddedStore,
};

/// Opens the feature store.
pub async fn open_store(config: &Config) -> anyhow::Result<Arc<dyn FeatureStore>> {
    match config.store.kind {
        StoreKind::Embedded => Ok(Arc::new(EmbeddedStore::open(&config.data.dir.join("store"))?)),
        StoreKind::Scylla => bail!("store.kind scylla is not in this build"),
    }
}

/// Opens the list of nodes, where the store is one that nodes share.
pub async fn open_cluster(config: &Config) -> anyhow::Result<Option<Arc<dyn Cluster>>> {
    match config.store.kind {
        StoreKind::Embedded => Ok(None),
        StoreKind::Scylla => bail!("store.kind scylla is not in this build"),
    }
}

/// Opens the event bus.
pub async fn open_bus(config: &Config) -> anyhow::Result<Arc<dyn EventBus>> {
    let settings = BusSettings {
        partitions: config.bus.partitions.get() as u16,
        max_unacked: config.bus.max_depth.count(),
        ..BusSettings::default()
    };
    match config.bus.kind {
        BusKind::Embedded => Ok(Arc::new(EmbeddedBus::open(&config.data.dir.join("bus"), settings)?)),
        BusKind::Rabbitmq => bail!("bus.kind rabbitmq is not in this build"),
    }
}
