//! Which of a project's runs to look at.

use std::path::{Path, PathBuf};

use rookery_contract::Next;
use rookery_contract::shapes::ResultsState;
use serde_json::json;

use super::directory::Results;
use super::names::{self, Names};
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

/// The directories of `results` with a number for a name, the highest first; each is looked at
/// when it is asked for.
pub(super) fn numbered(
    roots: &Roots,
    project: &Path,
) -> Result<impl Iterator<Item = (u64, PathBuf)>> {
    let base = project.join("results");
    if !roots.contains(&base) {
        return Err(Error::Denied(format!(
            "{} leads out of the roots",
            base.display()
        )));
    }
    let names = match names::newest_first(&base) {
        Ok(names) => names,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Names::default(),
        Err(error) => return Err(Error::io("list", &base, &error)),
    };
    let count = names.len();
    let run = move |at: usize| {
        let (number, name) = names.get(at)?;
        let path = base.join(name);
        (path.is_dir() && roots.contains(&path)).then_some((*number, path))
    };
    Ok((0..count).filter_map(run))
}

/// The newest completed run of a project, else the newest.
pub(super) fn choose(roots: &Roots, project: &Path) -> Result<Chosen> {
    let base = project.join("results");
    let mut runs = numbered(roots, project)?;
    let newest = runs.next();
    // Penguin points `latest` at a run before it checks the configuration.
    let refused = std::fs::read_link(base.join("latest"))
        .ok()
        .and_then(|to| number(to.file_name()?.to_str()?))
        .filter(|latest| newest.as_ref().is_none_or(|(newest, _)| latest > newest))
        .map(|run| Newer {
            run,
            state: ResultsState::NeverRan,
            dir: None,
        });
    let Some(newest) = newest else {
        return Err(no_run(project, refused.as_ref()));
    };
    let chosen = if completed(&newest.1) {
        None
    } else {
        runs.find(|(_, dir)| completed(dir))
    };
    let newer = chosen.is_some().then(|| newer(roots, newest.0, &newest.1));
    let (_, chosen) = chosen.unwrap_or(newest);
    let dir = chosen
        .canonicalize()
        .map_err(|e| Error::io("open", &chosen, &e))?;
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
