//! Where a run's results go: `results/N`, numbered as Penguin numbers them, and `results/latest`.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use rookery_project::results::next_run;
use rookery_project::{Error, Result};

/// Make the next result directory. The caller holds the project's lock.
pub(crate) fn allocate(project_dir: &Path) -> Result<PathBuf> {
    let base = project_dir.join("results");
    let failed = |error: &std::io::Error| Error::io("make a result directory in", &base, error);
    match fs::create_dir(&base) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(failed(&error)),
        _ => {}
    }
    let real = base.canonicalize().map_err(|error| failed(&error))?;
    if !real.starts_with(project_dir) {
        return Err(Error::Denied(format!(
            "{} is a link that leads out of the project, so nothing is written there; replace it \
             by a directory",
            base.display()
        )));
    }
    // Real Penguin numbers its runs without our lock.
    for _ in 0..16 {
        let names = fs::read_dir(&real)
            .map_err(|error| failed(&error))?
            .flatten()
            .filter_map(|entry| entry.file_name().into_string().ok());
        let directory = real.join(next_run(names).to_string());
        match fs::create_dir(&directory) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            made => return made.map(|()| directory).map_err(|error| failed(&error)),
        }
    }
    Err(failed(&ErrorKind::ResourceBusy.into()))
}

/// Make `results/latest` lead to `directory`. A `latest` that is no link is left alone, and said.
pub(crate) fn point_latest(directory: &Path) -> std::result::Result<(), String> {
    let (Some(base), Some(name)) = (directory.parent(), directory.file_name()) else {
        return Err("no results directory".into());
    };
    let latest = base.join("latest");
    match fs::symlink_metadata(&latest) {
        Ok(metadata) if !metadata.is_symlink() => {
            return Err("results/latest is not a link; it was left as it is".into());
        }
        _ => {}
    }
    // Made beside it and renamed over it, so that there is a `latest` at every moment. The caller
    // holds the project's lock, so what is there was left by one that was killed.
    let fresh = base.join(".rookery-latest");
    let _ = fs::remove_file(&fresh);
    symlink(Path::new(".").join(name), &fresh)
        .and_then(|()| fs::rename(&fresh, &latest))
        .map_err(|error| format!("results/latest could not be set: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn project() -> (tempfile::TempDir, PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().canonicalize().unwrap();
        (directory, path)
    }

    #[test]
    fn numbers_follow_the_highest_one() {
        let (_guard, project) = project();
        assert_eq!(allocate(&project).unwrap(), project.join("results/0"));
        assert_eq!(allocate(&project).unwrap(), project.join("results/1"));
        fs::create_dir(project.join("results/41")).unwrap();
        fs::create_dir(project.join("results/notes")).unwrap();
        assert_eq!(allocate(&project).unwrap(), project.join("results/42"));
    }

    #[test]
    fn no_name_keeps_a_project_from_being_run() {
        let (_guard, project) = project();
        let results = project.join("results");
        fs::create_dir(&results).unwrap();
        for name in [
            "18446744073709551615",
            "-1",
            "+8",
            "007",
            "9007199254740991",
        ] {
            fs::create_dir(results.join(name)).unwrap();
        }
        fs::create_dir(results.join("9".repeat(255))).unwrap();
        fs::write(results.join("8"), "a file").unwrap();
        symlink("nothing", results.join("9")).unwrap();
        assert_eq!(allocate(&project).unwrap(), results.join("10"));
        assert_eq!(allocate(&project).unwrap(), results.join("11"));
    }

    #[test]
    fn latest_is_a_relative_link_to_the_newest() {
        let (_guard, project) = project();
        for number in ["0", "1"] {
            point_latest(&allocate(&project).unwrap()).unwrap();
            assert_eq!(
                fs::read_link(project.join("results/latest")).unwrap(),
                Path::new("./").join(number)
            );
        }
    }

    #[test]
    fn a_directory_called_latest_is_left_alone() {
        let (_guard, project) = project();
        let directory = allocate(&project).unwrap();
        fs::create_dir(project.join("results/latest")).unwrap();
        assert!(point_latest(&directory).is_err());
    }

    #[test]
    fn nothing_is_written_through_a_link_out_of_the_project() {
        let (_guard, project) = project();
        let (_other_guard, other) = self::project();
        symlink(&other, project.join("results")).unwrap();
        assert!(matches!(allocate(&project), Err(Error::Denied(_))));
        assert_eq!(fs::read_dir(other).unwrap().count(), 0);
    }
}
