//! A run from its start to its end.

mod asking;
pub mod command;
pub mod host;
mod init;
mod lasting;
pub mod listening;
mod needed;
mod nvram;
mod pace;
mod reboot;
mod resting;
pub mod serve;
mod tracing;
mod unpacking;
