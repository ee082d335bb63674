//! What is measured: the catalogue of metric names, and the recorder that models write to.

pub mod catalogue;
pub mod latency;
pub mod outages;
pub mod recorder;
