//! The sole composition root: starts the parts, hands them to each other, stops them.

use std::{
    net::{SocketAddr, TcpListener},
    sync::Arc,
    time::Duration,
};

use actix_web::web::Data;
use foryou_actors::{
    catalogue::VideoIndex,
    live::Live,
    ports::{bus::EventBus, store::FeatureStore},
    services::{catalogue::CatalogueWriter, supervisor::Supervisor, writer::FeatureWriter},
    sessions::Sessions,
};
use foryou_schemas::{Country, EventId, Feed, UserId};

use crate::{
    clock::{Clock, Ids},
    config::Config,
    http::{self, Claims},
    telemetry::Metrics,
    window::Window,
};
