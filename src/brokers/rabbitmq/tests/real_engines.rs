use std::{collections::BTreeSet, time::Instant};

use foryou_actors::ports::{
    bus::Delivery,
    catalogue::{CatalogueChange, CatalogueChanges, CatalogueFeed},
};
use foryou_schemas::{Video, VideoId};
use foryou_testing::{Engine, Private};
use lapin::options::BasicGetOptions;

use super::*;

/// How long a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(30);

fn fresh() -> Own {
    Own::on(&Engines::shared())
}

foryou_actors::bus_contract!(fresh);

async fn subscribe(bus: &RabbitBus, credit: usize) -> Box<dyn Subscription> {
    bus.subscribe(&Partitions::all(PARTITIONS), credit).await.unwrap()
}

async fn next(consumer: &mut Box<dyn Subscription>, max: usize) -> Result<Vec<Delivery>, BusError> {
    tokio::time::timeout(PATIENCE, consumer.next(max)).await.expect("it waits for ever")
}

async fn failure(consumer: &mut Box<dyn Subscription>) -> String {
    loop {
        if let Err(error) = next(consumer, 100).await {
            return error.to_string();
        }
    }
}

/// Publishes until it works again; returns the first error.
async fn publish_until_it_works(bus: &RabbitBus, events: &[Event]) -> Option<String> {
    let (deadline, mut first) = (Instant::now() + PATIENCE, None);
    while let Err(error) = bus.publish(events).await {
        assert!(Instant::now() < deadline, "{error}");
        first.get_or_insert(error.to_string());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    first
}

fn id(delivery: &Delivery) -> String {
    let event: serde_json::Value = serde_json::from_slice(&delivery.payload).unwrap();
    event["id"].as_str().unwrap().to_owned()
}

fn tags(deliveries: &[Delivery]) -> Vec<u64> {
    deliveries.iter().map(|delivery| delivery.tag).collect()
}

async fn channel(own: &Own) -> (Link, Channel) {
    let link = Address::new(&own.0.rabbitmq).unwrap().connect("test").await.unwrap();
    let channel = link.connection.create_channel().await.unwrap();
    (link, channel)
}

#[tokio::test]
async fn what_is_declared_stays_and_what_differs_is_named() {
    let mut own = fresh();
    let refused = async |own: &Own| {
        let connected = RabbitBus::connect(&own.0, "n").await.err().map(|error| error.to_string());
        (connected.unwrap_or_default(), declare(&own.0).await.err().map(|error| error.to_string()))
    };
    let (told, _) = refused(&own).await;
    assert!(told.contains("no exchange") && told.contains("run `foryou migrate`"), "{told}");
    declare(&own.0).await.unwrap();
    declare(&own.0).await.unwrap();
    let as_it_is = own.0.clone();
    for partitions in [2, 16] {
        own.0.partitions = partitions.try_into().unwrap();
        let (connected, declared) = refused(&own).await;
        assert!(connected.contains(&format!("of 4 partitions, and bus.partitions is {partitions}")), "{connected}");
        assert_eq!(declared, Some(connected));
    }
    own.0 = Bus { max_depth: Whole::new(50_000), ..as_it_is.clone() };
    let (connected, declared) = refused(&own).await;
    for part in ["x-max-length = 500", "asks for 25000", "bus.max_depth", "p00", "delete it"] {
        assert!(connected.contains(part), "{connected}");
    }
    assert_eq!(declared, Some(connected));
    own.0 = as_it_is;

    // One that somebody made otherwise, and one that somebody deleted.
    let (_link, channel) = channel(&own).await;
    let (queue, stream) = (format!("{}.events.p02", own.0.rabbitmq.name), format!("{}.catalogue", own.0.rabbitmq.name));
    channel.queue_delete((&*queue).into(), QueueDeleteOptions::default()).await.unwrap();
    let (told, _) = refused(&own).await;
    assert!(told.contains(&queue) && told.contains("run `foryou migrate`"), "{told}");
    own.connect().await;
    channel.queue_delete((&*stream).into(), QueueDeleteOptions::default()).await.unwrap();
    let durable = QueueDeclareOptions { durable: true, ..Default::default() };
    channel.queue_declare((&*stream).into(), durable, FieldTable::default()).await.unwrap();
    let (told, _) = refused(&own).await;
    // Which of the differences the broker names first is its own affair.
    assert!(told.contains(&stream) && told.contains("and the configuration asks for"), "{told}");
}

#[tokio::test]
async fn who_cannot_connect_is_told_why() {
    let refused = async |change: fn(&mut Rabbitmq)| {
        let mut own = fresh();
        change(&mut own.0.rabbitmq);
        let error = RabbitBus::connect(&own.0, "n").await.err().unwrap().to_string();
        assert!(!error.contains("wrong-secret"), "{error}");
        // There is nothing to remove.
        std::mem::forget(own);
        error
    };
    let told = refused(|config| config.password = Secret::new("wrong-secret")).await;
    assert!(told.contains("ACCESS_REFUSED") && told.contains("bus.rabbitmq.password"), "{told}");
    let told = refused(|config| config.url += "/elsewhere").await;
    assert!(told.contains("vhost") && told.contains("elsewhere"), "{told}");
    let told = refused(|config| config.url = "amqp://127.0.0.1:1".into()).await;
    assert!(told.contains("amqp://127.0.0.1:1") && told.contains("refused"), "{told}");
    // Somebody who listens and says nothing.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut own = fresh();
    own.0.rabbitmq.url = format!("amqp://{}", silent.local_addr().unwrap());
    own.0.rabbitmq.timeout_ms = Whole::new(200);
    let told = RabbitBus::connect(&own.0, "n").await.err().unwrap().to_string();
    assert!(told.contains("did not answer within 200 ms"), "{told}");
    let (mut accepted, _) = silent.accept().unwrap();
    accepted.set_read_timeout(Some(PATIENCE)).unwrap();
    std::io::copy(&mut accepted, &mut std::io::sink()).expect("the attempt is given up: its socket is closed");
    std::mem::forget(own);
}

#[tokio::test]
async fn depth_counts_what_waits_and_what_came() {
    let own = fresh();
    let bus = own.open().await;
    bus.publish(&numbered(0..20)).await.unwrap();
    assert_eq!(bus.depth().await.unwrap(), 20);
    let mut consumer = subscribe(&bus, 5).await;
    let mut taken = Vec::new();
    while taken.len() < 5 {
        taken.extend(next(&mut consumer, 5).await.unwrap());
    }
    assert_eq!(bus.depth().await.unwrap(), 20);
    consumer.ack(&tags(&taken[..2])).await.unwrap();
    assert_eq!(bus.depth().await.unwrap(), 18);
}

#[tokio::test]
async fn producers_elsewhere_and_the_quarantine_meet_in_the_open() {
    let own = fresh();
    let bus = own.open().await;
    let (_link, channel) = channel(&own).await;
    let publish = async |key: String, payload: &[u8]| {
        let exchange = bus.shared.topology.events();
        let published = channel.basic_publish(exchange, key.into(), Default::default(), payload, persistent());
        published.await.unwrap().await.unwrap();
    };
    publish(routing_key(partition_of(&user("ann"), PARTITIONS)), b"not an event").await;
    let mut consumer = subscribe(&bus, 5).await;
    let delivery = next(&mut consumer, 1).await.unwrap().remove(0);
    assert_eq!((delivery.payload.as_slice(), delivery.redelivered), (&b"not an event"[..], 0));
    consumer.quarantine(delivery.tag, "it is no event").await.unwrap();
    let queue = bus.shared.topology.quarantine();
    let aside = channel.basic_get(queue, BasicGetOptions { no_ack: true }).await.unwrap().unwrap();
    assert_eq!(aside.data, b"not an event");
    let headers = aside.properties.headers().clone().unwrap();
    assert_eq!(headers.inner()["x-foryou-reason"], AMQPValue::LongString("it is no event".into()));
    assert_eq!(headers.inner()["x-foryou-deliveries"], AMQPValue::LongLongInt(1));
    assert_eq!(headers.inner()["x-foryou-partition"], AMQPValue::LongInt(delivery.partition.into()));
}

#[tokio::test]
async fn the_broker_puts_aside_what_is_given_back_too_often() {
    let mut own = fresh();
    own.0.rabbitmq.delivery_limit = Whole::new(2);
    let bus = own.open().await;
    let mut consumer = subscribe(&bus, 5).await;
    bus.publish(&numbered(0..1)).await.unwrap();
    for times in 0..3 {
        let delivery = next(&mut consumer, 1).await.unwrap().remove(0);
        assert_eq!(delivery.redelivered, times);
        consumer.nack(&[delivery.tag]).await.unwrap();
    }
    // Nobody waits for it any more.
    let person = user("ann");
    let (settled, came) = tokio::join!(
        tokio::time::timeout(PATIENCE, bus.settled(&person)),
        tokio::time::timeout(Duration::from_millis(500), consumer.next(1))
    );
    settled.unwrap().unwrap();
    assert!(came.is_err(), "{came:?}");
    let (_link, channel) = channel(&own).await;
    let deadline = Instant::now() + PATIENCE;
    while channel.basic_get(bus.shared.topology.quarantine(), BasicGetOptions { no_ack: true }).await.unwrap().is_none()
    {
        assert!(Instant::now() < deadline, "it is not in quarantine");
    }
}

#[tokio::test]
async fn who_waits_for_a_person_is_told_when_their_partition_moves() {
    let own = fresh();
    let bus = own.open().await;
    let person = user("ann");
    let mut consumer = subscribe(&bus, 5).await;
    bus.publish(&numbered(0..1)).await.unwrap();
    next(&mut consumer, 1).await.unwrap();
    let moves = async {
        let met = tokio::time::timeout(Duration::from_millis(300), consumer.next(1)).await;
        assert!(met.is_err());
        consumer.release(partition_of(&person, PARTITIONS)).await.unwrap();
    };
    let (settled, ()) = tokio::join!(tokio::time::timeout(PATIENCE, bus.settled(&person)), moves);
    assert!(settled.unwrap().unwrap_err().to_string().contains("went to another node"));
}

#[tokio::test]
async fn a_deleted_queue_is_tried_again_and_the_others_go_on_uncounted() {
    let mut own = fresh();
    own.0.rabbitmq.delivery_limit = Whole::new(2);
    let bus = own.open().await;
    let mut consumer = subscribe(&bus, 5).await;
    let ann = partition_of(&user("ann"), PARTITIONS);
    let others = (0..).map(|n| user(&format!("u{n}"))).find(|other| partition_of(other, PARTITIONS) != ann);
    let other = |n| [event(others.as_ref().unwrap(), n)];
    bus.publish(&other(0)).await.unwrap();
    let first = next(&mut consumer, 1).await.unwrap();
    let queue = bus.shared.topology.queue(ann);
    let (_link, channel) = channel(&own).await;
    channel.queue_delete((&*queue).into(), QueueDeleteOptions::default()).await.unwrap();

    let told = bus.publish(&numbered(0..1)).await.unwrap_err().to_string();
    assert!(told.contains("no queue takes") && told.contains("`foryou migrate`"), "{told}");
    // More attempts than there may be deliveries; what is not settled is not touched by them.
    let waited = tokio::time::timeout(Duration::from_secs(4), consumer.next(1)).await;
    assert!(waited.is_err(), "{waited:?}");
    bus.publish(&other(1)).await.unwrap();
    let second = next(&mut consumer, 1).await.unwrap();
    assert_eq!((second.len(), second[0].redelivered), (1, 0));
    consumer.ack(&tags(&first)).await.unwrap();
    drop(consumer);
    // It is known to people on call, and a new subscription goes on with the others, too.
    let deadline = Instant::now() + PATIENCE;
    while bus.trouble().is_none() {
        assert!(bus.depth().await.is_err() && Instant::now() < deadline);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let told = bus.trouble().unwrap();
    assert!(told.contains(&queue) && told.contains("`foryou migrate`"), "{told}");
    let mut consumer = subscribe(&bus, 5).await;
    let again = next(&mut consumer, 1).await.unwrap();
    assert_eq!((again[0].payload == second[0].payload, again[0].redelivered), (true, 1));
    consumer.ack(&tags(&again)).await.unwrap();

    declare(&own.0).await.unwrap();
    bus.publish(&numbered(0..1)).await.unwrap();
    let came = next(&mut consumer, 5).await.unwrap();
    assert_eq!((came.len(), came[0].partition), (1, ann));
    consumer.ack(&tags(&came)).await.unwrap();
    while bus.depth().await.unwrap() > 0 {
        assert!(Instant::now() < deadline + PATIENCE, "it is not settled");
    }
    assert_eq!(bus.trouble(), None);
}

#[tokio::test]
async fn where_no_queue_can_be_consumed_a_subscription_says_why() {
    let own = fresh();
    let bus = own.open().await;
    let (_link, channel) = channel(&own).await;
    for partition in 0..PARTITIONS {
        channel.queue_delete(bus.queue(partition), QueueDeleteOptions::default()).await.unwrap();
    }
    let told = bus.subscribe(&Partitions::all(PARTITIONS), 5).await.err().unwrap().to_string();
    assert!(told.contains(bus.queue(0).as_str()) && told.contains("`foryou migrate`"), "{told}");
}

#[tokio::test]
async fn a_deleted_exchange_is_named_until_it_is_there_again() {
    let own = fresh();
    let bus = own.open().await;
    let (_link, channel) = channel(&own).await;
    let exchange = bus.shared.topology.events();
    channel.exchange_delete(exchange.clone(), ExchangeDeleteOptions::default()).await.unwrap();
    assert!(bus.publish(&numbered(0..1)).await.is_err());
    let deadline = Instant::now() + PATIENCE;
    while !bus.trouble().is_some_and(|told| told.contains(exchange.as_str()) && told.contains("`foryou migrate`")) {
        assert!(Instant::now() < deadline, "{:?}", bus.trouble());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    // It does not come and go while it is tried again.
    for _ in 0..40 {
        assert!(bus.trouble().is_some() && bus.publish(&numbered(0..1)).await.is_err());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    declare(&own.0).await.unwrap();
    publish_until_it_works(&bus, &numbered(0..1)).await;
    assert_eq!(bus.trouble(), None);
}

fn videos(numbers: std::ops::Range<usize>) -> Vec<(VideoId, Video)> {
    let video = |n: usize| {
        let json = format!(r#"{{"id": "v{n}", "creator": "c", "category": "cooking", "duration_ms": 5}}"#);
        Video::parse_with_id(json.as_bytes()).unwrap()
    };
    numbers.map(video).collect()
}

async fn changes(reader: &mut Box<dyn CatalogueChanges>, count: usize) -> Vec<CatalogueChange> {
    let mut changes = Vec::new();
    while changes.len() < count {
        changes.extend(tokio::time::timeout(PATIENCE, reader.next()).await.expect("changes").unwrap());
    }
    assert_eq!(changes.len(), count);
    changes
}

#[tokio::test]
async fn every_node_reads_all_changes_of_the_catalogue_from_where_it_was() {
    let own = fresh();
    let bus = own.open().await;
    let mut reader = bus.follow(None).await.unwrap();
    bus.announce(&videos(0..250)).await.unwrap();
    let first = changes(&mut reader, 3).await;
    assert_eq!(first.iter().map(|change| change.position).collect::<Vec<_>>(), [0, 1, 2]);
    assert!(first.iter().all(|change| change.origin.as_deref() == Some("node-1")));
    let body: serde_json::Value = serde_json::from_slice(&first[2].payload).unwrap();
    let last = &body["videos"].as_array().unwrap()[49];
    assert_eq!(Video::parse_with_id(last.to_string().as_bytes()).unwrap(), videos(249..250)[0]);
    let waits = tokio::time::timeout(Duration::from_millis(100), reader.next()).await;
    assert!(waits.is_err(), "{waits:?}");

    // A producer elsewhere.
    let (_link, channel) = channel(&own).await;
    let published =
        channel.basic_publish(bus.shared.topology.catalogue(), "".into(), Default::default(), b"{}", persistent());
    published.await.unwrap().await.unwrap();
    let elsewhere = changes(&mut reader, 1).await.remove(0);
    assert_eq!((elsewhere.position, elsewhere.origin, elsewhere.payload.as_slice()), (3, None, &b"{}"[..]));
    let mut other = bus.follow(Some(1)).await.unwrap();
    assert_eq!(changes(&mut other, 2).await.iter().map(|change| change.position).collect::<Vec<_>>(), [2, 3]);
    // More than the broker sends ahead.
    for n in 0..150 {
        bus.announce(&videos(n..n + 1)).await.unwrap();
    }
    changes(&mut other, 150).await;
}

#[tokio::test]
async fn a_stream_that_was_made_again_is_read_from_its_first() {
    let mut own = fresh();
    own.0.rabbitmq.timeout_ms = Whole::new(1_500);
    let bus = own.open().await;
    bus.announce(&videos(0..300)).await.unwrap();
    let positions = |changes: Vec<CatalogueChange>| changes.iter().map(|change| change.position).collect::<Vec<_>>();
    let mut reader = bus.follow(Some(1)).await.unwrap();
    assert_eq!(positions(changes(&mut reader, 1).await), [2]);
    // Of a reader that has read everything nothing is repeated.
    let mut reader = bus.follow(Some(2)).await.unwrap();
    let (_link, channel) = channel(&own).await;
    channel.queue_delete(bus.shared.topology.catalogue(), QueueDeleteOptions::default()).await.unwrap();
    let ended = tokio::time::timeout(PATIENCE, reader.next()).await.unwrap().unwrap_err().to_string();
    assert!(ended.contains("`foryou migrate`"), "{ended}");
    declare(&own.0).await.unwrap();
    for kept in [2, 1_000_000] {
        let mut reader = bus.follow(Some(kept)).await.unwrap();
        if kept == 2 {
            bus.announce(&videos(0..1)).await.unwrap();
        }
        assert_eq!(positions(changes(&mut reader, 1).await), [0], "kept: {kept}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_memory_alarm_refuses_publishers_and_lets_consumers_go_on() {
    let private = Private::up(&[Engine::Rabbitmq]);
    let own = Own::on(private.engines());
    let bus = own.open().await;
    let mut consumer = subscribe(&bus, 10).await;
    bus.publish(&numbered(0..1)).await.unwrap();
    let delivered = next(&mut consumer, 1).await.unwrap();
    private.alarm(true);
    let deadline = Instant::now() + PATIENCE;
    while bus.trouble().is_none() {
        assert!(Instant::now() < deadline, "no alarm");
        let _either = bus.publish(&numbered(1..2)).await;
    }
    let asked = Instant::now();
    let told = bus.publish(&numbered(2..3)).await.unwrap_err().to_string();
    assert!(asked.elapsed() < Duration::from_secs(2), "{:?}", asked.elapsed());
    assert!(told.contains("takes no messages") && told.contains("memory"), "{told}");
    assert!(bus.trouble().unwrap().contains("memory"));
    consumer.ack(&tags(&delivered)).await.unwrap();
    assert!(bus.depth().await.unwrap() <= 1, "acknowledgements reach the broker");
    private.alarm(false);
    publish_until_it_works(&bus, &numbered(2..3)).await;
    assert!(bus.trouble().is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_broker_loses_nothing_that_was_confirmed() {
    let private = Private::up(&[Engine::Rabbitmq]);
    let mut own = Own::on(private.engines());
    // Room for all of them: what is refused is refused because the broker is away.
    own.0.max_depth = Whole::new(50_000);
    declare(&own.0).await.unwrap();
    // RabbitMQ 3.10 forgets a quorum queue that was made just before it is killed: its list of them reaches the disk late.
    private.stop(Engine::Rabbitmq);
    private.start(Engine::Rabbitmq);
    let deadline = Instant::now() + PATIENCE;
    while let Err(error) = declare(&own.0).await {
        // Its streams come up after its port does.
        assert!(error.to_string().contains("try again") && Instant::now() < deadline, "{error}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let bus = Arc::new(own.open().await);
    let mut consumer = subscribe(&bus, 10).await;
    let (confirmed, mut progress) = tokio::sync::watch::channel(0);
    let publisher = tokio::spawn({
        let bus = bus.clone();
        async move {
            let mut errors = BTreeSet::new();
            for n in 0..900 {
                errors.extend(publish_until_it_works(&bus, &numbered(n..n + 1)).await);
                confirmed.send_replace(n + 1);
            }
            errors
        }
    });
    let mut taken = BTreeSet::new();
    let settle = next(&mut consumer, 10).await.unwrap();
    taken.extend(settle.iter().map(id));
    consumer.ack(&tags(&settle)).await.unwrap();
    for round in 1..3 {
        progress.wait_for(|n| *n >= round * 150).await.unwrap();
        private.kill(Engine::Rabbitmq);
        let asked = Instant::now();
        let told = failure(&mut consumer).await;
        assert!(told.contains("RabbitMQ is lost") && asked.elapsed() < Duration::from_secs(5), "{told}");
        private.start(Engine::Rabbitmq);
        let deadline = Instant::now() + PATIENCE;
        consumer = loop {
            match bus.subscribe(&Partitions::all(PARTITIONS), 1_000).await {
                Ok(consumer) => break consumer,
                Err(error) => assert!(Instant::now() < deadline, "{error}"),
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        };
    }
    let mut order = Vec::new();
    while taken.len() < 900 {
        let deliveries = next(&mut consumer, 1_000).await.unwrap();
        order.extend(deliveries.iter().map(id).filter(|id| taken.insert(id.clone())));
        consumer.ack(&tags(&deliveries)).await.unwrap();
    }
    let numbers: Vec<u64> = order.iter().map(|id| id.trim_start_matches("ann/").parse().unwrap()).collect();
    assert!(numbers.is_sorted(), "{numbers:?}");
    let errors = publisher.await.unwrap();
    assert!(!errors.is_empty() && errors.iter().all(|error| error.contains("is away")), "{errors:?}");
    assert!(bus.trouble().is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_broker_is_noticed_and_comes_back() {
    let private = Private::up(&[Engine::Rabbitmq]);
    let mut own = Own::on(private.engines());
    own.0.rabbitmq.heartbeat_s = Whole::new(1);
    own.0.rabbitmq.timeout_ms = Whole::new(1_000);
    let bus = own.open().await;
    let mut consumer = subscribe(&bus, 10).await;
    bus.publish(&numbered(0..1)).await.unwrap();
    next(&mut consumer, 1).await.unwrap();
    private.freeze(Engine::Rabbitmq);
    let asked = Instant::now();
    let told = bus.publish(&numbered(1..2)).await.unwrap_err().to_string();
    assert!(told.contains("did not answer within 1000 ms"), "{told}");
    let told = failure(&mut consumer).await;
    assert!(told.contains("silent for two heartbeats"), "{told}");
    let told = bus.subscribe(&Partitions::all(PARTITIONS), 5).await.err().unwrap().to_string();
    assert!(told.contains("did not answer"), "{told}");
    assert!(bus.depth().await.is_err());
    assert!(asked.elapsed() < Duration::from_secs(10), "{:?}", asked.elapsed());
    while bus.trouble().is_none() {
        assert!(asked.elapsed() < PATIENCE);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    private.thaw(Engine::Rabbitmq);
    publish_until_it_works(&bus, &numbered(2..3)).await;
    assert!(bus.trouble().is_none());
    drop(consumer);
    let mut consumer = subscribe(&bus, 10).await;
    let mut ids = Vec::new();
    while !ids.contains(&"ann/2".to_owned()) {
        let deliveries = next(&mut consumer, 10).await.unwrap();
        ids.extend(deliveries.iter().map(id));
    }
    assert_eq!(ids.first().map(String::as_str), Some("ann/0"), "{ids:?}");
}
