//! The list of nodes.

use std::time::{Duration, Instant};

use foryou_actors::ports::{
    cluster::{Cluster, Node},
    contract::instant,
};

use super::*;

pub fn node(name: &str, incarnation: &str, beat: u64) -> Node {
    Node {
        name: name.into(),
        address: "127.0.0.1:8080".into(),
        incarnation: incarnation.into(),
        beat,
        started_at: instant(5),
        held: [0, 7, 4_095].into_iter().collect(),
        version: "0.1.0".into(),
    }
}

#[tokio::test]
async fn nodes_come_and_go() {
    let keyspace = fresh();
    let store = keyspace.open().await;
    assert!(store.nodes().await.unwrap().is_empty());
    let long = Duration::from_secs(60);
    store.beat(&node("b", "1", 1), long).await.unwrap();
    store.beat(&node("a", "1", 1), long).await.unwrap();
    store.beat(&node("a", "2", 2), long).await.unwrap();
    assert_eq!(store.nodes().await.unwrap(), [node("a", "2", 2), node("b", "1", 1)]);
    store.leave(&node("a", "1", 1)).await.unwrap();
    assert_eq!(store.nodes().await.unwrap().len(), 2, "an earlier incarnation takes nothing out");
    store.leave(&node("a", "2", 2)).await.unwrap();
    assert_eq!(store.nodes().await.unwrap(), [node("b", "1", 1)]);
    store.beat(&node("a", "3", 1), Duration::from_millis(10)).await.unwrap();
    assert_eq!(store.nodes().await.unwrap().len(), 2);
    let deadline = Instant::now() + Duration::from_secs(10);
    while store.nodes().await.unwrap().len() > 1 {
        assert!(Instant::now() < deadline, "a row without a beat vanishes");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn positions_are_kept_per_node() {
    let keyspace = fresh();
    let store = keyspace.open().await;
    assert_eq!(store.catalogue_position("a").await.unwrap(), None);
    for position in [5, 7] {
        store.set_catalogue_position("a", position).await.unwrap();
        assert_eq!(store.catalogue_position("a").await.unwrap(), Some(position));
    }
    assert_eq!(store.catalogue_position("b").await.unwrap(), None);
}
