//! The discrete-event engine: time, queue, timers, random streams. It knows no stream system and is
//! generic over the event type.

pub mod ctx;
pub mod dist;
pub mod periodic;
pub mod queue;
pub mod rng;
pub mod slab;
pub mod time;
pub mod timer;

pub use ctx::{Ctx, Schedule};
pub use periodic::{Periodic, Turn};
pub use queue::{EventQueue, Scheduled};
pub use rng::{RngStream, Rngs};
pub use slab::Slab;
pub use time::{NANOS_PER_SEC, SimDuration, SimTime};
pub use timer::{Ticket, Timers};
