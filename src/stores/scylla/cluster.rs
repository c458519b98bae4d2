//! The list of nodes.

use std::time::Duration;

use async_trait::async_trait;
use foryou_actors::ports::{
    cluster::{Cluster, Node},
    store::StoreError,
};
use futures_util::TryStreamExt;
use scylla::{DeserializeRow, value::CqlTimestamp};

use super::{ScyllaStore, columns::time, people::one};

#[derive(DeserializeRow)]
struct NodeRow {
    name: String,
    address: String,
    incarnation: String,
    beat: i64,
    started_at: CqlTimestamp,
    held: Vec<i32>,
    version: String,
}

impl NodeRow {
    fn read(self) -> Result<Node, StoreError> {
        Ok(Node {
            name: self.name.into(),
            address: self.address.into(),
            incarnation: self.incarnation.into(),
            beat: self.beat as u64,
            started_at: time(self.started_at)?,
            held: self.held.into_iter().map(|partition| partition as u16).collect(),
            version: self.version.into(),
        })
    }
}

#[async_trait]
impl Cluster for ScyllaStore {
    async fn beat(&self, node: &Node, ttl: Duration) -> Result<(), StoreError> {
        // Whoever shows itself to others may be taken over by them, and has to learn of it even if it never wrote.
        self.begun.get_or_try_init(|| self.begin()).await?;
        let link = &self.shared.link;
        let to = link.get()?;
        let ttl = i32::try_from(ttl.as_millis().div_ceil(1_000)).unwrap_or(i32::MAX).max(1);
        let held: Vec<i32> = node.held.iter().map(i32::from).collect();
        let started_at = CqlTimestamp(node.started_at.millis());
        let (name, address, incarnation) = (&*node.name, &*node.address, &*node.incarnation);
        let at = self.shared.clock.next();
        let values = (name, address, incarnation, node.beat as i64, started_at, held, &*node.version, at, ttl);
        to.session.execute_unpaged(&to.on.put_node, values).await.map_err(|error| link.failed(error))?;
        Ok(())
    }

    async fn nodes(&self) -> Result<Vec<Node>, StoreError> {
        let to = &*self.shared.link.get()?;
        let rows = self.shared.rows::<NodeRow>(to, &to.on.nodes, ()).await?;
        rows.and_then(|row| std::future::ready(row.read())).try_collect().await
    }

    async fn leave(&self, node: &Node) -> Result<(), StoreError> {
        let link = &self.shared.link;
        let to = link.get()?;
        // Before the look: a row that the next incarnation writes meanwhile is later, and stays.
        let at = self.shared.clock.next();
        let there =
            one::<(String,)>(&to.session, &to.on.node, (&*node.name,)).await.map_err(|error| link.failed(error))?;
        if there.is_some_and(|(incarnation,)| *incarnation == *node.incarnation) {
            let done = to.session.execute_unpaged(&to.on.drop_node, (at, &*node.name)).await;
            done.map_err(|error| link.failed(error))?;
        }
        Ok(())
    }

    async fn take_over(&self, owner: &str) -> Result<(), StoreError> {
        self.shared.journals().seize(owner).await?;
        Ok(())
    }

    async fn owners(&self) -> Result<Vec<Box<str>>, StoreError> {
        self.shared.owners().await
    }

    async fn catalogue_position(&self, node: &str) -> Result<Option<u64>, StoreError> {
        let link = &self.shared.link;
        let to = link.get()?;
        let row = one::<(i64,)>(&to.session, &to.on.position, (node,)).await.map_err(|error| link.failed(error))?;
        Ok(row.map(|(position,)| position as u64))
    }

    async fn set_catalogue_position(&self, node: &str, position: u64) -> Result<(), StoreError> {
        let link = &self.shared.link;
        let to = link.get()?;
        let values = (node, position as i64, self.shared.clock.next());
        to.session.execute_unpaged(&to.on.put_position, values).await.map_err(|error| link.failed(error))?;
        Ok(())
    }
}
