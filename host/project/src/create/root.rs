//! Where in an archive the root filesystem begins.

use std::path::Path;

use crate::firmware::tree::{Content, Tree, shown};
use crate::{Error, Result};

/// How deep below the top of an archive a root is looked for.
const MAX_DEPTH: usize = 3;

/// The directory of the tree that is the root: the top itself, or the only one further down that
/// looks like a root.
pub(super) fn find(tree: &Tree, source: &Path) -> Result<Vec<u8>> {
    if is_root(tree, b"") {
        return Ok(Vec::new());
    }
    let depth = |path: &[u8]| memchr::memchr_iter(b'/', path).count();
    let found: Vec<&[u8]> = tree
        .iter()
        .filter(|(path, entry)| {
            depth(path) < MAX_DEPTH && entry.content == Content::Directory && is_root(tree, path)
        })
        .map(|(path, _)| path)
        .collect();
    let shallowest = found.iter().map(|path| depth(path)).min();
    let roots: Vec<&[u8]> = found
        .into_iter()
        .filter(|path| Some(depth(path)) == shallowest)
        .collect();
    match roots.as_slice() {
        [root] => Ok(root.to_vec()),
        [] => Err(Error::InvalidArgument(format!(
            "{} is not a root filesystem: it has no directories such as bin, etc and lib; give \
             the unpacked root filesystem of the firmware, not the firmware image",
            source.display()
        ))),
        several => {
            let names: Vec<_> = several.iter().take(8).map(|root| shown(root)).collect();
            Err(Error::InvalidArgument(format!(
                "{} holds {} root filesystems ({}); pack the one to rehost by itself",
                source.display(),
                several.len(),
                names.join(", ")
            )))
        }
    }
}

fn is_root(tree: &Tree, dir: &[u8]) -> bool {
    let has = |names: &[&str]| {
        tree.children(dir)
            .filter(|(name, _)| names.iter().any(|n| n.as_bytes() == *name))
            .count()
    };
    has(&["bin", "sbin", "usr", "init", "linuxrc"]) >= 1
        && has(&[
            "bin", "sbin", "usr", "etc", "lib", "dev", "proc", "var", "tmp",
        ]) >= 2
}
