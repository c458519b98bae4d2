//! A bus in memory, for as long as the embedded one is not there.
use async_trait::async_trait;
use foryou_actors::ports::bus::*;
use foryou_schemas::Event;
use parking_lot::Mutex;
use std::{collections::VecDeque, sync::Arc};
use tokio::sync::Notify;

pub struct MemoryBus {
    q: Arc<(Mutex<(u64, VecDeque<Delivery>)>, Notify)>,
}
impl MemoryBus {
    pub fn new() -> Arc<Self> {
        Arc::new(Self { q: Arc::default() })
    }
}
#[async_trait]
impl EventBus for MemoryBus {
    async fn publish(&self, events: &[Event]) -> Result<(), BusError> {
        let mut q = self.q.0.lock();
        for e in events {
            q.0 += 1;
            let tag = q.0;
            q.1.push_back(Delivery {
                tag,
                partition: partition_of(&e.user, 64),
                redelivered: 0,
                payload: serde_json::to_vec(e).unwrap(),
            });
        }
        drop(q);
        self.q.1.notify_one();
        Ok(())
    }
    async fn subscribe(&self, _credit: usize) -> Result<Box<dyn Subscription>, BusError> {
        Ok(Box::new(Sub { q: self.q.clone() }))
    }
    async fn depth(&self) -> Result<u64, BusError> {
        Ok(self.q.0.lock().1.len() as u64)
    }
}
struct Sub {
    q: Arc<(Mutex<(u64, VecDeque<Delivery>)>, Notify)>,
}
#[async_trait]
impl Subscription for Sub {
    async fn next(&mut self, max: usize) -> Result<Vec<Delivery>, BusError> {
        loop {
            {
                let mut q = self.q.0.lock();
                let n = q.1.len().min(max);
                if n > 0 {
                    return Ok(q.1.drain(..n).collect());
                }
            }
            self.q.1.notified().await;
        }
    }
    async fn ack(&mut self, _tags: &[u64]) -> Result<(), BusError> {
        Ok(())
    }
    async fn nack(&mut self, _tags: &[u64]) -> Result<(), BusError> {
        Ok(())
    }
    async fn quarantine(&mut self, _tag: u64, _reason: &str) -> Result<(), BusError> {
        Ok(())
    }
}
