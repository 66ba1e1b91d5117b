//! The directories that the operator gave, and the way in: nothing outside them is opened.

use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use serde_json::Value;

use crate::results::absent;
use crate::{Cancel, Error, Project, Result, Results, create};

/// Directories of a root in which leftovers are looked for.
const MAX_CLEARED: usize = 1000;

/// The directories below which everything must lie.
///
/// A path is first brought to its canonical form, then opened from its root's directory with `openat2` and
/// `RESOLVE_BENEATH`: the kernel itself refuses to leave the root, even when a link is swapped in between the two steps.
#[derive(Debug, Clone)]
pub struct Roots {
    dirs: Vec<PathBuf>,
}

impl Roots {
    /// Confine to `dirs`; each must exist and be a directory. At least one is needed.
    pub fn new(dirs: impl IntoIterator<Item = PathBuf>) -> Result<Self> {
        let mut canonical = Vec::new();
        for dir in dirs {
            let real = dir
                .canonicalize()
                .map_err(|e| Error::io("open the root", &dir, &e))?;
            if !real.is_dir() {
                return Err(Error::InvalidArgument(format!(
                    "the root {} is not a directory",
                    dir.display()
                )));
            }
            if !canonical.contains(&real) {
                canonical.push(real);
            }
        }
        if canonical.is_empty() {
            return Err(Error::InvalidArgument(
                "no root is given: name at least one directory that holds projects".into(),
            ));
        }
        Ok(Self { dirs: canonical })
    }

    /// The roots, canonical, in the order given.
    pub fn dirs(&self) -> &[PathBuf] {
        &self.dirs
    }

    /// Whether `path` lies below a root once links are resolved. A path that does not exist (yet) is judged by its
    /// nearest existing parent.
    pub fn contains(&self, path: &Path) -> bool {
        resolve(path).is_ok_and(|real| self.root_of(&real).is_some())
    }

    /// Open a project directory, absolute or relative to the first root. It must hold a `config.yaml`.
    pub fn project(&self, dir: &str) -> Result<Project> {
        let dir = self.directory(dir, "project")?;
        let handle = open_dir(&dir)?;
        let config = open_beneath(&handle, "config.yaml", OFlags::PATH)
            .and_then(|file| rustix::fs::fstat(&file));
        match config {
            Ok(stat) if FileType::from_raw_mode(stat.st_mode).is_file() => Ok(Project { dir }),
            Ok(_) => Err(Error::InvalidArgument(format!(
                "{} is not a project: its config.yaml is not a regular file",
                dir.display()
            ))),
            Err(Errno::NOENT) => Err(Error::InvalidArgument(format!(
                "{} is not a project: it has no config.yaml. Name a project directory below {}, or make one with `init_project`",
                dir.display(),
                self.list()
            ))),
            Err(Errno::XDEV | Errno::LOOP) => Err(Error::Denied(format!(
                "the config.yaml of {} is a link that leads out of the project; put the file itself there",
                dir.display()
            ))),
            Err(errno) => Err(Error::io("read", &dir.join("config.yaml"), &errno.into())),
        }
    }

    /// Open a result directory (see `wit/results.wit`, `open`).
    ///
    /// `results_dir` is absolute, or relative to the project if one is given and has it, else to the first root.
    pub fn results(&self, project: Option<&str>, results_dir: Option<&str>) -> Result<Results> {
        let project = project.map(|dir| self.project(dir)).transpose()?;
        match (project, results_dir) {
            (Some(project), None) => Results::of_project(self, project.dir()),
            (Some(project), Some(dir)) => {
                let joined = project.dir().join(dir);
                if joined.is_dir() {
                    return self.open_results(&joined.to_string_lossy());
                }
                match self.open_results(dir) {
                    Err(Error::NotFound(_)) => Err(absent(project.dir(), &joined)),
                    opened => opened,
                }
            }
            (None, Some(dir)) => self.open_results(dir),
            (None, None) => Err(Error::InvalidArgument(
                "name a project or a result directory: `project_dir` or `results_dir`".into(),
            )),
        }
    }

    fn open_results(&self, dir: &str) -> Result<Results> {
        Results::open(self, self.directory(dir, "result")?)
    }

    /// Make a new project (see `wit/config.wit`, `init-project`).
    ///
    /// Both paths are absolute or relative to the first root, and confined to the roots.
    pub fn create(&self, rootfs: &str, output: &str, cancel: &Cancel) -> Result<Value> {
        let rootfs = self.existing(rootfs, "root filesystem")?;
        let output = self.resolve_below(output, "output directory")?;
        if self.dirs.contains(&output) {
            return Err(Error::InvalidArgument(format!(
                "the output directory is the root {} itself; name a new directory below it",
                output.display()
            )));
        }
        create::create(&rootfs, &output, cancel)
    }

    /// Remove what processes that were killed left in the roots and in the directories right below them: projects that were not complete.
    pub fn clear_away(&self) {
        for root in &self.dirs {
            create::clear_away(root);
            let entries = std::fs::read_dir(root).into_iter().flatten().flatten();
            for entry in entries.take(MAX_CLEARED) {
                if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    create::clear_away(&entry.path());
                }
            }
        }
    }

    /// The canonical form of an existing directory below a root.
    pub(crate) fn directory(&self, path: &str, what: &str) -> Result<PathBuf> {
        let real = self.existing(path, &format!("{what} directory"))?;
        if real.is_dir() {
            Ok(real)
        } else {
            Err(Error::InvalidArgument(format!(
                "{} is not a directory; name a {what} directory below {}",
                real.display(),
                self.list()
            )))
        }
    }

    /// The canonical form of an existing path below a root.
    fn existing(&self, path: &str, what: &str) -> Result<PathBuf> {
        let real = self.resolve_below(path, what)?;
        let Some(root) = self.root_of(&real) else {
            return Err(self.outside(path, what));
        };
        let below = real.strip_prefix(root).unwrap_or(Path::new(""));
        match open_beneath(&open_dir(root)?, below.as_os_str(), OFlags::PATH) {
            Ok(_) => Ok(real),
            Err(Errno::NOENT | Errno::NOTDIR) => Err(Error::NotFound(format!(
                "there is no {what} {}; the roots are {}",
                real.display(),
                self.list()
            ))),
            Err(Errno::XDEV | Errno::LOOP) => Err(self.outside(path, what)),
            Err(errno) => Err(Error::io("open", &real, &errno.into())),
        }
    }

    /// The canonical form of a path, existing or not, that must lie below a root.
    fn resolve_below(&self, path: &str, what: &str) -> Result<PathBuf> {
        if path.is_empty() || path.contains('\0') {
            return Err(Error::InvalidArgument(format!(
                "the {what} is not a path: it is empty or holds a NUL character; the roots are {}",
                self.list()
            )));
        }
        let first = self.dirs.first().map_or(Path::new("/"), PathBuf::as_path);
        let full = first.join(path);
        match resolve(&full) {
            Ok(real) if self.root_of(&real).is_some() => Ok(real),
            Ok(_) => Err(self.outside(path, what)),
            Err(_) if full.is_symlink() && !full.exists() => Err(Error::NotFound(format!(
                "the {what} {path:?} is a link that leads to nothing; the roots are {}",
                self.list()
            ))),
            Err(error) => Err(Error::InvalidArgument(format!(
                "cannot resolve the {what} {path:?}: {error}; the roots are {}",
                self.list()
            ))),
        }
    }

    fn root_of(&self, real: &Path) -> Option<&Path> {
        self.dirs
            .iter()
            .map(PathBuf::as_path)
            .find(|root| real.starts_with(root))
    }

    fn outside(&self, path: &str, what: &str) -> Error {
        Error::Denied(format!(
            "the {what} {path:?} is outside the roots; name one below {}, or have the operator add a root (`--root DIR`)",
            self.list()
        ))
    }

    fn list(&self) -> String {
        let shown: Vec<_> = self.dirs.iter().map(|d| d.display().to_string()).collect();
        shown.join(", ")
    }
}

/// The canonical form of the longest existing part of `path`, with the rest appended. `..` after a part that does not
/// exist is an error.
fn resolve(path: &Path) -> std::io::Result<PathBuf> {
    let mut missing: Vec<&OsStr> = Vec::new();
    let mut existing = path;
    loop {
        match existing.canonicalize() {
            Ok(mut real) => {
                real.extend(missing.iter().rev());
                return Ok(real);
            }
            // A dangling link exists, and what it names must not be made through it.
            Err(error)
                if error.kind() == std::io::ErrorKind::NotFound
                    && existing.symlink_metadata().is_err() =>
            {
                match (existing.components().next_back(), existing.parent()) {
                    (Some(Component::Normal(name)), Some(parent)) => {
                        missing.push(name);
                        existing = parent;
                    }
                    _ => return Err(error),
                }
            }
            Err(error) => return Err(error),
        }
    }
}

/// Open a directory, to open others from it.
pub(crate) fn open_dir(dir: &Path) -> Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::open(dir, flags, Mode::empty()).map_err(|e| Error::io("open", dir, &e.into()))
}

/// Open `path` below `dir`, or `dir` itself when `path` is empty. Links may be followed, but not out of `dir`.
pub(crate) fn open_beneath(
    dir: &OwnedFd,
    path: impl AsRef<OsStr>,
    flags: OFlags,
) -> Result<OwnedFd, Errno> {
    let path = if path.as_ref().is_empty() {
        OsStr::new(".")
    } else {
        path.as_ref()
    };
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    // A concurrent rename makes the kernel answer EAGAIN; trying again is what its manual asks for.
    for _ in 0..16 {
        match rustix::fs::openat2(dir, path, flags | OFlags::CLOEXEC, Mode::empty(), resolve) {
            Err(Errno::AGAIN | Errno::INTR) => {}
            result => return result,
        }
    }
    Err(Errno::AGAIN)
}
