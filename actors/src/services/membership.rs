//! Which node holds whose session.
//!
//! People are spread over partitions, and each partition is held by one node: the winner of a rendezvous hash over the nodes
//! that live. A node says what it holds in its row, again and again, and takes a partition on only once nobody who lives says
//! that he holds it; who should not hold one any more lets it go after settling what he has of it. A node that fell silent is
//! first shut out of the store ([`Cluster::take_over`]), so whatever it still does has no effect.
//!
//! Two nodes that see different lists may both want a partition; then the broker gives its events to one of them only.

mod peers;
mod rendezvous;

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use arc_swap::ArcSwap;
use async_trait::async_trait;
use foryou_schemas::{Timestamp, UserId};
use parking_lot::Mutex;
use tokio::{
    sync::{Notify, watch},
    time::Instant,
};

use self::peers::Peers;
use super::supervisor::{Context, Service, ServiceError, ServiceSpec};
use crate::{
    complaint::{Complaint, Trouble},
    ports::{
        bus::{Partitions, partition_of},
        cluster::{Cluster, Node},
        store::StoreError,
    },
};

/// Who this node is, and how patient.
#[derive(Debug, Clone)]
pub struct MembershipSettings {
    /// Stable over restarts, unique in the cluster.
    pub name: Box<str>,
    /// Where the others reach it: `host:port`.
    pub address: Box<str>,
    /// Unique per process.
    pub incarnation: Box<str>,
    /// When the process started.
    pub started_at: Timestamp,
    /// The version of the program.
    pub version: Box<str>,
    /// How many partitions the bus has.
    pub partitions: u16,
    /// How often a node says that it lives.
    pub heartbeat: Duration,
    /// After so long a silence it is gone.
    pub gone_after: Duration,
}

/// Who answers for a person now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Home {
    /// This node.
    Here,
    /// Another one.
    There {
        /// Its name.
        node: Box<str>,
        /// `host:port`.
        address: Box<str>,
    },
    /// Nobody: the partition is changing hands.
    Nobody {
        /// For the answer's `degraded`.
        reason: Box<str>,
    },
}

/// The handle.
#[derive(Clone)]
pub struct Membership(Arc<Shared>);

struct Shared {
    name: Box<str>,
    partitions: u16,
    /// One node: everybody is here, always.
    alone: bool,
    /// Per partition who else says that he holds it; and all that live.
    view: ArcSwap<View>,
    wanted: watch::Sender<Partitions>,
    held: ArcSwap<Partitions>,
    /// Serialises changes of `held`.
    holding: Mutex<()>,
    /// `held` changed, and the others should hear of it.
    changed: Notify,
    takeovers: AtomicU64,
    trouble: Trouble,
}

#[derive(Default)]
struct View {
    nodes: Vec<Node>,
    holders: Vec<Option<usize>>,
}

impl Membership {
    /// One node, which holds everything.
    pub fn alone(name: &str, partitions: u16) -> Self {
        Self(Arc::new(Shared {
            name: name.into(),
            partitions,
            alone: true,
            view: ArcSwap::default(),
            wanted: watch::Sender::new(Partitions::all(partitions)),
            held: ArcSwap::default(),
            holding: Mutex::new(()),
            changed: Notify::new(),
            takeovers: AtomicU64::new(0),
            trouble: Trouble::default(),
        }))
    }

    /// One of several nodes: the handle, and the service to be supervised. It must start before ingest.
    pub fn new(settings: MembershipSettings, cluster: Arc<dyn Cluster>) -> (Self, ServiceSpec) {
        let handle = Self(Arc::new(Shared {
            name: settings.name.clone(),
            partitions: settings.partitions,
            alone: false,
            view: ArcSwap::default(),
            wanted: watch::Sender::new(Partitions::default()),
            held: ArcSwap::default(),
            holding: Mutex::new(()),
            changed: Notify::new(),
            takeovers: AtomicU64::new(0),
            trouble: Trouble::default(),
        }));
        let (shared, beat) = (handle.0.clone(), Arc::new(AtomicU64::new(0)));
        let spec = ServiceSpec::new("membership", move || Worker {
            peers: Peers::new(settings.gone_after),
            settings: settings.clone(),
            cluster: cluster.clone(),
            shared: shared.clone(),
            beat: beat.clone(),
            to_take_over: BTreeSet::new(),
            superseded: false,
            complaint: Complaint::default(),
            namesake: Complaint::default(),
        });
        (handle, spec)
    }

    /// A view that stays as it is: what this node holds, and the others. For tests of what asks.
    #[cfg(feature = "contract")]
    pub fn fixed(name: &str, partitions: u16, held: Partitions, others: Vec<Node>) -> Self {
        let holder = |partition| others.iter().position(|node| node.held.contains(partition));
        let holders = (0..partitions).map(holder).collect();
        Self(Arc::new(Shared {
            name: name.into(),
            partitions,
            alone: false,
            view: ArcSwap::from_pointee(View { nodes: others, holders }),
            wanted: watch::Sender::new(held.clone()),
            held: ArcSwap::from_pointee(held),
            holding: Mutex::new(()),
            changed: Notify::new(),
            takeovers: AtomicU64::new(0),
            trouble: Trouble::default(),
        }))
    }

    /// This node's name.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Whether there is only this node.
    pub fn is_alone(&self) -> bool {
        self.0.alone
    }

    /// Who answers for a person now. Cheap.
    pub fn home(&self, user: &UserId) -> Home {
        if self.0.alone {
            return Home::Here;
        }
        let partition = partition_of(user, self.0.partitions);
        if self.0.held.load().contains(partition) {
            return Home::Here;
        }
        let view = self.0.view.load();
        let holder = view.holders.get(usize::from(partition)).copied().flatten();
        match holder.and_then(|n| view.nodes.get(n)) {
            Some(node) => Home::There { node: node.name.clone(), address: node.address.clone() },
            None => Home::Nobody { reason: format!("owner: partition p{partition:02} is changing hands").into() },
        }
    }

    /// What this node holds.
    pub fn held(&self) -> Partitions {
        self.0.held.load().as_ref().clone()
    }

    /// The other nodes that live, as of the last look.
    pub fn others(&self) -> Vec<Node> {
        self.0.view.load().nodes.clone()
    }

    /// Why this node has not been able to say for some seconds that it lives, or to hear of the others.
    pub fn trouble(&self) -> Option<String> {
        self.0.trouble.lasting()
    }

    /// How many nodes were shut out because they had fallen silent.
    pub fn takeovers(&self) -> u64 {
        self.0.takeovers.load(Relaxed)
    }

    /// What this node should hold and may take on; follows changes.
    pub fn wanted(&self) -> watch::Receiver<Partitions> {
        self.0.wanted.subscribe()
    }

    /// Says that this node holds a partition from now on.
    pub fn hold(&self, partition: u16) {
        self.change(|held| held.insert(partition));
    }

    /// Says that it does not any more.
    pub fn release(&self, partition: u16) {
        self.change(|held| held.remove(partition));
    }

    /// Says that it holds nothing.
    pub(super) fn release_all(&self) {
        self.change(|held| !std::mem::take(held).is_empty());
    }

    fn change(&self, change: impl FnOnce(&mut Partitions) -> bool) {
        let _one_at_a_time = self.0.holding.lock();
        let mut held = self.held();
        if change(&mut held) {
            self.0.held.store(Arc::new(held));
            self.0.changed.notify_one();
        }
    }
}

struct Worker {
    settings: MembershipSettings,
    cluster: Arc<dyn Cluster>,
    shared: Arc<Shared>,
    /// Outlives the incarnations of this service.
    beat: Arc<AtomicU64>,
    peers: Peers,
    /// Owners that are gone, and not yet shut out.
    to_take_over: BTreeSet<Box<str>>,
    /// Another process of this name came later.
    superseded: bool,
    complaint: Complaint,
    /// Of another process of this name.
    namesake: Complaint,
}

#[async_trait]
impl Service for Worker {
    async fn run(&mut self, context: Context) -> Result<(), ServiceError> {
        let mut started = false;
        while !context.stop.is_requested() {
            let looked = async {
                if !started {
                    self.start().await?;
                    started = true;
                }
                self.look().await
            };
            let looked = looked.await;
            if looked.is_ok()
                && let Some(failed) = self.complaint.works()
            {
                tracing::info!(failed, "the list of nodes can be read and written again");
            }
            match looked {
                Ok(()) if self.superseded => {
                    let name = &self.settings.name;
                    let reason = format!(
                        "another process calls itself {name}, too, and began later: this one does nothing; set cluster.node to \
                         another name"
                    );
                    if self.namesake.failed().is_some() {
                        tracing::error!("{reason}");
                    }
                    context.probe.note_error(&reason);
                    self.shared.trouble.begin(reason);
                }
                Ok(()) => {
                    self.shared.trouble.end();
                    if self.namesake.works().is_some() {
                        tracing::info!("the other process of this name is gone; this one does its work again");
                    }
                    context.ready();
                }
                Err(error) => {
                    if let Some(left_out) = self.complaint.failed() {
                        tracing::warn!(%error, left_out, "the list of nodes cannot be read or written; trying again");
                    }
                    context.probe.note_error(&error);
                    self.shared.trouble.begin(format!("the list of nodes: {}", error.reason()));
                    self.peers.unread();
                }
            }
            let shared = self.shared.clone();
            tokio::select! {
                () = tokio::time::sleep(self.settings.heartbeat) => {}
                () = shared.changed.notified() => {}
                () = context.stop.requested() => {}
            }
        }
        // Whoever stops in order hands over at once; where this fails, the row ends by itself.
        if let Err(error) = self.cluster.leave(&self.me()).await {
            tracing::warn!(%error, "this node could not sign off; the others notice soon");
        }
        Ok(())
    }
}

impl Worker {
    /// Finishes what this node, and every node that is not there, left unfinished. Before that, nobody may hold anything of theirs.
    async fn start(&mut self) -> Result<(), StoreError> {
        self.cluster.take_over(&self.settings.name).await?;
        let there: BTreeSet<Box<str>> = self.cluster.nodes().await?.into_iter().map(|node| node.name).collect();
        for owner in self.cluster.owners().await? {
            if owner != self.settings.name && !there.contains(&owner) {
                self.cluster.take_over(&owner).await?;
            }
        }
        Ok(())
    }

    /// Tells the others, hears of them, and decides.
    async fn look(&mut self) -> Result<(), StoreError> {
        // Before it is written: two processes of one name write the same row.
        self.superseded = self.cluster.nodes().await?.iter().any(|row| self.is_later(row));
        if !self.superseded {
            // Long enough that silence is noticed before the row ends.
            self.cluster.beat(&self.me(), self.settings.gone_after * 4).await?;
        }
        // After it: of two nodes that take the same at the same time, one sees the other.
        let mut rows = self.cluster.nodes().await?;
        rows.retain(|row| row.name != self.settings.name);
        self.to_take_over.extend(self.peers.read(rows, Instant::now()));
        while let Some(owner) = self.to_take_over.first().cloned() {
            tracing::warn!(node = %owner, "the node is gone; taking over what it owned");
            self.cluster.take_over(&owner).await?;
            self.shared.takeovers.fetch_add(1, Relaxed);
            self.to_take_over.remove(&owner);
        }
        self.decide();
        Ok(())
    }

    /// Whether a row is of another process of this name, which began later.
    fn is_later(&self, row: &Node) -> bool {
        let settings = &self.settings;
        row.name == settings.name
            && row.incarnation != settings.incarnation
            && (row.started_at, &row.incarnation) > (settings.started_at, &settings.incarnation)
    }

    fn decide(&self) {
        let mut nodes: Vec<Node> = self.peers.alive().cloned().collect();
        nodes.sort_by(|a, b| a.name.cmp(&b.name));
        let me = &*self.settings.name;
        let holder = |partition| nodes.iter().position(|node| node.held.contains(partition));
        let holders: Vec<Option<usize>> = (0..self.settings.partitions).map(holder).collect();
        let mine = |partition: u16| {
            let names = nodes.iter().map(|node| &*node.name).chain([me]);
            !self.superseded
                && rendezvous::owner(names, partition) == Some(me)
                // Where two say that they hold it, both let go, and the rightful one begins anew.
                && holders.get(usize::from(partition)).is_some_and(Option::is_none)
        };
        let wanted: Partitions = (0..self.settings.partitions).filter(|partition| mine(*partition)).collect();
        self.shared.view.store(Arc::new(View { holders, nodes }));
        self.shared.wanted.send_if_modified(|now| {
            let changed = *now != wanted;
            *now = wanted;
            changed
        });
    }

    fn me(&self) -> Node {
        let settings = &self.settings;
        Node {
            name: settings.name.clone(),
            address: settings.address.clone(),
            incarnation: settings.incarnation.clone(),
            beat: self.beat.fetch_add(1, Relaxed) + 1,
            started_at: settings.started_at,
            held: self.shared.held.load().as_ref().clone(),
            version: settings.version.clone(),
        }
    }
}
