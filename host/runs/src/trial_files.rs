//! The files of a trial that Penguin reads (`PenguinTrial`): they lie beside the results of its run
//! while that is under way, in a directory that nothing else looks at.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use rookery_project::config::PenguinTrial;
use rookery_project::{Error, Result, regular};

/// What begins the directory's name. The wrapper mounts it by its name alone, which no other
/// directory of a run has.
const PREFIX: &str = ".trial-";

/// A run's own directory for them. `None` for what is not a result directory.
fn place(results_dir: &Path) -> Option<PathBuf> {
    let number = results_dir.file_name()?.to_str()?;
    Some(results_dir.with_file_name(format!("{PREFIX}{number}")))
}

/// The main file of the trial that this run is, if it is one.
pub(crate) fn main_file(results_dir: &Path) -> Option<PathBuf> {
    let file = place(results_dir)?.join(PenguinTrial::MAIN);
    file.is_file().then_some(file)
}

/// Write them for a run that is about to start. The caller holds the project's lock.
pub(crate) fn write(trial: &PenguinTrial, project_dir: &Path, results_dir: &Path) -> Result<()> {
    let not_there = || Error::Internal("a run without a result directory".into());
    let place = place(results_dir).ok_or_else(not_there)?;
    let relative = place.strip_prefix(project_dir).map_err(|_| not_there())?;
    let relative = relative.to_str().ok_or_else(|| {
        Error::InvalidArgument("the name of the result directory is not text".into())
    })?;
    fs::create_dir(&place).map_err(|error| Error::io("make", &place, &error))?;
    for (name, text) in trial.files(relative) {
        let file = place.join(name);
        regular::create(&file)
            .and_then(|mut file| file.write_all(text.as_bytes()))
            .map_err(|error| Error::io("write", &file, &error))?;
    }
    Ok(())
}

/// Remove what is left of a trial.
pub(crate) fn remove(results_dir: &Path) {
    if let Some(place) = place(results_dir) {
        clear_away(&place);
    }
}

/// Remove those of all runs before: the caller holds the project's lock, so none is under way.
pub(crate) fn remove_all(results_dir: &Path) {
    let entries = results_dir.parent().map(fs::read_dir).into_iter().flatten();
    for entry in entries.flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with(PREFIX) {
            clear_away(&entry.path());
        }
    }
}

fn clear_away(place: &Path) {
    match fs::remove_dir_all(place) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            tracing::warn!(%error, place = %place.display(), "the files of a trial are left");
        }
        _ => {}
    }
}

/// Removes them when the run is over, however it ends.
pub(crate) struct WhileItRuns<'a>(pub(crate) &'a Path);

impl Drop for WhileItRuns<'_> {
    fn drop(&mut self) {
        remove(self.0);
    }
}
