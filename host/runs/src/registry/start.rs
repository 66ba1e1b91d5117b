//! Starting a run. Its id and its record come first: on a busy machine everything after them may
//! take longer than a caller waits, and then the run is found in its phase `starting`.

use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::Child;
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use rookery_contract::options::StartOptions;
use rookery_project::config::{PenguinTrial, command_line};
use rookery_project::{Cancel, Error, Result};
use serde_json::Value;

use crate::backend::Live;
use crate::plan::Plan;
use crate::registry::{POLL, Registry, choose, launch, trial};
use crate::state::lock::Attempt;
use crate::state::record::{Request, Spec, State, Status};
use crate::state::store::RunDir;
use crate::state::{id, lock, results_dir};
use crate::trial_files;

/// A caller waits so long to learn that the run has begun or why it cannot.
const VERDICT_WITHIN: Duration = Duration::from_secs(3);
/// A run that has just ended may still hold the project's lock for this long.
const LOCK_PATIENCE: Duration = Duration::from_secs(2);

impl Registry {
    /// Start a run of the project in `project_dir`, an absolute path without links, whose effective
    /// configuration is `config`.
    ///
    /// Gives the run id.
    pub fn start(
        &self,
        project_dir: &Path,
        config: &Value,
        options: &StartOptions,
    ) -> Result<String> {
        let config = config.clone();
        self.begin(
            project_dir,
            options,
            move |_| Ok((config, None)),
            |_| {},
            &Cancel::default(),
        )
    }

    /// [`Self::start`] of a project whose configuration is still to be read, with the files of a
    /// trial where the backend is to read those. `named` is told the id before anything is slow.
    ///
    /// An error means that there is no run. A start that takes longer than some seconds goes on, as
    /// it does after `cancel`, and its failure is that of the run.
    pub(crate) fn begin(
        &self,
        project_dir: &Path,
        options: &StartOptions,
        config: impl FnOnce(bool) -> Result<Asked> + Send + 'static,
        named: impl FnOnce(&str),
        cancel: &Cancel,
    ) -> Result<String> {
        let project_dir = project_dir
            .canonicalize()
            .map_err(|error| Error::io("open the project", project_dir, &error))?;
        let timeout_s = timeout(options)?;
        let request = Request {
            run_id: id::new(&project_dir)?,
            project_dir,
            backend: options.backend.clone(),
            timeout_s,
            trial: options.fragment.as_ref().map(trial::keys),
        };
        let run_id = request.run_id.clone();
        let run = self.store.create(&request)?;
        run.write(&State::starting(Live::default(), Vec::new()))?;
        named(&run_id);

        let (verdict, begun) = sync_channel(1);
        let starting = Starting {
            registry: self.clone(),
            run: run.clone(),
            request,
        };
        std::thread::Builder::new()
            .name("start-run".into())
            .spawn(move || starting.go(config, &verdict))
            .map_err(|error| {
                run.remove();
                Error::Internal(format!("no thread can be started for the run: {error}"))
            })?;
        let deadline = Instant::now() + VERDICT_WITHIN;
        loop {
            match begun.recv_timeout(POLL) {
                Ok(verdict) => return verdict.map(|()| run_id).inspect_err(|_| run.remove()),
                Err(RecvTimeoutError::Timeout) if Instant::now() < deadline => cancel.check()?,
                // What became of it is the run's to tell.
                Err(_) => return Ok(run_id),
            }
        }
    }
}

/// The configuration of a run, and the files of a trial that the backend reads itself.
type Asked = (Value, Option<PenguinTrial>);

/// What is to be said of a configuration that Penguin's kernel has no room for: a file edited by
/// hand may set what no tool would. With Penguin there is no run.
fn about_command_line(config: &Value, is_penguin: bool) -> Result<Option<String>> {
    match command_line::check_loaded(config) {
        Err(problem) if is_penguin => Err(Error::InvalidArgument(problem)),
        Ok(problem) if is_penguin => Ok(problem),
        Err(problem) => Ok(Some(format!("Penguin cannot run this project: {problem}"))),
        Ok(_) => Ok(None),
    }
}

/// The seconds that the run may take, where they are given.
fn timeout(options: &StartOptions) -> Result<Option<u64>> {
    const MAX: u32 = StartOptions::MAX_TIMEOUT_S;
    match options.timeout_s {
        Some(seconds) if !(1..=MAX).contains(&seconds) => Err(Error::InvalidArgument(format!(
            "timeout_s must be a whole number from 1 to {MAX}; the options of a run are, for \
             example, {{\"timeout_s\": 60, \"backend\": \"auto\"}}"
        ))),
        seconds => Ok(seconds.map(u64::from)),
    }
}

/// A run that is being started, on a thread of its own, which then waits for the supervisor's end:
/// no zombie stays while this process lives.
struct Starting {
    registry: Registry,
    run: RunDir,
    request: Request,
}

impl Starting {
    fn go(&self, config: impl FnOnce(bool) -> Result<Asked>, verdict: &SyncSender<Result<()>>) {
        let launched = catch_unwind(AssertUnwindSafe(|| self.launch(config)))
            .unwrap_or_else(|_| Err(Error::Internal("a defect of Rookery".into())));
        let (begun, supervisor) = match launched {
            Ok(supervisor) => (Ok(()), supervisor),
            Err(error) => {
                self.end(
                    Status::Failed,
                    &format!("the run could not be started: {error}"),
                );
                (Err(error), None)
            }
        };
        // Nobody listens any more where this took long.
        let _ = verdict.send(begun);
        if let Some(mut supervisor) = supervisor {
            let _ = supervisor.wait();
        }
    }

    /// Everything up to the supervisor's report. There is no supervisor where the run was stopped
    /// before.
    fn launch(&self, config: impl FnOnce(bool) -> Result<Asked>) -> Result<Option<Child>> {
        let Request {
            run_id,
            project_dir,
            backend,
            timeout_s,
            trial,
        } = &self.request;
        let (backend, availability) = choose((self.registry.backends)(), backend)?;
        let (config, trial_read) = config(backend.reads_the_project())?;
        let cache_dir = self.registry.state_dir.join("cache");
        let mut plan = Plan::from_config(&config, project_dir, &cache_dir, *timeout_s)?;
        plan.memory_max = self.registry.guest_memory.unwrap_or(plan.memory_max);
        plan.ports = self.registry.ports.clone();
        plan.cache_max = self.registry.cache_max;
        if !self.registry.way_out {
            plan.close_way_out();
        }
        if let Some(seconds) = backend.open_ended_s().filter(|_| plan.is_open_ended()) {
            plan.timeout_s = seconds;
        }
        if backend.writes_results() {
            // What the embedded emulator cannot honour does not concern a backend that is Penguin.
            plan.notes.clear();
            if plan.is_open_ended() {
                plan.notes.push(format!(
                    "neither the call nor core.timeout says how long the run lasts, and {} has no \
                     limit of its own: it goes on until run_stop, for at most {} s",
                    backend.name(),
                    plan.timeout_s
                ));
            }
            if !plan.ports.is_default() {
                plan.notes.push(format!(
                    "the backend {} itself chooses the ports that lead to the guest, in its \
                     container's network, so --ports {} had no effect",
                    backend.name(),
                    plan.ports
                ));
            }
        }
        plan.notes.extend(trial.as_deref().map(trial::note));
        plan.notes
            .extend(about_command_line(&config, backend.reads_the_project())?);
        std::fs::create_dir_all(&cache_dir)
            .map_err(|error| Error::io("make", &cache_dir, &error))?;
        self.registry.sweep();
        let mut lock = self.lock()?;
        lock::sign(&mut lock, run_id)?;
        if self.run.stop_asked().is_some() {
            self.end(Status::Stopped, "the run was stopped before it began");
            return Ok(None);
        }
        plan.results_dir = results_dir::allocate(project_dir)?;
        let results_dir = plan.results_dir.clone();
        trial_files::remove_all(&results_dir);
        let spec = Spec {
            run_id: run_id.clone(),
            backend: backend.name().into(),
            plan,
            config,
            host: availability.checks,
            at_once: self.registry.at_once,
        };
        let mut starting = self.run.recorded()?;
        starting.live = backend.live();
        starting.notes.clone_from(&spec.plan.notes);
        starting.timeout_s = spec.plan.timeout_s;
        let trial_read = trial_read.as_ref();
        let supervisor = trial_read
            .map_or(Ok(()), |trial| {
                trial_files::write(trial, project_dir, &results_dir)
            })
            .and_then(|()| self.run.write_spec(&spec))
            .and_then(|()| self.run.write(&starting))
            .and_then(|()| launch::supervisor(&self.registry.program, &self.run, lock))
            .and_then(|mut supervisor| {
                launch::await_ready(&mut supervisor, &self.run).map(|()| supervisor)
            });
        if supervisor.is_err() {
            trial_files::remove(&results_dir);
            // Only where it is still empty.
            let _ = std::fs::remove_dir(results_dir);
        }
        supervisor.map(Some)
    }

    fn lock(&self) -> Result<File> {
        let deadline = Instant::now() + LOCK_PATIENCE;
        loop {
            let holder = match lock::acquire(&self.request.project_dir)? {
                Attempt::Held(lock) => return Ok(lock),
                Attempt::Busy(holder) => holder,
            };
            // A run that has ended, or a start that fails, frees the lock any moment now.
            let running = holder
                .as_deref()
                .is_some_and(|run_id| self.registry.store.is_running(run_id));
            if running || Instant::now() > deadline {
                return Err(lock::busy(holder.as_deref()));
            }
            std::thread::sleep(POLL);
        }
    }

    fn end(&self, status: Status, reason: &str) {
        let ended = self.run.recorded().and_then(|mut state| {
            state.end(status, reason);
            self.run.write(&state)
        });
        if let Err(error) = ended {
            tracing::error!(%error, "cannot write the run's state");
        }
    }
}

#[cfg(test)]
mod tests {
    use rookery_contract::options::parse;

    use super::*;

    #[test]
    fn a_command_line_that_set_env_would_refuse_is_refused_or_told_of() {
        let config = |bytes: usize| serde_json::json!({ "env": { "sxid": "x".repeat(bytes) } });
        for is_penguin in [true, false] {
            assert_eq!(about_command_line(&config(10), is_penguin), Ok(None));
        }
        let refused = about_command_line(&config(5000), true);
        assert!(
            matches!(refused, Err(Error::InvalidArgument(_))),
            "{refused:?}"
        );
        let told = about_command_line(&config(5000), false).unwrap().unwrap();
        assert!(told.contains("Penguin cannot run"), "{told}");
    }

    #[test]
    fn options_are_checked_by_name_and_range() {
        let checked = |text: &str| {
            let options: StartOptions = parse("options", text)?;
            Ok((timeout(&options)?, options.backend))
        };
        assert_eq!(checked("{}"), Ok((None, "auto".into())));
        let nothing = r#"{"timeout_s": null, "backend": null}"#;
        assert_eq!(checked(nothing), Ok((None, "auto".into())));
        let given = r#"{"timeout_s": 5, "backend": "user"}"#;
        assert_eq!(checked(given), Ok((Some(5), "user".into())));
        for wrong in [
            "[]",
            r#"{"timeout": 5}"#,
            r#"{"timeout_s": 0}"#,
            r#"{"timeout_s": "5"}"#,
            r#"{"timeout_s": 1e9}"#,
            r#"{"timeout_s": 604801}"#,
            r#"{"timeout_s": 99999999999}"#,
            r#"{"backend": 1}"#,
        ] {
            let refused = checked(wrong);
            assert!(
                matches!(refused, Err(Error::InvalidArgument(_))),
                "{wrong}: {refused:?}"
            );
        }
    }
}
