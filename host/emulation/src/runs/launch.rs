//! Start a supervisor so that it outlives the one who starts it.

use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rookery_project::{Error, Result, regular};

use super::store::RunDir;

/// A supervisor that has not reported by then is given up.
pub(super) const READY_WITHIN: Duration = Duration::from_secs(20);

/// Start `program supervise SPEC` and wait until it has taken the run over. It gets `lock` as its standard input.
pub(super) fn supervisor(program: &Path, run: &RunDir, lock: File) -> Result<()> {
    let log = regular::create(&run.log_path())
        .map_err(|error| Error::io("make", &run.log_path(), &error))?;
    // Descriptors that this process itself was given without close-on-exec must not live on in the supervisor.
    close_fds::set_fds_cloexec_threadsafe(3, &[]);
    let mut child = Command::new(program)
        .arg("supervise")
        .arg(run.spec_path())
        .stdin(lock)
        .stdout(Stdio::null())
        .stderr(log)
        .current_dir("/")
        .spawn()
        .map_err(|error| Error::io("start the supervisor", program, &error))?;
    let ready = await_ready(&mut child, run);
    if ready.is_err() {
        let _ = child.kill();
    }
    reap(child);
    ready
}

fn await_ready(child: &mut Child, run: &RunDir) -> Result<()> {
    let deadline = Instant::now() + READY_WITHIN;
    loop {
        let ended = child
            .try_wait()
            .map_err(|error| Error::Internal(format!("cannot watch the supervisor: {error}")))?;
        // Read after the look at the process, so that the last state of one that has ended is seen.
        let state = run.recorded()?;
        if state.owner.pid == child.id() && state.is_supervised() {
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
        std::thread::sleep(Duration::from_millis(4));
    }
}

/// Collect the exit status when it comes, so that no zombie stays while this process lives.
fn reap(mut child: Child) {
    let spawned = std::thread::Builder::new()
        .name("reap-supervisor".into())
        .spawn(move || child.wait());
    if let Err(error) = spawned {
        tracing::warn!(%error, "the supervisor's exit status will not be collected");
    }
}
