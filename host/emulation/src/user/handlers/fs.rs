//! Opening and looking at files.

use std::rc::Rc;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use super::super::devices::{self, Backing, Device, PTMX};
use super::super::filter::LOG_FD;
use super::super::guest::{CONSOLE, Guest, is_machine};
use super::super::mounts::LISTINGS;
use super::super::notify::{Action, Call};
use super::super::{inside, paths, qemu};
use super::model::memory_file;
use super::{exec, model, program_file};
use crate::event::What;

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
    if let Some(action) = mount_table(guest, call, &path) {
        return action;
    }
    if flags & libc::O_PATH != 0 {
        return Action::Continue;
    }
    if let Some(action) =
        setting(guest, call, &path, flags).or_else(|| interface(guest, &path, flags))
    {
        guest.looked(call, syscall, &path, flags, Some(0));
        return action;
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
            if flags & libc::O_CREAT != 0 && can_create(guest, call, &path) {
                guest.looked(call, syscall, &path, flags, None);
            } else {
                guest.missing(call, syscall, &path, flags, errno);
            }
            Action::Continue
        }
    }
}

/// Whether a file comes to be where nothing is: in `/proc` and `/sys` none does, and `/dev` holds shared memory and the like.
fn can_create(guest: &mut Guest<'_>, call: &Call, path: &str) -> bool {
    if !is_machine(path) {
        return true;
    }
    let parent = paths::parent(path);
    paths::is_below(path, "/dev") && matches!(guest.look(call, parent, true), Ok(None))
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
        Backing::Model(index) => return model::open(guest, call, path, *index, flags),
        Backing::Console => guest.console.reopen().map(Rc::new),
        Backing::Host(host) => {
            rustix::fs::open(*host, OFlags::RDWR | OFlags::CLOEXEC, Mode::empty()).map(Rc::new)
        }
        Backing::Contents(contents) => {
            if path == "/proc/cmdline" {
                super::misc::reads_command_line(guest, call);
            }
            memory_file(path, contents).and_then(|file| model::reopen(&file, flags))
        }
        Backing::Directory => open_directory(guest, call, path, flags),
        Backing::Nothing => Err(Errno::NXIO),
    };
    give(given, flags)
}

/// A directory of `/proc` that only holds models: the sandbox keeps one that lists them.
fn open_directory(
    guest: &mut Guest<'_>,
    call: &Call,
    path: &str,
    flags: i32,
) -> Result<Rc<std::os::fd::OwnedFd>, Errno> {
    if flags & libc::O_ACCMODE != libc::O_RDONLY {
        return Err(Errno::ISDIR);
    }
    let (root, pid) = guest.view(call).ok_or(Errno::SRCH)?;
    let listing = format!("{LISTINGS}{path}");
    paths::open(&root, &listing, pid, OFlags::RDONLY | OFlags::DIRECTORY).map(Rc::new)
}

/// A setting of the kernel that only the host's root may change: the guest believes that it does, and reads what it wrote.
fn setting(guest: &mut Guest<'_>, call: &Call, path: &str, flags: i32) -> Option<Action> {
    let below = path.strip_prefix("/proc/sys/")?;
    if guest.kept.contains_key(path) {
        return Some(give(model::kept(guest, path, b"", flags), flags));
    }
    if flags & libc::O_ACCMODE == libc::O_RDONLY {
        return None;
    }
    let initial = match guest.devices.get(path).map(|device| &device.backing) {
        Some(Backing::Contents(contents)) => contents.clone(),
        Some(_) => return None,
        // Those of its network are the guest's own.
        None if paths::is_below(below, "net") => return None,
        None => {
            let (root, pid) = guest.view(call)?;
            let file = paths::open(&root, path, pid, OFlags::PATH).ok()?;
            let status = paths::status(&file).ok()?;
            if status.st_mode & libc::S_IFMT != libc::S_IFREG {
                return None;
            }
            // What it is now would be the supervisor's, not the guest's.
            Vec::new()
        }
    };
    let detail = below.to_owned();
    guest.report_call(
        call,
        What::Faked {
            syscall: "sysctl",
            detail,
        },
    );
    Some(give(model::kept(guest, path, &initial, flags), flags))
}

/// What `/sys/class/net` tells about an interface: `/sys` is not the kernel's, the interfaces are.
fn interface(guest: &mut Guest<'_>, path: &str, flags: i32) -> Option<Action> {
    let (name, file) = path.strip_prefix("/sys/class/net/")?.split_once('/')?;
    if flags & libc::O_ACCMODE != libc::O_RDONLY || guest.devices.get(path).is_some() {
        return None;
    }
    let text = guest.network()?.link(name).ok()?.describe(file)?;
    Some(give(memory_file(path, text.as_bytes()), flags))
}

/// The kernel's table of mounts shows the sandbox's own and lacks those that were only said to be made.
fn mount_table(guest: &mut Guest<'_>, call: &Call, path: &str) -> Option<Action> {
    let own = guest.who(call).pid;
    let named = |path: &str| -> Option<&'static str> {
        let (pid, file) = path.strip_prefix("/proc/")?.split_once('/')?;
        pid.parse::<u32>().ok()?;
        ["mounts", "mountinfo"]
            .into_iter()
            .find(|name| *name == file)
    };
    let (root, pid) = match path {
        "/etc/mtab" => guest.view(call)?,
        path if named(&paths::own_proc(path, own)).is_some() => guest.view(call)?,
        _ => return None,
    };
    // `/etc/mtab` is often a link to it.
    let file = paths::open(&root, path, pid, OFlags::RDONLY).ok()?;
    let name = named(&paths::of_descriptor(&file)?)?;
    let mut kernels = String::new();
    std::io::Read::read_to_string(&mut std::fs::File::from(file), &mut kernels).ok()?;
    let text = if name == "mounts" {
        guest.mounts.table(&kernels)
    } else {
        guest.mounts.info(&kernels)
    };
    Some(give(memory_file(path, text.as_bytes()), 0))
}

fn give(file: Result<Rc<std::os::fd::OwnedFd>, Errno>, flags: i32) -> Action {
    match file {
        Ok(fd) => Action::Give {
            fd,
            number: None,
            close_on_exec: flags & libc::O_CLOEXEC != 0,
        },
        Err(errno) => errno.into(),
    }
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
            // Root may change every setting; here it seems so.
            if paths::is_below(&path, "/proc/sys") {
                Action::Return(0)
            } else {
                Action::Continue
            }
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
    if let Some(target) = descriptor_target(guest, &spelled) {
        return give_link(guest, call, index, &target);
    }
    if let Some(pid) = spelled
        .strip_prefix("/proc/")
        .and_then(|rest| rest.strip_suffix("/exe"))
        .and_then(|pid| pid.parse().ok())
        && let Some(program) = guest
            .process(call, pid)
            .map(|record| record.who.program.clone())
            .filter(|program| !program.is_empty())
    {
        return give_link(guest, call, index, &program);
    }
    if matches!(guest.look(call, &path, false), Ok(Some(_))) {
        return Errno::INVAL.into();
    }
    Action::Continue
}

/// What `/proc/PID/fd/N` leads to, where the guest must not see what really is there.
fn descriptor_target(guest: &Guest<'_>, path: &str) -> Option<String> {
    let (pid, fd) = path.strip_prefix("/proc/")?.split_once("/fd/")?;
    let record = guest.procs.by_guest_pid(pid.parse().ok()?)?;
    let fd: u32 = fd.parse().ok()?;
    let link = record.directory(i32::try_from(fd).ok()?)?;
    if let Some(path) = model::path_of(&link) {
        return Some(path.to_owned());
    }
    let status = rustix::fs::stat(format!("/proc/{}/fd/{fd}", record.host_pid)).ok()?;
    guest.console.is_behind(&status).then(|| CONSOLE.to_owned())
}

/// Answer a `readlink` whose path is the argument `index`.
fn give_link(guest: &mut Guest<'_>, call: &Call, index: usize, target: &str) -> Action {
    let room = usize::try_from(call.arg(index + 2)).unwrap_or(0);
    let bytes = target
        .as_bytes()
        .get(..target.len().min(room))
        .unwrap_or_default();
    let memory = guest
        .caller(call)
        .and_then(super::super::procs::Record::memory);
    match memory {
        Some(memory) if call.is_valid() && memory.write(call.arg(index + 1), bytes).is_ok() => {
            Action::Return(i64::try_from(bytes.len()).unwrap_or(0))
        }
        _ => Errno::FAULT.into(),
    }
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
    if guest.devices.is_full() {
        return Errno::NOSPC.into();
    }
    let makes_terminals = !block && numbers == PTMX;
    let place = || {
        if makes_terminals {
            return rustix::fs::symlinkat("/dev/pts/ptmx", &parent, name);
        }
        rustix::fs::mknodat(
            &parent,
            name,
            rustix::fs::FileType::RegularFile,
            Mode::from_raw_mode(mode & 0o777),
            0,
        )
    };
    if let Err(errno) = inside::run(&guest.pidfd, place) {
        return errno.into();
    }
    if !makes_terminals
        && let Ok(status) = rustix::fs::statat(&parent, name, rustix::fs::AtFlags::SYMLINK_NOFOLLOW)
    {
        let node = Device::node(block, numbers, mode);
        guest.devices.make(&real, node, devices::id(&status));
    }
    Action::Return(0)
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
