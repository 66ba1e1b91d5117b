//! What is written to stderr. Some clients leave it unread, and then a write to it never returns: a
//! thread of its own writes, from a queue that is bounded, and what does not fit is dropped and
//! counted. Nothing else in this program waits for stderr.
//!
//! stderr stays as it was given: making it non-blocking would make it so for whoever shares it.

use std::collections::VecDeque;
use std::io::{self, IsTerminal};
use std::panic::PanicHookInfo;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use anyhow::Context;
use rookery_server::visible;
use rustix::event::{PollFd, PollFlags};
use rustix::io::Errno;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

/// Bytes that wait to be written, before lines are dropped.
const QUEUE: usize = 1 << 20;
/// At the end of the program a reader gets this long to take what waits.
const FAREWELL: Duration = Duration::from_millis(200);
/// Bytes of a supervisor's log, which is a file that stays with its run.
const SUPERVISOR_LOG: usize = 8 << 20;

static QUEUED: OnceLock<Arc<Queue>> = OnceLock::new();

/// Where the log says what a command of the shell says itself: why a call has failed.
const TWICE: &str = "rookery::tool";

/// Log to stderr by way of the queue, panics too. Calls that fail are logged where a server makes
/// them for somebody else.
pub fn start(serves: bool) -> anyhow::Result<()> {
    let queue = Arc::new(Queue::default());
    let writer = Arc::clone(&queue);
    std::thread::Builder::new()
        .name("log".to_owned())
        .spawn(move || writer.write_all_to_stderr())
        .context("cannot start the thread that writes the log")?;
    let _ = QUEUED.set(Arc::clone(&queue));
    std::panic::set_hook(Box::new(|panic| line(&words(panic))));
    let calls = if serves { "warn" } else { "error" };
    subscribe(calls, move || Line(Arc::clone(&queue)));
    Ok(())
}

/// Log to stderr at once, up to a limit, for a supervisor: its stderr is a file, and it must not
/// have a second thread.
pub fn start_in_supervisor() {
    static ROOM: AtomicUsize = AtomicUsize::new(SUPERVISOR_LOG);
    subscribe("warn", || Bounded(&ROOM));
}

/// A line for people on stderr.
pub fn line(text: &str) {
    let line = format!("{text}\n").into_bytes();
    match QUEUED.get() {
        Some(queue) => queue.push(line),
        // The queue could not be made, which is what this line says.
        None => {
            write(&line);
        }
    }
}

/// Let a reader have what waits. To be called before the program ends.
pub fn finish() {
    if let Some(queue) = QUEUED.get() {
        queue.drain(FAREWELL);
    }
}

fn subscribe<W: for<'a> MakeWriter<'a> + Send + Sync + 'static>(calls: &str, writer: W) {
    let filter = EnvFilter::try_from_env("ROOKERY_LOG")
        .unwrap_or_else(|_| EnvFilter::new(format!("warn,rmcp=error,{TWICE}={calls}")));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(writer)
        .with_ansi(io::stderr().is_terminal())
        .without_time()
        .init();
}

fn words(panic: &PanicHookInfo<'_>) -> String {
    let thread = std::thread::current();
    let name = thread.name().unwrap_or("without a name");
    let backtrace = std::backtrace::Backtrace::capture();
    let backtrace = match backtrace.status() {
        std::backtrace::BacktraceStatus::Captured => format!("\n{backtrace}"),
        _ => String::new(),
    };
    format!(
        "ERROR rookery: thread {name} {}{backtrace}",
        visible(&panic.to_string())
    )
}

/// Lines on their way to stderr.
#[derive(Default)]
struct Queue {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    lines: VecDeque<Vec<u8>>,
    bytes: usize,
    dropped: u64,
    /// Whether lines that were taken out are still being written.
    writing: bool,
}

impl Queue {
    fn push(&self, line: Vec<u8>) {
        let mut state = self.lock();
        if state.bytes + line.len() > QUEUE {
            state.dropped += 1;
            return;
        }
        state.bytes += line.len();
        state.lines.push_back(line);
        self.changed.notify_all();
    }

    /// Wait until everything is written, or for `patience`.
    fn drain(&self, patience: Duration) {
        let state = self.lock();
        let busy = |state: &mut State| state.writing || !state.lines.is_empty();
        drop(self.changed.wait_timeout_while(state, patience, busy));
    }

    fn write_all_to_stderr(&self) {
        let mut lost = 0;
        loop {
            let (lines, dropped) = self.take();
            for line in &lines {
                lost += u64::from(!write(line));
            }
            lost += dropped;
            // Whatever was dropped came after the lines that filled the queue.
            let note = format!(
                "WARN rookery: {lost} lines of the log were dropped, because nobody read stderr\n"
            );
            if lost > 0 && write(note.as_bytes()) {
                lost = 0;
            }
        }
    }

    /// Everything that waits, once something does, and how many lines were dropped after it.
    fn take(&self) -> (VecDeque<Vec<u8>>, u64) {
        let mut state = self.lock();
        state.writing = false;
        self.changed.notify_all();
        let mut state = self
            .changed
            .wait_while(state, |state| state.lines.is_empty())
            .unwrap_or_else(PoisonError::into_inner);
        state.writing = true;
        state.bytes = 0;
        let dropped = std::mem::take(&mut state.dropped);
        (std::mem::take(&mut state.lines), dropped)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Write all of `bytes` to stderr, however long its reader takes; whether that was possible.
fn write(mut bytes: &[u8]) -> bool {
    let stderr = rustix::stdio::stderr();
    while !bytes.is_empty() {
        match rustix::io::write(stderr, bytes) {
            Ok(written) => bytes = bytes.get(written..).unwrap_or_default(),
            Err(Errno::INTR) => {}
            // Whoever shares it has made it non-blocking.
            Err(Errno::AGAIN) => {
                let _ = rustix::event::poll(&mut [PollFd::new(&stderr, PollFlags::OUT)], None);
            }
            // Closed, or on a disk that is full: that must not end what is logged about.
            Err(_) => return false,
        }
    }
    true
}

/// One event of the log on its way into the queue.
struct Line(Arc<Queue>);

impl io::Write for Line {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.push(bytes.to_owned());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// stderr until so many bytes were written to it.
struct Bounded(&'static AtomicUsize);

impl io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = self.0.load(Ordering::Relaxed);
        if let Some(left) = room.checked_sub(bytes.len()) {
            self.0.store(left, Ordering::Relaxed);
            write(bytes);
        } else if room > 0 {
            self.0.store(0, Ordering::Relaxed);
            write(b"WARN rookery: this log is full; further lines are dropped\n");
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_that_nobody_empties_drops_counts_and_never_waits() {
        let queue = Queue::default();
        for _ in 0..3 {
            queue.push(vec![b'x'; QUEUE / 2]);
        }
        queue.push(b"still fits?".to_vec());
        queue.drain(Duration::from_millis(1));
        let (lines, dropped) = queue.take();
        assert_eq!((lines.len(), dropped), (2, 2));
        queue.push(b"fits again".to_vec());
        assert_eq!(queue.take().1, 0);
    }
}
