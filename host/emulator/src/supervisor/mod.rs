//! A run from its start to its end.

pub mod command;
pub mod host;
pub mod listening;
mod needed;
mod reboot;
pub mod serve;
