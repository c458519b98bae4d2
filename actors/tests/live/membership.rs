use std::{collections::BTreeMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use foryou_actors::{
    ports::{
        bus::{Partitions, partition_of},
        cluster::{Cluster, Node},
        store::StoreError,
    },
    services::{
        membership::{Home, Membership, MembershipSettings},
        supervisor::{RestartPolicy, Supervisor},
    },
};
use foryou_schemas::Timestamp;
use parking_lot::Mutex;

use super::rig::{DEADLINE, user};

const PARTITIONS: u16 = 32;

/// The list of nodes, in memory.
#[derive(Default)]
struct Rows {
    nodes: Mutex<BTreeMap<Box<str>, Node>>,
    taken_over: Mutex<Vec<Box<str>>>,
    away: std::sync::atomic::AtomicBool,
}

impl Rows {
    fn reached(&self) -> Result<(), StoreError> {
        match self.away.load(std::sync::atomic::Ordering::SeqCst) {
            true => Err(StoreError::Away("the test says so".into())),
            false => Ok(()),
        }
    }
}

#[async_trait]
impl Cluster for Rows {
    async fn beat(&self, node: &Node, _ttl: Duration) -> Result<(), StoreError> {
        self.reached()?;
        self.nodes.lock().insert(node.name.clone(), node.clone());
        Ok(())
    }
    async fn nodes(&self) -> Result<Vec<Node>, StoreError> {
        self.reached()?;
        Ok(self.nodes.lock().values().cloned().collect())
    }
    async fn leave(&self, node: &Node) -> Result<(), StoreError> {
        self.reached()?;
        self.nodes.lock().remove(&node.name);
        Ok(())
    }
    async fn take_over(&self, owner: &str) -> Result<(), StoreError> {
        self.reached()?;
        self.taken_over.lock().push(owner.into());
        Ok(())
    }
    async fn owners(&self) -> Result<Vec<Box<str>>, StoreError> {
        self.reached()?;
        Ok(vec!["long gone".into()])
    }
    async fn catalogue_position(&self, _node: &str) -> Result<Option<u64>, StoreError> {
        Ok(None)
    }
    async fn set_catalogue_position(&self, _node: &str, _position: u64) -> Result<(), StoreError> {
        Ok(())
    }
}

/// A node of which ingest does at once what it is told.
struct Member {
    membership: Membership,
    supervisor: Supervisor,
    obeys: tokio::task::JoinHandle<()>,
}

async fn join(rows: &Arc<Rows>, name: &str) -> Member {
    join_as(rows, name, name).await
}

async fn join_as(rows: &Arc<Rows>, name: &str, incarnation: &str) -> Member {
    let settings = MembershipSettings {
        name: name.into(),
        address: format!("{name}:80").into(),
        incarnation: incarnation.into(),
        started_at: Timestamp::now(),
        version: "1".into(),
        partitions: PARTITIONS,
        heartbeat: Duration::from_millis(5),
        gone_after: Duration::from_millis(500),
    };
    let (membership, spec) = Membership::new(settings, rows.clone());
    let supervisor = Supervisor::start(RestartPolicy::default(), vec![spec]).await.unwrap();
    let obeys = tokio::spawn({
        let (membership, mut wanted) = (membership.clone(), membership.wanted());
        wanted.mark_changed();
        async move {
            while wanted.changed().await.is_ok() {
                let wanted = wanted.borrow_and_update().clone();
                for partition in 0..PARTITIONS {
                    match wanted.contains(partition) {
                        true => membership.hold(partition),
                        false => membership.release(partition),
                    }
                }
            }
        }
    });
    Member { membership, supervisor, obeys }
}

impl Member {
    /// Ends without a word.
    async fn die(self, rows: &Rows) {
        rows.away.store(true, std::sync::atomic::Ordering::SeqCst);
        self.supervisor.stop(DEADLINE).await;
        self.obeys.abort();
        rows.away.store(false, std::sync::atomic::Ordering::SeqCst);
    }
}

async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let waited = tokio::time::timeout(DEADLINE, async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    });
    waited.await.unwrap_or_else(|_| panic!("never: {what}"));
}

fn split(a: &Member, b: &Member) -> bool {
    let (a, b) = (a.membership.held(), b.membership.held());
    let both = a.iter().any(|partition| b.contains(partition));
    !both && a.len() + b.len() == usize::from(PARTITIONS) && !a.is_empty() && !b.is_empty()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_share_the_partitions_and_take_over_from_the_dead() {
    let rows = Arc::<Rows>::default();
    let a = join(&rows, "a").await;
    until("a holds everything", || a.membership.held() == Partitions::all(PARTITIONS)).await;
    assert_eq!(*rows.taken_over.lock(), ["a".into(), "long gone".into()], "what was left unfinished comes first");
    let b = join(&rows, "b").await;
    until("they share", || split(&a, &b)).await;
    for who in (0..50).map(user) {
        let partition = partition_of(&who, PARTITIONS);
        let there = Home::There { node: "b".into(), address: "b:80".into() };
        let home = if a.membership.held().contains(partition) { Home::Here } else { there };
        until("a knows", || a.membership.home(&who) == home).await;
    }
    b.die(&rows).await;
    until("a holds everything again", || a.membership.held() == Partitions::all(PARTITIONS)).await;
    assert_eq!(rows.taken_over.lock().last().map(|name| &**name), Some("b"));
    assert_eq!(a.membership.takeovers(), 1);
    // One that comes back, and one that leaves with a word.
    let b = join(&rows, "b").await;
    until("they share again", || split(&a, &b)).await;
    assert!(b.supervisor.stop(DEADLINE).await.is_empty());
    until("a holds everything at last", || a.membership.held() == Partitions::all(PARTITIONS)).await;
    a.supervisor.stop(DEADLINE).await;
    assert!(rows.nodes.lock().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_list_is_away_everything_stays_as_it_is() {
    let rows = Arc::<Rows>::default();
    let (a, b) = (join(&rows, "a").await, join(&rows, "b").await);
    until("they share", || split(&a, &b)).await;
    let held = a.membership.held();
    rows.away.store(true, std::sync::atomic::Ordering::SeqCst);
    rows.nodes.lock().clear();
    let probe = a.supervisor.probe("membership").unwrap();
    until("it is noticed", || probe.status().last_error.is_some()).await;
    tokio::time::sleep(Duration::from_millis(700)).await;
    assert!(split(&a, &b) && a.membership.held() == held);
    rows.away.store(false, std::sync::atomic::Ordering::SeqCst);
    until("both are back", || rows.nodes.lock().len() == 2).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(split(&a, &b) && a.membership.held() == held && a.membership.takeovers() == 0);
    for member in [a, b] {
        member.supervisor.stop(DEADLINE).await;
        member.obeys.abort();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_processes_of_one_name_the_later_one_works_and_the_other_says_why_it_does_not() {
    let (rows, all) = (Arc::<Rows>::default(), Partitions::all(PARTITIONS));
    let first = join_as(&rows, "a", "1").await;
    until("it holds everything", || first.membership.held() == all).await;
    let second = join_as(&rows, "a", "2").await;
    until("the later one takes over", || first.membership.held().is_empty() && second.membership.held() == all).await;
    until("the other says why", || first.membership.trouble().is_some()).await;
    let told = first.membership.trouble().unwrap();
    assert!(told.contains("another process calls itself a") && told.contains("cluster.node"), "{told}");
    assert_eq!(second.membership.trouble(), None);
    assert!(second.supervisor.stop(DEADLINE).await.is_empty());
    until("it goes on", || first.membership.held() == all && first.membership.trouble().is_none()).await;
    for member in [first, second] {
        member.supervisor.stop(DEADLINE).await;
        member.obeys.abort();
    }
}
