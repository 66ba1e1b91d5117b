//! A rehosting project on disk: its configuration merged as Penguin does, changes to its patch, its
//! results, its firmware.
//!
//! This crate is pure: it reads and writes files below the roots it is given, starts nothing but
//! the reader of images, and knows neither WebAssembly nor MCP. All functions block; those that can
//! take long look at a [`Cancel`] flag.

pub mod config;
mod create;
pub mod device_kinds;
pub mod firmware;
mod ground;
pub mod ioctl;
mod notes;
pub mod penguin;
pub mod project;
pub mod results;
pub mod rules;
mod workspace;

/// Regular files: opened without waiting, and replaced whole.
pub mod regular {
    pub use crate::ground::fs::{clear_away, replace};
    pub use crate::ground::regular::*;
}

pub use config::Changed;
/// What begins the name of a directory in which a project is being made.
pub use create::SCRATCH as UNFINISHED_PROJECT;
pub use firmware::{
    FileSystem, Firmware, Node, Private, Progress, SetId, Unpacked, unpack, unpack_telling,
};
pub use ground::cancel::Cancel;
pub use ground::fs::{share_lock, try_lock};
pub use ground::roots::Roots;
pub use ground::{digest, scratch, yaml};
pub use project::Project;
pub use results::Results;
pub use rookery_contract::text::{is_hidden, quoted};
pub use rookery_contract::{Error, Result, Unavailable};
