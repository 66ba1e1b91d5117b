//! Which of a project's runs to look at.

use std::path::{Path, PathBuf};

use rookery_contract::Next;
use rookery_contract::shapes::ResultsState;
use serde_json::json;

use super::directory::Results;
use super::newer::Newer;
use super::numbers::number;
use super::place;
use super::status::{self, completed};
use crate::ground::roots::Roots;
use crate::{Error, Result, Unavailable};

/// A result directory, and the run that is newer.
pub(super) struct Chosen {
    pub dir: PathBuf,
    pub newer: Option<Newer>,
}

/// The directories of `results` with a number for a name, the highest first.
pub(super) fn numbered(roots: &Roots, project: &Path) -> Result<Vec<(u64, PathBuf)>> {
    let base = project.join("results");
    if !roots.contains(&base) {
        return Err(Error::Denied(format!(
            "{} leads out of the roots",
            base.display()
        )));
    }
    let mut runs: Vec<(u64, PathBuf)> = match std::fs::read_dir(&base) {
        Ok(entries) => entries
            .flatten()
            .filter_map(|entry| Some((number(entry.file_name().to_str()?)?, entry.path())))
            .filter(|(_, path)| path.is_dir() && roots.contains(path))
            .collect(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(Error::io("list", &base, &error)),
    };
    // Of two names of one number (`7`, `007`), the one that a run has by itself.
    runs.sort_by_key(|(number, path)| (std::cmp::Reverse(*number), path.as_os_str().len()));
    Ok(runs)
}

/// The newest completed run of a project, else the newest.
pub(super) fn choose(roots: &Roots, project: &Path) -> Result<Chosen> {
    let base = project.join("results");
    let runs = numbered(roots, project)?;
    // Penguin points `latest` at a run before it checks the configuration.
    let refused = std::fs::read_link(base.join("latest"))
        .ok()
        .and_then(|to| number(to.file_name()?.to_str()?))
        .filter(|latest| runs.first().is_none_or(|(newest, _)| latest > newest))
        .map(|run| Newer {
            run,
            state: ResultsState::NeverRan,
            dir: None,
        });
    let Some(newest) = runs.first() else {
        return Err(no_run(project, refused.as_ref()));
    };
    let chosen = runs
        .iter()
        .find(|(_, dir)| completed(dir))
        .unwrap_or(newest);
    let newer = (chosen.0 != newest.0).then(|| newer(roots, newest.0, &newest.1));
    let dir = chosen
        .1
        .canonicalize()
        .map_err(|e| Error::io("open", &chosen.1, &e))?;
    Ok(Chosen {
        dir,
        newer: refused.or(newer),
    })
}

fn newer(roots: &Roots, run: u64, dir: &Path) -> Newer {
    let status = Results::open(roots, dir.to_owned()).and_then(|run| status::status(&run));
    Newer {
        run,
        state: status.map(|status| status.state).unwrap_or_default(),
        dir: Some(dir.to_owned()),
    }
}

fn no_run(project: &Path, refused: Option<&Newer>) -> Error {
    let run = Next::call("run", json!({ "project_dir": project.to_string_lossy() }));
    let others = place::runs(&project.join("results"));
    let (why, how) = if let Some(refused) = refused {
        (
            refused.note(),
            format!("Call {run}: it says what is wrong with the configuration"),
        )
    } else if others.is_empty() {
        (
            format!("{} has not been run yet", project.display()),
            format!("Call {run}"),
        )
    } else {
        (
            format!(
                "{} has no result directory whose name is a number",
                project.display()
            ),
            format!(
                "Call {run}, or give one of these as results_dir{}",
                place::list(": ", &others)
            ),
        )
    };
    Error::Unavailable(Unavailable {
        what: "results".into(),
        why,
        how_to_enable: how,
    })
}
