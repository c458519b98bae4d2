//! Which node holds whose session.

use std::sync::Arc;

use foryou_schemas::UserId;

use crate::ports::{
    bus::{Partitions, partition_of},
    cluster::Node,
};

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
    held: Partitions,
    others: Vec<Node>,
}

impl Membership {
    /// One node, which holds everything.
    pub fn alone(name: &str, partitions: u16) -> Self {
        let held = Partitions::all(partitions);
        Self(Arc::new(Shared { name: name.into(), partitions, held, others: Vec::new() }))
    }

    /// A view that never changes: this node, which holds `held`, and `others`. For tests of what asks.
    #[cfg(feature = "contract")]
    pub fn fixed(name: &str, partitions: u16, held: Partitions, others: Vec<Node>) -> Self {
        Self(Arc::new(Shared { name: name.into(), partitions, held, others }))
    }

    /// This node's name.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Who answers for a person now. Cheap.
    pub fn home(&self, user: &UserId) -> Home {
        let partition = partition_of(user, self.0.partitions);
        if self.0.held.contains(partition) {
            return Home::Here;
        }
        match self.0.others.iter().find(|node| node.held.contains(partition)) {
            Some(node) => Home::There { node: node.name.clone(), address: node.address.clone() },
            None => Home::Nobody { reason: format!("owner: partition p{partition:02} is changing hands").into() },
        }
    }

    /// What this node holds.
    pub fn held(&self) -> Partitions {
        self.0.held.clone()
    }
}
