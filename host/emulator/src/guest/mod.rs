//! The running guest.

pub mod changeable;
pub mod emulators;
pub mod interfaces;
pub mod reporter;
pub mod services;
pub mod state;
pub mod tree;
