//! What a root filesystem's archive holds, by its digest: projects of one firmware share what was
//! unpacked of it. The digest is noted beside that, so that the next run need not read the archive.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rookery_project::{Cancel, Error, Result, digest, regular};

/// What begins the name of a note.
pub const NOTE: &str = "archive-";
/// Hexadecimal digits of a digest.
const DIGITS: usize = 64;
/// An archive that was changed this short a time ago may change again without its times showing it.
const SETTLES: Duration = Duration::from_secs(3);

/// The digest of `archive`, noted in `cache`.
pub fn digest_of(cache: &Path, archive: &Path, cancel: &Cancel) -> Result<String> {
    let failed = |error: &std::io::Error| {
        if cancel.is_cancelled() {
            Error::Cancelled
        } else {
            Error::io("read", archive, error)
        }
    };
    let (note, is_settled) = note(cache, archive).map_err(|error| failed(&error))?;
    if let Ok(noted) = regular::read(&note, DIGITS as u64 + 1)
        && let Ok(noted) = String::from_utf8(noted)
        && noted.len() == DIGITS
        && noted.bytes().all(|byte| byte.is_ascii_hexdigit())
    {
        return Ok(noted);
    }
    let digest = digest::of_file(archive, cancel).map_err(|error| failed(&error))?;
    if is_settled {
        // Without the note, the next run reads the archive again.
        let _ = fs::create_dir_all(cache);
        let _ = regular::replace(&note, digest.as_bytes(), false);
    }
    Ok(digest)
}

/// Where the digest of an archive is noted, as it is now, and whether it will not change unseen.
fn note(cache: &Path, archive: &Path) -> std::io::Result<(PathBuf, bool)> {
    let file = fs::metadata(archive)?;
    let mut hasher = DefaultHasher::new();
    let changed = (file.ctime(), file.ctime_nsec());
    (
        archive,
        file.dev(),
        file.ino(),
        file.len(),
        file.mtime(),
        file.mtime_nsec(),
        changed,
    )
        .hash(&mut hasher);
    let seconds = u64::try_from(file.ctime()).unwrap_or(u64::MAX);
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let is_settled = since.is_ok_and(|now| now > Duration::from_secs(seconds) + SETTLES);
    let name = format!("{NOTE}{:016x}", hasher.finish());
    Ok((cache.join(name), is_settled))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn archives_of_one_content_have_one_digest_and_a_changed_one_another() {
        let dir = tempfile::tempdir().unwrap();
        let cache = dir.path().join("cache");
        let [one, other] = ["one", "other"].map(|name| dir.path().join(name));
        let of = |archive: &Path| digest_of(&cache, archive, &Cancel::default()).unwrap();
        fs::write(&one, "firmware").unwrap();
        fs::copy(&one, &other).unwrap();
        let digest = of(&one);
        assert_eq!((of(&other), digest.len()), (digest.clone(), DIGITS));
        assert!(!cache.exists(), "nothing is noted of what may still change");
        // As if it had been noted when it had settled.
        let (noted, is_settled) = note(&cache, &one).unwrap();
        assert!(!is_settled);
        fs::create_dir(&cache).unwrap();
        fs::write(&noted, "0".repeat(DIGITS)).unwrap();
        assert_eq!(of(&one), "0".repeat(DIGITS));
        fs::write(&noted, "cut off").unwrap();
        assert_eq!(of(&one), digest);
        fs::write(&one, "another firmware").unwrap();
        assert_ne!(of(&one), digest);
    }
}
