//! YAML as Penguin reads and writes it.
//!
//! Configuration is YAML 1.2 core schema ([`parse`]); result files are dumped by a YAML 1.1 library
//! ([`parse_result`]); what [`write()`] emits means the same to readers of either version.

mod characters;
mod entries;
mod error;
mod known;
mod read;
mod relax;
mod scalar;
mod source;
mod tags;
#[cfg(test)]
mod tests;
pub mod value;
mod write;

pub use characters::decode;
pub use entries::{InParts, result_in_parts};
pub use error::YamlError;
pub use known::{parse_known, remember};
pub use read::{locate, parse, parse_result};
pub use scalar::resolve_core;
pub use write::{scalar, write};
