//! The system calls that no safe crate offers. With the launcher, the only place of this backend with `unsafe`.
#![allow(unsafe_code)]

pub mod notify;
pub mod probe;
pub mod process;
