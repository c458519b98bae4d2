//! The event bus on RabbitMQ: any number of nodes, and producers elsewhere.
//!
//! # Topology (`NAME` is `bus.rabbitmq.name`, `P` is `bus.partitions`)
//!
//! | exchange | routing key | queue |
//! |---|---|---|
//! | `NAME.events`, topic | `pNN` | `NAME.events.pNN`: quorum, single active consumer, bounded (a full one refuses), dead letters to `NAME.quarantine` |
//! | `NAME.quarantine`, topic | any | `NAME.quarantine`: quorum; what can never be applied, with the headers `x-foryou-reason`, `x-foryou-partition`, `x-foryou-deliveries`, `x-foryou-at` |
//! | `NAME.catalogue`, fanout | any | `NAME.catalogue`: a stream, which every node reads from end to end |
//!
//! # Producers elsewhere
//!
//! They publish one event as JSON (with an `id`: what comes twice is applied once) to the exchange `NAME.events` with the routing
//! key of the person's partition: `p`, then FNV-1a (64 bit) of the user id's UTF-8 bytes modulo `P`, with two digits at least.
//! All events of a person thus lie in one queue, in the order in which they were published; no node has to forward them, and
//! none can change their order. `P` never changes once the queues are there.
//!
//! ```python
//! def routing_key(user: str, partitions: int = 64) -> str:
//!     h = 0xCBF29CE484222325
//!     for byte in user.encode():
//!         h = (h ^ byte) * 0x100000001B3 % 2**64
//!     return f"p{h % partitions:02}"
//! ```
//!
//! ```js
//! function routingKey(user, partitions = 64) {
//!   let h = 0xcbf29ce484222325n;
//!   for (const byte of new TextEncoder().encode(user)) h = BigInt.asUintN(64, (h ^ BigInt(byte)) * 0x100000001b3n);
//!   return "p" + (h % BigInt(partitions)).toString().padStart(2, "0");
//! }
//! ```
//!
//! To check an implementation: of 64 partitions `ann` is in `p56`, `zoë` in `p28`, `用户` in `p57`; of 128, `u1` is in `p115`. A producer turns publisher confirms on, sets `mandatory` and
//! `delivery_mode` 2 (persistent), and keeps an event until it is confirmed: a returned message had a routing key that no queue has, a nack
//! means that the partition is full (wait, then publish the same event with the same id again, and those behind it). An event under
//! another partition's key is not applied: it goes to quarantine and says so.

/// The routing key of a partition, which also ends its queue's name.
pub fn routing_key(partition: u16) -> String {
    format!("p{partition:02}")
}

#[cfg(test)]
mod tests {
    use foryou_actors::ports::{bus::partition_of, contract::user};

    use super::*;

    #[test]
    fn producers_elsewhere_reckon_as_we_do() {
        let key = |person, partitions| routing_key(partition_of(&user(person), partitions));
        assert_eq!([key("ann", 64), key("zoë", 64), key("用户", 64), key("u1", 128)], ["p56", "p28", "p57", "p115"]);
    }
}
