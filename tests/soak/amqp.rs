use std::time::Duration;

use foryou::brokers::rabbitmq::routing_key;
use foryou_actors::ports::bus::partition_of;
use foryou_schemas::UserId;
use lapin::{
    BasicProperties, Channel, Confirmation, Connection, ConnectionProperties,
    options::{BasicPublishOptions, ConfirmSelectOptions},
};
use serde_json::Value;
use tokio::{runtime::Runtime, time::timeout};

use crate::producer::{Events, Refused};

/// How long the broker may take for anything; then the connection is made anew.
const PATIENCE: Duration = Duration::from_secs(3);

/// A producer elsewhere: straight to the broker, with confirms.
pub struct Door {
    runtime: Runtime,
    url: String,
    exchange: String,
    partitions: u16,
    open: Option<(Connection, Channel)>,
}

impl Door {
    pub fn new(url: &str, name: &str, partitions: u16) -> Self {
        // The connection lives on while the producer waits for its next turn.
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        Self { runtime, url: url.to_owned(), exchange: format!("{name}.events"), partitions, open: None }
    }
}

impl Events for Door {
    fn send(&mut self, events: &[Value]) -> Result<(), Refused> {
        let Self { runtime, url, exchange, partitions, open } = self;
        let sent = runtime.block_on(async {
            timeout(PATIENCE, async {
                if open.is_none() {
                    *open = Some(connect(url).await?);
                }
                let (_, channel) = open.as_ref().ok_or(Refused::Away)?;
                publish(channel, exchange, *partitions, events).await
            })
            .await
            .unwrap_or(Err(Refused::Overloaded))
        });
        if sent.is_err()
            && let Some((connection, _)) = open.take()
        {
            // A blocked connection cannot even be closed.
            _ = runtime.block_on(async { timeout(PATIENCE / 10, connection.close(200, "done".into())).await });
        }
        sent
    }
}

async fn connect(url: &str) -> Result<(Connection, Channel), Refused> {
    let connection = Connection::connect(url, ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;
    channel.confirm_select(ConfirmSelectOptions::default()).await?;
    Ok((connection, channel))
}

async fn publish(channel: &Channel, exchange: &str, partitions: u16, events: &[Value]) -> Result<(), Refused> {
    let mut confirms = Vec::new();
    for event in events {
        let user = UserId::new(event["user"].as_str().unwrap()).unwrap();
        let key = routing_key(partition_of(&user, partitions));
        let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
        let properties = BasicProperties::default().with_delivery_mode(2).with_content_type("application/json".into());
        let payload = event.to_string();
        confirms
            .push(channel.basic_publish(exchange.into(), key.into(), options, payload.as_bytes(), properties).await?);
    }
    for confirm in confirms {
        match confirm.await? {
            Confirmation::Ack(None) => {}
            Confirmation::Ack(Some(returned)) => return Err(Refused::Strange(format!("returned: {returned:?}"))),
            Confirmation::Nack(_) | Confirmation::NotRequested => return Err(Refused::Overloaded),
        }
    }
    Ok(())
}

impl From<lapin::Error> for Refused {
    fn from(_: lapin::Error) -> Self {
        Self::Away
    }
}
