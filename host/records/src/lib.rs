//! What happened in a guest, and what is written down of it.
//!
//! A backend reports [`event`]s. [`Collectors`] turn them into the result files that Penguin
//! writes, and [`Record`] keeps what Penguin has no file for. Nothing here knows a guest: every
//! file can be had from a list of events.

mod collect;
pub mod event;
mod file;
mod outcome;
mod record;
mod subject;

pub use self::collect::Collectors;
pub use self::collect::answers::Answers;
pub use self::collect::rows::python_texts;
pub use self::outcome::Outcome;
pub use self::record::Record;
pub use self::subject::Subject;
