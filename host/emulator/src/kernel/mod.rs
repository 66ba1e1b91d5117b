//! The kernel as types: system calls that no safe crate offers, netlink, and the text of paths.
//! With the launcher, the only place with `unsafe`: `notify`, `packets`, `probe`,
//! `process`, `program`, `sockopt`, `stopped`, `tap`, `told` and `trace`.
//!
//! Invariant 11: `unsafe` is here and where the others are listed.

pub mod ending;
pub mod enter;
pub mod ipc;
pub mod maps;
pub mod netlink;
pub mod notify;
pub mod numbers;
pub mod packets;
pub mod passing;
pub mod paths;
pub mod probe;
pub mod process;
pub mod program;
pub mod shortage;
pub mod sock_diag;
pub mod sockios;
pub mod sockopt;
pub mod stopped;
pub mod tap;
pub mod told;
pub mod trace;
pub mod uevent;
