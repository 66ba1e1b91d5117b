//! Compiled code and records that were installed with the program, as in a container's image: for
//! every user and every CPU, where the cache is for one of each.
//!
//! They bear no seal. They are trusted as the program itself is: only who can write the program can
//! have written them.
//!
//! Invariant 5: only what this host made is executed, or who can write this program.

use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::{Mode, OFlags};

/// Largest file that is read back.
const FILE_BYTES: u64 = 512 << 20;

/// A directory that only who can write the program can write.
pub(crate) struct Installed {
    dir: File,
    owner: u32,
}

impl Installed {
    /// `dir`, if it is there and can be trusted; the log says why it is not.
    pub(crate) fn open(dir: &Path) -> Option<Self> {
        let found = Self::find(dir).inspect_err(|error| {
            if error.kind() != io::ErrorKind::NotFound {
                let dir = dir.display();
                tracing::warn!(%dir, %error, "installed code is not used");
            }
        });
        found.ok()
    }

    fn find(dir: &Path) -> io::Result<Self> {
        let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let dir = File::from(rustix::fs::open(dir, flags, Mode::empty())?);
        let program = fs::metadata("/proc/self/exe")?;
        let owner = program.uid();
        if !is_only_of(&program, owner) || !is_only_of(&dir.metadata()?, owner) {
            return Err(io::Error::other(
                "others than the program's owner can write the program or this directory",
            ));
        }
        Ok(Self { dir, owner })
    }

    /// The file of this name, if it is there and can be trusted.
    pub(crate) fn read(&self, name: &str) -> Option<Vec<u8>> {
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = File::from(rustix::fs::openat(&self.dir, name, flags, Mode::empty()).ok()?);
        let metadata = file.metadata().ok()?;
        if !metadata.is_file() || metadata.len() > FILE_BYTES || !is_only_of(&metadata, self.owner)
        {
            tracing::warn!(name, "installed code is not used: others can write it");
            return None;
        }
        let mut bytes = Vec::with_capacity(usize::try_from(metadata.len()).ok()?);
        file.take(FILE_BYTES).read_to_end(&mut bytes).ok()?;
        Some(bytes)
    }
}

/// Whether nobody but `owner` can write it.
fn is_only_of(metadata: &Metadata, owner: u32) -> bool {
    metadata.uid() == owner && metadata.mode() & 0o022 == 0
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn what_others_could_have_written_is_not_installed_code() {
        let place = tempfile::tempdir().unwrap();
        let dir = place.path().join("compiled");
        assert!(Installed::open(&dir).is_none(), "it is not there");
        fs::create_dir(&dir).unwrap();
        let allow = |path: &Path, mode| {
            fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
        };
        allow(&dir, 0o755);
        for name in ["good", "open"] {
            fs::write(dir.join(name), name).unwrap();
        }
        allow(&dir.join("good"), 0o644);
        allow(&dir.join("open"), 0o664);
        std::os::unix::fs::symlink("good", dir.join("link")).unwrap();
        let installed = Installed::open(&dir).unwrap();
        assert_eq!(installed.read("good").unwrap(), b"good");
        for name in ["open", "link", "none", "../compiled/good/.."] {
            assert!(installed.read(name).is_none(), "{name}");
        }
        for mode in [0o775, 0o757] {
            allow(&dir, mode);
            assert!(Installed::open(&dir).is_none());
        }
        allow(&dir, 0o755);
        std::os::unix::fs::symlink(&dir, place.path().join("elsewhere")).unwrap();
        assert!(Installed::open(&place.path().join("elsewhere")).is_none());
    }
}
