//! Which of a project's runs to look at.

use std::path::{Path, PathBuf};

use super::status::{completed, number};
use super::{Results, place};
use crate::roots::Roots;
use crate::{Error, Result};

/// A result directory, and what to say about the choice.
pub(super) struct Chosen {
    pub dir: PathBuf,
    pub note: Option<String>,
}

/// The newest completed run of a project, else the newest. Runs are the directories of `results` with a number for a name.
pub(super) fn choose(roots: &Roots, project: &Path) -> Result<Chosen> {
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
    runs.sort_by_key(|(number, _)| std::cmp::Reverse(*number));
    // Penguin points `latest` at a run before it checks the configuration.
    let refused = std::fs::read_link(base.join("latest"))
        .ok()
        .and_then(|to| number(to.file_name()?.to_str()?))
        .filter(|latest| runs.first().is_none_or(|(newest, _)| latest > newest))
        .map(|run| format!("run {run} left nothing: its configuration was probably refused"));
    let Some(newest) = runs.first() else {
        return Err(no_run(project, refused));
    };
    let chosen = runs
        .iter()
        .find(|(_, dir)| completed(dir))
        .unwrap_or(newest);
    let newer = (chosen.0 != newest.0).then(|| newer(newest.0, &newest.1));
    let dir = chosen
        .1
        .canonicalize()
        .map_err(|e| Error::io("open", &chosen.1, &e))?;
    Ok(Chosen {
        dir,
        note: refused.or(newer),
    })
}

/// What there is to say about a run that is newer than the one that was chosen.
fn newer(run: u64, dir: &Path) -> String {
    let state = Results::open(dir.to_owned())
        .and_then(|run| run.status())
        .ok()
        .and_then(|status| status["state"].as_str().map(str::to_owned));
    let what = match state.as_deref() {
        Some("running") => "goes on",
        Some("never-ran") => "left nothing",
        Some("died") => "died",
        _ => "did not complete",
    };
    format!(
        "run {run} is newer and {what}; to look at it give results_dir {}",
        dir.display()
    )
}

fn no_run(project: &Path, refused: Option<String>) -> Error {
    let others = place::runs(&project.join("results"));
    let (why, how) = if let Some(refused) = refused {
        (
            refused,
            "Run the project again: `run` says what is wrong with its configuration".to_owned(),
        )
    } else if others.is_empty() {
        (
            format!("{} has not been run yet", project.display()),
            "Run the project first".to_owned(),
        )
    } else {
        (
            format!("{} has no run with a number for a name", project.display()),
            format!("Give one as results_dir{}", place::list(": ", &others)),
        )
    };
    Error::Unavailable {
        what: "results".into(),
        why,
        how_to_enable: how,
    }
}
