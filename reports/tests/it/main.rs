//! Tests of the crate from outside, one module a subject.

#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::float_cmp,
    clippy::unwrap_used,
    reason = "these are tests, their helpers too"
)]
#![allow(unreachable_pub, reason = "modules of one binary")]

mod charts;
mod documents;
mod output;
mod synthetic;
mod table;
