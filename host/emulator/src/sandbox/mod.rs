//! The guest's world: what is there before its init starts, and what its system calls may do.

pub mod bare;
pub mod child;
pub mod confine;
mod content;
mod detached;
pub mod filter;
pub mod firmware_dev;
pub mod firmware_nvram;
pub mod guest_user;
pub mod message;
pub mod mounting;
pub mod parent;
pub mod privileges;
pub mod programs;
pub mod rootfs;
pub mod static_files;
