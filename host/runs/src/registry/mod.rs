//! The lifecycle of runs: start a detached supervisor, watch it through its state on disk, stop it.

mod launch;
mod list;
mod live;
mod start;
mod stop;
mod trial;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rookery_contract::shapes::RunStatus;
use rookery_project::{Cancel, Error, Result, Unavailable, regular};

use crate::backend::{Availability, Backend, Live};
use crate::ports::Ports;
use crate::state::lock::{self, Attempt};
use crate::state::record::{Request, Spec, State};
use crate::state::store::{RunDir, Store};
use crate::trial_files;

/// The backends that there are, the preferred one first.
pub type Backends = fn() -> Vec<Box<dyn Backend>>;

/// How often the state on disk is looked at while waiting.
const POLL: Duration = Duration::from_millis(20);

/// All runs of this user, whatever their project. [`crate::Runs`] shows those below the roots.
#[derive(Debug, Clone)]
pub struct Registry {
    store: Store,
    state_dir: PathBuf,
    program: PathBuf,
    backends: Backends,
    guest_memory: Option<u64>,
    ports: Ports,
    way_out: bool,
    at_once: Option<usize>,
    cache_max: Option<u64>,
}

impl Registry {
    /// `program` is started as `program supervise SPEC`, which must call [`crate::supervise`] with
    /// the same `backends`.
    pub fn new(state_dir: PathBuf, program: PathBuf, backends: Backends) -> Self {
        Self {
            store: Store::new(&state_dir),
            state_dir,
            program,
            backends,
            guest_memory: None,
            ports: Ports::default(),
            way_out: false,
            at_once: None,
            cache_max: None,
        }
    }

    /// Guests may have so many bytes of memory.
    #[must_use]
    pub fn with_guest_memory(self, guest_memory: Option<u64>) -> Self {
        Self {
            guest_memory,
            ..self
        }
    }

    /// Let guests out of their network where their projects ask for it.
    #[must_use]
    pub fn with_way_out(self, way_out: bool) -> Self {
        Self { way_out, ..self }
    }

    /// So many runs are under way at once, and the others wait.
    #[must_use]
    pub fn with_at_once(self, at_once: Option<usize>) -> Self {
        Self { at_once, ..self }
    }

    /// Unpacked root filesystems that no run uses may take so many bytes.
    #[must_use]
    pub fn with_cache_max(self, cache_max: Option<u64>) -> Self {
        Self { cache_max, ..self }
    }

    /// Let runs have the ports of the host that the operator names.
    #[must_use]
    pub fn with_ports(mut self, ports: Ports) -> Self {
        self.ports = ports;
        self
    }

    /// What some backend that may be on this machine has for a running guest.
    pub(crate) fn offers(&self) -> Live {
        let here = (self.backends)().into_iter();
        here.filter(|backend| backend.may_be_here())
            .fold(Live::default(), |all, backend| all.or(backend.live()))
    }

    /// The run status (`wit/emulation.wit`) now.
    pub fn status(&self, run_id: &str) -> Result<RunStatus> {
        let run = self.store.open(run_id)?;
        let state = self.settled(&run)?;
        let stopping = run.stop_asked().is_some();
        Ok(status(
            &run.request()?,
            run.spec().ok().as_ref(),
            &state,
            stopping,
        ))
    }

    /// The project directory of a run.
    pub fn project_dir(&self, run_id: &str) -> Result<PathBuf> {
        Ok(self.store.open(run_id)?.request()?.project_dir)
    }

    /// Wait until the run has ended, `timeout` has passed, or `cancel` (then `Cancelled`, within 50
    /// ms); gives the run status.
    pub fn wait(&self, run_id: &str, timeout: Duration, cancel: &Cancel) -> Result<RunStatus> {
        let run = self.store.open(run_id)?;
        let deadline = Instant::now() + timeout;
        while !await_end(
            &run,
            POLL.min(deadline.saturating_duration_since(Instant::now())),
        )? && Instant::now() < deadline
        {
            cancel.check()?;
            stop::enforce(&run)?;
        }
        self.status(run_id)
    }

    fn sweep(&self) {
        self.store.sweep(|run| {
            let _ = self.settled(run);
        });
    }

    /// The state of a run. What should have ended, and what a dead supervisor left running, is
    /// ended.
    fn settled(&self, run: &RunDir) -> Result<State> {
        stop::enforce(run)?;
        let mut state = run.state()?;
        if !state.orphaned {
            return Ok(state);
        }
        let spec = run.spec()?;
        // A backend may know what runs by the project only, so this must not meet the project's
        // next run.
        let lock = lock::acquire(&spec.plan.project_dir);
        if matches!(lock, Ok(Attempt::Busy(_))) {
            return Ok(state);
        }
        let backends = (self.backends)();
        if let Some(backend) = backends.iter().find(|known| known.name() == spec.backend) {
            backend.sweep(&spec.plan);
        }
        trial_files::remove(&spec.plan.results_dir);
        for directory in [run.path(), &spec.plan.results_dir] {
            regular::clear_away(directory, None);
        }
        state.orphaned = false;
        run.write(&state)?;
        Ok(state)
    }
}

/// The backend called `name`, or for `auto` the first that works here, and what it found.
fn choose(backends: Vec<Box<dyn Backend>>, name: &str) -> Result<(Box<dyn Backend>, Availability)> {
    let names: Vec<_> = backends.iter().map(|backend| backend.name()).collect();
    if name != "auto" && !names.contains(&name) {
        return Err(Error::InvalidArgument(format!(
            "there is no backend {name:?}; allowed are auto, {}",
            names.join(", ")
        )));
    }
    let mut refused = Vec::new();
    for backend in backends
        .into_iter()
        .filter(|backend| name == "auto" || name == backend.name())
    {
        let availability = backend.probe();
        if availability.available {
            return Ok((backend, availability));
        }
        refused.push(availability);
    }
    Err(unavailable(&refused))
}

fn unavailable(refused: &[Availability]) -> Error {
    let mut why = Vec::new();
    let mut fixes = Vec::new();
    for availability in refused {
        for check in availability
            .checks
            .iter()
            .filter(|check| check.needed && !check.ok)
        {
            why.push(format!(
                "{}: {}: {}",
                availability.backend, check.name, check.detail
            ));
            if let Some(fix) = &check.fix {
                fixes.push(fix.clone());
            }
        }
    }
    fixes.push("`rookery doctor` shows every check".into());
    Error::Unavailable(Unavailable {
        what: "a backend that can run the project here".into(),
        why: why.join("; "),
        how_to_enable: fixes.join(". "),
    })
}

/// `spec` is not there before the run is launched.
fn status(request: &Request, spec: Option<&Spec>, state: &State, stopping: bool) -> RunStatus {
    let phase = if stopping && !state.has_ended() {
        "stopping"
    } else {
        &state.phase
    };
    let text = |path: &Path| path.to_string_lossy().into_owned();
    RunStatus {
        run_id: request.run_id.clone(),
        status: state.status.into(),
        phase: Some(phase.to_owned()),
        reason: state.reason.clone(),
        backend: spec.map(|spec| spec.backend.clone()),
        project_dir: Some(text(&request.project_dir)),
        results_dir: spec.map(|spec| text(&spec.plan.results_dir)),
        elapsed_s: Some(state.elapsed()),
        timeout_s: Some(state.timeout_s)
            .filter(|seconds| *seconds > 0)
            .or(request.timeout_s),
        endpoints: state.endpoints.clone(),
        services: state.services,
        notes: state.notes.clone(),
        waited_for: None,
        met: None,
        summary: Vec::new(),
        next: None,
    }
}

/// Wait for at most `slice`; whether the run has ended and its supervisor is gone, so that another
/// run can start.
fn await_end(run: &RunDir, slice: Duration) -> Result<bool> {
    let gone = match run.recorded()?.owner.handle() {
        Some(owner) => owner.wait(slice),
        None => true,
    };
    // The state of a run whose owner is gone is final, unless a supervisor is about to take over.
    let ended = gone && run.state()?.has_ended();
    if gone && !ended {
        std::thread::sleep(slice);
    }
    Ok(ended)
}
