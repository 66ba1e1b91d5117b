//! What is kept of a run on disk: `state_dir/runs/RUN_ID/` with `request.json`, `spec.json`,
//! `state.json`, perhaps `stop.json`, and the supervisor's log.

use std::fs;
use std::io::{ErrorKind, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rookery_project::{Error, Result, regular};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::state::lock::Attempt;
use crate::state::record::{Request, Spec, State, Status, Stop};
use crate::state::{id, lock};

/// The state of ended runs is kept for this long.
const KEPT: Duration = Duration::from_hours(7 * 24);
const MAX_FILE: u64 = 256 << 20;
/// Bytes of a supervisor's log that are shown.
const LOG_TAIL: u64 = 2000;

/// A run's directory.
#[derive(Debug, Clone)]
pub(crate) struct RunDir(PathBuf);

impl RunDir {
    /// The directory that holds the spec at `spec`.
    pub(crate) fn of_spec(spec: &Path) -> Result<Self> {
        spec.parent()
            .map(|directory| Self(directory.to_owned()))
            .ok_or_else(|| Error::InvalidArgument("the spec has no directory".into()))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn spec_path(&self) -> PathBuf {
        self.0.join("spec.json")
    }

    pub(crate) fn log_path(&self) -> PathBuf {
        self.0.join("supervisor.log")
    }

    fn state_path(&self) -> PathBuf {
        self.0.join("state.json")
    }

    pub(crate) fn request(&self) -> Result<Request> {
        match read_json(&self.0.join("request.json")) {
            // A run that an earlier version started.
            Err(Error::NotFound(_)) => self.spec().map(|spec| Request {
                run_id: spec.run_id,
                project_dir: spec.plan.project_dir,
                backend: spec.backend,
                timeout_s: Some(spec.plan.timeout_s),
                trial: None,
            }),
            read => read,
        }
    }

    /// What the supervisor was given; `NotFound` before it is launched.
    pub(crate) fn spec(&self) -> Result<Spec> {
        read_json(&self.spec_path())
    }

    /// Leave word that the run is to stop, and has to be over within `grace`. The first word
    /// counts.
    pub(crate) fn ask_to_stop(&self, grace: Duration) -> Result<()> {
        if self.stop_asked().is_some() {
            return Ok(());
        }
        write_json(&self.stop_path(), &Stop::within(grace))
    }

    pub(crate) fn stop_asked(&self) -> Option<Stop> {
        read_json(&self.stop_path()).ok()
    }

    fn stop_path(&self) -> PathBuf {
        self.0.join("stop.json")
    }

    /// Forget the run.
    pub(crate) fn remove(&self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            tracing::warn!(%error, run = %self.0.display(), "cannot remove the run's state");
        }
    }

    pub(crate) fn write_spec(&self, spec: &Spec) -> Result<()> {
        write_json(&self.spec_path(), spec)
    }

    /// The state as it was last written.
    pub(crate) fn recorded(&self) -> Result<State> {
        read_json(&self.state_path())
    }

    pub(crate) fn write(&self, state: &State) -> Result<()> {
        write_json(&self.state_path(), state)
    }

    /// The state, where a run whose owner died has ended.
    pub(crate) fn state(&self) -> Result<State> {
        let state = self.recorded()?;
        if state.has_ended() || self.is_owned(&state) {
            return Ok(state);
        }
        // It may have ended between the two looks, which is why the file is read again.
        let mut state = self.recorded()?;
        if !state.has_ended() && !self.is_owned(&state) {
            let last_sign = self.last_sign();
            let (status, reason) = self.died(&state);
            // A run without a supervisor has left nothing behind.
            state.orphaned = state.is_supervised();
            state.end(status, reason);
            state.elapsed_s = state
                .elapsed_s
                .map(|elapsed| (elapsed - last_sign).max(0.0));
            let _ = self.write(&state);
            let _ = fs::remove_file(self.0.join(crate::control::SOCKET));
        }
        Ok(state)
    }

    /// Whether somebody answers for a run that has not ended.
    fn is_owned(&self, state: &State) -> bool {
        state.owner.is_alive() || (!state.is_supervised() && self.is_being_taken_over())
    }

    /// Whether a supervisor was started, which alone holds the project's lock once the process that
    /// started it is gone.
    fn is_being_taken_over(&self) -> bool {
        let Ok(request) = self.request() else {
            return false;
        };
        let lock = lock::acquire(&request.project_dir);
        matches!(lock, Ok(Attempt::Busy(Some(holder))) if holder == request.run_id)
    }

    /// How a run whose owner died has ended.
    fn died(&self, state: &State) -> (Status, &'static str) {
        if !state.is_supervised() {
            let reason = "the server that was starting the run ended before the run had begun; \
                          start it again";
            (Status::Failed, reason)
        } else if self.stop_asked().is_some() {
            let reason = "the run was stopped; its supervisor had to be killed, so files that are \
                          written at the end are missing";
            (Status::Stopped, reason)
        } else if state.is_overdue() {
            let reason = "the run did not end soon after its deadline: its supervisor ended \
                          itself, was killed or died; what it had written is kept, and files that \
                          are written at the end are missing";
            (Status::Failed, reason)
        } else {
            let reason = "the run's supervisor was killed or died, so the run ended early; what it \
                          had written is kept, and files that are written at the end are missing";
            (Status::Failed, reason)
        }
    }

    /// For how many seconds the supervisor has not written its state: it died in that time.
    fn last_sign(&self) -> f64 {
        let written = fs::metadata(self.state_path()).and_then(|file| file.modified());
        written
            .ok()
            .and_then(|written| written.elapsed().ok())
            .unwrap_or_default()
            .as_secs_f64()
    }

    /// The last lines of the supervisor's log.
    pub(crate) fn log_tail(&self) -> String {
        let read = || {
            let mut log = regular::open(&self.log_path())?;
            let size = log.metadata()?.len();
            log.seek(SeekFrom::Start(size.saturating_sub(LOG_TAIL)))?;
            let mut tail = Vec::new();
            log.take(LOG_TAIL).read_to_end(&mut tail)?;
            std::io::Result::Ok(tail)
        };
        String::from_utf8_lossy(&read().unwrap_or_default())
            .trim()
            .to_owned()
    }
}

/// All runs of this user.
#[derive(Debug, Clone)]
pub(crate) struct Store {
    runs: PathBuf,
}

impl Store {
    pub(crate) fn new(state_dir: &Path) -> Self {
        Self {
            runs: state_dir.join("runs"),
        }
    }

    /// An existing run; its id is checked before it touches a path.
    pub(crate) fn open(&self, run_id: &str) -> Result<RunDir> {
        id::check(run_id)?;
        let directory = self.runs.join(run_id);
        if directory.join("state.json").is_file() {
            Ok(RunDir(directory))
        } else {
            Err(unknown(run_id))
        }
    }

    /// A directory for a new run, closed to other users.
    pub(crate) fn create(&self, request: &Request) -> Result<RunDir> {
        id::check(&request.run_id)?;
        let directory = self.runs.join(&request.run_id);
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.runs)
            .and_then(|()| fs::DirBuilder::new().mode(0o700).create(&directory))
            .map_err(|error| Error::io("make the run's state directory", &directory, &error))?;
        write_json(&directory.join("request.json"), request)?;
        Ok(RunDir(directory))
    }

    /// Whether a run is known here and lives.
    pub(crate) fn is_running(&self, run_id: &str) -> bool {
        self.open(run_id)
            .and_then(|run| run.recorded())
            .is_ok_and(|state| !state.has_ended() && state.owner.is_alive())
    }

    /// The ids of all runs whose state is kept.
    pub(crate) fn ids(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.runs).into_iter().flatten().flatten();
        let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
        names.filter(|name| id::is_valid(name)).collect()
    }

    /// Forget runs that ended long ago, and give to `orphan` those of dead supervisors that were
    /// not cleared up.
    pub(crate) fn sweep(&self, mut orphan: impl FnMut(&RunDir)) {
        let Ok(entries) = fs::read_dir(&self.runs) else {
            return;
        };
        for entry in entries.flatten() {
            if !entry.file_name().to_str().is_some_and(id::is_valid) {
                continue;
            }
            let run = RunDir(entry.path());
            match run.recorded() {
                Ok(state) if !state.has_ended() && state.owner.is_alive() => {}
                Ok(state) if !state.has_ended() || state.orphaned => orphan(&run),
                _ if is_old(&entry) => {
                    let _ = fs::remove_dir_all(run.path());
                }
                _ => {}
            }
        }
    }
}

/// The error for a run that does not exist, or must not be seen.
pub(crate) fn unknown(run_id: &str) -> Error {
    Error::NotFound(format!(
        "there is no run {run_id}; state is kept for 7 days after a run has ended, and only runs \
         of projects below the roots are visible"
    ))
}

fn is_old(entry: &fs::DirEntry) -> bool {
    let changed = entry.metadata().and_then(|metadata| metadata.modified());
    changed.is_ok_and(|changed| changed.elapsed().is_ok_and(|age| age > KEPT))
}

fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T> {
    let text = regular::read(path, MAX_FILE).map_err(|error| match error.kind() {
        ErrorKind::NotFound => Error::NotFound(format!(
            "the run's state is gone: {} is missing",
            path.display()
        )),
        _ => Error::io("read", path, &error),
    })?;
    serde_json::from_slice(&text)
        .map_err(|error| Error::Internal(format!("{} is damaged: {error}", path.display())))
}

fn write_json(path: &Path, value: &impl Serialize) -> Result<()> {
    let text = serde_json::to_vec(value)
        .map_err(|error| Error::Internal(format!("cannot encode {}: {error}", path.display())))?;
    regular::replace(path, &text, false).map_err(|error| Error::io("write", path, &error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::Live;
    use crate::state::process::Identity;

    const ID: &str = "run-router-0123456789abc";

    fn store() -> (tempfile::TempDir, Store) {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::new(directory.path());
        (directory, store)
    }

    fn request(run_id: &str) -> Request {
        Request {
            run_id: run_id.to_owned(),
            project_dir: PathBuf::from("/nowhere"),
            backend: "auto".to_owned(),
            timeout_s: None,
            trial: None,
        }
    }

    fn dead_owner() -> Identity {
        let json = serde_json::json!({ "pid": 1, "started": 1, "boot": "another" });
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn the_directory_of_a_run_is_closed_to_others() {
        use std::os::unix::fs::PermissionsExt as _;
        let (_guard, store) = store();
        let run = store.create(&request(ID)).unwrap();
        assert_eq!(
            fs::metadata(run.path()).unwrap().permissions().mode() & 0o777,
            0o700
        );
        assert_eq!(
            fs::metadata(run.path().parent().unwrap())
                .unwrap()
                .permissions()
                .mode()
                & 0o777,
            0o700
        );
    }

    #[test]
    fn a_run_whose_owner_died_has_failed_and_stays_so() {
        let (_guard, store) = store();
        let run = store.create(&request(ID)).unwrap();
        run.write(&State {
            owner: dead_owner(),
            phase: "booting".into(),
            ..State::starting(Live::default(), Vec::new())
        })
        .unwrap();
        let state = run.state().unwrap();
        assert_eq!(state.status, Status::Failed);
        assert!(state.reason.unwrap().contains("died"));
        assert_eq!(run.recorded().unwrap().status, Status::Failed);
    }

    #[test]
    fn a_supervisor_that_was_not_done_after_the_deadline_may_have_ended_itself() {
        let (_guard, store) = store();
        let run = store.create(&request(ID)).unwrap();
        let now = State::starting(Live::default(), Vec::new());
        for (ago, told) in [(4.0, false), (8.0, true)] {
            run.write(&State {
                owner: dead_owner(),
                phase: "booting".into(),
                started: now.started - ago,
                timeout_s: 5,
                ..now.clone()
            })
            .unwrap();
            let reason = run.state().unwrap().reason.unwrap();
            assert_eq!(reason.contains("after its deadline"), told, "{reason}");
        }
    }

    #[test]
    fn a_start_whose_server_died_before_the_launch_has_failed_and_left_nothing() {
        let (_guard, store) = store();
        let run = store.create(&request(ID)).unwrap();
        run.write(&State {
            owner: dead_owner(),
            ..State::starting(Live::default(), Vec::new())
        })
        .unwrap();
        let state = run.state().unwrap();
        assert_eq!((state.status, state.orphaned), (Status::Failed, false));
        assert!(state.reason.unwrap().contains("start it again"));
    }

    #[test]
    fn the_sweep_reports_orphans_and_forgets_the_old() {
        let (_guard, store) = store();
        let orphan = store.create(&request(ID)).unwrap();
        orphan
            .write(&State {
                owner: dead_owner(),
                phase: "booting".into(),
                ..State::starting(Live::default(), Vec::new())
            })
            .unwrap();
        let mut ended = State::starting(Live::default(), Vec::new());
        ended.end(Status::Finished, "done");
        let (old, recent) = ("run-router-1111111111111", "run-router-2222222222222");
        for id in [old, recent] {
            store.create(&request(id)).unwrap().write(&ended).unwrap();
        }
        let eight_days_ago = std::time::SystemTime::now() - Duration::from_hours(8 * 24);
        fs::File::open(store.open(old).unwrap().path())
            .unwrap()
            .set_modified(eight_days_ago)
            .unwrap();
        let mut orphans = Vec::new();
        store.sweep(|run| orphans.push(run.path().to_owned()));
        assert_eq!(orphans, [orphan.path()]);
        // Who looks at it does not clear up what it left.
        assert!(orphan.state().unwrap().has_ended());
        store.sweep(|run| orphans.push(run.path().to_owned()));
        assert_eq!(orphans, [orphan.path(), orphan.path()]);
        assert!(store.open(old).is_err());
        assert!(store.open(recent).is_ok());
    }

    #[test]
    fn an_unknown_or_malformed_id_is_not_found() {
        let (_guard, store) = store();
        for id in [ID, "../../etc", ""] {
            assert!(matches!(store.open(id), Err(Error::NotFound(_))), "{id}");
        }
    }
}
