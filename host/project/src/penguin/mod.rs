//! Penguin's facts as data: what it calls things, what it writes, what it keeps for itself.
//!
//! Nothing here does anything. A fact that more than one room needs stands here once, and what
//! Penguin's own code says is right.

pub mod architectures;
pub mod device_models;
pub mod env;
pub mod init_patches;
pub mod kernels;
pub mod library;
pub mod nvram;
pub mod plugins;
pub mod project;
pub mod result_files;
pub mod sections;
pub mod sizes;
pub mod tables;
