//! Whether an archive can be a project's own as it is: then it is kept, and not packed again.
//!
//! It can where nothing in it was put right or left out while it was read, and where every reader
//! of archives finds in it what was found here.

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::FileExt;

use sha2::{Digest, Sha256};
use tar::EntryType;

use super::tree::{Content, Tree};
use crate::{Cancel, Error, Result};

/// Extended headers that change nothing but a name or a time.
const HARMLESS: [&[u8]; 5] = [b"path", b"linkpath", b"mtime", b"atime", b"ctime"];
const BLOCK: usize = 1 << 20;

/// An archive that was read whole.
#[derive(Debug)]
pub(crate) struct Original {
    file: File,
    digest: [u8; 32],
}

impl Original {
    pub(super) fn new(file: File, digest: [u8; 32]) -> Self {
        Self { file, digest }
    }

    /// Write its bytes to `to`, which must be those that were read.
    pub(crate) fn copy(&self, mut to: File, cancel: &Cancel) -> Result<()> {
        let failed =
            |e: &std::io::Error| Error::Internal(format!("cannot write base/fs.tar.gz: {e}"));
        let mut digest = Sha256::new();
        let mut buffer = vec![0; BLOCK];
        let mut at = 0;
        loop {
            cancel.check()?;
            let read = self.file.read_at(&mut buffer, at).map_err(|e| failed(&e))?;
            let block = buffer.get(..read).unwrap_or_default();
            if block.is_empty() {
                break;
            }
            digest.update(block);
            to.write_all(block).map_err(|e| failed(&e))?;
            at += block.len() as u64;
        }
        if digest.finalize()[..] == self.digest {
            Ok(())
        } else {
            Err(Error::Conflict(
                "the root filesystem's archive was changed while the project was made of it; call \
                 this again"
                    .into(),
            ))
        }
    }
}

/// Whether an entry, which is about to be added to `tree`, stands there as each reader of archives
/// has it: under a plain name that is new, in a directory that came before.
pub(super) fn is_plain(tree: &Tree, path: &[u8], kind: EntryType) -> bool {
    let is_directory = kind == EntryType::Directory;
    if is_directory && matches!(path, b"." | b"./") {
        return true;
    }
    let name = path.strip_prefix(b"./").unwrap_or(path);
    let name = match name.strip_suffix(b"/") {
        Some(name) if is_directory => name,
        _ => name,
    };
    let is_named = |part: &[u8]| !matches!(part, b"" | b"." | b"..");
    let parent = name.iter().rposition(|byte| *byte == b'/');
    let has_parent = parent.is_none_or(|end| {
        let entry = name.get(..end).and_then(|parent| tree.get(parent));
        entry.is_some_and(|entry| entry.content == Content::Directory)
    });
    let is_usual = matches!(
        kind,
        EntryType::Regular
            | EntryType::Directory
            | EntryType::Symlink
            | EntryType::Link
            | EntryType::Char
            | EntryType::Block
            | EntryType::Fifo
    );
    is_usual
        && name.split(|byte| *byte == b'/').all(is_named)
        && has_parent
        && tree.get(name).is_none()
}

/// Whether an extended header is one that changes nothing else than is read here.
pub(super) fn is_harmless(key: &[u8]) -> bool {
    HARMLESS.contains(&key)
}

#[cfg(test)]
mod tests {
    use super::super::tree::Entry;
    use super::*;

    #[test]
    fn only_new_plain_names_in_directories_that_came_before_are_taken_over() {
        let mut tree = Tree::default();
        let entry = |content| Entry {
            content,
            mode: 0o755,
            uid: 0,
            gid: 0,
            mtime: 0,
            same_as: None,
        };
        tree.insert(b"etc", entry(Content::Directory)).unwrap();
        tree.insert(b"tmp", entry(Content::Symlink(b"etc".to_vec())))
            .unwrap();
        for (path, plain) in [
            (&b"./etc/passwd"[..], true),
            (b"./bin", true),
            (b"etc/passwd", true),
            (b"/etc/passwd", false),
            (b"./etc", false),
            (b"./etc/../x", false),
            (b"./etc//x", false),
            (b"./tmp/x", false),
            (b"./new/x", false),
            (b"./bin/", false),
            (b"./", false),
        ] {
            assert_eq!(is_plain(&tree, path, EntryType::Regular), plain, "{path:?}");
        }
        assert!(is_plain(&tree, b"./usr/", EntryType::Directory));
        assert!(is_plain(&tree, b"./", EntryType::Directory));
        assert!(!is_plain(&tree, b"./x", EntryType::GNUSparse));
        assert!(is_harmless(b"path") && !is_harmless(b"uid"));
    }
}
