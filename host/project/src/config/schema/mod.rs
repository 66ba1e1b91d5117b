//! The structure of a configuration, described once as data.
//!
//! `sections` and its neighbours say what a section holds. Reading that description, [`check`]
//! validates and normalises what a file says, [`merge`] lays one file over another, and
//! [`complete`] fills in the defaults.

mod check;
mod complete;
mod conditions;
mod convert;
mod merge;
mod pseudofiles;
mod sections;
mod static_files;
mod types;

pub use check::{Problem, Scope, check, did_you_mean, is_misspelt};
pub use complete::{Nulls, complete};
pub use merge::{MergeError, merge};
pub use sections::{PLUGIN, PROJECT, STUBS};
pub use types::{Default, Field, Keys, Model, Rule, Table, Tagged, Type};
