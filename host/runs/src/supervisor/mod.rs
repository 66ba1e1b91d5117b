//! The supervisor process: one thread, one run, from the spec to the last result file.
//!
//! Invariant 10: nothing a run started outlives its supervisor.

mod lifecycle;
mod queue;

use std::io::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::ExitCode;

use rookery_project::{Error, Result};
use rustix::process::{Resource, Rlimit};

use crate::backend::{Backend, Outcome};
use crate::control::{Inbox, SOCKET};
use crate::registry::Backends;
use crate::state::process::Identity;
use crate::state::record::{Spec, State, Status};
use crate::state::store::RunDir;
use crate::state::{lock, process, results_dir};
use crate::supervisor::lifecycle::Lifecycle;
use crate::trial_files::WhileItRuns;

/// What `PROGRAM supervise SPEC` does: run what `spec` describes until it ends, on one of
/// `backends`.
///
/// Must be called before any thread is started. Standard input is the project's lock (see
/// [`crate::registry::Registry::start`]).
pub fn supervise(spec: &Path, backends: Backends) -> ExitCode {
    // A session of its own: no terminal's hang-up or Ctrl-C reaches it. Fails only where it leads
    // one already.
    let _ = rustix::process::setsid();
    match serve(spec, backends) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Its log may lie on a disk that is full.
            let _ = writeln!(std::io::stderr(), "{error}");
            ExitCode::FAILURE
        }
    }
}

fn serve(spec: &Path, backends: Backends) -> Result<()> {
    let run = RunDir::of_spec(spec)?;
    let spec = run.spec()?;
    let mut state = run.recorded()?;
    if state.has_ended() {
        return Err(Error::Conflict(format!(
            "{} has ended already",
            spec.run_id
        )));
    }
    raise_descriptor_limit();
    // Held until this process ends.
    let _lock = lock::adopt(&spec.plan.project_dir)?;
    let trial = WhileItRuns(&spec.plan.results_dir);
    state.owner = Identity::own();
    let prepared = prepare(&run, &spec, backends);
    let (backend, mut inbox) = match prepared {
        Ok(prepared) => prepared,
        Err(error) => {
            state.end(Status::Failed, error.to_string());
            run.write(&state)?;
            return Err(error);
        }
    };
    // Asked for before this process listened; from here on it is asked itself.
    let place = match run.stop_asked() {
        Some(_) => None,
        None => queue::wait_for_turn(&run, &spec.run_id, spec.at_once, &mut state, &mut inbox)?,
    };
    // Held until this process ends.
    let Some(_place) = place else {
        drop(trial);
        state.end(
            Status::Stopped,
            "the run was stopped before its guest was started",
        );
        return run.write(&state);
    };
    // Starting and waiting are no part of the run's time.
    state.started = process::uptime();
    if let Err(note) = results_dir::point_latest(&spec.plan.results_dir) {
        state.notes.push(note);
    }
    let ended = run_backend(&run, &spec, state, backend.as_ref(), inbox, trial);
    let _ = std::fs::remove_file(run.path().join(SOCKET));
    ended
}

/// A supervisor has some descriptors for each process of its guest, and a soft limit is for
/// programs that use `select`.
fn raise_descriptor_limit() {
    let limit = rustix::process::getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        ..limit
    };
    if let Err(error) = rustix::process::setrlimit(Resource::Nofile, raised) {
        tracing::warn!(%error, "the limit of descriptors stays as it is");
    }
}

fn prepare(run: &RunDir, spec: &Spec, backends: Backends) -> Result<(Box<dyn Backend>, Inbox)> {
    let backend = backends()
        .into_iter()
        .find(|backend| backend.name() == spec.backend);
    let backend = backend.ok_or_else(|| {
        Error::Internal(format!("this program has no backend {:?}", spec.backend))
    })?;
    Ok((backend, Inbox::open(run.path())?))
}

fn run_backend(
    run: &RunDir,
    spec: &Spec,
    state: State,
    backend: &dyn Backend,
    inbox: Inbox,
    trial: WhileItRuns<'_>,
) -> Result<()> {
    let mut lifecycle = Lifecycle::begin(run.clone(), spec, state, backend, inbox)?;
    let outcome = catch_unwind(AssertUnwindSafe(|| backend.run(&spec.plan, &mut lifecycle)))
        .unwrap_or_else(|panic| {
            Err(Error::Internal(format!(
                "the backend panicked: {}",
                panic_text(panic.as_ref())
            )))
        });
    let (status, reason) = match &outcome {
        Ok(
            Outcome::GuestEnded { how }
            | Outcome::Rebooted { how, .. }
            | Outcome::Exceeded { what: how },
        ) => (Status::Finished, how.clone()),
        Ok(Outcome::Deadline) => (
            Status::Finished,
            deadline(spec.plan.timeout_s, lifecycle.timeout_s()),
        ),
        Ok(Outcome::Stopped) => (Status::Stopped, "the run was stopped on request".into()),
        Err(error) => (Status::Failed, error.to_string()),
    };
    // Before anybody learns that the run is over.
    drop(trial);
    lifecycle.end(&outcome, status, &reason)
}

/// How a run ended that had `planned` seconds at first.
fn deadline(planned: u64, had: u64) -> String {
    if had <= planned {
        return format!("the deadline of {planned} s passed");
    }
    format!(
        "the deadline of {had} s passed, {} s later than usual because no service had answered and \
         the guest was still starting or computed",
        had - planned
    )
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
}
