//! One process of the guest: what is remembered of it, and what it can be asked.

use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::rc::Rc;

use rookery_records::event::{LastCall, Process};
use rustix::fs::Stat;
use rustix::io::Errno;

use crate::kernel::{self, paths};
use crate::process::memory::{self, Memory};
use crate::process::proc_dir::{self, ProcDir};
use crate::process::roots::{Root, Roots};
use crate::process::start::{Key, Start};
use crate::process::threads::Threads;
use crate::process::view::View;

/// What is remembered of a process. A fork inherits its parent's.
#[derive(Debug)]
pub struct Record {
    /// Where all that belongs to it is reached.
    pub process: Rc<ProcDir>,
    /// The thread of it that made the last call.
    pub(super) thread: u32,
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
    /// When its program was started, and which that is.
    pub start: Option<Start>,
    /// The program that it could not execute, and its arguments.
    pub unstarted: Option<(Key, Vec<String>)>,
    /// What it has asked for as root.
    pub capabilities: Capabilities,
    /// Its emulator asks the kernel for the time.
    pub asks_time: bool,
    /// What it has asked for last, the newest at the end.
    pub last: VecDeque<LastCall>,
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
    /// The library that its program was told to load.
    pub library: Option<Rc<OwnedFd>>,
    /// Its threads that are processes to the guest.
    pub threads: Threads,
    memory: Option<Rc<Memory>>,
    /// What it sees as `/`.
    root: Root,
    /// The changes of that in the whole guest.
    roots: Rc<Roots>,
}

/// What becomes of root's capabilities once it becomes another user (`PR_SET_KEEPCAPS`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Capabilities {
    /// They are lost.
    Lost,
    /// The process has them all the same.
    Kept,
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
    /// The library that it is told to load.
    pub library: Option<Rc<OwnedFd>>,
    /// The path that was executed.
    pub path: String,
    /// Its arguments.
    pub argv: Vec<String>,
    /// Its environment.
    pub envp: Vec<String>,
    /// The program as its parent starts it; `None` for one in a pipeline.
    pub key: Option<Key>,
}

/// What Penguin calls a process that executed `path`.
pub fn name_of(path: &str) -> String {
    paths::basename(path).chars().take(15).collect()
}

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

/// As many characters of a text from its beginning.
fn start_of(text: &str, characters: usize) -> &str {
    let end = text.char_indices().nth(characters);
    end.and_then(|(end, _)| text.get(..end)).unwrap_or(text)
}

/// The link to a working directory, or to what a descriptor refers to, in a directory of `/proc`.
fn place(fd: i32) -> String {
    match fd {
        libc::AT_FDCWD => "cwd".to_owned(),
        fd => format!("fd/{fd}"),
    }
}

impl Record {
    /// What is to be remembered of a process: what it has from its parent, and what its emulator
    /// was called with.
    ///
    /// `status` is what `/proc/PID/status` tells of `thread`. `known` has the processes that were
    /// seen, by their numbers on the host.
    pub fn new<'a>(
        process: ProcDir,
        status: &str,
        thread: u32,
        roots: &Rc<Roots>,
        known: impl FnOnce(u32) -> Option<&'a Self>,
    ) -> Option<Self> {
        let number = |field| proc_dir::number(status, field);
        let parent = number("PPid:")
            .and_then(known)
            .filter(|parent| parent.process.keeps_number());
        let mut who = parent.map(|parent| parent.who.clone()).unwrap_or_default();
        who.ppid = parent.map_or(0, |parent| parent.who.pid);
        who.pid = number("NStgid:")?;
        let mut argv = parent.map(|parent| parent.argv.clone()).unwrap_or_default();
        // The parent may have ended, or become another program, before its child was first seen.
        if let Some((path, program, words)) = program_of(&process) {
            who.name = name_of(&path);
            (who.program, argv) = (program, words);
        }
        Some(Self {
            process: Rc::new(process),
            thread,
            who,
            argv,
            uid: parent.and_then(|parent| parent.uid),
            gid: parent.and_then(|parent| parent.gid),
            exec: None,
            fatal: None,
            start: None,
            unstarted: None,
            capabilities: parent.map_or(Capabilities::Lost, |parent| parent.capabilities),
            asks_time: parent.is_some_and(|parent| parent.asks_time),
            last: VecDeque::new(),
            log_line: String::new(),
            learned: parent
                .map(|parent| parent.learned.clone())
                .unwrap_or_default(),
            read_cmdline: false,
            catches_all: parent.is_some_and(|parent| parent.catches_all),
            image: parent.and_then(|parent| parent.image.clone()),
            library: parent.and_then(|parent| parent.library.clone()),
            threads: Threads::default(),
            memory: None,
            root: parent.map(|parent| parent.root.clone()).unwrap_or_default(),
            roots: Rc::clone(roots),
        })
    }

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
        let pid = self.who.pid;
        if let Some(root) = self.root.known(&self.roots) {
            return Some(View::of_whole(root, pid));
        }
        let root = self.ask("root", |name| self.process.target(name)).ok()?;
        let root = Rc::new(root);
        if self.root_path().as_deref() != Some("/") {
            return Some(View::new(root, pid));
        }
        self.root.keep(&self.roots, &root);
        Some(View::of_whole(root, pid))
    }

    /// Where its `/` is in the guest's namespace.
    fn root_path(&self) -> Option<String> {
        let known = self.root.known(&self.roots).map(|_| "/".to_owned());
        known.or_else(|| self.ask("root", |name| self.process.link(name)).ok())
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

    /// The number in the guest of the thread that called last.
    pub fn thread_number(&self) -> Option<u32> {
        proc_dir::number(&self.thread_status()?, "NSpid:")
    }

    /// Whether the thread that called last is one that is a process of its own to the guest.
    pub fn is_in_own_thread(&self) -> bool {
        self.threads.are_made() && self.thread != self.process.pid()
    }

    /// Send the host's `signal` to the thread that has this number in the guest. `SRCH` where it
    /// has ended.
    pub fn signal_thread(&self, number: u32, signal: i32) -> Result<(), Errno> {
        let has_number = |thread: &u32| {
            let status = format!("task/{thread}/status");
            self.process.number(&status, "NSpid:") == Some(number)
        };
        let mut threads = self.process.numbers("task").into_iter();
        let thread = threads.find(has_number).ok_or(Errno::SRCH)?;
        // The process is the guest's as long as it has this thread.
        if !self.process.has_thread(thread) {
            return Err(Errno::SRCH);
        }
        kernel::process::signal_thread(self.process.pid(), thread, signal)
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

    /// Keep in mind what it has asked for.
    pub fn asked(&mut self, syscall: &'static str, about: &str, result: Option<i32>) {
        const CALLS_MAX: usize = 8;
        const ABOUT_MAX: usize = 200;
        if self.last.len() == CALLS_MAX {
            self.last.pop_front();
        }
        self.last.push_back(LastCall {
            syscall,
            about: start_of(about, ABOUT_MAX).to_owned(),
            result,
        });
    }

    /// Another program runs in it: what belonged to the old one is dropped.
    pub fn changed_program(&mut self) {
        (self.memory, self.fatal, self.catches_all) = (None, None, false);
        (self.unstarted, self.asks_time) = (None, false);
        self.capabilities = Capabilities::Lost;
        self.threads = Threads::default();
        self.learned.clear();
        self.log_line.clear();
        self.last.clear();
    }
}
