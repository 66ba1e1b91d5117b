//! What can be removed: results of runs, unpacked root filesystems, emulators, compiled plugins.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rookery_contract::options::RunListOptions;
use rookery_contract::shapes::ResultsState;
use rookery_project::{Cancel, Error, Result, Roots, try_lock};
use rustix::fs::{Mode, OFlags};

/// Directories of a root in which projects are looked for.
const PROJECTS: usize = 2000;
/// Files of one item that are counted.
const FILES: usize = 200_000;

/// What an item is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Of a run of this project.
    Results(PathBuf),
    /// What only saves time.
    Cache,
}

/// One thing that is removed as a whole.
#[derive(Clone, Debug)]
pub struct Item {
    /// Where it is.
    pub path: PathBuf,
    /// What it is.
    pub kind: Kind,
    /// What it takes on the disk.
    pub bytes: u64,
    /// Since it was last written or used.
    pub age: Duration,
    /// It is in use, or the newest of its project.
    pub needed: bool,
}

/// The results of all projects that are a root or lie right below one, each project's newest first.
pub fn results(roots: &Roots) -> Result<Vec<Item>> {
    let mut items = Vec::new();
    for root in roots.dirs() {
        let below = fs::read_dir(root).map_err(|error| Error::io("read", root, &error))?;
        let below = below.flatten().take(PROJECTS);
        let below = below.map(|entry| entry.path());
        for project in std::iter::once(root.clone()).chain(below) {
            if project.join("config.yaml").is_file() && project.join("results").is_dir() {
                items.extend(of_project(roots, &project)?);
            }
        }
    }
    Ok(items)
}

/// The results of one project, the newest first.
pub fn of_project(roots: &Roots, project: &Path) -> Result<Vec<Item>> {
    let options = RunListOptions {
        limit: RunListOptions::MAX_RUNS,
        ..RunListOptions::default()
    };
    let listed = roots.runs(&project.to_string_lossy(), &options, &Cancel::default())?;
    let mut complete = false;
    let items = listed.runs.iter().enumerate().map(|(n, run)| {
        // The newest of all, and the newest that got to its end, are what tools look at.
        let first_complete = !complete && run.state == ResultsState::Completed;
        complete |= first_complete;
        let path = PathBuf::from(&run.results_dir);
        let goes_on = match run.state {
            ResultsState::Running => true,
            ResultsState::Died => perhaps_goes_on(roots, &run.results_dir),
            _ => false,
        };
        Item {
            bytes: bytes_below(&path),
            age: age(&path),
            kind: Kind::Results(project.to_owned()),
            needed: n == 0 || first_complete || goes_on,
            path,
        }
    });
    Ok(items.collect())
}

fn perhaps_goes_on(roots: &Roots, results_dir: &str) -> bool {
    let status = roots
        .results(None, Some(results_dir))
        .and_then(|results| results.status());
    status.is_ok_and(|status| status.perhaps_running)
}

/// What is kept between runs and between servers.
pub fn caches(cache_dir: &Path, state_dir: &Path) -> Vec<Item> {
    let components = entries(&cache_dir.join("components"));
    let compiled = components.filter(|path| {
        let ending = path.extension().and_then(|ending| ending.to_str());
        matches!(ending, Some("cwasm" | "json"))
    });
    let kept = entries(&state_dir.join("cache")).filter(|path| {
        let name = path.file_name().and_then(|name| name.to_str());
        name.is_some_and(|name| name.starts_with("rootfs-") || name.starts_with("emulator-"))
    });
    let item = |path: PathBuf| Item {
        bytes: bytes_below(&path),
        age: age(&path),
        kind: Kind::Cache,
        needed: path.is_dir() && lock(&path).is_err(),
        path,
    };
    compiled.chain(kept).map(item).collect()
}

impl Item {
    /// Remove it. Of a directory that a run uses it is an error.
    pub fn remove(&self) -> io::Result<()> {
        if !self.path.is_dir() {
            return fs::remove_file(&self.path);
        }
        let _held = match self.kind {
            Kind::Cache => Some(lock(&self.path)?),
            Kind::Results(_) => None,
        };
        // Aside first, so that nobody finds half of it.
        let aside = self.path.with_file_name(format!(
            ".pruned-{}-{}",
            std::process::id(),
            self.path.file_name().unwrap_or_default().to_string_lossy()
        ));
        fs::rename(&self.path, &aside)?;
        fs::remove_dir_all(&aside)
    }
}

/// Runs share a lock of what they use, a file or a directory.
fn lock(path: &Path) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let opened = File::from(rustix::fs::open(path, flags, Mode::empty())?);
    try_lock(&opened)?;
    Ok(opened)
}

fn entries(dir: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    entries
        .filter(|entry| entry.file_type().is_ok_and(|kind| !kind.is_symlink()))
        .map(|entry| entry.path())
}

fn age(path: &Path) -> Duration {
    let written = path.symlink_metadata().and_then(|meta| meta.modified());
    let written = written.unwrap_or_else(|_| SystemTime::now());
    written.elapsed().unwrap_or_default()
}

/// What it takes on the disk, links not followed.
fn bytes_below(path: &Path) -> u64 {
    let mut waiting = vec![path.to_owned()];
    let mut sum = 0_u64;
    for _ in 0..FILES {
        let Some(path) = waiting.pop() else {
            break;
        };
        let Ok(meta) = path.symlink_metadata() else {
            continue;
        };
        sum = sum.saturating_add(meta.blocks().saturating_mul(512));
        if meta.is_dir() {
            let entries = fs::read_dir(&path).into_iter().flatten().flatten();
            waiting.extend(entries.map(|entry| entry.path()));
        }
    }
    sum
}
