//! Asks the other nodes what they counted: statistics are the sum over nodes, a little late for what the others count.

use std::{collections::HashMap, sync::Arc, time::Duration};

use actix_web::web::Bytes;
use anyhow::{Context as _, ensure};
use async_trait::async_trait;
use foryou_actors::{
    live::Live,
    ports::{cluster::Node, store::FeatureStore},
    services::{
        membership::Membership,
        supervisor::{Context, Service, ServiceError, ServiceSpec},
    },
    tallies,
};
use foryou_schemas::Timestamp;
use http_body_util::Full;
use hyper::{Request, header::HOST};
use rustls::ClientConfig;
use tokio::time::Instant;

use crate::{
    access::{
        Caller,
        nodes::{CALLER, NODE_AUTH, NodeKey},
    },
    http::tallies as route,
    peers::Peers,
};

/// How long a node may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// The service to be supervised.
pub fn service(
    membership: Membership,
    live: Arc<Live>,
    store: Arc<dyn FeatureStore>,
    every: Duration,
    key: Option<Arc<NodeKey>>,
    tls: Option<Arc<ClientConfig>>,
) -> ServiceSpec {
    ServiceSpec::new("statistics_exchange", move || Exchange {
        membership: membership.clone(),
        live: live.clone(),
        store: store.clone(),
        every,
        key: key.clone(),
        peers: Peers::new(tls.clone()),
        known: HashMap::new(),
        takeovers: membership.takeovers(),
    })
}

struct Exchange {
    membership: Membership,
    live: Arc<Live>,
    store: Arc<dyn FeatureStore>,
    every: Duration,
    /// What it proves with that it is a node.
    key: Option<Arc<NodeKey>>,
    peers: Peers,
    /// Of each node: its incarnation, its generation, and the order number up to which its counts are known.
    known: HashMap<Box<str>, (Box<str>, u64, u64)>,
    /// Nodes that were shut out so far.
    takeovers: u64,
}

#[async_trait]
impl Service for Exchange {
    async fn run(&mut self, context: Context) -> Result<(), ServiceError> {
        context.ready();
        while context.stop.pause(self.every).await {
            let started = Instant::now();
            let others = self.membership.others();
            self.known.retain(|name, _| others.iter().any(|node| node.name == *name));
            // What a dead node counted at last is in the store only.
            let mut stale = std::mem::replace(&mut self.takeovers, self.membership.takeovers()) != self.takeovers;
            for node in &others {
                match self.ask(node).await {
                    Ok(in_step) => stale |= !in_step,
                    Err(error) => {
                        tracing::debug!(node = %node.name, error = format!("{error:#}"), "a node does not tell its counts");
                        context.probe.note_error(format!("{}: {error:#}", node.name));
                    }
                }
            }
            if stale {
                tallies::refresh_foreign(&*self.store, &self.live).await?;
            }
            context.probe.handled(others.len() as u64, started.elapsed());
        }
        Ok(())
    }
}

impl Exchange {
    /// Takes in what a node counted since it was asked last. `false`: it began anew, and only the store has the rest.
    async fn ask(&mut self, node: &Node) -> anyhow::Result<bool> {
        let before = self.known.get(&node.name).filter(|(incarnation, ..)| *incarnation == node.incarnation);
        let (generation, since) = before.map_or((None, 0), |(_, generation, order)| (Some(*generation), *order));
        let uri = format!("{}?since={since}", route::PATH);
        let mut request = Request::get(&uri).header(HOST, &*node.address);
        if let Some(key) = &self.key {
            let name: Arc<str> = self.membership.name().into();
            let signed = key.sign(&name, "GET", &uri, &Caller::Node { name: name.clone() }, Timestamp::now());
            request = request.header(NODE_AUTH, signed.auth).header(CALLER, signed.caller);
        }
        let request = request.body(Full::<Bytes>::default())?;
        let answer = self.peers.send(&node.address, request, PATIENCE).await?;
        ensure!(answer.status().is_success(), "it answered {}", answer.status());
        let told: route::Told = postcard::from_bytes(answer.body()).context("its answer does not decode")?;
        let catalogue = self.live.catalogue_full();
        let mut counted = Vec::with_capacity(told.tallies.len());
        for (key, bytes) in &told.tallies {
            if let Some(entity) = tallies::entity(key, &catalogue, &self.live) {
                counted.push((entity, tallies::decode(bytes)?));
            }
        }
        self.live.set_foreign(&HashMap::from([(node.name.clone(), counted)]));
        let in_step = generation.is_none_or(|generation| generation == told.generation);
        self.known.insert(node.name.clone(), (node.incarnation.clone(), told.generation, told.order));
        Ok(in_step)
    }
}
