//! The guest's processes, as far as they were seen.

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::rc::Rc;

use rustix::fs::Stat;
use rustix::io::Errno;

use crate::kernel::paths;
use crate::process::memory::Memory;
use crate::process::proc_dir::{PidNamespace, ProcDir};
use crate::process::view::View;
use crate::process::{memory, proc_dir};
use rookery_records::event::Process;

/// What is remembered of a process. A fork inherits its parent's.
#[derive(Debug, Clone)]
pub struct Record {
    /// Where all that belongs to it is reached.
    pub process: Rc<ProcDir>,
    /// The thread of it that made the last call.
    thread: u32,
    /// Who it is in events.
    pub who: Process,
    /// Its arguments, bounded.
    pub argv: Vec<String>,
    /// User and group that it believes to be, where it changed them: real, effective, saved.
    pub uid: Option<[u32; 3]>,
    /// As `uid`.
    pub gid: Option<[u32; 3]>,
    /// An exec that was redirected and is not yet known to have worked.
    pub exec: Option<Rc<PendingExec>>,
    /// The signal that it dies of: its own, as qemu sends a guest's fatal signal, or a `SIGKILL`.
    pub fatal: Option<i32>,
    /// The beginning of a log line of qemu.
    pub log_line: String,
    /// Ioctl commands that were written into its qemu's table.
    pub learned: Vec<u32>,
    /// It has read the boot arguments.
    pub read_cmdline: bool,
    /// Its emulator catches every signal that ends a process, whatever the guest does with it.
    pub catches_all: bool,
    /// The file that was executed, where it has no name, and how it is spoken of.
    pub image: Option<(String, Rc<OwnedFd>)>,
    memory: Option<Rc<Memory>>,
}

/// An exec whose path string was overwritten.
#[derive(Debug)]
pub struct PendingExec {
    /// Who called it. Where it works, the call that follows comes from the process's first thread.
    pub thread: u32,
    /// Where the string is.
    pub address: u64,
    /// What was there.
    pub original: Vec<u8>,
    /// What the launcher is told.
    pub blob: Vec<u8>,
    /// Who the process becomes.
    pub program: String,
    /// As it is called then.
    pub name: String,
    /// The mode of the program's file.
    pub mode: u32,
    /// The file that was executed, where it has no name.
    pub image: Option<Rc<OwnedFd>>,
    /// The path that was executed.
    pub path: String,
    /// Its arguments.
    pub argv: Vec<String>,
    /// Its environment.
    pub envp: Vec<String>,
}

/// All that were seen and have not ended.
#[derive(Debug)]
pub struct Table {
    namespace: PidNamespace,
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

/// What an emulator's command line tells: the process's name after a slash, the program, the
/// guest's arguments.
fn program_of(process: &ProcDir) -> Option<(String, String, Vec<String>)> {
    let line = process.bytes("cmdline").ok()?;
    // What follows the last NUL is no word.
    let line = line.strip_suffix(&[0]).unwrap_or(&line);
    let mut words = line.split(|byte| *byte == 0);
    let path = words.next().filter(|path| path.starts_with(b"/"))?;
    let argv0 = words.by_ref().skip_while(|word| *word != b"-0").nth(1)?;
    let program = words.next()?;
    let argv = memory::texts(std::iter::once(argv0).chain(words));
    Some((memory::text(path), memory::text(program), argv))
}

/// What Penguin calls a process that executed `path`.
pub fn name_of(path: &str) -> String {
    paths::basename(path).chars().take(15).collect()
}

impl Table {
    /// No process of the guest that is `namespace` was seen yet.
    pub fn new(namespace: PidNamespace) -> Self {
        Self {
            namespace,
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

    /// A process that was identified and not removed since.
    pub fn get(&mut self, pid: u32) -> Option<&mut Record> {
        self.by_pid.get_mut(&pid)
    }

    fn discover(&mut self, thread: u32) -> Result<u32, Errno> {
        let process = ProcDir::of_thread(thread, &self.namespace)?;
        let pid = process.pid();
        if pid != thread {
            self.forget_threads();
            self.threads.insert(thread, pid);
        }
        if self
            .by_pid
            .get(&pid)
            .is_none_or(|known| !known.process.has_thread(thread))
        {
            let record = self.record(process, thread).ok_or(Errno::SRCH)?;
            // In the guest, too, a number is one process's at a time.
            let pid_there = record.who.pid;
            let same = |known: &Record| known.who.pid == pid_there;
            let ended = self
                .by_pid
                .extract_if(|key, known| *key == pid || same(known));
            self.replaced.extend(ended.map(|(_, record)| record));
            self.by_pid.insert(pid, record);
        }
        if let Some(record) = self.by_pid.get_mut(&pid) {
            record.thread = thread;
        }
        Ok(pid)
    }

    /// What is to be remembered of a process: what it has from its parent, and what its emulator
    /// was called with.
    fn record(&self, process: ProcDir, thread: u32) -> Option<Record> {
        let status = process.text(&format!("task/{thread}/status")).ok()?;
        let number = |field| proc_dir::number(&status, field);
        let parent = number("PPid:")
            .and_then(|parent| self.by_pid.get(&parent))
            .filter(|parent| parent.process.is_alive());
        let mut who = parent.map(|parent| parent.who.clone()).unwrap_or_default();
        who.ppid = parent.map_or(0, |parent| parent.who.pid);
        who.pid = number("NStgid:")?;
        let mut argv = parent.map(|parent| parent.argv.clone()).unwrap_or_default();
        // The parent may have ended, or become another program, before its child was first seen.
        if let Some((path, program, words)) = program_of(&process) {
            who.name = name_of(&path);
            (who.program, argv) = (program, words);
        }
        Some(Record {
            process: Rc::new(process),
            thread,
            who,
            argv,
            uid: parent.and_then(|parent| parent.uid),
            gid: parent.and_then(|parent| parent.gid),
            exec: None,
            fatal: None,
            log_line: String::new(),
            learned: parent
                .map(|parent| parent.learned.clone())
                .unwrap_or_default(),
            read_cmdline: false,
            catches_all: parent.is_some_and(|parent| parent.catches_all),
            image: parent.and_then(|parent| parent.image.clone()),
            memory: None,
        })
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

/// The link to a working directory, or to what a descriptor refers to, in a directory of `/proc`.
fn place(fd: i32) -> String {
    match fd {
        libc::AT_FDCWD => "cwd".to_owned(),
        fd => format!("fd/{fd}"),
    }
}

impl Record {
    /// Ask for `name` in the directory of the thread that called last, and where that has ended in
    /// the process's own. Of a process whose first thread has ended only the others know.
    fn ask<T, E>(&self, name: &str, ask: impl Fn(&str) -> Result<T, E>) -> Result<T, E> {
        ask(&format!("task/{}/{name}", self.thread)).or_else(|_| ask(name))
    }

    /// Its memory.
    pub fn memory(&mut self) -> Option<Rc<Memory>> {
        if self.memory.is_none() {
            self.memory = Memory::open(&self.process, self.thread).ok().map(Rc::new);
        }
        self.memory.clone()
    }

    /// How it sees the file system.
    pub fn view(&self) -> Option<View> {
        let root = self.ask("root", |name| self.process.target(name)).ok()?;
        Some(View::new(root, self.who.pid))
    }

    /// Where its `/` is in the guest's namespace.
    fn root_path(&self) -> Option<String> {
        self.ask("root", |name| self.process.link(name)).ok()
    }

    /// Whether its `/` is another directory than init began with.
    pub fn is_in_chroot(&self) -> bool {
        self.root_path().is_some_and(|root| root != "/")
    }

    /// As `directory`, but as the process itself would spell it. `None` outside of its root.
    pub fn base(&self, fd: i32) -> Option<String> {
        let path = self.directory(fd)?;
        let root = self.root_path()?;
        if root == "/" || !path.starts_with('/') {
            return Some(path);
        }
        paths::is_below(&path, &root)
            .then(|| paths::normalise(path.get(root.len()..).unwrap_or_default()))
    }

    /// Its working directory, or what its descriptor `fd` refers to, as a guest path.
    pub fn directory(&self, fd: i32) -> Option<String> {
        self.ask(&place(fd), |name| self.process.link(name)).ok()
    }

    /// Whether its working directory is deeper than any path may be long.
    pub fn is_too_deep(&self) -> bool {
        let link = self.ask(&place(libc::AT_FDCWD), |name| self.process.link(name));
        link == Err(Errno::NAMETOOLONG)
    }

    /// What its descriptor `fd`, or its working directory, refers to: to be looked at only.
    pub fn held(&self, fd: i32) -> Result<OwnedFd, Errno> {
        self.ask(&place(fd), |name| self.process.target(name))
    }

    /// The status of what its descriptor `fd` refers to.
    pub fn held_status(&self, fd: i32) -> Result<Stat, Errno> {
        self.ask(&place(fd), |name| self.process.target_status(name))
    }

    /// What the kernel tells of its descriptor `fd` after `field`, such as `flags:`
    /// (`proc_pid_fdinfo(5)`).
    pub fn descriptor_info(&self, fd: i32, field: &str) -> Option<String> {
        let text = self.ask(&format!("fdinfo/{fd}"), |name| self.process.text(name));
        let value = text
            .ok()?
            .lines()
            .find_map(|line| line.strip_prefix(field).map(str::to_owned))?;
        Some(value.trim().to_owned())
    }

    /// The numbers of its descriptors.
    pub fn descriptors(&self) -> Vec<u32> {
        let numbers = self.ask("fd", |name| match self.process.numbers(name) {
            none if none.is_empty() => Err(none),
            numbers => Ok(numbers),
        });
        numbers.unwrap_or_default()
    }

    /// What the kernel tells of the thread that called last (`proc_pid_status(5)`).
    pub fn thread_status(&self) -> Option<String> {
        self.ask("status", |name| self.process.text(name)).ok()
    }

    /// Open its memory anew when it is next needed.
    pub fn forget_memory(&mut self) {
        self.memory = None;
    }

    /// Whether it believes to have root's rights.
    pub fn is_root(&self) -> bool {
        self.uid.is_none_or(|ids| ids[1] == 0)
    }

    /// A program of this mode, with the set-id bits that it has in the archive, starts in it. All
    /// files are root's.
    pub fn take_rights(&mut self, mode: u32) {
        for (ids, bit) in [
            (&mut self.uid, libc::S_ISUID),
            (&mut self.gid, libc::S_ISGID),
        ] {
            if let Some([_, effective, saved]) = ids {
                *effective = if mode & bit == 0 { *effective } else { 0 };
                *saved = *effective;
            }
        }
    }

    /// Another program runs in it: what belonged to the old one is dropped.
    pub fn changed_program(&mut self) {
        (self.memory, self.fatal, self.catches_all) = (None, None, false);
        self.learned.clear();
        self.log_line.clear();
    }
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
        assert_eq!(table.identify(id), Err(Errno::SRCH));
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
