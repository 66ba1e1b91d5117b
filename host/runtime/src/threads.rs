//! Threads for instances and for work on their behalf, apart from the protocol's: instances that
//! spin there would hold up its timers and sockets.

use std::sync::OnceLock;

use tokio::runtime::{Builder, Handle, Runtime};

use crate::seats::Origin;

/// How much the threads give way to the protocol's on a machine with few cores.
const BUILT_IN_NICE: i32 = 5;
const ADDED_NICE: i32 = 10;

/// Threads for built-in instances and threads for the others, each made when they are first needed.
pub(crate) struct Threads {
    built_in: OnceLock<Option<Runtime>>,
    added: OnceLock<Option<Runtime>>,
    cores: usize,
    seats: usize,
}

impl Threads {
    /// For a machine of so many `cores`, and so many instances at the same time.
    pub(crate) fn new(cores: usize, seats: usize) -> Self {
        Self {
            built_in: OnceLock::new(),
            added: OnceLock::new(),
            cores,
            seats,
        }
    }

    /// `None` where no threads can be made.
    pub(crate) fn of(&self, origin: Origin) -> Option<&Handle> {
        let (threads, name, count, nice) = match origin {
            Origin::BuiltIn => (&self.built_in, "instance", self.cores, BUILT_IN_NICE),
            // One for each: an instance in a long instruction keeps its thread from everybody else.
            Origin::Added => (&self.added, "plugin", self.seats, ADDED_NICE),
        };
        let runtime = threads.get_or_init(|| {
            start(name, count, nice)
                .inspect_err(|error| tracing::error!(%error, "cannot start threads for instances"))
                .ok()
        });
        runtime.as_ref().map(Runtime::handle)
    }
}

fn start(name: &str, count: usize, nice: i32) -> std::io::Result<Runtime> {
    Builder::new_multi_thread()
        .worker_threads(count)
        .thread_name(name)
        // Spinning instances yield every tick; new calls and timers get their turn at each of these
        // yields, not at every 61st.
        .event_interval(1)
        .global_queue_interval(1)
        .on_thread_start(move || {
            // Failing to be polite is no reason not to run.
            let _ = rustix::process::nice(nice);
        })
        .enable_time()
        .build()
}

impl Drop for Threads {
    fn drop(&mut self) {
        // Waiting for blocking work here would panic on a thread of another asynchronous runtime.
        for threads in [&mut self.built_in, &mut self.added] {
            if let Some(runtime) = threads.take().flatten() {
                runtime.shutdown_background();
            }
        }
    }
}
