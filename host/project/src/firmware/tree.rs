//! The names of a root filesystem, and how paths resolve inside it.

use std::collections::BTreeMap;

use rookery_contract::shapes::EntryKind;

use rookery_contract::text::escape;

/// The most links that one path may lead through, as in Linux.
const MAX_LINKS: usize = 40;
/// The longest path, in bytes.
const MAX_PATH: usize = 4096;

/// One entry of a root filesystem.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub content: Content,
    /// Permission bits.
    pub mode: u32,
    pub uid: u64,
    pub gid: u64,
    /// Seconds since 1970.
    pub mtime: u64,
    /// For a hard link, the name under which the content came first.
    pub same_as: Option<Vec<u8>>,
}

/// What an entry is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Content {
    /// Bytes at this place of the image's data.
    File {
        offset: u64,
        bytes: u64,
    },
    Directory,
    Symlink(Vec<u8>),
    Device {
        block: bool,
        major: u32,
        minor: u32,
    },
    Fifo,
}

impl Content {
    /// Its name in `wit/firmware.wit`.
    pub(crate) fn kind(&self) -> EntryKind {
        match self {
            Self::File { .. } => EntryKind::File,
            Self::Directory => EntryKind::Directory,
            Self::Symlink(_) => EntryKind::Symlink,
            Self::Device { block: false, .. } => EntryKind::CharacterDevice,
            Self::Device { block: true, .. } => EntryKind::BlockDevice,
            Self::Fifo => EntryKind::Fifo,
        }
    }

    /// How large a file is; nothing else has a size.
    pub(crate) fn bytes(&self) -> u64 {
        match self {
            Self::File { bytes, .. } => *bytes,
            _ => 0,
        }
    }
}

/// All entries by path, without a leading slash; the root is the empty path. Every entry's parent
/// is a directory.
#[derive(Debug, Clone)]
pub(crate) struct Tree {
    entries: BTreeMap<Vec<u8>, Entry>,
}

/// Why a path does not resolve.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Unresolved {
    /// This path does not exist; its parent does.
    Missing(Vec<u8>),
    /// This path is needed as a directory and is none.
    NotADirectory(Vec<u8>),
    /// Too many links.
    Loop,
}

impl std::fmt::Display for Unresolved {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Missing(path) => write!(f, "{} does not exist", shown(path)),
            Self::NotADirectory(path) => write!(f, "{} is not a directory", shown(path)),
            Self::Loop => f.write_str("its links lead in a circle"),
        }
    }
}

impl Default for Tree {
    fn default() -> Self {
        Self {
            entries: BTreeMap::from([(Vec::new(), directory())]),
        }
    }
}

impl Tree {
    pub(crate) fn get(&self, path: &[u8]) -> Option<&Entry> {
        self.entries.get(path)
    }

    /// An entry whose content or mode is put right.
    pub(crate) fn get_mut(&mut self, path: &[u8]) -> Option<&mut Entry> {
        self.entries.get_mut(path)
    }

    /// All entries but the root, parents before what is in them.
    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = (&[u8], &Entry)> {
        self.entries
            .iter()
            .filter(|(path, _)| !path.is_empty())
            .map(|(path, entry)| (path.as_slice(), entry))
    }

    /// Everything below a directory, itself not included.
    pub(crate) fn below(&self, dir: &[u8]) -> impl Iterator<Item = (&[u8], &Entry)> {
        let start = if dir.is_empty() {
            vec![0]
        } else {
            join(dir, b"")
        };
        let prefix = if dir.is_empty() {
            Vec::new()
        } else {
            start.clone()
        };
        self.entries
            .range(start..)
            .take_while(move |(path, _)| path.starts_with(&prefix))
            .map(|(path, entry)| (path.as_slice(), entry))
    }

    /// The names in a directory, sorted.
    pub(crate) fn children(&self, dir: &[u8]) -> impl Iterator<Item = (&[u8], &Entry)> {
        let skip = if dir.is_empty() { 0 } else { dir.len() + 1 };
        self.below(dir).filter_map(move |(path, entry)| {
            let name = path.get(skip..)?;
            (!name.contains(&b'/')).then_some((name, entry))
        })
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len() - 1
    }

    /// Follow `path` from the root, links and `..` included, never leaving the tree. Gives a path
    /// without links.
    pub(crate) fn resolve(&self, path: &[u8], follow_last: bool) -> Result<Vec<u8>, Unresolved> {
        let mut todo: Vec<Vec<u8>> = parts(path).rev().map(<[u8]>::to_vec).collect();
        let mut at: Vec<u8> = Vec::new();
        let mut links = 0;
        while let Some(part) = todo.pop() {
            if part == b".." {
                at.truncate(parent(&at).len());
                continue;
            }
            let next = join_part(&at, &part);
            match self.entries.get(&next).map(|entry| &entry.content) {
                None => return Err(Unresolved::Missing(next)),
                Some(Content::Symlink(target)) if follow_last || !todo.is_empty() => {
                    links += 1;
                    if links > MAX_LINKS {
                        return Err(Unresolved::Loop);
                    }
                    if target.first() == Some(&b'/') {
                        at.clear();
                    }
                    todo.extend(parts(target).rev().map(<[u8]>::to_vec));
                }
                Some(Content::Directory) => at = next,
                Some(_) if todo.is_empty() => at = next,
                Some(_) => return Err(Unresolved::NotADirectory(next)),
            }
        }
        Ok(at)
    }

    /// The entry that `path` leads to, and its path.
    pub(crate) fn follow(&self, path: &[u8]) -> Option<(Vec<u8>, &Entry)> {
        let path = self.resolve(path, true).ok()?;
        let entry = self.entries.get(&path)?;
        Some((path, entry))
    }

    /// Add an entry. Missing parents are made; parents that are links are followed inside the tree,
    /// as a system that unpacks an archive over its own root would. A later entry replaces an
    /// earlier one.
    pub(crate) fn insert(&mut self, path: &[u8], entry: Entry) -> Result<Vec<u8>, String> {
        let path = normalise(path)?;
        if path.is_empty() {
            if entry.content == Content::Directory {
                self.entries.insert(path.clone(), entry);
                return Ok(path);
            }
            return Err("it has the path of the root but is not a directory".into());
        }
        let parent = self.directory(parent(&path))?;
        let path = join_part(&parent, name(&path));
        match self.entries.get(&path).map(|old| &old.content) {
            Some(Content::Directory)
                if entry.content != Content::Directory && self.below(&path).next().is_some() =>
            {
                return Err("it replaces a directory that is not empty".into());
            }
            // A directory that is named again keeps what is in it; a link to a directory stays a
            // link.
            Some(Content::Symlink(_))
                if entry.content == Content::Directory && self.leads_to_directory(&path) =>
            {
                return Ok(path);
            }
            _ => {}
        }
        self.entries.insert(path.clone(), entry);
        Ok(path)
    }

    fn leads_to_directory(&self, path: &[u8]) -> bool {
        self.follow(path)
            .is_some_and(|(_, entry)| entry.content == Content::Directory)
    }

    /// The real path of a directory, made where it does not exist.
    fn directory(&mut self, path: &[u8]) -> Result<Vec<u8>, String> {
        // Each round makes one directory, and a path has no more parts than bytes.
        for _ in 0..MAX_PATH {
            match self.resolve(path, true) {
                Ok(real)
                    if self
                        .get(&real)
                        .is_some_and(|e| e.content == Content::Directory) =>
                {
                    return Ok(real);
                }
                Ok(_) => return Err("one of its parents is not a directory".into()),
                Err(Unresolved::Missing(missing)) if missing.len() <= MAX_PATH => {
                    self.entries.insert(missing, directory());
                }
                Err(error) => return Err(format!("its parent cannot be reached: {error}")),
            }
        }
        Err("its path is too deep".into())
    }

    /// Whether an entry is a hard link to a file that is still there.
    pub(crate) fn is_second_name(&self, entry: &Entry) -> bool {
        let first = entry.same_as.as_deref().and_then(|first| self.get(first));
        first.is_some_and(|first| first.content == entry.content && first.same_as.is_none())
    }

    /// Only what is below `dir`, which becomes the root.
    pub(crate) fn rerooted(&self, dir: &[u8]) -> Self {
        let skip = dir.len() + usize::from(!dir.is_empty());
        let mut tree = Self::default();
        if let Some(root) = self.get(dir) {
            tree.entries.insert(Vec::new(), root.clone());
        }
        for (path, entry) in self.below(dir) {
            let mut entry = entry.clone();
            // A hard link to something outside keeps its content, under its own name.
            entry.same_as = entry
                .same_as
                .filter(|p| p.starts_with(dir))
                .and_then(|p| p.get(skip..).map(<[u8]>::to_vec));
            tree.entries
                .insert(path.get(skip..).unwrap_or_default().to_vec(), entry);
        }
        tree
    }
}

fn directory() -> Entry {
    Entry {
        content: Content::Directory,
        mode: 0o755,
        uid: 0,
        gid: 0,
        mtime: 0,
        same_as: None,
    }
}

/// A path of an archive as a path of the tree. A leading `/` or `./` is dropped; `..` is refused,
/// as an honest archive has none.
pub(crate) fn normalise(path: &[u8]) -> Result<Vec<u8>, String> {
    if path.len() > MAX_PATH {
        return Err(format!(
            "its path has {} bytes, more than {MAX_PATH}",
            path.len()
        ));
    }
    if path.contains(&0) {
        return Err("its path holds a NUL character".into());
    }
    let mut out = Vec::with_capacity(path.len());
    for part in parts(path) {
        if part == b".." {
            return Err("its path holds `..`".into());
        }
        if part.len() > 255 {
            return Err(format!(
                "a name in its path has {} bytes, more than 255",
                part.len()
            ));
        }
        out = join_part(&out, part);
    }
    Ok(out)
}

/// The parts of a path, without empty ones and `.`.
fn parts(path: &[u8]) -> impl DoubleEndedIterator<Item = &[u8]> {
    path.split(|&b| b == b'/')
        .filter(|part| !part.is_empty() && *part != b".")
}

pub(crate) fn parent(path: &[u8]) -> &[u8] {
    memchr::memrchr(b'/', path)
        .and_then(|slash| path.get(..slash))
        .unwrap_or_default()
}

pub(crate) fn name(path: &[u8]) -> &[u8] {
    memchr::memrchr(b'/', path)
        .and_then(|slash| path.get(slash + 1..))
        .unwrap_or(path)
}

fn join_part(dir: &[u8], name: &[u8]) -> Vec<u8> {
    if dir.is_empty() {
        name.to_vec()
    } else {
        join(dir, name)
    }
}

fn join(dir: &[u8], name: &[u8]) -> Vec<u8> {
    [dir, b"/", name].concat()
}

/// A path for people: absolute, with hidden characters and bytes that are no UTF-8 escaped.
pub(crate) fn shown(path: &[u8]) -> String {
    format!("/{}", escape(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file() -> Entry {
        Entry {
            content: Content::File {
                offset: 0,
                bytes: 0,
            },
            ..directory()
        }
    }

    fn link(to: &str) -> Entry {
        Entry {
            content: Content::Symlink(to.into()),
            ..directory()
        }
    }

    #[test]
    fn links_resolve_inside_the_tree_and_never_leave_it() {
        let mut tree = Tree::default();
        tree.insert(b"./bin/busybox", file()).unwrap();
        tree.insert(b"sbin", link("/bin")).unwrap();
        tree.insert(b"sbin/init", link("../../../../bin/busybox"))
            .unwrap();
        tree.insert(b"loop", link("loop2")).unwrap();
        tree.insert(b"loop2", link("/loop")).unwrap();
        assert_eq!(
            tree.resolve(b"/sbin/init", true),
            Ok(b"bin/busybox".to_vec())
        );
        assert_eq!(tree.resolve(b"/sbin/init", false), Ok(b"bin/init".to_vec()));
        assert_eq!(
            tree.resolve(b"../../etc/../bin", true),
            Err(Unresolved::Missing(b"etc".to_vec()))
        );
        assert_eq!(tree.resolve(b"loop", true), Err(Unresolved::Loop));
        assert_eq!(
            tree.resolve(b"bin/busybox/x", true),
            Err(Unresolved::NotADirectory(b"bin/busybox".to_vec()))
        );
    }

    #[test]
    fn an_entry_below_a_link_lands_where_the_link_leads_inside() {
        let mut tree = Tree::default();
        tree.insert(b"out", link("/etc")).unwrap();
        tree.insert(b"out/passwd", file()).unwrap();
        assert!(tree.get(b"etc/passwd").is_some(), "{tree:?}");
        assert!(tree.insert(b"a/../../x", file()).is_err());
        assert_eq!(tree.insert(b"/abs", file()), Ok(b"abs".to_vec()));
    }

    #[test]
    fn children_are_direct_and_sorted() {
        let mut tree = Tree::default();
        for path in ["etc/a", "etc-x", "etc/b/c", "etc0"] {
            tree.insert(path.as_bytes(), file()).unwrap();
        }
        let names = |dir: &[u8]| {
            tree.children(dir)
                .map(|(n, _)| String::from_utf8_lossy(n).into_owned())
                .collect::<Vec<_>>()
        };
        assert_eq!(names(b"etc"), ["a", "b"]);
        assert_eq!(names(b""), ["etc", "etc-x", "etc0"]);
    }
}
