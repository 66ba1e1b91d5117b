//! What processes see as `/`: asked of the kernel once for each, as long as nobody changes it.
//!
//! Only the root that init began with is kept, or what a pivot made of it: its name is `/`,
//! whatever else is renamed.

use std::cell::{Cell, RefCell};
use std::os::fd::OwnedFd;
use std::rc::Rc;

/// The changes of roots in one guest.
#[derive(Debug, Default)]
pub struct Roots {
    /// How many there were.
    changes: Cell<u64>,
    /// Threads that were told to change theirs and have made no call since: the kernel may be at
    /// it, and a root is shared by more than a process (`CLONE_FS`).
    changing: RefCell<Vec<u32>>,
}

impl Roots {
    /// The kernel is about to change what a thread sees.
    pub fn begins(&self, thread: u32) {
        let mut changing = self.changing.borrow_mut();
        if !changing.contains(&thread) {
            changing.push(thread);
        }
    }

    /// A thread makes a call: what it was about to do is done.
    pub fn calls(&self, thread: u32) {
        if !self.changing.borrow().is_empty() {
            self.done(|known| known == thread);
        }
    }

    /// Those that have ended change nothing any more.
    pub fn forget(&self, has_ended: impl Fn(u32) -> bool) {
        if !self.changing.borrow().is_empty() {
            self.done(has_ended);
        }
    }

    fn done(&self, is_done: impl Fn(u32) -> bool) {
        let mut changing = self.changing.borrow_mut();
        let before = changing.len();
        changing.retain(|thread| !is_done(*thread));
        if changing.len() < before {
            self.changed();
        }
    }

    /// What any process sees may have changed.
    pub fn changed(&self) {
        self.changes.set(self.changes.get() + 1);
    }

    fn at_rest(&self) -> Option<u64> {
        let rests = self.changing.borrow().is_empty();
        rests.then(|| self.changes.get())
    }
}

/// The root of one process, where it is known. A fork inherits it.
#[derive(Debug, Clone, Default)]
pub struct Root(RefCell<Option<(u64, Rc<OwnedFd>)>>);

impl Root {
    /// It, where nothing can have changed since it was kept.
    pub fn known(&self, roots: &Roots) -> Option<Rc<OwnedFd>> {
        let known = self.0.borrow();
        let (at, root) = known.as_ref()?;
        (roots.at_rest()? == *at).then(|| Rc::clone(root))
    }

    /// Keep it, unless it is just being changed.
    pub fn keep(&self, roots: &Roots, root: &Rc<OwnedFd>) {
        let kept = roots.at_rest().map(|at| (at, Rc::clone(root)));
        self.0.replace(kept);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn some_root() -> Rc<OwnedFd> {
        Rc::new(std::fs::File::open("/").unwrap().into())
    }

    #[test]
    fn a_root_is_kept_until_anybody_changes_one() {
        let (roots, root) = (Roots::default(), Root::default());
        assert!(root.known(&roots).is_none());
        root.keep(&roots, &some_root());
        let child = root.clone();
        assert!(root.known(&roots).is_some() && child.known(&roots).is_some());
        roots.changed();
        assert!(root.known(&roots).is_none() && child.known(&roots).is_none());
        root.keep(&roots, &some_root());
        assert!(root.known(&roots).is_some());
    }

    #[test]
    fn nothing_is_kept_while_a_thread_may_be_changing_its_root() {
        let (roots, root) = (Roots::default(), Root::default());
        root.keep(&roots, &some_root());
        roots.begins(7);
        assert!(root.known(&roots).is_none());
        // What another process finds now may be the old one or the new one.
        root.keep(&roots, &some_root());
        roots.calls(8);
        assert!(root.known(&roots).is_none());
        roots.calls(7);
        assert!(root.known(&roots).is_none(), "it was found before");
        root.keep(&roots, &some_root());
        assert!(root.known(&roots).is_some());
        roots.begins(9);
        roots.forget(|thread| thread == 9);
        root.keep(&roots, &some_root());
        assert!(root.known(&roots).is_some());
    }
}
