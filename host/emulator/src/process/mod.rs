//! A process of the guest, and what it asks for.

pub mod call;
pub mod first_program;
pub mod look;
pub mod memory;
pub mod path_arg;
pub mod proc_dir;
pub mod record;
pub mod roots;
pub mod start;
pub mod table;
pub mod threads;
pub mod tracer;
pub mod view;
