use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::SeqCst},
    },
    time::Duration,
};

use async_trait::async_trait;
use foryou_actors::services::{
    queue::{Receiver, bounded},
    status::ServiceState,
    supervisor::{Context, RestartPolicy, Service, ServiceError, ServiceSpec, Supervisor},
};
use tokio::sync::mpsc;

use super::rig::DEADLINE;

/// Adds numbers up; a zero makes it fail, a one makes it panic.
struct Adder {
    numbers: Receiver<u32>,
    sum: Arc<AtomicU32>,
    ended: mpsc::UnboundedSender<&'static str>,
    name: &'static str,
}

#[async_trait]
impl Service for Adder {
    async fn run(&mut self, context: Context) -> Result<(), ServiceError> {
        context.ready();
        while let Some(number) = self.numbers.next(&context.stop).await {
            match number {
                0 => return Err("a zero".into()),
                1 => panic!("a one"),
                n => self.sum.fetch_add(n, SeqCst),
            };
            context.probe.handled(1, Duration::from_micros(10));
        }
        self.ended.send(self.name).unwrap();
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn services_restart_within_their_budget_and_stop_in_order() {
    let policy = RestartPolicy { budget: 2, first_backoff: Duration::from_millis(1), ..RestartPolicy::default() };
    let (ended, mut order) = mpsc::unbounded_channel();
    let make = |name| {
        let (sender, numbers) = bounded(8);
        let sum = Arc::new(AtomicU32::new(0));
        let (counted, ended) = (sum.clone(), ended.clone());
        let spec = ServiceSpec::new(name, move || Adder {
            numbers: numbers.clone(),
            sum: counted.clone(),
            ended: ended.clone(),
            name,
        });
        (sender.clone(), sum, spec.queue("numbers", sender.gauge()))
    };
    let ((first, first_sum, a), (second, second_sum, b)) = (make("first"), make("second"));
    let supervisor = Supervisor::start(policy, vec![a, b]).await.unwrap();
    assert!(supervisor.ready().await && supervisor.unready().is_empty());
    // What waits in the queue survives an error and a panic.
    for number in [5, 0, 6, 1, 7] {
        first.send(number).await.unwrap();
    }
    let probe = supervisor.probe("first").unwrap().clone();
    while probe.status().handled < 3 {
        tokio::task::yield_now().await;
    }
    let status = probe.status();
    assert_eq!((first_sum.load(SeqCst), status.restarts, status.timing.count), (18, 2, 3));
    assert!(status.last_error.unwrap().contains("a one"));
    // The third failure is one too many; the other service goes on.
    first.send(0).await.unwrap();
    assert_eq!(probe.until(|s| *s == ServiceState::Failed).await, ServiceState::Failed);
    assert_eq!(supervisor.unready(), ["first: Failed (a zero)"]);
    assert!(!supervisor.ready().await);
    for number in [2, 3, 4] {
        second.send(number).await.unwrap();
    }
    assert!(supervisor.stop(DEADLINE).await.is_empty());
    assert_eq!(second_sum.load(SeqCst), 9, "a stop drains the queue");
    assert_eq!(order.try_recv(), Ok("second"));
    assert!(second.send(2).await.is_err());
    assert!(supervisor.stop(DEADLINE).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn services_stop_the_last_one_first() {
    let (ended, mut order) = mpsc::unbounded_channel();
    let services = ["a", "b", "c"].map(|name| {
        let (ended, (_, numbers)) = (ended.clone(), bounded(1));
        ServiceSpec::new(name, move || Adder {
            numbers: numbers.clone(),
            sum: Arc::default(),
            ended: ended.clone(),
            name,
        })
    });
    // A queue whose senders are gone would end a service by itself: see that it is told apart from a stop.
    let supervisor = Supervisor::start(RestartPolicy { budget: 0, ..RestartPolicy::default() }, services.into()).await;
    let supervisor = supervisor.unwrap();
    supervisor.probe("a").unwrap().until(|s| *s == ServiceState::Failed).await;
    assert!(supervisor.unready()[0].contains("ended by itself"));
    supervisor.stop(DEADLINE).await;
    order.close();
    let (ended, mut order) = mpsc::unbounded_channel();
    let queues: Vec<_> = (0..3).map(|_| bounded::<u32>(1)).collect();
    let services = ["a", "b", "c"].into_iter().zip(&queues).map(|(name, (_, numbers))| {
        let (ended, numbers) = (ended.clone(), numbers.clone());
        ServiceSpec::new(name, move || Adder {
            numbers: numbers.clone(),
            sum: Arc::default(),
            ended: ended.clone(),
            name,
        })
    });
    let supervisor = Supervisor::start(RestartPolicy::default(), services.collect()).await.unwrap();
    assert!(supervisor.ready().await && supervisor.stop(DEADLINE).await.is_empty());
    assert_eq!([order.try_recv(), order.try_recv(), order.try_recv()], [Ok("c"), Ok("b"), Ok("a")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_is_started_again_when_somebody_asks_even_one_that_stays_down() {
    let (numbers, receiver) = bounded(8);
    let sum = Arc::new(AtomicU32::new(0));
    let (counted, (ended, mut order)) = (sum.clone(), mpsc::unbounded_channel());
    let spec = ServiceSpec::new("adder", move || Adder {
        numbers: receiver.clone(),
        sum: counted.clone(),
        ended: ended.clone(),
        name: "adder",
    });
    let supervisor = Supervisor::start(RestartPolicy { budget: 0, ..RestartPolicy::default() }, vec![spec]).await;
    let supervisor = supervisor.unwrap();
    assert!(supervisor.ready().await && !supervisor.restart("nobody"));
    let probe = supervisor.probe("adder").unwrap().clone();
    let restarted = |times| {
        let probe = probe.clone();
        async move {
            while probe.status().restarts < times || probe.state() != ServiceState::Running {
                tokio::task::yield_now().await;
            }
        }
    };
    assert!(supervisor.restart("adder"));
    tokio::time::timeout(DEADLINE, restarted(1)).await.unwrap();
    numbers.send(0).await.unwrap();
    probe.until(|state| *state == ServiceState::Failed).await;
    assert!(supervisor.restart("adder"));
    tokio::time::timeout(DEADLINE, restarted(2)).await.unwrap();
    numbers.send(7).await.unwrap();
    assert!(supervisor.stop(DEADLINE).await.is_empty() && !supervisor.restart("adder"));
    assert_eq!((sum.load(SeqCst), order.try_recv()), (7, Ok("adder")));
}
