//! A project's configuration: read as Penguin reads it, merged as Penguin merges it, changed without bricking it.

pub mod value;
pub mod yaml;
