//! Reads, checks and lowers scenario files, and carries the shipped ones.
//!
//! ```
//! let text = scenarios::SHIPPED[0].text;
//! let loaded = scenarios::load("hot_key.ron", text, &[], &|_| Err("no files here".to_owned()));
//! let loaded = loaded.unwrap_or_else(|problems| panic!("{problems}"));
//! for variant in &loaded.variants {
//!     let world = loaded.lower(variant, loaded.scenario.seed);
//!     assert_eq!(world.streams.len(), 1, "{}", variant.name);
//! }
//! ```
//!
//! | File | Does |
//! |---|---|
//! | [`schema`], [`units`], [`value`], [`version`], `defaults` | what a scenario says, in which words, and what it may leave out |
//! | [`knobs`], `effective` | configuration of real libraries under real names, and what follows from it |
//! | `source`, [`span`], `read` | from text to a scenario, all structural problems in one pass |
//! | [`check`], [`expect`] | what a well-formed scenario may still get wrong |
//! | [`tree`], [`path`] | any field by its path: mitigations, `--set`, sweeps |
//! | [`mod@load`], [`diagnostics`] | all of it together, and problems as people see them |
//! | [`lower`], [`rates`] | to the configuration of worlds |
//! | `manifest`, [`shipped`] | for the record; what comes with the program |

pub mod check;
mod defaults;
pub mod diagnostics;
mod effective;
pub mod expect;
pub mod knobs;
pub mod load;
pub mod lower;
mod manifest;
pub mod nearest;
pub mod path;
pub mod rates;
mod read;
pub mod schema;
pub mod shipped;
mod source;
pub mod span;
pub mod tree;
pub mod units;
pub mod value;
pub mod version;

pub use diagnostics::{Problem, Problems, Severity};
pub use expect::{Bound, Outcome, Verdict, evaluate};
pub use load::{Loaded, ReadFile, Variant, load, load_bytes};
pub use schema::Scenario;
pub use shipped::{SHIPPED, Shipped, TEMPLATE};
