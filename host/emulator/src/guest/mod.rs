//! The running guest as the supervisor knows it. `state` holds it, in parts that are things of
//! their own; `access` is what handlers are given of it.

pub mod access;
pub mod clock;
pub mod emulators;
pub mod hooks;
pub mod images;
pub mod init;
pub mod interfaces;
pub mod ipc;
pub mod kept;
pub mod kernel_log;
pub mod links;
pub mod nvram;
pub mod nvram_area;
pub mod reboot;
pub mod reporter;
pub mod respawns;
pub mod services;
pub mod state;
mod sys_devices;
#[cfg(test)]
pub mod testing;
pub mod tree;
pub mod waits;
