//! What every other room stands on: a flag to cancel, ways to open and write files, text
//! that is safe to show, and YAML.

pub(crate) mod beneath;
pub mod cancel;
pub mod digest;
pub mod fs;
pub(crate) mod held;
mod not_regular;
pub mod regular;
pub mod roots;
pub mod scratch;
pub(crate) mod time;
pub mod yaml;
