//! What every event bus does. [`bus_contract!`](crate::bus_contract) makes a test of each clause.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "for tests only")]

use std::{collections::HashMap, sync::Arc, time::Duration};

use foryou_schemas::{Event, UserId};

use super::{BusError, Delivery, EventBus, Partitions, Subscription, partition_of};
pub use crate::ports::contract::Subject;
use crate::ports::contract::{event, user};

/// How many events a [`Subject`]'s bus takes, at the least and within a factor of two, before it is full.
pub const SMALL: usize = 500;
/// How long a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long it waits for what must not come.
const SILENCE: Duration = Duration::from_millis(100);

/// Makes one test of each clause, with a fresh [`Subject`] from the given (synchronous) function; its bus is full after
/// [`SMALL`] events.
#[macro_export]
macro_rules! bus_contract {
    ($fresh:path) => {
        $crate::bus_contract!(
            @each $fresh,
            everything_comes_in_the_order_of_each_user,
            a_waiting_consumer_is_woken,
            what_is_given_back_comes_again,
            what_a_lost_consumer_had_comes_again,
            what_is_not_acknowledged_outlives_the_process,
            credit_bounds_what_is_in_flight,
            poison_goes_to_quarantine,
            full_is_an_error_and_nothing_is_lost,
            who_waits_for_a_person_is_told_when_all_is_settled,
            only_what_is_held_is_delivered,
            a_released_partition_changes_hands_when_all_of_it_is_settled,
        );
    };
    (@each $fresh:path, $($clause:ident,)*) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $clause() {
            $crate::ports::bus::contract::$clause(&$fresh()).await;
        }
    )*};
}

/// Whatever publishers do at once: each event comes, whole, first deliveries of a user in order, in one partition.
pub async fn everything_comes_in_the_order_of_each_user<S: Subject<Port: EventBus>>(subject: &S) {
    const USERS: u64 = 10;
    const EVENTS: u64 = 30;
    let bus = Arc::new(subject.open().await);
    let mut consumer = subscribe(&*bus, 64).await;
    let mut publishers = tokio::task::JoinSet::new();
    for n in 0..USERS {
        let bus = bus.clone();
        publishers.spawn(async move {
            let person = user(&format!("u{n}"));
            let events: Vec<_> = (0..EVENTS).map(|n| event(&person, n)).collect();
            for some in events.chunks(1 + n as usize % 4) {
                bus.publish(some).await.unwrap();
            }
        });
    }
    let mut seen: HashMap<String, (u16, u64)> = HashMap::new();
    let mut left = USERS * EVENTS;
    while left > 0 {
        let deliveries = next(&mut consumer, 50).await;
        for delivery in &deliveries {
            let person = text(delivery, "user");
            let (partition, n) = seen.entry(person.clone()).or_insert((delivery.partition, 0));
            assert_eq!(delivery.payload, serde_json::to_vec(&event(&user(&person), *n)).unwrap());
            assert_eq!((delivery.redelivered, delivery.partition), (0, *partition));
            *n += 1;
        }
        left -= deliveries.len() as u64;
        consumer.ack(&tags(&deliveries)).await.unwrap();
    }
    while let Some(done) = publishers.join_next().await {
        done.unwrap();
    }
    silent(&mut consumer).await;
    assert_eq!(bus.depth().await.unwrap(), 0);
}

/// A consumer that waits before the event is published gets it.
pub async fn a_waiting_consumer_is_woken<S: Subject<Port: EventBus>>(subject: &S) {
    let bus = subject.open().await;
    let mut consumer = subscribe(&bus, 1).await;
    for n in 0..20 {
        let events = numbered(n..n + 1);
        let (deliveries, published) = tokio::join!(next(&mut consumer, 8), bus.publish(&events));
        published.unwrap();
        assert_eq!(deliveries.len(), 1);
        consumer.ack(&tags(&deliveries)).await.unwrap();
    }
}

/// Deliveries that are given back come again, and say so; the others do not.
pub async fn what_is_given_back_comes_again<S: Subject<Port: EventBus>>(subject: &S) {
    let bus = subject.open().await;
    let mut consumer = subscribe(&bus, 10).await;
    bus.publish(&numbered(0..4)).await.unwrap();
    let first = take(&mut consumer, 4).await;
    consumer.ack(&[first[0].tag, first[2].tag]).await.unwrap();
    consumer.nack(&[first[1].tag, first[3].tag]).await.unwrap();
    let mut again = take(&mut consumer, 2).await;
    again.sort_by_key(|delivery| text(delivery, "id"));
    assert_eq!(ids(&again), ids(&[first[1].clone(), first[3].clone()]));
    assert!(again.iter().all(|delivery| delivery.redelivered >= 1));
    consumer.ack(&tags(&again)).await.unwrap();
    silent(&mut consumer).await;
    assert_eq!(bus.depth().await.unwrap(), 0);
}

/// A consumer that ends gives back what it did not settle.
pub async fn what_a_lost_consumer_had_comes_again<S: Subject<Port: EventBus>>(subject: &S) {
    let bus = subject.open().await;
    bus.publish(&numbered(0..3)).await.unwrap();
    let mut consumer = subscribe(&bus, 10).await;
    let first = take(&mut consumer, 3).await;
    consumer.ack(&[first[1].tag]).await.unwrap();
    drop(consumer);
    let mut consumer = subscribe(&bus, 10).await;
    let again = take(&mut consumer, 2).await;
    assert_eq!(ids(&again), ids(&[first[0].clone(), first[2].clone()]));
    assert!(again.iter().all(|delivery| delivery.redelivered >= 1));
}

/// After a restart, unacknowledged events come again, in order; acknowledged ones do not.
pub async fn what_is_not_acknowledged_outlives_the_process<S: Subject<Port: EventBus>>(subject: &S) {
    let bus = subject.open().await;
    bus.publish(&numbered(0..6)).await.unwrap();
    let mut consumer = subscribe(&bus, 5).await;
    let first = take(&mut consumer, 5).await;
    consumer.ack(&[first[0].tag, first[3].tag]).await.unwrap();
    drop((consumer, bus));

    let bus = subject.open().await;
    assert_eq!(bus.depth().await.unwrap(), 4);
    bus.publish(&numbered(6..7)).await.unwrap();
    let mut consumer = subscribe(&bus, 10).await;
    let again = take(&mut consumer, 5).await;
    assert_eq!(ids(&again), ["ann/1", "ann/2", "ann/4", "ann/5", "ann/6"]);
    assert!(again[..3].iter().all(|delivery| delivery.redelivered >= 1));
    assert_eq!(again[4].redelivered, 0);
    consumer.ack(&tags(&again)).await.unwrap();
    drop((consumer, bus));

    let bus = subject.open().await;
    let mut consumer = subscribe(&bus, 10).await;
    silent(&mut consumer).await;
}

/// No more is delivered than the consumer has credit for, and settling gives credit back.
pub async fn credit_bounds_what_is_in_flight<S: Subject<Port: EventBus>>(subject: &S) {
    let bus = subject.open().await;
    bus.publish(&numbered(0..10)).await.unwrap();
    let mut consumer = subscribe(&bus, 3).await;
    let first = take(&mut consumer, 3).await;
    silent(&mut consumer).await;
    consumer.ack(&[first[1].tag]).await.unwrap();
    let second = take(&mut consumer, 1).await;
    silent(&mut consumer).await;
    consumer.nack(&[first[0].tag]).await.unwrap();
    take(&mut consumer, 1).await;
    consumer.quarantine(second[0].tag, "a reason").await.unwrap();
    take(&mut consumer, 1).await;
    silent(&mut consumer).await;
}

/// An event that fails again and again is put aside: it holds up nobody, and does not come again.
pub async fn poison_goes_to_quarantine<S: Subject<Port: EventBus>>(subject: &S) {
    const TRIES: u32 = 3;
    let bus = subject.open().await;
    bus.publish(&numbered(0..3)).await.unwrap();
    let mut consumer = subscribe(&bus, 1).await;
    let (mut failures, mut applied) = (0, Vec::new());
    while applied.len() < 2 {
        let delivery = next(&mut consumer, 1).await.remove(0);
        if text(&delivery, "id") != "ann/0" {
            consumer.ack(&[delivery.tag]).await.unwrap();
            applied.push(delivery);
        } else if delivery.redelivered < TRIES {
            failures += 1;
            consumer.nack(&[delivery.tag]).await.unwrap();
        } else {
            consumer.quarantine(delivery.tag, "it fails").await.unwrap();
        }
    }
    assert_eq!(failures, TRIES, "each delivery says how many came before it");
    assert_eq!(ids(&applied), ["ann/1", "ann/2"]);
    silent(&mut consumer).await;
    assert_eq!(bus.depth().await.unwrap(), 0);
    drop((consumer, bus));
    let bus = subject.open().await;
    let mut consumer = subscribe(&bus, 1).await;
    silent(&mut consumer).await;
}

/// A full bus says so; what it took before comes, and when there is room it takes more.
pub async fn full_is_an_error_and_nothing_is_lost<S: Subject<Port: EventBus>>(subject: &S) {
    let bus = subject.open().await;
    let mut accepted = 0;
    let retry_after = loop {
        match bus.publish(&numbered(accepted..accepted + 1)).await {
            Ok(()) => accepted += 1,
            Err(BusError::Full { retry_after }) => break retry_after,
            Err(other) => panic!("{other}"),
        }
        assert!(accepted < 2 * SMALL as u64 + 1, "it has no bound");
    };
    assert!(accepted >= SMALL as u64 && retry_after > Duration::ZERO);
    let mut consumer = subscribe(&bus, 2 * SMALL).await;
    let all = take(&mut consumer, accepted as usize).await;
    assert_eq!(ids(&all), (0..accepted).map(|n| format!("ann/{n}")).collect::<Vec<_>>());
    silent(&mut consumer).await;
    consumer.ack(&tags(&all)).await.unwrap();
    bus.publish(&numbered(accepted..accepted + 1)).await.unwrap();
    take(&mut consumer, 1).await;
}

/// Waiting for a person ends with the last event that was published for them before, whatever comes later.
pub async fn who_waits_for_a_person_is_told_when_all_is_settled<S: Subject<Port: EventBus>>(subject: &S) {
    let bus = subject.open().await;
    bus.settled(&ann()).await.unwrap();
    bus.publish(&numbered(0..3)).await.unwrap();
    let mut consumer = subscribe(&bus, 10).await;
    let first = take(&mut consumer, 3).await;
    let person = ann();
    let mut all_settled = bus.settled(&person);
    let mut waits = async || tokio::time::timeout(SILENCE, &mut all_settled).await.is_err();
    assert!(waits().await);
    consumer.ack(&tags(&first[..1])).await.unwrap();
    consumer.nack(&tags(&first[1..2])).await.unwrap();
    bus.publish(&numbered(3..4)).await.unwrap();
    consumer.quarantine(first[2].tag, "a test").await.unwrap();
    assert!(waits().await, "one was given back");
    let again = take(&mut consumer, 2).await;
    let given_back: Vec<u64> = again.iter().filter(|d| d.redelivered > 0).map(|d| d.tag).collect();
    consumer.ack(&given_back).await.unwrap();
    tokio::time::timeout(PATIENCE, all_settled).await.expect("all are settled").unwrap();
}

/// A consumer gets what it holds, and all that was published before it held it.
pub async fn only_what_is_held_is_delivered<S: Subject<Port: EventBus>>(subject: &S) {
    let bus = subject.open().await;
    let (mine, other) = (of_ann(&bus), neighbour(&bus));
    let mut consumer = bus.subscribe(&[mine].into_iter().collect(), 10).await.unwrap();
    bus.publish(&[numbered(0..2), vec![event(&other, 0), event(&other, 1)]].concat()).await.unwrap();
    let first = take(&mut consumer, 2).await;
    assert_eq!(ids(&first), ["ann/0", "ann/1"]);
    silent(&mut consumer).await;
    consumer.ack(&tags(&first)).await.unwrap();
    consumer.hold(mine).await.unwrap();
    consumer.hold(partition_of(&other, bus.partitions())).await.unwrap();
    bus.publish(&[event(&other, 2), event(&ann(), 2)]).await.unwrap();
    let all = take(&mut consumer, 4).await;
    let of_other: Vec<_> = all.iter().filter(|delivery| delivery.partition != mine).cloned().collect();
    assert_eq!(ids(&of_other), [0, 1, 2].map(|n| format!("{other}/{n}")));
    consumer.ack(&tags(&all)).await.unwrap();

    consumer.release(mine).await.unwrap();
    consumer.release(mine).await.unwrap();
    bus.publish(&[event(&ann(), 3), event(&other, 3)]).await.unwrap();
    let last = take(&mut consumer, 1).await;
    assert_eq!(ids(&last), [format!("{other}/3")]);
    silent(&mut consumer).await;
    consumer.hold(mine).await.unwrap();
    assert_eq!(ids(&take(&mut consumer, 1).await), ["ann/3"]);
}

/// While anything that was delivered of a released partition is open, nobody gets more of it; then who holds it gets what was given
/// back, what was never given, and what came since, in order.
pub async fn a_released_partition_changes_hands_when_all_of_it_is_settled<S: Subject<Port: EventBus>>(subject: &S) {
    let bus = subject.open().await;
    let (mine, other) = (of_ann(&bus), neighbour(&bus));
    let mut former = subscribe(&bus, 10).await;
    let mut next_one = bus.subscribe(&Partitions::default(), 10).await.unwrap();
    bus.publish(&numbered(0..5)).await.unwrap();
    let first = take(&mut former, 3).await;
    former.release(mine).await.unwrap();
    next_one.hold(mine).await.unwrap();
    bus.publish(&[event(&ann(), 5), event(&other, 0)]).await.unwrap();
    let of_other = take(&mut former, 1).await;
    assert_eq!(ids(&of_other), [format!("{other}/0")], "the others stay");
    former.nack(&[first[1].tag]).await.unwrap();
    former.ack(&[first[0].tag]).await.unwrap();
    silent(&mut former).await;
    silent(&mut next_one).await;
    former.ack(&[first[2].tag]).await.unwrap();
    let handed_over = take(&mut next_one, 4).await;
    assert_eq!(ids(&handed_over), ["ann/1", "ann/3", "ann/4", "ann/5"]);
    assert!(handed_over[0].redelivered >= 1);
    silent(&mut former).await;

    former.hold(mine).await.unwrap();
    drop(next_one);
    let back = take(&mut former, 4).await;
    assert_eq!(ids(&back), ids(&handed_over), "from one that ended without settling anything");
    former.ack(&tags(&back)).await.unwrap();
    former.ack(&tags(&of_other)).await.unwrap();
    silent(&mut former).await;
    assert_eq!(bus.depth().await.unwrap(), 0);
}

/// The partition of ann, of whom most events are.
fn of_ann(bus: &impl EventBus) -> u16 {
    partition_of(&ann(), bus.partitions())
}

/// Somebody whose events lie in another partition than ann's.
fn neighbour(bus: &impl EventBus) -> UserId {
    let anybody = (0..100).map(|n| user(&format!("u{n}")));
    let mut others = anybody.filter(|person| partition_of(person, bus.partitions()) != of_ann(bus));
    others.next().expect("several partitions")
}

/// Consumes everything.
async fn subscribe(bus: &impl EventBus, credit: usize) -> Box<dyn Subscription> {
    bus.subscribe(&Partitions::all(bus.partitions()), credit).await.unwrap()
}

fn ann() -> UserId {
    user("ann")
}

fn numbered(numbers: std::ops::Range<u64>) -> Vec<Event> {
    numbers.map(|n| event(&ann(), n)).collect()
}

async fn next(consumer: &mut Box<dyn Subscription>, max: usize) -> Vec<Delivery> {
    let deliveries = tokio::time::timeout(PATIENCE, consumer.next(max)).await.expect("a delivery").unwrap();
    assert!((1..=max).contains(&deliveries.len()));
    deliveries
}

/// Exactly `count` deliveries, in as many steps as they come.
async fn take(consumer: &mut Box<dyn Subscription>, count: usize) -> Vec<Delivery> {
    let mut deliveries = Vec::new();
    while deliveries.len() < count {
        deliveries.extend(next(consumer, count - deliveries.len()).await);
    }
    deliveries
}

async fn silent(consumer: &mut Box<dyn Subscription>) {
    let came = tokio::time::timeout(SILENCE, consumer.next(1)).await;
    assert!(came.is_err(), "nothing should come, and {came:?} did");
}

fn text(delivery: &Delivery, field: &str) -> String {
    let event: serde_json::Value = serde_json::from_slice(&delivery.payload).unwrap();
    event[field].as_str().unwrap().to_owned()
}

fn ids(deliveries: &[Delivery]) -> Vec<String> {
    deliveries.iter().map(|delivery| text(delivery, "id")).collect()
}

fn tags(deliveries: &[Delivery]) -> Vec<u64> {
    deliveries.iter().map(|delivery| delivery.tag).collect()
}
