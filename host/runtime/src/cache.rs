//! Compiled code and definitions on disk, so that a start compiles nothing and runs no instance.
//!
//! Each file is sealed: it begins with a keyed hash over its name and content; the key can be read
//! by this user only. What does not bear the right seal (a file that was swapped, cut, edited, or
//! copied from another cache) is treated as absent and made anew. Refusals are kept too: what a
//! component cost once, it does not cost at every start.
//!
//! Invariant 5: only what this host made is executed.
//! Invariant 11: `unsafe` is here and where the others are listed.
#![allow(
    unsafe_code,
    reason = "compiled code can only be loaded by an unsafe function; see `map`"
)]

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::hash::{Hash, Hasher};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rookery_project::regular;
use rustix::fs::OFlags;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};
use wasmtime::Engine;
use wasmtime::component::Component;

use crate::compiler::Compiled;
use crate::installed::Installed;

const SEAL_BYTES: usize = 32;
/// Changes whenever admission would find something else in the same component.
const RECORD_FORMAT: &str = concat!("4-", env!("CARGO_PKG_VERSION"));
/// Largest file that is read back.
const FILE_BYTES: u64 = 512 << 20;

/// A day: so precise is the time of a file's last use, so that most starts write nothing.
const DAY: Duration = Duration::from_hours(24);
/// Files that were not used for so many days go when something new is kept: they are of earlier
/// releases, or of plugins that are gone.
const UNUSED_DAYS: u32 = 60;

/// A directory of sealed files; without one, everything is a miss and nothing is kept. What was
/// installed with the program comes before it.
pub(crate) struct Cache {
    place: Option<Place>,
    installed: Option<Installed>,
}

struct Place {
    dir: PathBuf,
    key: Vec<u8>,
}

/// Why this cache directory would not be used. Makes it, if it is not there.
pub fn check_cache(dir: &Path) -> Result<(), String> {
    Place::open(dir).map(drop)
}

impl Cache {
    /// Use `dir`, made if it is not there. A directory that cannot be used or trusted is reported,
    /// and the cache stays empty.
    pub(crate) fn open(dir: &Path) -> Self {
        let place = Place::open(dir).inspect_err(|reason| {
            tracing::warn!(
                dir = %dir.display(),
                %reason,
                "the cache cannot be used, so every start compiles every plugin whose code was \
                 not installed with the program"
            );
        });
        Self {
            place: place.ok(),
            installed: None,
        }
    }

    /// With what was installed with the program.
    pub(crate) fn with_installed(self, installed: Option<Installed>) -> Self {
        Self { installed, ..self }
    }

    /// What is known about the component of this digest.
    pub(crate) fn record<R: DeserializeOwned>(&self, digest: &str) -> Option<R> {
        serde_json::from_slice(&self.record_text(digest)?).ok()
    }

    /// The same, as it is kept.
    pub(crate) fn record_text(&self, digest: &str) -> Option<Vec<u8>> {
        let name = record_name(digest);
        let installed = self.installed.as_ref();
        let installed = installed.and_then(|installed| installed.read(&name));
        installed.or_else(|| self.load(&name))
    }

    /// Keep what was found out about the component of this digest.
    pub(crate) fn keep_record(&self, digest: &str, record: &impl Serialize) {
        if let Ok(bytes) = serde_json::to_vec(record) {
            self.keep(&record_name(digest), &bytes);
        }
    }

    /// The compiled code of the component of this digest, for exactly this engine.
    pub(crate) fn code(&self, engine: &Engine, digest: &str) -> Option<Component> {
        let installed = self.installed.as_ref();
        let installed = installed.and_then(|installed| installed.read(&installed_name(digest)));
        if let Some(component) = installed.and_then(|code| map(engine, &code).ok()) {
            return Some(component);
        }
        let sealed = self.load(&code_name(engine, digest))?;
        map(engine, &sealed)
            .inspect_err(|error| {
                tracing::warn!(
                    digest,
                    %error,
                    "compiled code in the cache does not fit this program; compiling it again"
                );
            })
            .ok()
    }

    /// Keep what the compiler made of the component of this digest, and map it.
    pub(crate) fn keep_code(
        &self,
        engine: &Engine,
        digest: &str,
        code: &Compiled,
    ) -> wasmtime::Result<Component> {
        self.keep(&code_name(engine, digest), code.bytes());
        map(engine, code.bytes())
    }

    /// The content of a sealed file.
    pub(crate) fn load(&self, name: &str) -> Option<Vec<u8>> {
        let place = self.place.as_ref()?;
        let mut bytes = match read(&place.dir.join(name), FILE_BYTES) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Err(error) => {
                tracing::warn!(name, %error, "a file of the cache cannot be read");
                return None;
            }
        };
        let trusted = bytes
            .split_at_checked(SEAL_BYTES)
            .is_some_and(|(seal, content)| place.seal(name, content) == seal);
        if !trusted {
            tracing::warn!(
                name,
                "a file of the cache was changed by somebody else; it is not used, and is made \
                 again"
            );
            return None;
        }
        bytes.drain(..SEAL_BYTES);
        Some(bytes)
    }

    /// Seal a file of this content.
    pub(crate) fn keep(&self, name: &str, content: &[u8]) {
        let Some(place) = &self.place else { return };
        let seal = place.seal(name, content);
        let sealed = [&seal, content].concat();
        let written =
            regular::replace(&place.dir.join(name), &sealed, false).and_then(|()| place.prune());
        if let Err(error) = written {
            tracing::warn!(name, %error, "cannot write to the cache");
        }
    }
}

/// Make code that this host compiled executable.
fn map(engine: &Engine, code: &[u8]) -> wasmtime::Result<Component> {
    // SAFETY: `deserialize` runs whatever machine code it is given, so the bytes must come from
    // `Engine::precompile_component`. Only two callers give any, and each holds a private copy that
    // nobody can change: `keep_code` those that our own compiler's process has just given
    // (`Compiled` is made nowhere else), and `code` either those that bear a seal under a key that
    // only this user can read, over a name that holds the component's digest and the engine's
    // configuration (only `keep_code` makes such seals), or those that nobody can have written but
    // who can write this very program (`Installed` opens no others).
    unsafe { Component::deserialize(engine, code) }
}

impl Place {
    fn open(parent: &Path) -> Result<Self, String> {
        fs::create_dir_all(parent).map_err(|error| format!("cannot make it: {error}"))?;
        // A directory of our own, so that its mode does not depend on who made the one above.
        let dir = parent.join("components");
        match DirBuilder::new().mode(0o700).create(&dir) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(format!("cannot make {}: {error}", dir.display()));
            }
            _ => {}
        }
        let metadata = fs::symlink_metadata(&dir).map_err(|error| error.to_string())?;
        if !metadata.is_dir() || metadata.uid() != rustix::process::geteuid().as_raw() {
            return Err(format!(
                "{} is not a directory of this user; remove it or choose another cache directory",
                dir.display()
            ));
        }
        if metadata.mode() & 0o077 != 0 {
            return Err(format!(
                "{0} is open to others; run `chmod 700 {0}` after looking at who could have \
                 written there",
                dir.display()
            ));
        }
        clear_away(&dir);
        let key = key(&dir).map_err(|error| format!("cannot make or read its key: {error}"))?;
        Ok(Self { dir, key })
    }

    /// Remove what nobody used for long. The key stays: it ages, too, but is neither code nor
    /// record.
    fn prune(&self) -> io::Result<()> {
        for entry in fs::read_dir(&self.dir)? {
            let entry = entry?;
            let path = entry.path();
            let kept_here = path
                .extension()
                .is_some_and(|extension| extension == "json" || extension == "cwasm");
            if kept_here && is_older(&entry.metadata()?, DAY * UNUSED_DAYS) {
                fs::remove_file(path)?;
            }
        }
        Ok(())
    }

    /// The key goes into an outer hash too, so that a seal says nothing about the seal of a longer
    /// content.
    fn seal(&self, name: &str, content: &[u8]) -> [u8; SEAL_BYTES] {
        let inner = Sha256::new_with_prefix(&self.key)
            .chain_update(name)
            .chain_update([0])
            .chain_update(content)
            .finalize();
        Sha256::new_with_prefix(&self.key)
            .chain_update(inner)
            .finalize()
            .into()
    }
}

/// Remove what writers left that were killed.
fn clear_away(dir: &Path) {
    regular::clear_away(dir, None);
    // The key's, and what earlier versions wrote, have such names and no lock.
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let is_temporary = entry.file_name().as_encoded_bytes().starts_with(b".tmp");
        let is_left = || entry.metadata().is_ok_and(|file| is_older(&file, DAY));
        if is_temporary && is_left() {
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// The key of the cache in `dir`, made by whoever comes first.
fn key(dir: &Path) -> io::Result<Vec<u8>> {
    let path = dir.join("key");
    if !path.exists() {
        let mut random = [0; 32];
        File::open("/dev/urandom")?.read_exact(&mut random)?;
        // Mode 0600, and never over a key that another server has just made.
        let mut file = tempfile::NamedTempFile::new_in(dir)?;
        file.write_all(&random)?;
        match file.persist_noclobber(&path) {
            Err(error) if error.error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(error.error);
            }
            _ => {}
        }
    }
    let key = read(&path, 32)?;
    if key.len() == 32 {
        Ok(key)
    } else {
        Err(io::Error::other(
            "the key does not have 32 bytes; remove it",
        ))
    }
}

/// Read a regular file, no link, of at most `max` bytes.
fn read(path: &Path, max: u64) -> io::Result<Vec<u8>> {
    let nofollow = i32::try_from((OFlags::NOFOLLOW | OFlags::NONBLOCK).bits()).unwrap_or(0);
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(nofollow)
        .open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() || metadata.len() > max {
        return Err(io::Error::other("not a regular file, or too large"));
    }
    if is_older(&metadata, DAY) {
        // A cache that is part of a read-only image is not pruned either.
        let _ = file.set_modified(SystemTime::now());
    }
    let mut bytes = Vec::with_capacity(usize::try_from(metadata.len()).unwrap_or(0));
    file.take(max).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn is_older(metadata: &fs::Metadata, age: Duration) -> bool {
    let modified = metadata.modified().ok();
    // A time in the future is no age.
    modified.is_some_and(|time| time.elapsed().is_ok_and(|since| since > age))
}

/// Which build of this program this is; one is enough for all refusals of a process.
pub(crate) fn build() -> String {
    let program = fs::metadata("/proc/self/exe");
    program.map_or_else(
        |_| String::new(),
        |program| {
            format!(
                "{}-{}.{}",
                program.len(),
                program.mtime(),
                program.mtime_nsec()
            )
        },
    )
}

/// The name of code that was installed with the program: for every CPU that it runs on, so there is
/// one.
pub(crate) fn installed_name(digest: &str) -> String {
    format!("{digest}.cwasm")
}

pub(crate) fn record_name(digest: &str) -> String {
    format!("{digest}.{RECORD_FORMAT}.json")
}

/// Names the component and everything that the compiled code depends on: wasmtime's version, its
/// configuration, the CPU's features.
fn code_name(engine: &Engine, digest: &str) -> String {
    struct Sha(Sha256);
    impl Hasher for Sha {
        fn write(&mut self, bytes: &[u8]) {
            self.0.update(bytes);
        }
        fn finish(&self) -> u64 {
            0
        }
    }
    let mut sha = Sha(Sha256::new());
    engine.precompile_compatibility_hash().hash(&mut sha);
    let host = hex(&sha.0.finalize());
    format!("{digest}.{}.cwasm", host.get(..16).unwrap_or(&host))
}

/// SHA-256 of `bytes`, hexadecimal.
pub(crate) fn digest(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes
        .iter()
        .fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    type Record = Vec<String>;

    fn record(name: &str) -> Record {
        vec!["wasi:io/poll@0.2.0".into(), name.into()]
    }

    fn file(dir: &Path, digest: &str) -> PathBuf {
        dir.join("components").join(record_name(digest))
    }

    #[test]
    fn what_is_kept_is_found_by_the_next_server() {
        let dir = tempfile::tempdir().unwrap();
        Cache::open(dir.path()).keep_record("aa", &record("one"));
        let next = Cache::open(dir.path());
        assert_eq!(next.record("aa"), Some(record("one")));
        assert_eq!(next.record::<Record>("bb"), None);
    }

    #[test]
    fn a_file_that_was_edited_cut_swapped_or_linked_is_not_used() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::open(dir.path());
        cache.keep_record("aa", &record("one"));
        cache.keep_record("bb", &record("two"));
        let (a, b) = (file(dir.path(), "aa"), file(dir.path(), "bb"));
        let good = fs::read(&a).unwrap();

        fs::copy(&b, &a).unwrap();
        assert_eq!(
            cache.record::<Record>("aa"),
            None,
            "a sealed file under another name"
        );
        fs::write(&a, good.iter().rev().copied().collect::<Vec<_>>()).unwrap();
        assert_eq!(cache.record::<Record>("aa"), None, "edited");
        fs::write(&a, &good[..10]).unwrap();
        assert_eq!(cache.record::<Record>("aa"), None, "cut");
        fs::remove_file(&a).unwrap();
        std::os::unix::fs::symlink(&b, &a).unwrap();
        assert_eq!(cache.record::<Record>("aa"), None, "a link");
        fs::remove_file(&a).unwrap();
        fs::write(&a, &good).unwrap();
        assert_eq!(cache.record("aa"), Some(record("one")));
    }

    #[test]
    fn what_nobody_used_for_long_goes_when_something_new_comes() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::open(dir.path());
        cache.keep_record("old", &record("old"));
        cache.keep_record("used", &record("used"));
        for digest in ["old", "used"] {
            let long_ago = SystemTime::now() - DAY * (UNUSED_DAYS + 1);
            let file = File::open(file(dir.path(), digest)).unwrap();
            file.set_modified(long_ago).unwrap();
        }
        assert_eq!(cache.record("used"), Some(record("used")));
        cache.keep_record("new", &record("new"));
        assert_eq!(cache.record::<Record>("old"), None);
        assert_eq!(cache.record("used"), Some(record("used")));
        assert_eq!(Cache::open(dir.path()).record("new"), Some(record("new")));
    }

    #[test]
    fn what_a_killed_writer_left_goes_at_the_next_start() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::open(dir.path());
        cache.keep_record("aa", &record("one"));
        let left = [".aa.json.tmp-1-0", ".tmpAbCdEf", ".tmpfresh"];
        let left = left.map(|name| dir.path().join("components").join(name));
        for file in &left {
            fs::write(file, "half").unwrap();
        }
        let long_ago = SystemTime::now() - 2 * DAY;
        let old = File::options().write(true).open(&left[1]).unwrap();
        old.set_modified(long_ago).unwrap();
        let next = Cache::open(dir.path());
        assert_eq!(left.map(|file| file.exists()), [false, false, true]);
        assert_eq!(next.record("aa"), Some(record("one")));
    }

    #[test]
    fn a_cache_made_elsewhere_is_not_trusted() {
        let (here, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let cache = Cache::open(here.path());
        Cache::open(elsewhere.path()).keep_record("aa", &record("one"));
        fs::copy(file(elsewhere.path(), "aa"), file(here.path(), "aa")).unwrap();
        assert_eq!(cache.record::<Record>("aa"), None);
    }

    #[test]
    fn a_directory_that_others_can_enter_or_that_cannot_be_made_is_not_used() {
        let dir = tempfile::tempdir().unwrap();
        Cache::open(dir.path()).keep_record("aa", &record("one"));
        fs::set_permissions(
            dir.path().join("components"),
            fs::Permissions::from_mode(0o770),
        )
        .unwrap();
        let open = Cache::open(dir.path());
        assert!(open.place.is_none());
        assert_eq!(open.record::<Record>("aa"), None);
        open.keep_record("aa", &record("one"));

        let file = dir.path().join("file");
        fs::write(&file, "").unwrap();
        assert!(Cache::open(&file).place.is_none());
    }

    #[test]
    fn the_directory_and_its_key_are_private() {
        let dir = tempfile::tempdir().unwrap();
        Cache::open(dir.path());
        let mode = |path: PathBuf| fs::metadata(path).unwrap().mode() & 0o777;
        assert_eq!(mode(dir.path().join("components")), 0o700);
        assert_eq!(mode(dir.path().join("components/key")), 0o600);
    }
}
