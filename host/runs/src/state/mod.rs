//! What is on disk of a run: its specification, its state, its lock, and its result directory.

pub(crate) mod id;
pub(crate) mod lock;
pub(crate) mod process;
pub(crate) mod record;
pub(crate) mod results_dir;
pub(crate) mod store;
pub(crate) mod tickets;
