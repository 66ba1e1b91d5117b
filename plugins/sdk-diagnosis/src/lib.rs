//! What a run's files say about it, for the tools that judge a run: `health` tells all of it, `run`
//! and `run_wait` whether the run did better than the one before, and `rehost` tries what may be
//! tried.

mod blockers;
mod comparison;
mod evidence;
mod files;
mod judged;
mod nvram;
mod panic;
mod shapes;
mod timeline;
mod trial;

pub use blockers::{Blocker, DOES_NOTHING, Sure, cut, is_reboot_program, seconds, steps};
pub use comparison::{Comparison, Standing, compare};
pub use evidence::Evidence;
pub use judged::Judged;
pub use nvram::missed as missed_nvram;
pub use panic::Panic;
pub use shapes::{Crash, Record, Sockets, milliseconds};
pub use timeline::{End, Failure, Kill, Process, Timeline};
