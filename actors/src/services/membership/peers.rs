//! Which other nodes live, as seen from here: a node lives as long as the number in its row goes on changing.
//!
//! No clocks are compared: all that counts is how long this node has seen nothing new. While the list cannot be read, nobody
//! counts as silent: the list was away, not the nodes.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use tokio::time::Instant;

use crate::ports::cluster::Node;

/// The other nodes.
pub(super) struct Peers {
    gone_after: Duration,
    peers: HashMap<Box<str>, Peer>,
    /// Since when the list could be read without a break.
    reading_since: Option<Instant>,
}

struct Peer {
    node: Node,
    changed_at: Instant,
    /// A dead one is kept as long as its row, which must not make it look alive.
    alive: bool,
}

impl Peers {
    pub(super) fn new(gone_after: Duration) -> Self {
        Self { gone_after, peers: HashMap::new(), reading_since: None }
    }

    /// The list could not be read.
    pub(super) fn unread(&mut self) {
        self.reading_since = None;
    }

    /// Takes in the rows of the others as read just now; returns the names of those that are gone since.
    pub(super) fn read(&mut self, rows: Vec<Node>, now: Instant) -> Vec<Box<str>> {
        if self.reading_since.is_none() {
            self.reading_since = Some(now);
            self.peers.values_mut().for_each(|peer| peer.changed_at = now);
        }
        let steady = self.reading_since.is_some_and(|since| now - since >= self.gone_after);
        let there: HashSet<Box<str>> = rows.iter().map(|node| node.name.clone()).collect();
        for node in rows {
            let known = self.peers.get(&node.name).map(|peer| (&peer.node.incarnation, peer.node.beat));
            if known != Some((&node.incarnation, node.beat)) {
                self.peers.insert(node.name.clone(), Peer { node, changed_at: now, alive: true });
            }
        }
        let mut gone = Vec::new();
        self.peers.retain(|name, peer| {
            let silent = now - peer.changed_at >= self.gone_after;
            // A row that vanished was taken out by its node, or is so old that it ended by itself.
            let left = steady && !there.contains(name);
            if peer.alive && (silent || left) {
                peer.alive = false;
                gone.push(name.clone());
            }
            peer.alive || there.contains(name)
        });
        gone
    }

    /// Those that live.
    pub(super) fn alive(&self) -> impl Iterator<Item = &Node> {
        self.peers.values().filter(|peer| peer.alive).map(|peer| &peer.node)
    }
}

#[cfg(test)]
mod tests {
    use foryou_schemas::Timestamp;

    use super::*;

    const GONE: Duration = Duration::from_secs(2);

    fn row(name: &str, beat: u64) -> Node {
        Node {
            name: name.into(),
            address: "a:1".into(),
            incarnation: "i".into(),
            beat,
            started_at: Timestamp::from_millis(0).unwrap(),
            held: Default::default(),
            version: "1".into(),
        }
    }

    fn names(peers: &Peers) -> Vec<String> {
        let mut names: Vec<_> = peers.alive().map(|node| node.name.to_string()).collect();
        names.sort();
        names
    }

    #[test]
    fn silence_is_death_and_a_row_taken_out_is_a_goodbye() {
        let (mut peers, start) = (Peers::new(GONE), Instant::now());
        let at = |s: f64| start + Duration::from_secs_f64(s);
        assert!(peers.read(vec![row("a", 1), row("b", 1), row("c", 1)], at(0.0)).is_empty());
        assert!(peers.read(vec![row("a", 2), row("b", 1), row("c", 2)], at(1.5)).is_empty());
        assert_eq!(peers.read(vec![row("a", 3), row("b", 1), row("c", 3)], at(2.5)), ["b".into()]);
        assert_eq!(peers.read(vec![row("a", 4), row("b", 1)], at(2.6)), ["c".into()]);
        // The row of a dead node may stay for a while; a sign of life brings it back.
        assert_eq!(names(&peers), ["a"]);
        assert!(peers.read(vec![row("a", 5), row("b", 2)], at(2.7)).is_empty());
        assert_eq!(names(&peers), ["a", "b"]);
    }

    #[test]
    fn while_the_list_is_away_nobody_dies() {
        let (mut peers, start) = (Peers::new(GONE), Instant::now());
        let at = |s: f64| start + Duration::from_secs_f64(s);
        peers.read(vec![row("a", 1)], at(0.0));
        peers.read(vec![row("a", 2)], at(3.0));
        peers.unread();
        // The store is back, and all rows ended meanwhile.
        assert!(peers.read(vec![], at(60.0)).is_empty());
        assert!(peers.read(vec![], at(61.0)).is_empty());
        assert_eq!(names(&peers), ["a"]);
        assert_eq!(peers.read(vec![], at(62.0)), ["a".into()]);
    }
}
