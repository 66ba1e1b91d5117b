//! Whether the guest's TCP services answer: each is asked a moment after it began to listen, and
//! again at the end.
//!
//! [`Schedule`] says who is to be asked when, [`Questions`] asks, with sockets that never block, so
//! that any loop can do it. A service is hostile: time and bytes are bounded, and what it says
//! becomes short escaped text, of which nothing else is made.

mod answer;
mod client_hello;
mod html;
mod question;
mod questions;
mod schedule;

pub use self::answer::recognise;
pub use self::questions::Questions;
pub use self::schedule::Schedule;
