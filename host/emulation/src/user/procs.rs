//! The guest's processes, as far as they were seen.

use std::collections::HashMap;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::rc::Rc;

use super::mem::{self, Memory};
use super::paths;
use crate::event::Process;

/// What is remembered of a process. A fork inherits its parent's.
#[derive(Debug, Clone, Default)]
pub struct Record {
    /// Its pid on the host.
    pub host_pid: u32,
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
#[derive(Debug, Default)]
pub struct Table {
    by_pid: HashMap<u32, Record>,
    threads: HashMap<u32, u32>,
}

struct Status {
    group: u32,
    parent: u32,
    guest_pid: u32,
    /// Its process group, as the guest numbers it.
    guest_group: u32,
}

fn status(pid: u32) -> Option<Status> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let field = |name: &str| {
        text.lines().find_map(|line| {
            line.strip_prefix(name)?
                .split_whitespace()
                .last()?
                .parse()
                .ok()
        })
    };
    Some(Status {
        group: field("Tgid:")?,
        parent: field("PPid:")?,
        guest_pid: field("NStgid:")?,
        guest_group: field("NSpgid:")?,
    })
}

/// What an emulator's command line tells: the process's name after a slash, the program, the guest's arguments.
fn program_of(pid: u32) -> Option<(String, String, Vec<String>)> {
    let line = std::fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    // What follows the last NUL is no word.
    let line = line.strip_suffix(&[0]).unwrap_or(&line);
    let mut words = line.split(|byte| *byte == 0);
    let path = words.next().filter(|path| path.starts_with(b"/"))?;
    let argv0 = words.by_ref().skip_while(|word| *word != b"-0").nth(1)?;
    let program = words.next()?;
    let argv = mem::texts(std::iter::once(argv0).chain(words));
    Some((mem::text(path), mem::text(program), argv))
}

/// What Penguin calls a process that executed `path`.
pub fn name_of(path: &str) -> String {
    paths::basename(path).chars().take(15).collect()
}

impl Table {
    /// The process of a thread, made known where it was not. `None` where it is gone.
    pub fn of_thread(&mut self, thread: u32) -> Option<&mut Record> {
        let known = self
            .threads
            .get(&thread)
            .copied()
            .filter(|pid| self.by_pid.contains_key(pid));
        let pid = match known {
            Some(pid) => pid,
            None => self.discover(thread)?,
        };
        self.by_pid.get_mut(&pid)
    }

    fn discover(&mut self, thread: u32) -> Option<u32> {
        let status = status(thread)?;
        let pid = status.group;
        self.threads.insert(thread, pid);
        if !self.by_pid.contains_key(&pid) {
            let parent = self.by_pid.get(&status.parent);
            let mut record = parent.cloned().unwrap_or_default();
            record.who.ppid = parent.map_or(0, |parent| parent.who.pid);
            record.who.pid = status.guest_pid;
            record.host_pid = pid;
            (
                record.exec,
                record.fatal,
                record.memory,
                record.read_cmdline,
            ) = (None, None, None, false);
            record.log_line.clear();
            // The parent may have ended, or become another program, before its child was first seen.
            if let Some((path, program, argv)) = program_of(pid) {
                record.who.name = name_of(&path);
                (record.who.program, record.argv) = (program, argv);
            }
            self.by_pid.insert(pid, record);
        }
        Some(pid)
    }

    /// A process by its pid in the guest.
    pub fn by_guest_pid(&self, pid: u32) -> Option<&Record> {
        self.by_pid.values().find(|record| record.who.pid == pid)
    }

    /// As `by_guest_pid`, and where it was not seen yet looked for among the descendants of the process `init` of the host.
    pub fn find(&mut self, pid: u32, init: u32) -> Option<&Record> {
        let mut unseen = Vec::new();
        if self.by_guest_pid(pid).is_none() {
            unseen.push(init);
        }
        while let Some(host_pid) = unseen.pop() {
            if status(host_pid).is_some_and(|status| status.guest_pid == pid) {
                self.discover(host_pid);
                break;
            }
            unseen.extend(children(host_pid));
        }
        self.by_guest_pid(pid)
    }

    /// Take note that `by` sends `SIGKILL` to `target`, which is as `kill` has it. Nobody can see the end of those that die of it, and
    /// init never does.
    pub fn killed(&mut self, by: &Process, target: i32) {
        let group = |host_pid| status(host_pid).map(|status| status.guest_group);
        let wanted = match target {
            0 => self
                .by_guest_pid(by.pid)
                .and_then(|own| group(own.host_pid)),
            _ => Some(target.unsigned_abs()),
        };
        for record in self.by_pid.values_mut() {
            let hit = match target {
                -1 => record.who.pid != by.pid,
                1.. => Some(record.who.pid) == wanted,
                _ => group(record.host_pid) == wanted,
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
        self.threads.retain(|_, of| *of != pid);
        self.by_pid.remove(&pid)
    }

    /// Those whose end was not seen, by asking the kernel; they are forgotten.
    pub fn sweep(&mut self) -> Vec<Record> {
        let gone: Vec<u32> = self
            .by_pid
            .keys()
            .copied()
            .filter(|pid| !is_alive(*pid))
            .collect();
        gone.into_iter()
            .filter_map(|pid| self.remove(pid))
            .collect()
    }
}

/// The children of a process, whichever of its threads began them.
fn children(pid: u32) -> Vec<u32> {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task"));
    threads
        .into_iter()
        .flatten()
        .filter_map(|thread| std::fs::read_to_string(thread.ok()?.path().join("children")).ok())
        .flat_map(|line| {
            line.split(' ')
                .filter_map(|pid| pid.parse().ok())
                .collect::<Vec<_>>()
        })
        .collect()
}

/// Whether a process exists and is no zombie.
pub fn is_alive(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| {
        !stat
            .rsplit(')')
            .next()
            .is_some_and(|rest| rest.trim_start().starts_with(['Z', 'X']))
    })
}

impl Record {
    /// Its memory.
    pub fn memory(&mut self) -> Option<Rc<Memory>> {
        if self.memory.is_none() {
            self.memory = Memory::open(self.host_pid).ok().map(Rc::new);
        }
        self.memory.clone()
    }

    /// The directory that it sees as `/`.
    pub fn root(&self) -> Option<File> {
        File::open(format!("/proc/{}/root", self.host_pid)).ok()
    }

    /// Where its `/` is in the guest's namespace.
    fn root_path(&self) -> Option<String> {
        let link = std::fs::read_link(format!("/proc/{}/root", self.host_pid)).ok()?;
        Some(link.to_string_lossy().into_owned())
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
        let link = match fd {
            libc::AT_FDCWD => format!("/proc/{}/cwd", self.host_pid),
            fd => format!("/proc/{}/fd/{fd}", self.host_pid),
        };
        std::fs::read_link(link)
            .ok()
            .map(|path| path.to_string_lossy().into_owned())
    }

    /// Open its memory anew when it is next needed.
    pub fn forget_memory(&mut self) {
        self.memory = None;
    }

    /// Whether it believes to have root's rights.
    pub fn is_root(&self) -> bool {
        self.uid.is_none_or(|ids| ids[1] == 0)
    }

    /// A program of this mode, with the set-id bits that it has in the archive, starts in it. All files are root's.
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

    #[test]
    fn a_process_that_has_made_no_call_is_found() {
        let mut child = std::process::Command::new("sleep")
            .arg("60")
            .spawn()
            .unwrap();
        let mut table = Table::default();
        assert!(table.by_guest_pid(child.id()).is_none());
        let found = table.find(child.id(), std::process::id());
        assert_eq!(found.map(|record| record.host_pid), Some(child.id()));
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(table.find(1, std::process::id()).is_none());
    }

    #[test]
    fn those_that_a_group_or_a_process_is_killed_with_die_of_it() {
        use std::os::unix::process::CommandExt;
        let mut children = [(); 3].map(|()| {
            let mut sleep = std::process::Command::new("sleep");
            sleep.arg("60").process_group(0).spawn().unwrap()
        });
        let pids = children.each_ref().map(std::process::Child::id);
        let mut table = Table::default();
        for pid in pids {
            table.of_thread(pid);
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
