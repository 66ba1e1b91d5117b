//! Threads that are processes of their own to the guest: what `LinuxThreads` makes, by a `clone`
//! that shares the memory and is not given `CLONE_THREAD`. To the host they are threads of one
//! process.

/// What `wait4` calls children that do not end with `SIGCHLD`, and what asks for them
/// (`linux/wait.h`).
const OF_OTHER_SIGNALS: i32 = libc::__WCLONE;
const OF_ANY_SIGNAL: i32 = libc::__WALL;

/// More than any program makes; each is remembered until it is waited for.
const THREADS_MAX: usize = 4096;

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Thread {
    /// Its number in the guest.
    pub number: u32,
    /// The thread that made it, by its number in the guest.
    pub parent: u32,
    /// The host's number of the signal that its parent gets when it ends; 0 for none.
    pub signal: i32,
    /// What it ended with, once it has.
    pub ended: Option<u8>,
}

/// Those of one process.
#[derive(Debug, Default)]
pub struct Threads {
    /// The process makes such threads: all but its first are of this kind.
    made: bool,
    all: Vec<Thread>,
    /// Threads that are making one, the last to begin at the end.
    making: Vec<u32>,
    /// What threads said they end with, by their numbers: before they end, and perhaps before it
    /// was told that they were made.
    statuses: Vec<(u32, u8)>,
    /// Those that ended before it was told that they were made.
    early: Vec<u32>,
}

/// Which children a `wait4` or `waitid` is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted {
    /// The one of this number in the guest; all where there is none.
    pub number: Option<u32>,
    /// The options of the call.
    pub options: i32,
}

impl Threads {
    /// Whether the process makes such threads.
    pub fn are_made(&self) -> bool {
        self.made
    }

    /// The thread `parent` is about to make one.
    pub fn begin(&mut self, parent: u32) {
        self.made = true;
        self.no_longer_making(parent);
        if self.making.len() < THREADS_MAX {
            self.making.push(parent);
        }
    }

    fn no_longer_making(&mut self, parent: u32) {
        self.making.retain(|known| *known != parent);
    }

    /// Who made a thread, by the numbers in the guest. One that runs before it is told that it was
    /// made is of a thread that is making one: the emulator makes one at a time.
    pub fn parent_of(&self, number: u32) -> Option<u32> {
        let known = self.get(number).map(|thread| thread.parent);
        known.or_else(|| self.making.last().copied())
    }

    /// A thread was made.
    pub fn add(&mut self, mut thread: Thread) {
        self.made = true;
        self.no_longer_making(thread.parent);
        // The number belongs to another thread now.
        self.all.retain(|known| known.number != thread.number);
        if let Some(at) = self.early.iter().position(|early| *early == thread.number) {
            self.early.swap_remove(at);
            thread.ended = Some(self.take_status(thread.number));
        }
        if self.all.len() < THREADS_MAX {
            self.all.push(thread);
        }
    }

    /// A thread says with which status it will end.
    pub fn will_end(&mut self, number: u32, status: u8) {
        self.statuses.retain(|(known, _)| *known != number);
        if self.statuses.len() < THREADS_MAX {
            self.statuses.push((number, status));
        }
    }

    fn take_status(&mut self, number: u32) -> u8 {
        let at = self.statuses.iter().position(|(known, _)| *known == number);
        at.map_or(0, |at| self.statuses.swap_remove(at).1)
    }

    /// A thread has ended. Gives it, where it was told that it was made.
    pub fn end(&mut self, number: u32) -> Option<Thread> {
        let at = self.all.iter().position(|thread| thread.number == number);
        let Some(at) = at else {
            if self.early.len() < THREADS_MAX {
                self.early.push(number);
            }
            return None;
        };
        let status = self.take_status(number);
        let thread = self.all.get_mut(at)?;
        thread.ended = Some(status);
        Some(thread.clone())
    }

    /// One of them.
    pub fn get(&self, number: u32) -> Option<&Thread> {
        self.all.iter().find(|thread| thread.number == number)
    }

    /// Whether any of them lives.
    pub fn any_lives(&self) -> bool {
        self.all.iter().any(|thread| thread.ended.is_none())
    }

    /// What a wait of the thread `parent` finds: `None` where none of its children is meant.
    pub fn find(&self, parent: u32, wanted: Wanted) -> Option<&Thread> {
        let meant = |thread: &&Thread| {
            thread.parent == parent
                && wanted.number.is_none_or(|number| number == thread.number)
                && wanted.takes(thread.signal)
        };
        let ended = |thread: &&Thread| thread.ended.is_some();
        let mut all = self.all.iter().filter(meant);
        all.clone().find(ended).or_else(|| all.next())
    }

    /// A thread was waited for.
    pub fn remove(&mut self, number: u32) {
        self.all.retain(|thread| thread.number != number);
    }
}

impl Wanted {
    /// Whether a child is meant that ends with this signal.
    fn takes(self, signal: i32) -> bool {
        let other = signal != libc::SIGCHLD;
        self.options & OF_ANY_SIGNAL != 0 || other == (self.options & OF_OTHER_SIGNALS != 0)
    }

    /// Whether children may be meant that are processes to the host as well.
    pub fn takes_processes(self) -> bool {
        self.takes(libc::SIGCHLD)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn thread(number: u32, parent: u32, signal: i32) -> Thread {
        Thread {
            number,
            parent,
            signal,
            ended: None,
        }
    }

    fn wait(number: Option<u32>, options: i32) -> Wanted {
        Wanted { number, options }
    }

    #[test]
    fn a_wait_finds_the_threads_of_its_own_thread_and_kind_only() {
        let mut threads = Threads::default();
        threads.add(thread(11, 10, 0));
        threads.add(thread(12, 11, 35));
        threads.add(thread(13, 11, libc::SIGCHLD));
        let find = |parent, wanted| threads.find(parent, wanted).map(|thread| thread.number);
        assert_eq!(find(10, wait(None, libc::__WCLONE)), Some(11));
        assert_eq!(find(10, wait(None, 0)), None);
        assert_eq!(find(11, wait(None, libc::__WCLONE)), Some(12));
        assert_eq!(find(11, wait(Some(13), libc::__WCLONE)), None);
        assert_eq!(find(11, wait(Some(13), 0)), Some(13));
        assert_eq!(find(11, wait(Some(12), libc::__WALL)), Some(12));
        assert_eq!(find(12, wait(None, libc::__WALL)), None);
    }

    #[test]
    fn a_thread_that_ended_is_found_before_one_that_lives_and_once() {
        let mut threads = Threads::default();
        for number in [11, 12] {
            threads.add(thread(number, 10, 0));
        }
        threads.will_end(12, 7);
        assert_eq!(threads.end(12).and_then(|thread| thread.ended), Some(7));
        let wanted = wait(None, libc::__WCLONE);
        assert_eq!(threads.find(10, wanted).unwrap().number, 12);
        threads.remove(12);
        let next = threads.find(10, wanted).unwrap();
        assert_eq!((next.number, next.ended), (11, None));
        assert!(threads.any_lives());
    }

    #[test]
    fn a_thread_may_end_before_it_is_told_that_it_was_made() {
        let mut threads = Threads::default();
        threads.begin(10);
        assert_eq!(threads.parent_of(11), Some(10));
        threads.will_end(11, 3);
        assert_eq!(threads.end(11), None);
        threads.add(thread(11, 10, 0));
        assert_eq!(threads.get(11).unwrap().ended, Some(3));
        assert_eq!(
            (threads.parent_of(11), threads.parent_of(12)),
            (Some(10), None)
        );
        // Its number is another's later.
        threads.add(thread(11, 10, 0));
        assert_eq!(threads.get(11).unwrap().ended, None);
    }
}
