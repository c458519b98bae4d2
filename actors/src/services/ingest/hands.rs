//! Partitions that change hands: what this node takes on, and what it lets go.

use super::Worker;
use crate::{
    ports::bus::{BusError, Partitions, Subscription, partition_of},
    services::supervisor::ServiceError,
};

impl Worker {
    /// Consumes what this node holds. Where it held it before, its sessions are as the store will be; nobody else had them.
    pub(super) async fn subscribe(&mut self) -> Result<Box<dyn Subscription>, BusError> {
        self.leaving = Partitions::default();
        self.parts.bus.subscribe(&self.parts.membership.held(), self.settings.credit).await
    }

    /// Takes on what this node is to hold, and lets go what it is not.
    pub(super) async fn change_hands(
        &mut self,
        wanted: &Partitions,
        subscription: &mut dyn Subscription,
    ) -> Result<(), BusError> {
        let (parts, held) = (&self.parts, self.parts.membership.held());
        let (partitions, leaving) = (parts.bus.partitions(), &mut self.leaving);
        for partition in held.iter().filter(|partition| !wanted.contains(*partition)) {
            if leaving.insert(partition) {
                subscription.release(partition).await?;
            }
        }
        let coming: Partitions = wanted.iter().filter(|partition| !held.contains(*partition)).collect();
        if !coming.is_empty() && !parts.membership.is_alone() {
            // Whatever is in memory of them is from before others had them.
            parts.sessions.discard_where(|user| coming.contains(partition_of(user, partitions))).await;
        }
        for partition in coming.iter() {
            subscription.hold(partition).await?;
            parts.membership.hold(partition);
        }
        Ok(())
    }

    /// Gives partitions up of which everything is settled.
    pub(super) async fn hand_on(&mut self) -> Result<(), ServiceError> {
        let busy: Partitions = self.open.values().copied().collect();
        let done: Partitions = self.leaving.iter().filter(|partition| !busy.contains(*partition)).collect();
        if done.is_empty() {
            return Ok(());
        }
        let (parts, partitions) = (&self.parts, self.parts.bus.partitions());
        // The next holder reads what is stored.
        parts.writer.flush().await?;
        parts.sessions.discard_where(|user| done.contains(partition_of(user, partitions))).await;
        for partition in done.iter() {
            self.leaving.remove(partition);
            parts.membership.release(partition);
        }
        self.shared.vouchers.void();
        Ok(())
    }
}
