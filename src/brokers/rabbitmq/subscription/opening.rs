//! How partitions come to be consumed, and what becomes of those that cannot be.
//!
//! A queue that cannot be consumed (deleted, refused, without a leader) is tried again and again, and the others go on: were all of
//! them begun anew each time, the broker would count what they had been sent as deliveries that failed, and put it aside in the end.

use std::future::Future;

use foryou_actors::ports::bus::BusError;
use futures_util::{FutureExt, future::join_all};
use lapin::{
    Channel, Consumer,
    options::{BasicConsumeOptions, BasicQosOptions},
    types::FieldTable,
};

use super::{
    super::{
        Shared,
        link::{Link, refused_alone},
    },
    RabbitSubscription, reason,
};

/// The least that the broker sends ahead of each partition.
const MIN_PREFETCH: usize = 64;

/// A channel that consumes, or why there is none.
pub(super) type Opening = Result<(Channel, Consumer), Failure>;

/// Why a partition is not consumed.
pub(super) enum Failure {
    /// It concerns this queue alone, as far as one can tell.
    Queue(String),
    Connection(BusError),
}

impl RabbitSubscription {
    /// An attempt to consume a partition.
    pub(super) fn opening(&self, partition: u16) -> Option<impl Future<Output = (u16, Opening)> + use<>> {
        let (shared, link, credit) = (self.shared.clone(), self.link.clone()?, self.credit);
        Some(async move { (partition, consume(&shared, &link, partition, credit).await) })
    }

    /// What an attempt came to.
    pub(super) fn opened(&mut self, partition: u16, opened: Opening) -> Result<(), BusError> {
        match opened {
            Ok((channel, consumer)) => {
                self.missing.remove(&partition);
                self.add(partition, channel, consumer);
            }
            Err(Failure::Queue(reason)) => _ = self.missing.insert(partition, reason),
            Err(Failure::Connection(error)) => return Err(error),
        }
        Ok(())
    }

    /// Tells the log of queues that are not consumed, and of the end of that.
    pub(super) fn tell(&self) {
        let Some((_, reason)) = self.missing.first_key_value() else {
            if let Some(failed) = self.shared.unconsumed.works() {
                tracing::info!(failed, "every queue that this node holds is consumed again");
            }
            return;
        };
        if let Some(left_out) = self.shared.unconsumed.failed() {
            let queues = self.missing.len();
            tracing::warn!(
                reason,
                queues,
                left_out,
                "some queues cannot be consumed, and the others go on; trying again"
            );
        }
    }

    /// Sees to what is not consumed: tries again after a pause.
    pub(super) async fn try_missing(&mut self) -> Result<(), BusError> {
        if let Some(opened) = self.again.as_mut().and_then(FutureExt::now_or_never) {
            self.tried(opened)?;
        }
        if self.again.is_some() || self.missing.is_empty() {
            return Ok(());
        }
        self.close_released().await?;
        let pause = self.backoff.pause();
        // Not before what came from its former consumer is settled.
        let open = |partition: &u16| self.lanes.values().any(|lane| lane.partition == *partition);
        let free = self.missing.keys().copied().filter(|partition| !open(partition));
        let opening: Vec<_> = free.filter_map(|partition| self.opening(partition)).collect();
        let again = async move {
            tokio::time::sleep(pause).await;
            join_all(opening).await
        };
        self.again = Some(again.boxed());
        Ok(())
    }

    pub(super) fn tried(&mut self, opened: Vec<(u16, Opening)>) -> Result<(), BusError> {
        self.again = None;
        for (partition, opened) in opened {
            // Else it was let go meanwhile, and the channel closes.
            if self.missing.contains_key(&partition) {
                self.opened(partition, opened).map_err(|error| self.broken(reason(error)))?;
            }
        }
        if self.missing.is_empty() {
            self.backoff.reset();
        }
        self.tell();
        Ok(())
    }
}

/// Opens a channel that consumes a partition.
async fn consume(shared: &Shared, link: &Link, partition: u16, credit: usize) -> Opening {
    let queue = shared.topology.queue(partition);
    let what = format!("to consume queue {queue}");
    // What the broker sends ahead of one partition: more than its share, since people are not spread evenly; all partitions
    // together are bounded.
    let share = (4 * credit).div_ceil(usize::from(shared.topology.partitions));
    let prefetch = u16::try_from(share.max(MIN_PREFETCH).min(credit)).unwrap_or(u16::MAX);
    let consuming = async {
        let channel = link.connection.create_channel().await?;
        channel.basic_qos(prefetch, BasicQosOptions::default()).await?;
        let options = BasicConsumeOptions::default();
        let consumer = channel.basic_consume(queue.into(), "".into(), options, FieldTable::default()).await?;
        Ok((channel, consumer))
    };
    match tokio::time::timeout(shared.address.timeout, consuming).await {
        Ok(Ok(consumes)) => Ok(consumes),
        Ok(Err(error)) => {
            let told = shared.address.refused(&what, &error);
            Err(if refused_alone(&error) { Failure::Queue(reason(told)) } else { Failure::Connection(told) })
        }
        Err(_) => Err(Failure::Queue(reason(shared.address.silence(&what)))),
    }
}
