//! The lifecycle of runs, with real detached processes: this program is the tests, and the
//! supervisor that they start.

mod formats;
mod lifecycle;
mod live;
mod scripted;
mod starting;
mod stopping;
mod world;

use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().collect();
    match (
        arguments.get(1).and_then(|argument| argument.to_str()),
        arguments.get(2),
    ) {
        (Some("supervise"), Some(spec)) => {
            rookery_runs::supervise(Path::new(spec), scripted::backends)
        }
        (Some("start-and-die"), Some(directory)) => {
            world::start_and_die(Path::new(directory), arguments.get(3).map(Into::into))
        }
        _ => {
            let tests = [
                lifecycle::tests(),
                starting::tests(),
                stopping::tests(),
                live::tests(),
                formats::tests(),
            ];
            rookery_harness::run(tests.into_iter().flatten().collect())
        }
    }
}
