//! Event buses: the implementations of [`foryou_actors::ports::bus::EventBus`].

pub mod embedded;
pub mod rabbitmq;
