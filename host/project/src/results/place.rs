//! Whether a directory is that of one run, and what to name instead if it is not.

use std::path::{Path, PathBuf};

use crate::ground::roots::Roots;
use crate::penguin::project::MAIN;
use crate::penguin::result_files;
use crate::{Error, Result};

/// Directories named in an error.
const NAMED: usize = 5;

/// Refuse a directory that plainly is something else: a project, or one that holds runs.
///
/// One that is empty is a run that left nothing.
pub(super) fn check(dir: &Path) -> Result<()> {
    if holds_results(dir) {
        return Ok(());
    }
    let shown = dir.display();
    let project = dir.parent().filter(|parent| {
        dir.file_name().is_some_and(|name| name == "results") && is_project(parent)
    });
    let why = if is_project(dir) {
        format!(
            "{shown} is a project, not the result directory of a run: give it as project_dir, or \
             a directory of {shown}/results"
        )
    } else if let Some(project) = project {
        format!(
            "{shown} holds all runs of a project: give project_dir {}, or one run as results_dir{}",
            project.display(),
            list(": ", &runs(dir))
        )
    } else {
        let runs = runs(dir);
        if runs.is_empty() {
            return Ok(());
        }
        format!(
            "{shown} is not the result directory of one run, but holds several: give one as \
             results_dir{}",
            list(": ", &runs)
        )
    };
    Err(Error::InvalidArgument(why))
}

/// The project that a directory is a run of (`PROJECT/results/N`), if it lies below a root.
pub(super) fn project(roots: &Roots, dir: &Path) -> Option<PathBuf> {
    let results = dir.parent()?;
    let project = results.parent().filter(|_| results.ends_with("results"))?;
    (is_project(project) && roots.contains(project)).then(|| project.to_owned())
}

/// What to say of a result directory of a project that is not there.
pub(crate) fn absent(project: &Path, dir: &Path) -> Error {
    let what = if dir.is_symlink() {
        "leads to a run that left nothing: its configuration was probably refused"
    } else {
        "does not exist"
    };
    Error::NotFound(format!(
        "{} {what}; leave results_dir out for the newest complete run of {}{}",
        dir.display(),
        project.display(),
        list(", or give one of ", &runs(&project.join("results")))
    ))
}

/// The directories below `dir` that hold results, sorted.
pub(super) fn runs(dir: &Path) -> Vec<PathBuf> {
    let mut runs: Vec<PathBuf> = std::fs::read_dir(dir)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        // `latest` is a link to one of them.
        .filter(|path| {
            path.symlink_metadata().is_ok_and(|meta| meta.is_dir()) && holds_results(path)
        })
        .collect();
    runs.sort();
    runs
}

/// The first of `runs`, after `before`; nothing where there are none.
pub(super) fn list(before: &str, runs: &[PathBuf]) -> String {
    let named: Vec<String> = runs
        .iter()
        .take(NAMED)
        .map(|run| run.display().to_string())
        .collect();
    match (named.is_empty(), runs.len() > NAMED) {
        (true, _) => String::new(),
        (_, more) => format!(
            "{before}{}{}",
            named.join(", "),
            if more { ", …" } else { "" }
        ),
    }
}

pub(super) fn holds_results(dir: &Path) -> bool {
    std::fs::read_dir(dir)
        .into_iter()
        .flatten()
        .flatten()
        .any(|entry| {
            entry
                .file_name()
                .to_str()
                .is_some_and(result_files::is_known)
        })
}

fn is_project(dir: &Path) -> bool {
    dir.join(MAIN).is_file()
}
