//! `static_files`: read on the host before the start, applied inside the guest's root, where no
//! link leads out.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{FileExt, OpenOptionsExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use rookery_project::{Error, Result, regular};

use crate::kernel::paths;
use rookery_runs::plan::StaticFile;

/// Bytes of the host's files together: they are held in memory until the guest starts.
const CONTENTS_MAX: u64 = 512 << 20;

/// Directories in directories of the project that are copied.
const DEPTH_MAX: u32 = 32;

/// One change to the guest's files.
#[derive(Debug)]
pub enum Change {
    /// Write a file.
    File {
        path: String,
        contents: Vec<u8>,
        mode: u32,
    },
    /// Make a directory.
    Directory { path: String, mode: u32 },
    /// Make a link.
    Symlink { path: String, target: String },
    /// Remove whatever is there.
    Delete { path: String },
    /// Move a path.
    Move {
        from: String,
        to: String,
        mode: Option<u32>,
    },
    /// Keep the original aside and link the path to a replacement.
    Shim { path: String, target: String },
    /// Nothing: what the project has is none of these.
    Nothing { path: String, why: &'static str },
    /// Overwrite bytes.
    Patch {
        path: String,
        edits: Vec<(u64, Vec<u8>)>,
    },
}

/// What a plan's files come to. Devices are no files: the supervisor answers for them.
pub fn load(files: &[(String, StaticFile)]) -> Result<Vec<Change>> {
    let mut changes = Vec::new();
    let mut room = CONTENTS_MAX;
    for (path, file) in files {
        let path = paths::normalise(path);
        match file {
            StaticFile::Inline { contents, mode } => changes.push(Change::File {
                path,
                contents: contents.clone(),
                mode: *mode,
            }),
            StaticFile::Host { path: host, mode } => {
                load_host(&path, host, *mode, 0, &mut room, &mut changes)?;
            }
            StaticFile::Directory { mode } => changes.push(Change::Directory { path, mode: *mode }),
            StaticFile::Symlink { target } => changes.push(Change::Symlink {
                path,
                target: target.clone(),
            }),
            StaticFile::Device { .. } => {}
            StaticFile::Delete => changes.push(Change::Delete { path }),
            StaticFile::Move { from, mode } => changes.push(Change::Move {
                from: paths::normalise(from),
                to: path,
                mode: *mode,
            }),
            StaticFile::Shim { target } => changes.push(Change::Shim {
                path,
                target: target.clone(),
            }),
            StaticFile::Patch { edits } => changes.push(Change::Patch {
                path,
                edits: edits.clone(),
            }),
        }
    }
    Ok(changes)
}

fn load_host(
    path: &str,
    host: &Path,
    mode: u32,
    depth: u32,
    room: &mut u64,
    changes: &mut Vec<Change>,
) -> Result<()> {
    let unreadable = |error: std::io::Error| Error::io("read", host, &error);
    let metadata = fs::symlink_metadata(host).map_err(unreadable)?;
    if metadata.is_symlink() {
        // A link stays one: where it leads is the guest's affair, and never the host's.
        let target = fs::read_link(host).map_err(unreadable)?;
        changes.push(Change::Symlink {
            path: path.to_owned(),
            target: target.to_string_lossy().into_owned(),
        });
    } else if metadata.is_dir() && depth >= DEPTH_MAX {
        changes.push(Change::Nothing {
            path: path.to_owned(),
            why: "the project's directories are nested more than 32 deep",
        });
    } else if metadata.is_dir() {
        changes.push(Change::Directory {
            path: path.to_owned(),
            mode: 0o755,
        });
        for entry in fs::read_dir(host).map_err(unreadable)? {
            let entry = entry.map_err(unreadable)?;
            let name = entry.file_name();
            load_host(
                &paths::join(path, &name.to_string_lossy()),
                &entry.path(),
                mode,
                depth + 1,
                room,
                changes,
            )?;
        }
    } else if metadata.is_file() {
        let contents = read_without_links(host, *room).map_err(|error| match error.kind() {
            std::io::ErrorKind::FileTooLarge => Error::Limit(format!(
                "the files of the project that are copied into the guest hold more than {} MiB, \
                 with {}; put large ones into the root filesystem's archive",
                CONTENTS_MAX >> 20,
                host.display()
            )),
            _ => unreadable(error),
        })?;
        *room -= contents.len() as u64;
        changes.push(Change::File {
            path: path.to_owned(),
            contents,
            mode,
        });
    } else {
        changes.push(Change::Nothing {
            path: path.to_owned(),
            why: "in the project it is neither a file, a directory nor a link",
        });
    }
    Ok(())
}

fn read_without_links(path: &Path, limit: u64) -> std::io::Result<Vec<u8>> {
    regular::read_all(regular::open_without_links(path)?, limit)
}

/// Make a change. `/` must be the guest's root.
pub fn apply(change: &Change) -> std::io::Result<()> {
    match change {
        Change::File {
            path,
            contents,
            mode,
        } => {
            make_room(path)?;
            let mut file = fs::OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(path)?;
            file.write_all(contents)?;
            file.set_permissions(fs::Permissions::from_mode(*mode))
        }
        Change::Directory { path, mode } => {
            fs::create_dir_all(path)?;
            fs::set_permissions(path, fs::Permissions::from_mode(*mode))
        }
        Change::Symlink { path, target } => {
            make_room(path)?;
            symlink(target, path)
        }
        Change::Delete { path } => remove(path),
        Change::Move { from, to, mode } => {
            make_room(to)?;
            relocate(from, to)?;
            mode.map_or(Ok(()), |mode| {
                fs::set_permissions(to, fs::Permissions::from_mode(mode))
            })
        }
        Change::Shim { path, target } => {
            let aside = format!("/igloo/shims/{}.orig", paths::basename(path));
            fs::create_dir_all("/igloo/shims")?;
            if fs::symlink_metadata(path).is_ok() {
                relocate(path, &aside)?;
            }
            make_room(path)?;
            symlink(target, path)
        }
        Change::Nothing { why, .. } => Err(std::io::Error::other(*why)),
        Change::Patch { path, edits } => {
            let file = fs::OpenOptions::new().write(true).open(path)?;
            edits
                .iter()
                .try_for_each(|(offset, bytes)| file.write_all_at(bytes, *offset))
        }
    }
}

/// The path that a change is about, for messages.
pub fn subject(change: &Change) -> &str {
    match change {
        Change::File { path, .. }
        | Change::Directory { path, .. }
        | Change::Symlink { path, .. }
        | Change::Delete { path }
        | Change::Nothing { path, .. }
        | Change::Move { to: path, .. }
        | Change::Shim { path, .. }
        | Change::Patch { path, .. } => path,
    }
}

/// Move a path. A relative link leads to what it led to before.
fn relocate(from: &str, to: &str) -> std::io::Result<()> {
    match fs::read_link(from) {
        Ok(target) if target.is_relative() => {
            let target = paths::join(paths::parent(from), &target.to_string_lossy());
            symlink(target, to)?;
            fs::remove_file(from)
        }
        _ => fs::rename(from, to),
    }
}

fn make_room(path: &str) -> std::io::Result<()> {
    fs::create_dir_all(paths::parent(path))?;
    match fs::symlink_metadata(path) {
        Ok(metadata) if !metadata.is_dir() => fs::remove_file(path),
        _ => Ok(()),
    }
}

fn remove(path: &str) -> std::io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_dir() => fs::remove_dir_all(PathBuf::from(path)),
        Ok(_) => fs::remove_file(path),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_relative_link_that_is_moved_leads_where_it_led() {
        let root = tempfile::tempdir().unwrap();
        let at = |name: &str| root.path().join(name).to_str().unwrap().to_owned();
        for directory in ["bin", "sbin", "igloo/shims"] {
            fs::create_dir_all(at(directory)).unwrap();
        }
        fs::write(at("bin/busybox"), "a program").unwrap();
        symlink("../bin/busybox", at("sbin/insmod")).unwrap();
        symlink("/bin/busybox", at("sbin/rmmod")).unwrap();
        for name in ["insmod", "rmmod"] {
            let to = at(&format!("igloo/shims/{name}.orig"));
            relocate(&at(&format!("sbin/{name}")), &to).unwrap();
        }
        assert_eq!(
            fs::read(at("igloo/shims/insmod.orig")).unwrap(),
            b"a program"
        );
        let kept = fs::read_link(at("igloo/shims/rmmod.orig")).unwrap();
        assert_eq!(kept, Path::new("/bin/busybox"));
        assert!(!Path::new(&at("sbin/insmod")).is_symlink());
    }

    #[test]
    fn what_is_no_file_is_said_and_not_left_out_in_silence() {
        let project = tempfile::tempdir().unwrap();
        let pipe = project.path().join("pipe");
        let kind = rustix::fs::FileType::Fifo;
        let mode = rustix::fs::Mode::from_raw_mode(0o600);
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, kind, mode, 0).unwrap();
        let file = StaticFile::Host {
            path: pipe,
            mode: 0o755,
        };
        let changes = load(&[("/etc/pipe".into(), file)]).unwrap();
        let [change] = &changes[..] else {
            panic!("{changes:?}");
        };
        assert_eq!(subject(change), "/etc/pipe");
        assert!(apply(change).is_err());
    }

    #[test]
    fn no_link_below_a_directory_of_the_project_leads_into_the_host() {
        let host = tempfile::tempdir().unwrap();
        let host = host.path().canonicalize().unwrap();
        let files = host.join("files");
        fs::create_dir_all(files.join("below")).unwrap();
        fs::write(files.join("below/plain"), "mine").unwrap();
        fs::write(host.join("secret"), "the host's").unwrap();
        symlink(host.join("secret"), files.join("out")).unwrap();
        symlink(".", files.join("circle")).unwrap();
        symlink(&host, files.join("below/up")).unwrap();
        let file = StaticFile::Host {
            path: files.clone(),
            mode: 0o755,
        };
        let changes = load(&[("/etc/d".into(), file)]).unwrap();
        let contents: Vec<_> = changes
            .iter()
            .filter_map(|change| match change {
                Change::File { path, contents, .. } => Some((path.as_str(), contents.as_slice())),
                _ => None,
            })
            .collect();
        assert_eq!(contents, [("/etc/d/below/plain", &b"mine"[..])]);
        let links = changes
            .iter()
            .filter(|change| matches!(change, Change::Symlink { .. }));
        assert_eq!(links.count(), 3);
        assert!(read_without_links(&files.join("below/up/secret"), 100).is_err());
    }
}
