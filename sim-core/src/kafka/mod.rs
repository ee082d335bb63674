//! Kafka: brokers, replication, controllers, producers and consumer groups.

pub mod assignment;
pub mod metadata;
