use std::time::Duration;

use foryou_actors::ports::{
    bus::contract::SMALL,
    contract::{Subject, event, user},
};
use foryou_testing::{Engines, unique};
use lapin::options::{ExchangeDeleteOptions, QueueDeleteOptions};

use super::*;
use crate::config::{Bus, Rabbitmq, Secret, Whole};

/// A bus of its own, of which nothing is left at the end.
pub struct Own(Bus);

impl Own {
    pub fn on(engines: &Engines) -> Self {
        let (scheme, rest) = engines.rabbitmq.split_once("://").unwrap();
        let (login, host) = rest.rsplit_once('@').unwrap();
        let (user, password) = login.split_once(':').unwrap();
        Self(Bus {
            partitions: Whole::new(PARTITIONS as u32),
            // Twice a partition's share: ann has one for herself.
            max_depth: Whole::new(SMALL as u32 * PARTITIONS as u32 / 2),
            rabbitmq: Rabbitmq {
                url: format!("{scheme}://{host}"),
                user: user.into(),
                password: Secret::new(password),
                name: unique(),
                ..Rabbitmq::default()
            },
            ..Bus::default()
        })
    }

    async fn connect(&self) -> RabbitBus {
        RabbitBus::connect(&self.0, "node-1").await.unwrap()
    }

    async fn remove(&self) -> Result<(), BusError> {
        let address = Address::new(&self.0.rabbitmq)?;
        let link = address.connect("test").await?;
        let channel = address.within("", link.connection.create_channel()).await?;
        let name = &self.0.rabbitmq.name;
        for partition in 0..PARTITIONS {
            let queue = format!("{name}.events.{}", routing_key(partition));
            address.within("", channel.queue_delete(queue.into(), QueueDeleteOptions::default())).await?;
        }
        for queue in ["quarantine", "catalogue"] {
            let queue = format!("{name}.{queue}").into();
            address.within("", channel.queue_delete(queue, QueueDeleteOptions::default())).await?;
        }
        for exchange in ["events", "quarantine", "catalogue"] {
            let exchange = format!("{name}.{exchange}").into();
            address.within("", channel.exchange_delete(exchange, ExchangeDeleteOptions::default())).await?;
        }
        link.close(address.timeout).await;
        Ok(())
    }
}

const PARTITIONS: u16 = 4;

impl Drop for Own {
    fn drop(&mut self) {
        // A runtime of its own: the test's is busy with this drop.
        std::thread::scope(|scope| {
            let removed = scope.spawn(|| {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                runtime.block_on(self.remove())
            });
            // A private broker may be gone by now.
            let _ = removed.join().unwrap();
        });
    }
}

#[async_trait]
impl Subject for Own {
    type Port = RabbitBus;
    async fn open(&self) -> RabbitBus {
        declare(&self.0).await.unwrap();
        let bus = self.connect().await;
        let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
        // As long as the broker sees a former consumer, that one has its deliveries.
        let queues = || (0..PARTITIONS).map(|partition| bus.queue(partition));
        while bus.ask(queues()).await.unwrap().iter().any(|queue| queue.consumer_count() > 0) {
            assert!(tokio::time::Instant::now() < deadline, "the former consumers are still there");
        }
        bus
    }
}

fn numbered(numbers: std::ops::Range<u64>) -> Vec<Event> {
    numbers.map(|n| event(&user("ann"), n)).collect()
}

#[test]
fn producers_elsewhere_reckon_as_we_do() {
    let key = |person, partitions| routing_key(partition_of(&user(person), partitions));
    assert_eq!([key("ann", 64), key("zoë", 64), key("用户", 64), key("u1", 128)], ["p56", "p28", "p57", "p115"]);
}

#[test]
fn an_address_shows_no_secret() {
    let refused = |url: &str| {
        let config = Rabbitmq { url: url.into(), ..Rabbitmq::default() };
        Address::new(&config).err().unwrap_or_else(|| panic!("{url} is taken")).to_string()
    };
    let told = refused("amqp://me:secret@host");
    assert!(told.contains("FORYOU__BUS__RABBITMQ__PASSWORD") && !told.contains("secret"), "{told}");
    assert!(refused("amqp://host?heartbeat=3").contains("[bus.rabbitmq]"));
    assert!(refused("http://host").contains("amqp://HOST:PORT/VHOST"));
    let missing = Rabbitmq { url: "amqps://host".into(), ca: "/nowhere/ca.pem".into(), ..Rabbitmq::default() };
    let told = Address::new(&missing).err().unwrap().to_string();
    assert!(told.contains("bus.rabbitmq.ca /nowhere/ca.pem"), "{told}");
    for (url, shown) in
        [("amqp://[::1]:5", "amqp://::1:5"), ("amqps://h/v", "amqps://h:5671"), ("amqp://h/", "amqp://h:5672")]
    {
        let config = Rabbitmq { url: url.into(), password: Secret::new("secret"), ..Rabbitmq::default() };
        let address = Address::new(&config).unwrap();
        assert_eq!(address.to_string(), format!("RabbitMQ at {shown}"));
    }
}

mod real_engines;
