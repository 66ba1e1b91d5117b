//! Stopping a run: asked for at once, seen through by whoever looks at the run next.
//!
//! A backend may need long to end in good order, and a caller does not wait for that: what was
//! asked, and by when it has to be done, is kept beside the run's state. Every later look at the
//! run finds the supervisor still within its grace, or ends it.

use std::time::{Duration, Instant};

use rookery_contract::shapes::RunStatus;
use rookery_project::{Cancel, Result};
use rustix::process::Signal;

use crate::control;
use crate::control::wire::Ask;
use crate::registry::{POLL, Registry, await_end};
use crate::state::record::State;
use crate::state::store::RunDir;

/// The caller waits so long for the end; most runs need less.
const PROMPT: Duration = Duration::from_secs(2);
/// For a run whose backend this program does not know.
const USUAL_GRACE: Duration = Duration::from_secs(8);

impl Registry {
    /// Ask the run to stop, and give its status: ended, or in its phase `stopping` where that takes
    /// longer than a moment.
    pub fn stop(&self, run_id: &str) -> Result<RunStatus> {
        let run = self.store.open(run_id)?;
        if !self.settled(&run)?.has_ended() {
            let deadline = Instant::now() + PROMPT;
            // Before the supervisor is asked: one that does not listen yet looks for this once it
            // does.
            run.ask_to_stop(self.stop_grace(&run))?;
            let asked = control::ask::<serde_json::Value>(
                run.path(),
                &Ask::Stop,
                PROMPT,
                &Cancel::default(),
            );
            if asked.is_err() {
                signal(&run, Signal::TERM)?;
            }
            while !await_end(&run, POLL)? && Instant::now() < deadline {
                enforce(&run)?;
            }
        }
        self.status(run_id)
    }

    fn stop_grace(&self, run: &RunDir) -> Duration {
        let name = run.spec().map(|spec| spec.backend).unwrap_or_default();
        let backends = (self.backends)();
        let backend = backends.iter().find(|backend| backend.name() == name);
        backend.map_or(USUAL_GRACE, |backend| backend.stop_grace())
    }
}

/// End the supervisor of a run that had to be stopped by now.
pub(crate) fn enforce(run: &RunDir) -> Result<()> {
    if run.stop_asked().is_some_and(|stop| stop.is_overdue()) {
        signal(run, Signal::KILL)?;
    }
    Ok(())
}

/// Only a supervisor is signalled: until it has taken over, the run is owned by the process that
/// starts it.
fn signal(run: &RunDir, signal: Signal) -> Result<()> {
    let state: State = run.recorded()?;
    if state.is_supervised()
        && !state.has_ended()
        && let Some(supervisor) = state.owner.handle()
    {
        supervisor.signal(signal);
    }
    Ok(())
}
