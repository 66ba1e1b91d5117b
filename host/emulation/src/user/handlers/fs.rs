//! Opening and looking at files.

use std::rc::Rc;

use rustix::fs::{MemfdFlags, Mode, OFlags};
use rustix::io::Errno;

use super::super::devices::{self, Backing, Device};
use super::super::filter::LOG_FD;
use super::super::guest::{Guest, is_machine};
use super::super::notify::{Action, Call};
use super::super::{inside, paths, qemu};
use super::{exec, program_file};
use crate::event::{Operation, What};
use crate::plan::Write;

/// `open` and its kin.
pub fn open(
    guest: &mut Guest<'_>,
    call: &Call,
    directory: Option<usize>,
    path: usize,
    flags: i32,
) -> Action {
    let Ok(path) = guest.path(call, directory, path) else {
        return Action::Continue;
    };
    match path.as_str() {
        exec::REQUEST => return exec::hand_over(guest, call),
        qemu::LOG_PATH => return open_log(),
        program_file::IMAGE => return program_file::open_image(guest, call),
        _ => {}
    }
    let syscall = if directory.is_some() {
        "openat"
    } else {
        "open"
    };
    if flags & libc::O_PATH != 0 || (!is_machine(&path) && !guest.plan.record_events) {
        return Action::Continue;
    }
    match guest.look(call, &path, flags & libc::O_NOFOLLOW == 0) {
        Ok(Some((real, device))) => {
            let action = open_device(guest, call, &real, &device, flags);
            match &action {
                Action::Fail(errno) => guest.missing(call, syscall, &path, flags, *errno),
                _ => guest.looked(call, syscall, &path, flags, Some(0)),
            }
            action
        }
        Ok(None) => {
            guest.looked(call, syscall, &path, flags, None);
            process_file(guest, call, &path).unwrap_or(Action::Continue)
        }
        Err(errno) => {
            if flags & libc::O_CREAT == 0 || is_machine(&path) {
                guest.missing(call, syscall, &path, flags, errno);
            } else {
                guest.looked(call, syscall, &path, flags, None);
            }
            Action::Continue
        }
    }
}

/// qemu's log goes to a descriptor whose writes the supervisor sees; what is behind it does not matter.
fn open_log() -> Action {
    match rustix::fs::open("/dev/null", OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty()) {
        Ok(fd) => Action::Give {
            fd: Rc::new(fd),
            number: Some(LOG_FD),
            close_on_exec: true,
        },
        Err(errno) => errno.into(),
    }
}

fn open_device(
    guest: &mut Guest<'_>,
    call: &Call,
    path: &str,
    device: &Device,
    flags: i32,
) -> Action {
    let given = match &device.backing {
        Backing::Console => guest.console.reopen().map(Rc::new),
        Backing::Host(host) => {
            rustix::fs::open(*host, OFlags::RDWR | OFlags::CLOEXEC, Mode::empty()).map(Rc::new)
        }
        Backing::Contents(contents) => {
            if path == "/proc/cmdline" {
                super::misc::reads_command_line(guest, call);
            }
            memory_file(path, contents)
        }
        Backing::Model(index) => open_model(guest, call, path, *index, flags),
        Backing::Nothing => Err(Errno::NXIO),
    };
    match given {
        Ok(fd) => Action::Give {
            fd,
            number: None,
            close_on_exec: flags & libc::O_CLOEXEC != 0,
        },
        Err(errno) => errno.into(),
    }
}

/// The name of a memory file tells which path it stands for, whatever the guest does with its descriptor.
pub const MEMORY_FILE: &str = "rookery:";

fn memory_file(path: &str, contents: &[u8]) -> Result<Rc<std::os::fd::OwnedFd>, Errno> {
    let mut end = path.len().min(200);
    while !path.is_char_boundary(end) {
        end -= 1;
    }
    let name = format!("{MEMORY_FILE}{}", path.get(..end).unwrap_or_default());
    let fd = rustix::fs::memfd_create(name, MemfdFlags::CLOEXEC)?;
    let mut written = 0;
    while let Some(rest) = contents.get(written..).filter(|rest| !rest.is_empty()) {
        written += rustix::io::pwrite(&fd, rest, written as u64)?;
    }
    Ok(Rc::new(fd))
}

/// A model's file: its contents in memory, private to this open. Where reading must fail, a descriptor whose reads fail with `EINVAL`.
fn open_model(
    guest: &mut Guest<'_>,
    call: &Call,
    path: &str,
    index: usize,
    flags: i32,
) -> Result<Rc<std::os::fd::OwnedFd>, Errno> {
    let plan = guest.plan;
    let Some((_, model)) = plan.pseudofiles.get(index) else {
        return Err(Errno::NXIO);
    };
    let access = flags & libc::O_ACCMODE;
    let contents = devices::contents(model);
    if contents.is_none() && access != libc::O_WRONLY {
        guest.report_call(
            call,
            What::Unmodelled {
                path: path.to_owned(),
                operation: Operation::Read,
            },
        );
    }
    let refuses_writes = access != libc::O_RDONLY && model.write == Write::Unhandled;
    if refuses_writes {
        guest.report_call(
            call,
            What::Unmodelled {
                path: path.to_owned(),
                operation: Operation::Write,
            },
        );
    }
    let fails_reads = contents.is_none() && access == libc::O_RDONLY && model.ioctl.is_empty();
    if fails_reads || (refuses_writes && access == libc::O_WRONLY && model.ioctl.is_empty()) {
        return rustix::event::epoll::create(rustix::event::epoll::CreateFlags::CLOEXEC)
            .map(Rc::new);
    }
    memory_file(path, contents.unwrap_or_default())
}

/// What `/proc` tells about another process: its program, not the emulator.
fn process_file(guest: &mut Guest<'_>, call: &Call, path: &str) -> Option<Action> {
    let (root, own) = guest.view(call)?;
    let path = &paths::own_proc(path, own);
    let (pid, file) = path.strip_prefix("/proc/")?.split_once('/')?;
    if !matches!(file, "cmdline" | "comm" | "stat" | "status") {
        return None;
    }
    let record = guest.process(call, pid.parse().ok()?)?;
    if record.argv.is_empty() {
        return None;
    }
    let contents = if file == "cmdline" {
        let words = record.argv.iter();
        words
            .flat_map(|word| [word.as_bytes(), &[0]].concat())
            .collect()
    } else {
        let mut text = String::new();
        let mut real = std::fs::File::from(paths::open(&root, path, own, OFlags::RDONLY).ok()?);
        std::io::Read::read_to_string(&mut real, &mut text).ok()?;
        rename_process(&text, &record.who.name)?.into_bytes()
    };
    let fd = memory_file(path, &contents).ok()?;
    Some(Action::Give {
        fd,
        number: None,
        close_on_exec: false,
    })
}

/// `/proc/PID/comm`, `stat` or `status` with another name than the emulator's. `None` where the guest gave the process a name.
fn rename_process(text: &str, name: &str) -> Option<String> {
    let at = text.find(EMULATOR)?;
    let (before, after) = text.split_at(at);
    let alone =
        before.is_empty() || before == "Name:\t" || before.ends_with(" (") && !before.contains(')');
    let end = after.find(['\n', ')']).filter(|_| alone)?;
    Some(format!("{before}{name}{}", after.get(end..)?))
}

/// How the kernel calls every process that runs an emulator.
const EMULATOR: &str = "qemu-";

/// `access` and its kin.
pub fn access(guest: &mut Guest<'_>, call: &Call, directory: Option<usize>, path: usize) -> Action {
    let Ok(path) = guest.path(call, directory, path) else {
        return Action::Continue;
    };
    if !is_machine(&path) && !guest.plan.record_events {
        return Action::Continue;
    }
    let syscall = if directory.is_some() {
        "faccessat"
    } else {
        "access"
    };
    match guest.look(call, &path, true) {
        Ok(Some(_)) => {
            guest.looked(call, syscall, &path, 0, Some(0));
            Action::Return(0)
        }
        Ok(None) => {
            guest.looked(call, syscall, &path, 0, None);
            Action::Continue
        }
        Err(errno) => {
            guest.missing(call, syscall, &path, 0, errno);
            Action::Continue
        }
    }
}

/// `readlink`: the program of a process is not its emulator.
pub fn readlink(
    guest: &mut Guest<'_>,
    call: &Call,
    directory: Option<usize>,
    index: usize,
) -> Action {
    let Ok(path) = guest.path(call, directory, index) else {
        return Action::Continue;
    };
    if path == program_file::IMAGE {
        // It is there, and no link.
        return Errno::INVAL.into();
    }
    if !is_machine(&path) {
        return Action::Continue;
    }
    let own = guest.who(call).pid;
    let spelled = paths::own_proc(&path, own);
    if let Some(pid) = spelled
        .strip_prefix("/proc/")
        .and_then(|rest| rest.strip_suffix("/exe"))
        .and_then(|pid| pid.parse().ok())
        && let Some(program) = guest
            .process(call, pid)
            .map(|record| record.who.program.clone())
            .filter(|program| !program.is_empty())
    {
        let room = usize::try_from(call.arg(index + 2)).unwrap_or(0);
        let bytes = program
            .as_bytes()
            .get(..program.len().min(room))
            .unwrap_or_default();
        let memory = guest
            .caller(call)
            .and_then(super::super::procs::Record::memory);
        if call.is_valid()
            && memory.is_some_and(|memory| memory.write(call.arg(index + 1), bytes).is_ok())
        {
            return Action::Return(i64::try_from(bytes.len()).unwrap_or(0));
        }
    }
    if matches!(guest.look(call, &path, false), Ok(Some(_))) {
        return Errno::INVAL.into();
    }
    Action::Continue
}

/// `mknod` of a device: remembered, with an empty file in its place.
pub fn mknod(guest: &mut Guest<'_>, call: &Call, directory: Option<usize>, index: usize) -> Action {
    let mode = u32::try_from(call.arg(index + 1) & 0xFFFF).unwrap_or(0);
    let block = match mode & libc::S_IFMT {
        libc::S_IFCHR => false,
        libc::S_IFBLK => true,
        _ => return Action::Continue,
    };
    let Ok(path) = guest.path(call, directory, index) else {
        return Errno::FAULT.into();
    };
    let Some((root, pid)) = guest.view(call) else {
        return Errno::SRCH.into();
    };
    let parent = match paths::open(
        &root,
        paths::parent(&path),
        pid,
        OFlags::PATH | OFlags::DIRECTORY,
    ) {
        Ok(parent) => parent,
        Err(errno) => return errno.into(),
    };
    let name = paths::basename(&path);
    let real =
        paths::of_descriptor(&parent).map_or(path.clone(), |parent| paths::join(&parent, name));
    let numbers = (
        libc::major(call.arg(index + 2)),
        libc::minor(call.arg(index + 2)),
    );
    let exists = rustix::fs::statat(&parent, name, rustix::fs::AtFlags::SYMLINK_NOFOLLOW).is_ok();
    if exists {
        return Errno::EXIST.into();
    }
    guest.devices.add_node(&real, block, numbers, mode & 0o7777);
    let place = || {
        rustix::fs::mknodat(
            &parent,
            name,
            rustix::fs::FileType::RegularFile,
            Mode::from_raw_mode(mode & 0o777),
            0,
        )
    };
    match inside::run(&guest.pidfd, place) {
        Ok(()) => Action::Return(0),
        Err(errno) => errno.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_has_its_own_name_and_not_its_emulators() {
        for (text, expected) in [
            ("qemu-arm\n", Some("httpd\n")),
            (
                "Name:\tqemu-arm\nUmask:\t0022\n",
                Some("Name:\thttpd\nUmask:\t0022\n"),
            ),
            ("7 (qemu-mipsel-sta) S 1", Some("7 (httpd) S 1")),
            ("7 (x) (qemu-x) S 1", None),
            ("worker\n", None),
        ] {
            assert_eq!(
                rename_process(text, "httpd").as_deref(),
                expected,
                "{text:?}"
            );
        }
    }
}
