//! The JSON values of the contract in `wit/` as types, the same for the host that builds them and
//! for tools that read them.
//!
//! Fields that a newer host adds are ignored; what may be missing has a default.

mod next;
pub mod shapes;

pub use next::Next;
