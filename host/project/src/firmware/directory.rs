//! Read a root filesystem from a directory of the host, without following any link.

use std::collections::HashMap;
use std::ffi::CStr;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

use super::image::Image;
use super::source::Builder;
use super::tree::{Content, Entry, shown};
use crate::ground::beneath::open_dir;
use crate::{Cancel, Error, Result};

/// The most directories inside one another.
const MAX_DEPTH: usize = 128;

/// Read a directory. Owners are not kept: they are those of whoever unpacked it.
pub(super) fn read_directory(path: &Path, cancel: &Cancel) -> Result<Image> {
    let mut walk = Walk {
        builder: Builder::for_directory(path, cancel)?,
        seen: HashMap::new(),
        path,
        cancel,
    };
    walk.directory(&open_dir(path)?, &mut Vec::new(), 0)?;
    walk.builder.finish()
}

struct Walk<'a> {
    builder: Builder<'a>,
    /// Where each file of more than one name was met first, by device and inode.
    seen: HashMap<(u64, u64), Vec<u8>>,
    path: &'a Path,
    cancel: &'a Cancel,
}

impl Walk<'_> {
    fn directory(&mut self, dir: &OwnedFd, prefix: &mut Vec<u8>, depth: usize) -> Result<()> {
        if depth > MAX_DEPTH {
            return Err(Error::Limit(format!(
                "{} is nested deeper than {MAX_DEPTH} directories",
                self.path.display()
            )));
        }
        let failed = |errno: Errno| Error::io("list", self.path, &errno.into());
        let mut names = Vec::new();
        for entry in Dir::read_from(dir).map_err(failed)? {
            let name = entry.map_err(failed)?.file_name().to_owned();
            if !matches!(name.to_bytes(), b"." | b"..") {
                names.push(name);
            }
        }
        names.sort();
        for name in names {
            self.cancel.check()?;
            let length = prefix.len();
            if length > 0 {
                prefix.push(b'/');
            }
            prefix.extend_from_slice(name.to_bytes());
            self.entry(dir, &name, prefix, depth)
                .map_err(|error| match error {
                    Error::Denied(why) => Error::Denied(format!(
                        "{why}. Make it readable, or give an archive that was packed by its owner"
                    )),
                    other => other,
                })?;
            prefix.truncate(length);
        }
        Ok(())
    }

    fn entry(
        &mut self,
        dir: &OwnedFd,
        name: &CStr,
        path: &mut Vec<u8>,
        depth: usize,
    ) -> Result<()> {
        let at = || self.path.join(shown(path).trim_start_matches('/'));
        let failed = |errno: Errno| Error::io("read", &at(), &errno.into());
        let stat = rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW).map_err(failed)?;
        let open = |flags: OFlags| {
            let flags =
                flags | OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
            rustix::fs::openat(dir, name, flags, Mode::empty()).map_err(failed)
        };
        let device = |block| Content::Device {
            block,
            major: rustix::fs::major(stat.st_rdev),
            minor: rustix::fs::minor(stat.st_rdev),
        };
        let content = match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => {
                let inner = open(OFlags::DIRECTORY)?;
                self.builder
                    .insert(path, described(&stat, Content::Directory))?;
                return self.directory(&inner, path, depth + 1);
            }
            FileType::RegularFile => {
                let key = (stat.st_dev, stat.st_ino);
                if let Some(first) = self.seen.get(&key) {
                    let same = self.builder.hard_link(first, path)?;
                    self.builder.insert(path, same)?;
                    return Ok(());
                }
                if stat.st_nlink > 1 {
                    self.seen.insert(key, path.clone());
                }
                let mut file = File::from(open(OFlags::empty())?);
                // Something else may have been put there since.
                if !file.metadata().is_ok_and(|meta| meta.is_file()) {
                    return Err(Error::Conflict(format!(
                        "{} changed while it was read; try again when nothing writes to it",
                        at().display()
                    )));
                }
                self.builder.content(&mut file)?
            }
            FileType::Symlink => Content::Symlink(
                rustix::fs::readlinkat(dir, name, Vec::new())
                    .map_err(failed)?
                    .into_bytes(),
            ),
            FileType::CharacterDevice => device(false),
            FileType::BlockDevice => device(true),
            FileType::Fifo => Content::Fifo,
            _ => {
                self.builder
                    .warn(format!("{} is a socket and is left out", shown(path)));
                return Ok(());
            }
        };
        self.builder.insert(path, described(&stat, content))?;
        Ok(())
    }
}

fn described(stat: &Stat, content: Content) -> Entry {
    let mtime = u64::try_from(stat.st_mtime).unwrap_or(0);
    Entry {
        content,
        mode: stat.st_mode & 0o7777,
        uid: 0,
        gid: 0,
        mtime,
        same_as: None,
    }
}
