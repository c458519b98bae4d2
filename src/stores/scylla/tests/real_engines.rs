//! On a Cassandra.

mod access;
mod cluster;
mod journal;
mod migrations;
mod outage;

use super::*;

fn fresh() -> Keyspace {
    Keyspace::on(&Engines::shared())
}

foryou_actors::store_contract!(fresh);
