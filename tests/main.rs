//! Integration tests: published results by id, swarm, command line, goldens, tidiness.

mod bench;
mod clients;
mod docs;
mod published;
mod readers;
mod swarm;
mod theory;
mod tidy;
