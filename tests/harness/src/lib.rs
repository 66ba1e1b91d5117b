//! What tests share, whatever they test: a harness in which a skip is loud, and where the inputs
//! are. A dependency of tests only; no crate of the product has it otherwise.

pub mod places;
mod skip;
mod trial;

pub use libtest_mimic::Trial;
pub use skip::Skip;
pub use trial::{Async, Blocking, Plain, Test, name, run, run_in_turn, test};
