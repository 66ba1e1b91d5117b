//! Modelled files as a file system of their own (FUSE), so that a model is one thing whatever
//! descriptor, process or redirection reaches it. Where the guest can have none, those that are
//! streams are sockets (`streams`); for the others the supervisor has files in memory.
//!
//! The file system is mounted nowhere: a process of its own, `server`, opens files in it for the
//! supervisor, which hands them to the guest; it is started when there is one to open
//! (`on_demand`). `model` says what reading and writing one does.

mod file_system;
mod model;
mod on_demand;
mod sent;
mod server;
mod streams;
mod tree;
mod written;

pub use model::{contents, is_stream, lacks_writing, refuses_writing};
pub use on_demand::Models;
pub use server::Mounted;
pub use written::{Written, written_files};

/// A directory of this name holds the files, each by the path that it stands for: that is how what
/// a descriptor links to tells the path, as the name of a memory file does.
pub const DIRECTORY: &str = "rookery:";
