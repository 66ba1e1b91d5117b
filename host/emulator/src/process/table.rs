//! The guest's processes, as far as they were seen.

use std::collections::HashMap;
use std::rc::Rc;

use rookery_records::event::Process;
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal};

use crate::process::proc_dir::{self, PidNamespace, ProcDir};
use crate::process::record::Record;
use crate::process::roots::Roots;

/// All that were seen and have not ended.
#[derive(Debug)]
pub struct Table {
    namespace: PidNamespace,
    /// Who sees what as `/`.
    roots: Rc<Roots>,
    by_pid: HashMap<u32, Record>,
    /// The processes of threads that are not the first of theirs. What it says is asked again
    /// before it counts.
    threads: HashMap<u32, u32>,
    /// How many of these there may be before those that ended are forgotten.
    threads_max: usize,
    /// Those that ended unseen and whose number another process has got.
    replaced: Vec<Record>,
}

/// Ended threads are forgotten once more than this many are known, or twice as many as lived.
const THREADS_MIN: usize = 256;

/// So many parents in a row that were never seen are looked at: a guest forks as often as it likes.
const GENERATIONS_MAX: usize = 32;

impl Table {
    /// No process of the guest that is `namespace` was seen yet.
    pub fn new(namespace: PidNamespace) -> Self {
        Self {
            namespace,
            roots: Rc::default(),
            by_pid: HashMap::new(),
            threads: HashMap::new(),
            threads_max: THREADS_MIN,
            replaced: Vec::new(),
        }
    }

    /// The process to which a thread that makes a call belongs now, made known where it was not:
    /// its key for [`Table::get`]. `SRCH` where the thread is gone; other errors are the
    /// supervisor's own.
    pub fn identify(&mut self, thread: u32) -> Result<u32, Errno> {
        self.roots.calls(thread);
        let pid = self.threads.get(&thread).copied().unwrap_or(thread);
        match self.by_pid.get_mut(&pid) {
            // A number that another process has got is no thread of this one.
            Some(record) if record.process.has_thread(thread) => {
                record.thread = thread;
                Ok(pid)
            }
            _ => self.discover(thread),
        }
    }

    /// The processes of this name, also those that have made no call yet.
    pub fn named(&mut self, name: &str) -> Vec<u32> {
        let of_name = |table: &Self| -> Vec<u32> {
            let all = table.by_pid.iter();
            let named = all.filter(|(_, record)| record.who.name == name);
            named.map(|(pid, _)| *pid).collect()
        };
        for pid in of_name(self) {
            self.meet_children(pid);
        }
        of_name(self)
    }

    /// Where changes of roots are told.
    pub fn roots(&self) -> &Roots {
        &self.roots
    }

    /// A process that was identified and not removed since.
    pub fn get(&mut self, pid: u32) -> Option<&mut Record> {
        self.by_pid.get_mut(&pid)
    }

    fn discover(&mut self, thread: u32) -> Result<u32, Errno> {
        let (process, status) = ProcDir::with_status(thread, &self.namespace)?;
        let pid = process.pid();
        if pid != thread {
            self.forget_threads();
            self.threads.insert(thread, pid);
        }
        // Who has the number still has had it when the process was found: it is the same one, even
        // where the thread has ended since.
        if !self.has(pid) {
            self.discover_parents(&status);
            self.remember(process, &status, thread)?;
        }
        if let Some(record) = self.by_pid.get_mut(&pid) {
            record.thread = thread;
        }
        Ok(pid)
    }

    /// Make known the parents of a process of this status that have made no call yet: from its
    /// parent it has who it is.
    fn discover_parents(&mut self, status: &str) {
        let mut unseen = Vec::new();
        let parent_in = |status: &str| proc_dir::number(status, "PPid:");
        let mut parent = parent_in(status);
        while let Some(pid) = parent
            && unseen.len() < GENERATIONS_MAX
            && !self.has(pid)
            && let Ok((process, status)) = ProcDir::with_status(pid, &self.namespace)
        {
            parent = parent_in(&status);
            unseen.push((process, status));
        }
        for (process, status) in unseen.into_iter().rev() {
            let thread = process.pid();
            // It may have ended since.
            let _ = self.remember(process, &status, thread);
        }
    }

    /// Make known the children of a process that have made no call yet, before it becomes somebody
    /// else: they stay who it was when it began them.
    pub fn meet_children(&mut self, pid: u32) {
        let Some(parent) = self.by_pid.get(&pid) else {
            return;
        };
        let mut children = children(&parent.process);
        children.retain(|child| !self.has(*child));
        for child in children {
            // It may have ended since.
            let _ = self.discover(child);
        }
    }

    /// Whether the process that has this number now is known.
    fn has(&self, pid: u32) -> bool {
        let known = self.by_pid.get(&pid);
        known.is_some_and(|record| record.process.keeps_number())
    }

    /// Keep a new process, in place of those that had its numbers.
    fn remember(&mut self, process: ProcDir, status: &str, thread: u32) -> Result<(), Errno> {
        let pid = process.pid();
        let known = |pid| self.by_pid.get(&pid);
        let record = Record::new(process, status, thread, &self.roots, known).ok_or(Errno::SRCH)?;
        // In the guest, too, a number is one process's at a time.
        let pid_there = record.who.pid;
        let same = |known: &Record| known.who.pid == pid_there;
        let ended = self
            .by_pid
            .extract_if(|key, known| *key == pid || same(known));
        self.replaced.extend(ended.map(|(_, record)| record));
        self.by_pid.insert(pid, record);
        Ok(())
    }

    /// Forget threads that ended, once in a while.
    fn forget_threads(&mut self) {
        if self.threads.len() < self.threads_max {
            return;
        }
        let by_pid = &self.by_pid;
        self.threads.retain(|thread, pid| {
            by_pid
                .get(pid)
                .is_some_and(|record| record.process.has_thread(*thread))
        });
        self.threads_max = (2 * self.threads.len()).max(THREADS_MIN);
    }

    /// A process by its pid in the guest.
    pub fn by_guest_pid(&self, pid: u32) -> Option<&Record> {
        self.by_pid.values().find(|record| record.who.pid == pid)
    }

    /// The process that has a thread of this number which is a process to the guest, or that makes
    /// such threads and has this number itself.
    pub fn with_thread(&self, number: u32) -> Option<&Record> {
        self.by_pid.values().find(|record| {
            let itself = record.who.pid == number && record.threads.any_lives();
            itself || record.threads.get(number).is_some()
        })
    }

    /// Whether a signal waits for a thread, by its number on the host, that it does not block.
    pub fn is_signalled(&self, thread: u32) -> bool {
        let pid = self.threads.get(&thread).copied().unwrap_or(thread);
        let status = self.by_pid.get(&pid).and_then(|record| {
            let status = format!("task/{thread}/status");
            record.process.text(&status).ok()
        });
        status.is_some_and(|status| is_signalled(&status))
    }

    /// As `by_guest_pid`, and where it was not seen yet looked for among the descendants of the
    /// process `init` of the host.
    pub fn find(&mut self, pid: u32, init: u32) -> Option<&Record> {
        let mut unseen = Vec::new();
        if self.by_guest_pid(pid).is_none() {
            unseen.push(init);
        }
        while let Some(host_pid) = unseen.pop() {
            let Ok(process) = ProcDir::of_thread(host_pid, &self.namespace) else {
                continue;
            };
            if process.number("status", "NStgid:") == Some(pid) {
                let _ = self.discover(host_pid);
                break;
            }
            unseen.extend(children(&process));
        }
        self.by_guest_pid(pid)
    }

    /// Take note that `by` sends `SIGKILL` to `target`, which is as `kill` has it. Nobody can see
    /// the end of those that die of it, and init never does.
    pub fn killed(&mut self, by: &Process, target: i32) {
        let group = |record: &Record| record.process.number("status", "NSpgid:");
        let wanted = match target {
            0 => self.by_guest_pid(by.pid).and_then(group),
            _ => Some(target.unsigned_abs()),
        };
        for record in self.by_pid.values_mut() {
            let hit = match target {
                -1 => record.who.pid != by.pid,
                1.. => Some(record.who.pid) == wanted,
                _ => group(record) == wanted,
            };
            if hit && record.who.pid != 1 {
                record.fatal = Some(libc::SIGKILL);
            }
        }
    }

    /// Whether a process with the same parent as `who`, or that parent, meets a condition.
    pub fn any_sibling(&self, who: &Process, condition: impl Fn(&Record) -> bool) -> bool {
        let related = |record: &&Record| record.who.ppid == who.ppid || record.who.pid == who.ppid;
        self.by_pid.values().filter(related).any(condition)
    }

    /// The bytes of command lines that wait for their launchers.
    pub fn waiting(&self) -> usize {
        let pending = self
            .by_pid
            .values()
            .filter_map(|record| record.exec.as_ref());
        pending.map(|pending| pending.blob.len()).sum()
    }

    /// Forget a process.
    pub fn remove(&mut self, pid: u32) -> Option<Record> {
        self.by_pid.remove(&pid)
    }

    /// Those whose end was not seen, by asking the kernel; they are forgotten.
    pub fn sweep(&mut self) -> Vec<Record> {
        let mut ended = std::mem::take(&mut self.replaced);
        let gone = self
            .by_pid
            .extract_if(|_, record| !record.process.is_alive());
        ended.extend(gone.map(|(_, record)| record));
        let lives = |thread| ProcDir::of_thread(thread, &self.namespace).is_ok();
        self.roots.forget(|thread| !lives(thread));
        ended
    }

    /// Whether a process of the guest, by its number on the host, has not ended.
    pub fn is_alive(&self, pid: u32) -> bool {
        ProcDir::of_thread(pid, &self.namespace).is_ok_and(|process| process.is_alive())
    }

    /// Close what can be opened again, where descriptors are short.
    pub fn close_memories(&mut self) {
        self.by_pid.values_mut().for_each(Record::forget_memory);
    }
}

impl Table {
    /// End the processes of the guest that `process` has begun, and those that these have begun.
    pub fn end_descendants(&self, process: &ProcDir) {
        let mut unseen = children(process);
        while let Some(pid) = unseen.pop() {
            if let Ok(child) = ProcDir::of_thread(pid, &self.namespace) {
                unseen.extend(children(&child));
                end(&child);
            }
        }
    }
}

/// End a process, and no other that may come to have its number.
fn end(process: &ProcDir) {
    let pid = i32::try_from(process.pid()).ok().and_then(Pid::from_raw);
    let opened = pid.map(|pid| rustix::process::pidfd_open(pid, PidfdFlags::empty()));
    // It had the number before it was opened, and has it now: so it is what was opened.
    if let Some(Ok(opened)) = opened
        && process.has_thread(process.pid())
    {
        let _ = rustix::process::pidfd_send_signal(opened, Signal::KILL);
    }
}

/// Whether a thread's status (`proc_pid_status(5)`) shows a signal that waits and is not blocked.
fn is_signalled(status: &str) -> bool {
    let set = |field: &str| {
        let set = status.lines().find_map(|line| line.strip_prefix(field));
        set.and_then(|set| u64::from_str_radix(set.trim(), 16).ok())
            .unwrap_or(0)
    };
    (set("SigPnd:") | set("ShdPnd:")) & !set("SigBlk:") != 0
}

/// The children of a process, whichever of its threads began them.
pub fn children(process: &ProcDir) -> Vec<u32> {
    let of_thread = |thread| process.text(&format!("task/{thread}/children"));
    process
        .numbers("task")
        .into_iter()
        .filter_map(|thread| of_thread(thread).ok())
        .flat_map(|line| {
            line.split(' ')
                .filter_map(|pid| pid.parse().ok())
                .collect::<Vec<_>>()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        Table::new(PidNamespace::of(std::process::id()).unwrap())
    }

    #[test]
    fn threads_that_ended_are_forgotten_and_those_that_live_are_not() {
        let mut table = table();
        let own = std::process::id();
        let thread = || {
            rustix::thread::gettid()
                .as_raw_nonzero()
                .get()
                .cast_unsigned()
        };
        for _ in 0..2 * THREADS_MIN {
            let ended = std::thread::spawn(thread).join().unwrap();
            table.threads.insert(ended, own);
        }
        let (tell, told) = std::sync::mpsc::channel();
        let (end, until) = std::sync::mpsc::channel::<()>();
        let living = std::thread::spawn(move || {
            tell.send(thread()).unwrap();
            let _ = until.recv();
        });
        let id = told.recv().unwrap();
        assert_eq!(table.identify(id), Ok(own));
        assert!(table.threads.len() < THREADS_MIN && table.threads.contains_key(&id));
        // Whatever a number meant before, it counts only where it is true now.
        table.threads.insert(id, 1);
        assert_eq!(table.identify(id), Ok(own));
        drop(end);
        living.join().unwrap();
        // A thread is joined a moment before the kernel has taken it out of its tables.
        let until = std::time::Instant::now() + std::time::Duration::from_secs(20);
        while table.identify(id) != Err(Errno::SRCH) {
            assert!(std::time::Instant::now() < until, "it is still there");
            std::thread::yield_now();
        }
    }

    #[test]
    fn a_signal_that_is_blocked_interrupts_nobody() {
        let status = |pending, shared, blocked| {
            format!("SigPnd:\t{pending}\nShdPnd:\t{shared}\nSigBlk:\t{blocked}\n")
        };
        assert!(is_signalled(&status("0200", "0000", "0000")));
        assert!(is_signalled(&status("0000", "0200", "0100")));
        assert!(!is_signalled(&status("0200", "0000", "0200")));
        assert!(!is_signalled(""));
    }

    #[test]
    fn a_process_has_its_parent_also_where_that_has_made_no_call() {
        let mut shell = std::process::Command::new("sh")
            .args(["-c", "sleep 60; :"])
            .spawn()
            .unwrap();
        let mut table = table();
        let process = ProcDir::of_thread(shell.id(), &table.namespace).unwrap();
        let child = loop {
            if let [child] = children(&process)[..] {
                break child;
            }
        };
        table.identify(child).unwrap();
        let ppid = |pid| table.by_guest_pid(pid).map(|record| record.who.ppid);
        assert_eq!(ppid(child), Some(shell.id()));
        assert_eq!(ppid(shell.id()), Some(std::process::id()));
        table.end_descendants(&process);
        shell.kill().unwrap();
        shell.wait().unwrap();
    }

    #[test]
    fn a_child_stays_who_its_parent_was_when_it_began_it() {
        let mut shell = std::process::Command::new("sh")
            .args(["-c", "sleep 60; :"])
            .spawn()
            .unwrap();
        let mut table = table();
        table.identify(shell.id()).unwrap();
        let process = ProcDir::of_thread(shell.id(), &table.namespace).unwrap();
        while children(&process).is_empty() {}
        table.meet_children(shell.id());
        table.get(shell.id()).unwrap().uid = Some([7; 3]);
        let [child] = children(&process)[..] else {
            panic!("one child");
        };
        table.identify(child).unwrap();
        assert!(table.get(child).is_some_and(|child| child.is_root()));
        table.end_descendants(&process);
        shell.kill().unwrap();
        shell.wait().unwrap();
    }

    #[test]
    fn a_process_that_has_made_no_call_is_found() {
        let mut child = std::process::Command::new("sleep")
            .arg("60")
            .spawn()
            .unwrap();
        let mut table = table();
        assert!(table.by_guest_pid(child.id()).is_none());
        let found = table.find(child.id(), std::process::id());
        assert_eq!(found.map(|record| record.process.pid()), Some(child.id()));
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(table.sweep().len(), 1);
        assert!(table.find(child.id(), std::process::id()).is_none());
    }

    #[test]
    fn those_that_a_group_or_a_process_is_killed_with_die_of_it() {
        use std::os::unix::process::CommandExt;
        let mut children = [(); 3].map(|()| {
            let mut sleep = std::process::Command::new("sleep");
            sleep.arg("60").process_group(0).spawn().unwrap()
        });
        let pids = children.each_ref().map(std::process::Child::id);
        let mut table = table();
        for pid in pids {
            table.identify(pid).unwrap();
        }
        let [one, group, _] = pids.map(u32::cast_signed);
        let by = Process::default();
        table.killed(&by, one);
        table.killed(&by, -group);
        let fatal = pids.map(|pid| table.by_guest_pid(pid).unwrap().fatal);
        assert_eq!(fatal, [Some(libc::SIGKILL), Some(libc::SIGKILL), None]);
        table.killed(&by, -1);
        assert!(table.by_pid.values().all(|record| record.fatal.is_some()));
        for child in &mut children {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }
}
