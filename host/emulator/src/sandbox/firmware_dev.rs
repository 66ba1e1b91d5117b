//! What the firmware's own `/dev` holds besides device nodes: taken out before the sandbox's is
//! mounted there, and put back into that.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode};

/// Bytes of its regular files together; the file system that they go to has little more.
const BYTES_MAX: u64 = 1 << 20;
/// Entries of one directory.
const ENTRIES_MAX: usize = 4096;

/// One entry.
#[derive(Debug, PartialEq, Eq)]
pub struct Entry {
    /// Relative to `/dev`.
    path: PathBuf,
    content: Content,
}

#[derive(Debug, PartialEq, Eq)]
enum Content {
    Link(PathBuf),
    Directory(u32),
    Fifo(u32),
    File(Vec<u8>, u32),
}

/// All that is there, a directory before what it holds.
pub fn take(dev: &Path) -> Vec<Entry> {
    let mut found = Vec::new();
    let mut room = BYTES_MAX;
    let mut pending = vec![PathBuf::new()];
    while let Some(directory) = pending.pop() {
        let entries = fs::read_dir(dev.join(&directory));
        let entries = entries.into_iter().flatten().flatten();
        for entry in entries.take(ENTRIES_MAX) {
            let path = directory.join(entry.file_name());
            if let Some(content) = content(&entry, &mut room) {
                if matches!(content, Content::Directory(_)) {
                    pending.push(path.clone());
                }
                found.push(Entry { path, content });
            }
        }
    }
    found
}

fn content(entry: &fs::DirEntry, room: &mut u64) -> Option<Content> {
    // Not of what a link leads to.
    let metadata = entry.metadata().ok()?;
    let mode = metadata.permissions().mode() & 0o1777;
    match FileType::from_raw_mode(metadata.permissions().mode()) {
        FileType::Symlink => fs::read_link(entry.path()).ok().map(Content::Link),
        FileType::Directory => Some(Content::Directory(mode)),
        FileType::Fifo => Some(Content::Fifo(mode)),
        FileType::RegularFile => {
            *room = room.checked_sub(metadata.len())?;
            let contents = fs::read(entry.path()).ok()?;
            Some(Content::File(contents, mode))
        }
        _ => None,
    }
}

/// Put it into `dev`, where the sandbox has put nothing itself.
pub fn put_back(entries: Vec<Entry>, dev: &Path) {
    for Entry { path, content } in entries {
        let path = dev.join(path);
        if fs::symlink_metadata(&path).is_ok() {
            continue;
        }
        let mode = match content {
            Content::Link(target) => {
                let _ = symlink(target, &path);
                continue;
            }
            Content::Directory(mode) => {
                let _ = fs::create_dir(&path);
                mode
            }
            Content::Fifo(mode) => {
                let owners = Mode::from_raw_mode(0o600);
                let _ = rustix::fs::mknodat(CWD, &path, FileType::Fifo, owners, 0);
                mode
            }
            Content::File(contents, mode) => {
                let _ = fs::write(&path, contents);
                mode
            }
        };
        let _ = fs::set_permissions(&path, Permissions::from_mode(mode));
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    #[test]
    fn all_but_nodes_and_large_files_comes_back_with_its_mode() {
        let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let at = |path: &str| from.path().join(path);
        fs::create_dir(at("sub")).unwrap();
        fs::set_permissions(at("sub"), Permissions::from_mode(0o1777)).unwrap();
        symlink("/proc/self/fd", at("sub/link")).unwrap();
        fs::write(at("settings"), "data").unwrap();
        fs::write(at("null"), "the firmware's").unwrap();
        fs::write(at("large"), vec![0; 2 << 20]).unwrap();
        let mode = Mode::from_raw_mode(0o640);
        rustix::fs::mknodat(CWD, at("fifo"), FileType::Fifo, mode, 0).unwrap();
        fs::write(to.path().join("null"), "").unwrap();

        put_back(take(from.path()), to.path());

        let mode = |path| fs::symlink_metadata(to.path().join(path)).unwrap().mode();
        assert_eq!(mode("sub"), libc::S_IFDIR | 0o1777);
        assert_eq!(mode("fifo"), libc::S_IFIFO | 0o640);
        let link = fs::read_link(to.path().join("sub/link")).unwrap();
        assert_eq!(link, Path::new("/proc/self/fd"));
        let read = |path| fs::read(to.path().join(path)).unwrap();
        assert_eq!(read("settings"), b"data");
        assert_eq!(read("null"), b"");
        assert!(!to.path().join("large").exists());
    }
}
