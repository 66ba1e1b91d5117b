//! The contract in `wit/` as types, the same for the host and for tools: the values that travel
//! through its interfaces as JSON ([`shapes`], [`options`]), and its one [`Error`].
//!
//! Of a value that the host gives, fields that a newer host adds are ignored, and what may be
//! missing has a default.

mod error;
pub mod guest_path;
mod next;
pub mod options;
pub mod penguin;
pub mod shapes;
pub mod text;

pub use error::{Error, Result, Unavailable};
pub use next::Next;
