//! The modelled files and the directories of their paths, by numbers as a file system has them. A
//! file can be changed or added while others read.

use std::collections::{BTreeMap, HashMap};
use std::ffi::{OsStr, OsString};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;

use fuser::{INodeNo, PollNotifier};
use rookery_runs::plan::Poll;
use rustix::io::Errno;

use crate::models::DIRECTORY;
use crate::models::model::Model;

/// Those that wait until a file is ready, by the kernel's number for the wait.
type Waiting = BTreeMap<u64, PollNotifier>;

/// A file, and who waits for it.
pub struct Entry {
    path: String,
    model: Mutex<Model>,
    waiting: Mutex<Waiting>,
    /// Whether somebody lets it become ready again and again.
    clock: AtomicBool,
}

impl Entry {
    pub fn new(path: String, model: Model) -> Self {
        Self {
            path,
            model: Mutex::new(model),
            waiting: Mutex::default(),
            clock: AtomicBool::new(false),
        }
    }

    pub fn path(&self) -> &str {
        &self.path
    }

    /// It is modelled so from now on: who waits for it looks again.
    fn set(&self, model: Model) {
        *self.model() = model;
        self.wake();
    }

    /// Whether it already becomes ready again and again; from now on it does.
    pub fn has_clock(&self) -> bool {
        self.clock.swap(true, Ordering::Relaxed)
    }

    /// Nobody lets it become ready any more.
    pub fn stop_clock(&self) {
        self.clock.store(false, Ordering::Relaxed);
    }

    pub fn model(&self) -> MutexGuard<'_, Model> {
        // A panic has left it as a model can be.
        self.model.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How often it becomes ready.
    pub fn interval(&self) -> Option<Duration> {
        match self.model().poll {
            Poll::Periodic(ms) => Some(Duration::from_millis(ms.into())),
            Poll::Always | Poll::Never => None,
        }
    }

    /// It becomes ready.
    pub fn tick(&self) {
        self.model().tick();
        self.wake();
    }

    fn wake(&self) {
        for (_, notifier) in std::mem::take(&mut *self.waiting()) {
            // Its waiter may be gone.
            let _ = notifier.notify();
        }
    }
}

/// What has a number.
pub enum Node {
    File(Arc<Entry>),
    Directory,
}

/// All of them.
pub struct Tree {
    nodes: RwLock<Nodes>,
}

#[derive(Default)]
struct Nodes {
    /// By inode number, from [`INodeNo::ROOT`] on; a directory has no entry.
    entries: Vec<Option<Arc<Entry>>>,
    names: HashMap<(u64, OsString), u64>,
}

impl Tree {
    /// With these files.
    pub fn new(entries: &[Arc<Entry>]) -> Self {
        let mut nodes = Nodes {
            entries: vec![None],
            ..Nodes::default()
        };
        nodes.child(INodeNo::ROOT.0, DIRECTORY);
        for entry in entries {
            let at = nodes.place(entry.path());
            nodes.put(at, Arc::clone(entry));
        }
        Self {
            nodes: RwLock::new(nodes),
        }
    }

    /// What has a number.
    pub fn node(&self, inode: u64) -> Option<Node> {
        let nodes = self.nodes();
        let entry = nodes.entries.get(index(inode))?;
        Some(entry.clone().map_or(Node::Directory, Node::File))
    }

    /// The file of a path.
    pub fn file(&self, path: &str) -> Option<Arc<Entry>> {
        let top = self.child(INodeNo::ROOT.0, DIRECTORY.as_ref())?;
        let mut parts = path.split('/').filter(|part| !part.is_empty());
        match self.node(parts.try_fold(top, |at, part| self.child(at, part.as_ref()))?)? {
            Node::File(entry) => Some(entry),
            Node::Directory => None,
        }
    }

    /// The number of what has this name in a directory.
    pub fn child(&self, parent: u64, name: &OsStr) -> Option<u64> {
        self.nodes().names.get(&(parent, name.to_owned())).copied()
    }

    /// A path is modelled so from now on.
    pub fn set(&self, path: &str, model: Model) -> Result<Arc<Entry>, Errno> {
        let mut nodes = self.nodes.write().unwrap_or_else(PoisonError::into_inner);
        let at = nodes.place(path);
        if let Some(Some(entry)) = nodes.entries.get(index(at)) {
            let entry = Arc::clone(entry);
            entry.set(model);
            return Ok(entry);
        }
        if nodes.names.keys().any(|(parent, _)| *parent == at) {
            return Err(Errno::ISDIR);
        }
        let entry = Arc::new(Entry::new(path.to_owned(), model));
        nodes.put(at, Arc::clone(&entry));
        Ok(entry)
    }

    fn nodes(&self) -> RwLockReadGuard<'_, Nodes> {
        self.nodes.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Nodes {
    /// The number of a path, which gets one where it has none.
    fn place(&mut self, path: &str) -> u64 {
        let top = self.child(INodeNo::ROOT.0, DIRECTORY);
        let parts = path.split('/').filter(|part| !part.is_empty());
        parts.fold(top, |at, part| self.child(at, part))
    }

    fn child(&mut self, parent: u64, name: &str) -> u64 {
        let next = self.entries.len() as u64 + INodeNo::ROOT.0;
        let known = *self.names.entry((parent, name.into())).or_insert(next);
        if known == next {
            self.entries.push(None);
        }
        known
    }

    fn put(&mut self, inode: u64, entry: Arc<Entry>) {
        if let Some(node) = self.entries.get_mut(index(inode)) {
            *node = Some(entry);
        }
    }
}

fn index(inode: u64) -> usize {
    usize::try_from(inode.wrapping_sub(INodeNo::ROOT.0)).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use rookery_runs::plan::{Pseudofile, Read};

    use super::*;

    fn model(text: &str) -> Model {
        let file = Pseudofile {
            read: Read::Bytes(text.into()),
            ..Pseudofile::default()
        };
        Model::new(&file, None)
    }

    #[test]
    fn a_file_that_is_changed_keeps_its_number_and_one_can_be_added() {
        let tree = Tree::new(&[Arc::new(Entry::new("/dev/a".into(), model("one")))]);
        let read = |path: &[&str]| {
            let top = tree.child(INodeNo::ROOT.0, DIRECTORY.as_ref()).unwrap();
            let at = path
                .iter()
                .try_fold(top, |at, part| tree.child(at, part.as_ref()))?;
            let entry = tree.file(&path.join("/"))?;
            let bytes = entry.model().read(1, 0, 9).unwrap();
            Some((at, String::from_utf8(bytes).unwrap()))
        };
        let (number, _) = read(&["dev", "a"]).unwrap();
        tree.set("/dev/a", model("two")).unwrap();
        assert_eq!(read(&["dev", "a"]), Some((number, "two".into())));
        assert_eq!(read(&["dev", "b"]), None);
        assert!(tree.file("/dev").is_none(), "a directory");
        tree.set("/dev/b", model("new")).unwrap();
        assert_eq!(read(&["dev", "b"]).unwrap().1, "new");
        assert_eq!(tree.set("/dev", model("x")).err(), Some(Errno::ISDIR));
    }
}
