//! A changed emulator as a file that is kept between runs: guests that need the same one share its
//! memory.

use std::fs::{self, Permissions};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rustix::fs::StatVfsMountFlags;

/// What begins the name of each.
const PREFIX: &str = "emulator-";
/// How long one is kept that no run begins with.
const KEPT: Duration = Duration::from_hours(7 * 24);

/// A program that was changed.
#[derive(Debug)]
pub enum Changed {
    /// A file that has it.
    File(PathBuf),
    /// Where no file can.
    Bytes(Vec<u8>),
}

impl Changed {
    /// Keep `program` in the directory `cache`, where that is possible.
    pub fn keep(cache: &Path, program: Vec<u8>) -> Self {
        match kept(cache, &program) {
            Ok(path) => Self::File(path),
            Err(_) => Self::Bytes(program),
        }
    }
}

fn kept(cache: &Path, program: &[u8]) -> io::Result<PathBuf> {
    let mount = rustix::fs::statvfs(cache)?;
    if mount.f_flag.contains(StatVfsMountFlags::NOEXEC) {
        return Err(io::ErrorKind::PermissionDenied.into());
    }
    let mut hasher = DefaultHasher::new();
    program.hash(&mut hasher);
    let path = cache.join(format!("{PREFIX}{:016x}", hasher.finish()));
    // Its name is only where to look: what is used is compared.
    if fs::read(&path).is_ok_and(|known| known == program) {
        fs::File::open(&path)?.set_modified(SystemTime::now())?;
        return Ok(path);
    }
    forget_old(cache);
    let mut file = tempfile::Builder::new()
        .prefix(PREFIX)
        .permissions(Permissions::from_mode(0o555))
        .tempfile_in(cache)?;
    io::Write::write_all(&mut file, program)?;
    file.persist(&path)?;
    Ok(path)
}

/// Remove those that no run has begun with for long. Who runs one keeps it.
fn forget_old(cache: &Path) {
    for entry in fs::read_dir(cache).into_iter().flatten().flatten() {
        let changed = entry.metadata().and_then(|metadata| metadata.modified());
        let is_old = changed.is_ok_and(|changed| changed.elapsed().is_ok_and(|age| age > KEPT));
        if is_old && entry.file_name().to_string_lossy().starts_with(PREFIX) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(changed: Changed) -> PathBuf {
        match changed {
            Changed::File(path) => path,
            Changed::Bytes(_) => panic!("it was not kept"),
        }
    }

    #[test]
    fn the_same_program_is_one_file_and_what_was_changed_there_is_not_used() {
        let cache = tempfile::tempdir().unwrap();
        let keep = |program: &[u8]| path(Changed::keep(cache.path(), program.to_vec()));
        let first = keep(b"emulator");
        assert_eq!(
            fs::metadata(&first).unwrap().permissions().mode() & 0o777,
            0o555
        );
        assert_eq!(keep(b"emulator"), first);
        let other = keep(b"another");
        assert_ne!(other, first);
        fs::remove_file(&first).unwrap();
        fs::write(&first, "something else").unwrap();
        assert_eq!(fs::read(keep(b"emulator")).unwrap(), b"emulator");
    }

    #[test]
    fn one_that_nobody_uses_any_more_goes_and_others_stay() {
        let cache = tempfile::tempdir().unwrap();
        let keep = |program: &[u8]| path(Changed::keep(cache.path(), program.to_vec()));
        let (old, used) = (keep(b"old"), keep(b"used"));
        let long_ago = SystemTime::now() - 2 * KEPT;
        for path in [&old, &used] {
            fs::File::open(path)
                .unwrap()
                .set_modified(long_ago)
                .unwrap();
        }
        keep(b"used");
        keep(b"new");
        assert!(!old.exists() && used.exists());
    }

    #[test]
    fn without_a_place_it_stays_in_memory() {
        let kept = Changed::keep(Path::new("/nonexistent"), b"emulator".to_vec());
        assert!(matches!(kept, Changed::Bytes(bytes) if bytes == b"emulator"));
    }
}
