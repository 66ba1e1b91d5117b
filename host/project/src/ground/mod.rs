//! What every other room stands on: errors, a flag to cancel, ways to open and write files, text
//! that is safe to show, and YAML.

pub(crate) mod beneath;
pub mod cancel;
pub mod error;
pub mod fs;
pub(crate) mod options;
pub mod regular;
pub mod roots;
pub mod scratch;
pub mod text;
pub mod yaml;
