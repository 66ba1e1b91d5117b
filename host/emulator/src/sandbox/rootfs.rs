//! The unpacked root filesystem, kept between runs: the read-only lower layer of every guest.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, SystemTime};

use rookery_project::scratch::{self, Scratch};
use rookery_project::{
    Cancel, Error, Node, Private, Progress, Result, SetId, Unpacked, regular, share_lock, try_lock,
};
use rustix::fs::{Mode, OFlags};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::sandbox::firmware_nvram::FirmwareNvram;
use crate::sandbox::{content, firmware_nvram, guest_user};

/// How long an unpacked root filesystem is kept that no run uses.
const KEPT: Duration = Duration::from_hours(7 * 24);
/// How many bytes of them are kept where the operator says nothing.
const MOST: u64 = 16 << 30;
/// How often is looked whether another run has unpacked what this one waits for.
const POLL: Duration = Duration::from_millis(20);
/// Bytes of the list of what an archive holds.
const LIST_MAX: u64 = 256 << 20;
/// What begins the name of anything that is being made or removed.
const TEMPORARY: &str = ".unpack-";
/// What begins the name of the lock of who unpacks.
const BEING_MADE: &str = "making-";

/// An unpacked root filesystem.
#[derive(Debug)]
pub struct Rootfs {
    /// Its directory on the host.
    pub directory: PathBuf,
    /// The device nodes of its archive, which are not in the directory.
    pub nodes: Vec<Node>,
    /// Its programs that give their owner's rights, which the files in the directory do not.
    pub set_ids: Vec<SetId>,
    /// What of it is not for everybody: here all files are one user's.
    pub private: Vec<Private>,
    /// What it says of its NVRAM.
    pub nvram: FirmwareNvram,
    /// Keeps others from removing it.
    _in_use: File,
}

/// Told apart from what earlier versions left: these lists have more in them.
const FORMAT: u32 = 6;

/// Where the root filesystem of `archive` is kept, unpacked for a guest that runs as `uid`: below
/// it, `root/`, `unpacked.json` and `nvram.json`. All archives of one content have one such place.
pub fn slot(cache: &Path, archive: &Path, uid: u32, cancel: &Cancel) -> Result<PathBuf> {
    let digest = content::digest_of(cache, archive, cancel)?;
    Ok(cache.join(format!("rootfs-{FORMAT}-{digest}-{uid}")))
}

/// What is asked of [`prepare`].
#[derive(Clone, Copy)]
pub struct Making<'a> {
    /// Where unpacked root filesystems are kept.
    pub cache: &'a Path,
    /// What is to be unpacked.
    pub archive: &'a Path,
    /// The user as whom the guest runs.
    pub uid: u32,
    /// How many bytes are kept there that no run uses.
    pub most: Option<u64>,
    /// Asks for an end.
    pub cancel: &'a Cancel,
    /// Is told how far it is.
    pub progress: &'a Progress,
}

/// Unpack an archive, unless that was done before, or `cancel` asks for an end.
pub fn prepare(making: &Making<'_>) -> Result<Rootfs> {
    let (cache, cancel) = (making.cache, making.cancel);
    let slot = slot(cache, making.archive, making.uid, cancel)?;
    let list = slot.join("unpacked.json");
    let in_use = match hold(&slot) {
        Some(held) => held,
        None => make(making, &slot)?,
    };
    let unpacked: Unpacked = stored(&slot, &list)?;
    Ok(Rootfs {
        directory: slot.join("root"),
        nodes: unpacked.nodes,
        set_ids: unpacked.set_ids,
        private: unpacked.private,
        nvram: stored(&slot, &slot.join("nvram.json"))
            .or_else(|_| firmware_nvram::look(&slot.join("root"), cancel))?,
        _in_use: in_use,
    })
}

/// Unpack, while others who want the same wait for that.
fn make(making: &Making<'_>, slot: &Path) -> Result<File> {
    let (cache, cancel) = (making.cache, making.cancel);
    fs::create_dir_all(cache).map_err(|error| Error::io("create", cache, &error))?;
    let name = slot.file_name().unwrap_or_default().to_string_lossy();
    let path = cache.join(format!("{BEING_MADE}{name}"));
    let alone = regular::create(&path).map_err(|error| Error::io("make", &path, &error))?;
    // Where there are no locks, several do the same work, and the first is taken.
    while try_lock(&alone).is_err_and(|error| error.kind() == ErrorKind::WouldBlock) {
        cancel.check()?;
        sleep(POLL);
    }
    let held = if let Some(held) = hold(slot) {
        held
    } else {
        unpack(making, slot)?;
        hold(slot).ok_or_else(|| Error::Internal(format!("{} is gone", slot.display())))?
    };
    let _ = fs::remove_file(path);
    // With the new one in use, so that it stays.
    tidy(cache, making.most.unwrap_or(MOST));
    Ok(held)
}

/// What is known of an unpacked root filesystem.
fn stored<T: DeserializeOwned>(slot: &Path, path: &Path) -> Result<T> {
    let text = regular::read(path, LIST_MAX).map_err(|error| Error::io("read", path, &error))?;
    serde_json::from_slice(&text).map_err(|error| {
        Error::Internal(format!(
            "{} is damaged ({error}); remove {} and start again",
            path.display(),
            slot.display()
        ))
    })
}

/// Mark an unpacked root filesystem as used now, and until the file is closed. `None` where there
/// is none.
fn hold(slot: &Path) -> Option<File> {
    let directory = open(slot).ok()?;
    share_lock(&directory).ok()?;
    // Looked for under the lock: another run may just have removed it.
    slot.join("unpacked.json").exists().then_some(())?;
    let _ = directory.set_modified(SystemTime::now());
    Some(directory)
}

/// Open a directory, and nothing else.
fn open(directory: &Path) -> std::io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(rustix::fs::open(directory, flags, Mode::empty())?.into())
}

/// Remove what no run has used for long, and of the rest what was not used for longest, until all
/// together is no larger than `most`.
fn tidy(cache: &Path, most: u64) {
    scratch::clear_away(cache, TEMPORARY);
    let mut kept: Vec<(Duration, PathBuf, u64)> = Vec::new();
    for entry in fs::read_dir(cache).into_iter().flatten().flatten() {
        let (name, path) = (entry.file_name(), entry.path());
        let name = name.to_string_lossy();
        let changed = entry.metadata().and_then(|metadata| metadata.modified());
        let age = changed.map_or(Duration::ZERO, |changed| {
            changed.elapsed().unwrap_or_default()
        });
        if name.starts_with("rootfs-") && age > KEPT {
            remove_unused(&path);
        } else if name.starts_with("rootfs-") {
            let bytes = bytes_of(&path);
            kept.push((age, path, bytes));
        } else if name.starts_with(content::NOTE) && age > KEPT {
            let _ = fs::remove_file(path);
        }
    }
    let mut sum: u64 = kept.iter().map(|(_, _, bytes)| bytes).sum();
    kept.sort_unstable_by_key(|(age, _, _)| std::cmp::Reverse(*age));
    for (_, slot, bytes) in kept {
        if sum > most && remove_unused(&slot) {
            sum -= bytes;
        }
    }
}

/// What an unpacked root filesystem takes on the disk, by its list: to look at each of its files
/// takes long.
fn bytes_of(slot: &Path) -> u64 {
    const BLOCK: u64 = 4096;
    let unpacked = stored::<Unpacked>(slot, &slot.join("unpacked.json"));
    unpacked.map_or(0, |list| list.bytes + list.entries * BLOCK)
}

/// Remove a root filesystem that no run uses, by way of another name: half of one must not be found
/// under its own.
fn remove_unused(slot: &Path) -> bool {
    let (Ok(directory), Some(name)) = (open(slot), slot.file_name()) else {
        return false;
    };
    let aside = slot.with_file_name(format!("{TEMPORARY}{}", name.to_string_lossy()));
    try_lock(&directory).is_ok()
        && fs::rename(slot, &aside).is_ok()
        && fs::remove_dir_all(aside).is_ok()
}

fn unpack(making: &Making<'_>, place: &Path) -> Result<()> {
    let Making {
        cache,
        archive,
        uid,
        cancel,
        progress,
        ..
    } = *making;
    let temporary =
        Scratch::make(cache, TEMPORARY).map_err(|error| Error::io("write to", cache, &error))?;
    let root = temporary.path().join("root");
    fs::create_dir(&root).map_err(|error| Error::io("create", &root, &error))?;
    let unpacked = rookery_project::unpack_telling(archive, &root, cancel, progress)?;
    if guest_user::becomes_another_user() {
        hand_over(&root, uid, cancel)?;
    }
    store(&temporary.path().join("unpacked.json"), &unpacked)?;
    let nvram = firmware_nvram::look(&root, cancel)?;
    store(&temporary.path().join("nvram.json"), &nvram)?;
    // Others take what lies there for what its name says.
    if slot(cache, archive, uid, cancel)? != place {
        return Err(Error::Conflict(format!(
            "{} was changed while it was unpacked; start the run again",
            archive.display()
        )));
    }
    match temporary.persist(place) {
        Err(_) if place.join("unpacked.json").exists() => Ok(()), // Another run was faster.
        Err(error) => Err(Error::io("create", place, &error)),
        Ok(()) => Ok(()),
    }
}

fn store(path: &Path, what: &impl Serialize) -> Result<()> {
    let text = serde_json::to_vec(what).map_err(|error| Error::Internal(error.to_string()))?;
    fs::write(path, text).map_err(|error| Error::io("write", path, &error))
}

/// Give a tree to the user as whom the guest runs, without following links.
fn hand_over(path: &Path, uid: u32, cancel: &Cancel) -> Result<()> {
    cancel.check()?;
    let failed = |error: std::io::Error| Error::io("change the owner of", path, &error);
    std::os::unix::fs::lchown(path, Some(uid), Some(uid)).map_err(failed)?;
    if fs::symlink_metadata(path).map_err(failed)?.is_dir() {
        for entry in fs::read_dir(path).map_err(failed)? {
            hand_over(&entry.map_err(failed)?.path(), uid, cancel)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_root_filesystem_takes_the_place_of_those_that_nobody_uses() {
        let cache = tempfile::tempdir().unwrap();
        let make = |name: &str, age: Duration| {
            let slot = cache.path().join(name);
            fs::create_dir_all(slot.join("root")).unwrap();
            let list = Unpacked {
                bytes: 1000,
                ..Unpacked::default()
            };
            store(&slot.join("unpacked.json"), &list).unwrap();
            let directory = File::open(&slot).unwrap();
            directory.set_modified(SystemTime::now() - age).unwrap();
            slot
        };
        let (hours, days) = (Duration::from_hours, |days: u64| {
            Duration::from_hours(24 * days)
        });
        let gone = [make(".unpack-dead", hours(0)), make("rootfs-old", days(8))];
        let now = make(".unpack-now", hours(0));
        let unpacking = open(&now).unwrap();
        try_lock(&unpacking).unwrap();
        let used = make("rootfs-used", days(8));
        let in_use = hold(&used).unwrap();
        in_use.set_modified(SystemTime::now() - days(8)).unwrap();
        let kept = [
            now,
            make("rootfs-new", days(6)),
            make("plugins", days(90)),
            used,
        ];
        tidy(cache.path(), MOST);
        assert!(gone.iter().all(|slot| !slot.exists()));
        assert!(kept.iter().all(|slot| slot.exists()));
        assert_eq!(fs::read_dir(cache.path()).unwrap().count(), kept.len());
        assert!(hold(&gone[1]).is_none());
        // Where all is too large, what was not used for longest goes, but nothing that is in use.
        let newest = make("rootfs-newest", hours(1));
        tidy(cache.path(), 1500);
        assert!(newest.exists() && kept[3].exists() && !kept[1].exists());
        drop(in_use);
        tidy(cache.path(), 0);
        assert!(!newest.exists() && !kept[3].exists() && kept[2].exists());
    }
}
