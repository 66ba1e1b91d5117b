//! A project's configuration: read as Penguin reads it, merged as Penguin merges it, changed without bricking it.

pub mod schema;
mod files;
mod finish;
mod load;
mod plugins;
mod refusal;
mod templates;
pub mod value;
pub mod yaml;

pub use load::{Layer, Loaded, Patch, load};
pub use refusal::{Kind, Refusal};
