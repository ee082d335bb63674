//! Tests of the crate from outside, one module a subject.

#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::float_cmp,
    reason = "made-up numbers need no ceremony"
)]
#![allow(unreachable_pub, reason = "modules of one binary")]

mod charts;
mod documents;
mod output;
mod synthetic;
mod table;
