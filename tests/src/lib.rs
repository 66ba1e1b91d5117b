//! What the end-to-end tests, the demo and the benches share: where things are, and a client
//! session.

pub mod harness;
pub mod http;
pub mod liar;
pub mod places;
pub mod processes;
pub mod session;
pub mod skip;
pub mod wire;

pub use session::{Answer, Session};
