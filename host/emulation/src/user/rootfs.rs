//! The unpacked root filesystem, kept between runs: the read-only lower layer of every guest.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rookery_project::{Cancel, Error, Node, Result, SetId, Unpacked};

/// An unpacked root filesystem.
#[derive(Debug)]
pub struct Rootfs {
    /// Its directory on the host.
    pub directory: PathBuf,
    /// The device nodes of its archive, which are not in the directory.
    pub nodes: Vec<Node>,
    /// Its programs that give their owner's rights, which the files in the directory do not.
    pub set_ids: Vec<SetId>,
}

/// Told apart from what earlier versions left: these lists have more in them.
const FORMAT: u32 = 2;

/// Where the root filesystem of `archive` is kept, unpacked for a guest that runs as `uid`: below it, `root/` and `unpacked.json`.
pub fn slot(cache: &Path, archive: &Path, uid: u32) -> Result<PathBuf> {
    let metadata = fs::metadata(archive).map_err(|error| Error::io("read", archive, &error))?;
    let mut hasher = DefaultHasher::new();
    (
        FORMAT,
        archive,
        metadata.len(),
        metadata.mtime(),
        metadata.mtime_nsec(),
        metadata.ino(),
    )
        .hash(&mut hasher);
    Ok(cache.join(format!("rootfs-{:016x}-{uid}", hasher.finish())))
}

/// Unpack `archive`, unless that was done before.
pub fn prepare(cache: &Path, archive: &Path, uid: u32) -> Result<Rootfs> {
    let slot = slot(cache, archive, uid)?;
    let list = slot.join("unpacked.json");
    if !list.exists() {
        unpack(cache, archive, uid, &slot)?;
    }
    let text = fs::read(&list).map_err(|error| Error::io("read", &list, &error))?;
    let unpacked: Unpacked = serde_json::from_slice(&text).map_err(|error| {
        Error::Internal(format!(
            "{} is damaged ({error}); remove {} and start again",
            list.display(),
            slot.display()
        ))
    })?;
    Ok(Rootfs {
        directory: slot.join("root"),
        nodes: unpacked.nodes,
        set_ids: unpacked.set_ids,
    })
}

fn unpack(cache: &Path, archive: &Path, uid: u32, slot: &Path) -> Result<()> {
    fs::create_dir_all(cache).map_err(|error| Error::io("create", cache, &error))?;
    let temporary = tempfile::Builder::new()
        .prefix(".unpack-")
        .tempdir_in(cache)
        .map_err(|error| Error::io("write to", cache, &error))?;
    let root = temporary.path().join("root");
    fs::create_dir(&root).map_err(|error| Error::io("create", &root, &error))?;
    let unpacked = rookery_project::unpack(archive, &root, &Cancel::default())?;
    if rustix::process::geteuid().is_root() {
        hand_over(&root, uid).map_err(|error| Error::io("change the owner of", &root, &error))?;
    }
    let list = serde_json::to_vec(&unpacked).map_err(|error| Error::Internal(error.to_string()))?;
    let path = temporary.path().join("unpacked.json");
    fs::write(&path, list).map_err(|error| Error::io("write", &path, &error))?;
    match fs::rename(temporary.path(), slot) {
        Err(_) if slot.join("unpacked.json").exists() => Ok(()), // Another run was faster.
        Err(error) => Err(Error::io("create", slot, &error)),
        Ok(()) => Ok(()),
    }
}

/// Give a tree to the user as whom the guest runs, without following links.
fn hand_over(path: &Path, uid: u32) -> std::io::Result<()> {
    std::os::unix::fs::lchown(path, Some(uid), Some(uid))?;
    if fs::symlink_metadata(path)?.is_dir() {
        for entry in fs::read_dir(path)? {
            hand_over(&entry?.path(), uid)?;
        }
    }
    Ok(())
}
