//! The running guest.

pub mod changeable;
pub mod interfaces;
pub mod state;
