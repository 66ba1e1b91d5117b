//! The directories that the operator gave, and the way in: nothing outside them is opened.

use std::ffi::OsStr;
use std::path::{Component, Path, PathBuf};

use rustix::fs::OFlags;
use rustix::io::Errno;

use super::beneath::{open_beneath, open_dir};
use crate::{Error, Result};

/// The directories below which everything must lie.
///
/// A path is first brought to its canonical form, then opened from its root's directory with
/// `openat2` and `RESOLVE_BENEATH`: the kernel itself refuses to leave the root, even when a link
/// is swapped in between the two steps.
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

    /// Whether `path` lies below a root once links are resolved. A path that does not exist (yet)
    /// is judged by its nearest existing parent.
    pub fn contains(&self, path: &Path) -> bool {
        resolve(path).is_ok_and(|real| self.root_of(&real).is_some())
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
    pub(crate) fn existing(&self, path: &str, what: &str) -> Result<PathBuf> {
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
    pub(crate) fn resolve_below(&self, path: &str, what: &str) -> Result<PathBuf> {
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
        let roots = self.dirs.iter().map(|root| root.to_string_lossy());
        let roots = roots.chain([path.into()]);
        let roots: Vec<_> = roots.map(|root| format!("{root:?}")).collect();
        Error::Denied(format!(
            "the {what} {path:?} is outside the roots; name one below {}, or have the operator \
             add a root with `--root DIR`, or in the policy under [serve]: roots = [{}]",
            self.list(),
            roots.join(", ")
        ))
    }

    pub(crate) fn list(&self) -> String {
        let shown: Vec<_> = self.dirs.iter().map(|d| d.display().to_string()).collect();
        shown.join(", ")
    }
}

/// The canonical form of the longest existing part of `path`, with the rest appended. `..` after a
/// part that does not exist is an error.
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
