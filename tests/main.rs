//! Integration tests: published results by id, swarm, command line, goldens, tidiness.

mod bench;
mod docs;
mod published;
mod swarm;
mod theory;
mod tidy;
