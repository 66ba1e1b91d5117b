//! What is said of a run that is newer than the one that is looked at.

use std::path::PathBuf;

use rookery_contract::shapes::{NewerRun, ResultsState};

/// A run that is newer than the one that was chosen.
#[derive(Debug, Clone)]
pub(super) struct Newer {
    pub run: u64,
    pub state: ResultsState,
    /// None where the run left not even a directory.
    pub dir: Option<PathBuf>,
}

impl Newer {
    /// For people.
    pub(super) fn note(&self) -> String {
        let run = self.run;
        let Some(dir) = &self.dir else {
            return format!("run {run} left nothing: its configuration was probably refused");
        };
        let what = match self.state {
            ResultsState::Running => "is still running",
            ResultsState::NeverRan => "left nothing",
            ResultsState::Died => "died",
            ResultsState::Completed | ResultsState::Other(_) => "did not complete",
        };
        let dir = dir.display();
        format!("run {run} is newer and {what}; to look at it, give results_dir {dir}")
    }

    pub(super) fn told(&self) -> NewerRun {
        let dir = self.dir.as_ref();
        NewerRun {
            run: self.run,
            state: self.state.clone(),
            results_dir: dir.map(|dir| dir.to_string_lossy().into_owned()),
        }
    }
}
