//! The runtime as its users see it, on real components.

mod admission;
mod common;
mod concurrency;
mod containment;
mod installed;
mod speed;
