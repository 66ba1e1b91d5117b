//! A rehosting project on disk: its configuration merged as Penguin does, changes to its patch, its results, its firmware.
//!
//! This crate is pure: it reads and writes files below the roots it is given, starts nothing, and knows neither
//! WebAssembly nor MCP. All functions block; those that can take long look at a [`Cancel`] flag.

pub mod cancel;
pub mod config;
mod create;
pub mod error;
pub mod firmware;
pub mod project;
pub mod regular;
pub mod results;
pub mod roots;
pub mod scratch;

pub use cancel::Cancel;
pub use error::{Error, Result};
pub use firmware::{Firmware, Node, Private, SetId, Unpacked, unpack};
pub use project::Project;
pub use results::Results;
pub use roots::Roots;
