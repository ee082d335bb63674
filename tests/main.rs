//! Integration tests: published results by id, swarm, command line, goldens, tidiness.

mod bench;
mod cli;
mod golden;
mod published;
mod swarm;
mod theory;
