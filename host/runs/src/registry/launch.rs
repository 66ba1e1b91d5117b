//! Start a supervisor so that it outlives the one who starts it, and see it through its first
//! moments.

use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rookery_project::{Error, Result, regular};

use crate::state::store::RunDir;

/// A supervisor that has not reported by then hangs. A busy machine needs seconds at most.
const READY_WITHIN: Duration = Duration::from_mins(10);
/// How often its report is looked for.
const POLL: Duration = Duration::from_millis(4);

/// Start `program supervise SPEC`. It gets `lock` as its standard input.
pub(crate) fn supervisor(program: &Path, run: &RunDir, lock: File) -> Result<Child> {
    let log = regular::create(&run.log_path())
        .map_err(|error| Error::io("make", &run.log_path(), &error))?;
    // Descriptors that this process itself was given without close-on-exec must not live on in the
    // supervisor.
    close_fds::set_fds_cloexec_threadsafe(3, &[]);
    Command::new(program)
        .arg("supervise")
        .arg(run.spec_path())
        .stdin(lock)
        .stdout(Stdio::null())
        .stderr(log)
        .current_dir("/")
        .spawn()
        .map_err(|error| Error::io("start the supervisor", program, &error))
}

/// Wait until the supervisor has taken the run over. One that does not is ended.
pub(crate) fn await_ready(supervisor: &mut Child, run: &RunDir) -> Result<()> {
    let ready = watch(supervisor, run);
    if ready.is_err() {
        let _ = supervisor.kill();
        let _ = supervisor.wait();
    }
    ready
}

fn watch(supervisor: &mut Child, run: &RunDir) -> Result<()> {
    let deadline = Instant::now() + READY_WITHIN;
    loop {
        let ended = supervisor
            .try_wait()
            .map_err(|error| Error::Internal(format!("cannot watch the supervisor: {error}")))?;
        // Read after the look at the process, so that the last state of one that has ended is seen.
        let state = run.recorded()?;
        if state.owner.pid == supervisor.id() && state.is_supervised() {
            return Ok(());
        }
        if let Some(status) = ended {
            return Err(Error::Backend(format!(
                "the supervisor ended at once ({status}): {}",
                run.log_tail()
            )));
        }
        if Instant::now() > deadline {
            return Err(Error::Backend(format!(
                "the supervisor did not report within {READY_WITHIN:?}: {}",
                run.log_tail()
            )));
        }
        std::thread::sleep(POLL);
    }
}
