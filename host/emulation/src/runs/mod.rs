//! The lifecycle of runs: start a detached supervisor, watch it through its state on disk, stop it.

mod id;
mod launch;
mod lifecycle;
mod live;
mod lock;
mod process;
mod results_dir;
mod store;
mod supervisor;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rookery_project::{Cancel, Error, Result, regular};
use rustix::process::Signal;
use serde_json::{Value, json};

use self::lock::Attempt;
pub(crate) use self::store::unknown;
use self::store::{RunDir, Spec, State, Status, Store};
pub use self::supervisor::supervise_with;
use crate::backend::{Availability, Backend};
use crate::control::{self, wire::Ask};
use crate::plan::Plan;
use crate::ports::Ports;

/// The backends that there are, the preferred one first.
pub type Backends = fn() -> Vec<Box<dyn Backend>>;

/// How often the state on disk is looked at while waiting.
const POLL: Duration = Duration::from_millis(20);
/// A run that has just ended may still hold the project's lock for this long.
const LOCK_PATIENCE: Duration = Duration::from_secs(3);
const TERM_GRACE: Duration = Duration::from_secs(3);
const KILL_GRACE: Duration = Duration::from_secs(5);
const MAX_TIMEOUT_S: u64 = 7 * 24 * 3600;

/// All runs of this user, whatever their project. [`crate::Runs`] shows those below the roots.
#[derive(Debug, Clone)]
pub struct Registry {
    store: Store,
    state_dir: PathBuf,
    program: PathBuf,
    backends: Backends,
    guest_memory: Option<u64>,
    ports: Ports,
}

impl Registry {
    /// `program` is started as `program supervise SPEC`, which must call [`supervise_with`] with the same `backends`.
    pub fn new(state_dir: PathBuf, program: PathBuf, backends: Backends) -> Self {
        Self {
            store: Store::new(&state_dir),
            state_dir,
            program,
            backends,
            guest_memory: None,
            ports: Ports::default(),
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

    /// Let runs have the ports of the host that the operator names.
    #[must_use]
    pub fn with_ports(mut self, ports: Ports) -> Self {
        self.ports = ports;
        self
    }

    /// Start a run of the project in `project_dir`, an absolute path without links, whose effective configuration is `config`.
    ///
    /// `options` as `emulation.start` of `wit/emulation.wit`. Gives the run id.
    pub fn start(&self, project_dir: &Path, config: &Value, options: &Value) -> Result<String> {
        let project_dir = &project_dir
            .canonicalize()
            .map_err(|error| Error::io("open the project", project_dir, &error))?;
        let options = Options::parse(options)?;
        let (backend, availability) = choose((self.backends)(), &options.backend)?;
        let cache_dir = self.state_dir.join("cache");
        let mut plan = Plan::from_config(config, project_dir, &cache_dir, options.timeout_s)?;
        plan.memory_max = self.guest_memory.unwrap_or(plan.memory_max);
        if backend.writes_results() {
            // What the embedded emulator cannot honour does not concern a backend that is Penguin.
            plan.notes.clear();
            if !self.ports.is_default() {
                plan.notes.push(format!(
                    "the backend {} chooses the ports that lead to the guest itself, in its container's network, so --ports {} had no \
                     effect",
                    backend.name(),
                    self.ports
                ));
            }
        }
        plan.ports = self.ports.clone();
        self.sweep();
        let mut lock = self.lock(project_dir)?;
        let run_id = id::new(project_dir)?;
        lock::sign(&mut lock, &run_id)?;
        plan.results_dir = results_dir::allocate(project_dir)?;
        let results_dir = plan.results_dir.clone();
        let spec = Spec {
            run_id: run_id.clone(),
            backend: backend.name().into(),
            plan,
            config: config.clone(),
            host: availability.checks,
        };
        let launched = self.launch(lock, backend.as_ref(), &spec);
        if launched.is_err() {
            // Only where it is still empty.
            let _ = std::fs::remove_dir(results_dir);
        }
        launched.map(|()| run_id)
    }

    /// The run status (`wit/emulation.wit`) now.
    pub fn status(&self, run_id: &str) -> Result<Value> {
        let run = self.store.open(run_id)?;
        Ok(status(&run.spec()?, &self.settled(&run)?))
    }

    /// The project directory of a run.
    pub fn project_dir(&self, run_id: &str) -> Result<PathBuf> {
        Ok(self.store.open(run_id)?.spec()?.plan.project_dir)
    }

    /// Wait until the run has ended, `timeout` has passed, or `cancel` (then `Cancelled`, within 50 ms); gives the run status.
    pub fn wait(&self, run_id: &str, timeout: Duration, cancel: &Cancel) -> Result<Value> {
        let run = self.store.open(run_id)?;
        let deadline = Instant::now() + timeout;
        while !await_end(
            &run,
            POLL.min(deadline.saturating_duration_since(Instant::now())),
        )? && Instant::now() < deadline
        {
            cancel.check()?;
        }
        self.status(run_id)
    }

    /// Stop the run and give its status. Blocks until it has ended: at most the backend's grace and some seconds.
    pub fn stop(&self, run_id: &str) -> Result<Value> {
        let run = self.store.open(run_id)?;
        if run.state()?.has_ended() {
            return self.status(run_id);
        }
        let spec = run.spec()?;
        // Until then, the run is owned by the process that starts it, which must not be signalled.
        let deadline = Instant::now() + launch::READY_WITHIN;
        while !run.state()?.is_supervised() {
            if Instant::now() > deadline {
                return Err(Error::Conflict(format!(
                    "{run_id} is still being started; try again in a second"
                )));
            }
            std::thread::sleep(POLL);
        }
        let backend = (self.backends)()
            .into_iter()
            .find(|backend| backend.name() == spec.backend);
        let grace = backend.map_or(TERM_GRACE, |backend| backend.stop_grace());
        let asked = control::ask(
            run.path(),
            &Ask::Stop,
            Duration::from_secs(2),
            &Cancel::default(),
        );
        if asked.is_ok() && wait_for_end(&run, grace)? {
            return self.status(run_id);
        }
        // It does not listen: signals, the second one final.
        let mut killed = false;
        for (signal, grace) in [(Signal::TERM, TERM_GRACE), (Signal::KILL, KILL_GRACE)] {
            if let Some(supervisor) = run.recorded()?.owner.handle() {
                supervisor.signal(signal);
                killed = signal == Signal::KILL;
            }
            if wait_for_end(&run, grace)? {
                break;
            }
        }
        let mut state = self.settled(&run)?;
        if killed && state.status == Status::Failed {
            state.end(Status::Stopped, "the run was stopped; its supervisor had to be killed, so files that are written at the end are missing");
            run.write(&state)?;
        }
        self.status(run_id)
    }

    fn lock(&self, project_dir: &Path) -> Result<std::fs::File> {
        let deadline = Instant::now() + LOCK_PATIENCE;
        loop {
            let holder = match lock::acquire(project_dir)? {
                Attempt::Held(lock) => return Ok(lock),
                Attempt::Busy(holder) => holder,
            };
            // A run that has ended, or a start that fails, frees the lock any moment now.
            let running = holder
                .as_deref()
                .is_some_and(|run_id| self.store.is_running(run_id));
            if running || Instant::now() > deadline {
                return Err(lock::busy(holder.as_deref()));
            }
            std::thread::sleep(POLL);
        }
    }

    fn launch(&self, lock: std::fs::File, backend: &dyn Backend, spec: &Spec) -> Result<()> {
        let run = self.store.create(&spec.run_id)?;
        let cache_dir = &spec.plan.cache_dir;
        let launched = std::fs::create_dir_all(cache_dir)
            .map_err(|error| Error::io("make", cache_dir, &error))
            .and_then(|()| run.write_spec(spec))
            .and_then(|()| {
                run.write(&State {
                    timeout_s: spec.plan.timeout_s,
                    ..State::starting(backend.live(), spec.plan.notes.clone())
                })
            })
            .and_then(|()| launch::supervisor(&self.program, &run, lock));
        if launched.is_err() {
            // Nobody has been told its id.
            let _ = std::fs::remove_dir_all(run.path());
        }
        launched
    }

    fn sweep(&self) {
        self.store.sweep(|run| {
            let _ = self.settled(run);
        });
    }

    /// The state of a run. What a dead supervisor left running is ended.
    fn settled(&self, run: &RunDir) -> Result<State> {
        let mut state = run.state()?;
        if !state.orphaned {
            return Ok(state);
        }
        let spec = run.spec()?;
        // A backend may know what runs by the project only, so this must not meet the project's next run.
        let lock = lock::acquire(&spec.plan.project_dir);
        if matches!(lock, Ok(Attempt::Busy(_))) {
            return Ok(state);
        }
        let backends = (self.backends)();
        if let Some(backend) = backends.iter().find(|known| known.name() == spec.backend) {
            backend.sweep(&spec.plan);
        }
        for directory in [run.path(), &spec.plan.results_dir] {
            regular::clear_away(directory, None);
        }
        state.orphaned = false;
        run.write(&state)?;
        Ok(state)
    }
}

/// The options of `emulation.start`.
struct Options {
    backend: String,
    timeout_s: Option<u64>,
}

impl Options {
    fn parse(options: &Value) -> Result<Self> {
        let mut parsed = Self {
            backend: "auto".into(),
            timeout_s: None,
        };
        let invalid = |message: String| {
            Error::InvalidArgument(format!(
                "{message}; the options of a run are, for example, {{\"timeout_s\": 60, \"backend\": \"auto\"}}"
            ))
        };
        let empty = serde_json::Map::new();
        let map = match options {
            Value::Null => &empty,
            Value::Object(map) => map,
            _ => return Err(invalid("the options must be an object".into())),
        };
        for (key, value) in map {
            match (key.as_str(), value) {
                (_, Value::Null) => {}
                ("backend", Value::String(name)) => parsed.backend.clone_from(name),
                ("backend", _) => return Err(invalid("backend must be a string".into())),
                ("timeout_s", value) => {
                    let seconds = value
                        .as_u64()
                        .filter(|seconds| (1..=MAX_TIMEOUT_S).contains(seconds));
                    parsed.timeout_s = Some(seconds.ok_or_else(|| {
                        invalid(format!(
                            "timeout_s must be a whole number from 1 to {MAX_TIMEOUT_S}"
                        ))
                    })?);
                }
                _ => return Err(invalid(format!("there is no option {key:?}"))),
            }
        }
        Ok(parsed)
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
    Error::Unavailable {
        what: "a backend that can run the project here".into(),
        why: why.join("; "),
        how_to_enable: fixes.join(". "),
    }
}

fn status(spec: &Spec, state: &State) -> Value {
    let mut status = json!({
        "run_id": spec.run_id,
        "status": state.status,
        "phase": state.phase,
        "backend": spec.backend,
        "project_dir": spec.plan.project_dir,
        "results_dir": spec.plan.results_dir,
        "elapsed_s": state.elapsed(),
        "timeout_s": spec.plan.timeout_s,
        "endpoints": state.endpoints,
        "notes": state.notes,
    });
    if let (Some(reason), Some(object)) = (&state.reason, status.as_object_mut()) {
        object.insert("reason".into(), Value::from(reason.as_str()));
    }
    status
}

/// Wait for at most `slice`; whether the run has ended and its supervisor is gone, so that another run can start.
fn await_end(run: &RunDir, slice: Duration) -> Result<bool> {
    // The state of a run whose owner is gone is final.
    let gone = run
        .recorded()?
        .owner
        .handle()
        .is_none_or(|owner| owner.wait(slice));
    Ok(gone && run.state()?.has_ended())
}

fn wait_for_end(run: &RunDir, timeout: Duration) -> Result<bool> {
    let deadline = Instant::now() + timeout;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if await_end(run, POLL.min(left))? {
            return Ok(true);
        }
        if left.is_zero() {
            return Ok(false);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_checked_by_name_and_range() {
        assert_eq!(Options::parse(&Value::Null).unwrap().backend, "auto");
        let options = Options::parse(&json!({ "timeout_s": 5, "backend": "user" })).unwrap();
        assert_eq!(
            (options.timeout_s, options.backend.as_str()),
            (Some(5), "user")
        );
        for wrong in [
            json!([]),
            json!({ "timeout": 5 }),
            json!({ "timeout_s": 0 }),
            json!({ "timeout_s": "5" }),
            json!({ "timeout_s": 1e9 }),
            json!({ "backend": 1 }),
        ] {
            assert!(
                matches!(Options::parse(&wrong), Err(Error::InvalidArgument(_))),
                "{wrong}"
            );
        }
    }
}
