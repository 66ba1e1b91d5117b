//! What the end-to-end tests, the demo and the benches share: where things are, and a client
//! session.

pub mod browser;
pub mod doctor;
pub mod firmware;
pub mod http;
pub mod liar;
pub mod penguin;
pub mod processes;
pub mod session;
pub mod wire;

pub use rookery_harness::{Skip, Trial, places, run, trials};
pub use session::{Answer, Session};
