//! Opening and looking at files.

use std::os::fd::OwnedFd;
use std::rc::Rc;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::pipe::PipeFlags;

use crate::files::devices::{Backing, Device, PTMX};
use crate::files::interfaces::STATISTICS;
use crate::files::loops::CONTROL;
use crate::files::mounts::LISTINGS;
use crate::files::process_file::{About, ProcessFile};
use crate::files::{devices, private};
use crate::guest::access::{
    Callers, HasConsole, HasDevices, HasImages, HasKept, HasMounts, HasNamespaces, HasNvram,
    HasPlan, HasServices, Paths, Reports,
};
use crate::guest::tree::{CONSOLE, Found};
use crate::handlers::exec::{self, Executes};
use crate::handlers::memory_file::{self, memory_file};
use crate::handlers::{
    behind, boot_arguments, hotplug, loops, model, nvram, preload, program_file, tunnel,
};
use crate::kernel::paths::is_machine;
use crate::kernel::{enter, paths, shortage};
use crate::process::call::{Action, Call};
use crate::process::path_arg::PathArg;
use crate::process::view;
use crate::qemu::{emulator, library};
use crate::sandbox::filter::LOG_FD;
use rookery_records::event::{Process, What};

/// What opening a file needs: it may be anything.
pub trait Opens<'a>:
    Executes<'a> + HasConsole<'a> + HasMounts + HasKept + HasServices + HasImages
{
}

impl<'a, T> Opens<'a> for T where
    T: Executes<'a> + HasConsole<'a> + HasMounts + HasKept + HasServices + HasImages
{
}

/// `open` and its kin.
pub fn open<'a>(guest: &mut impl Opens<'a>, call: &Call, file: PathArg, flags: i32) -> Action {
    let Ok(path) = guest.path(call, file) else {
        return Action::Continue;
    };
    match path.as_str() {
        exec::REQUEST => return exec::hand_over(guest, call),
        emulator::LOG_PATH => return open_log(),
        program_file::IMAGE => return program_file::open_image(guest, call),
        library::PATH => return preload::open(guest, call, flags),
        _ => {}
    }
    let syscall = if file.directory.is_some() {
        "openat"
    } else {
        "open"
    };
    if flags & libc::O_PATH != 0 {
        return Action::Continue;
    }
    if let Some(action) =
        setting(guest, call, &path, flags).or_else(|| described(guest, call, &path, flags))
    {
        guest.report_lookup(call, syscall, &path, flags, Some(0));
        return action;
    }
    if flags & libc::O_ACCMODE != libc::O_RDONLY {
        hotplug::request(guest, call, &path);
    }
    match guest.resolve(call, &path, flags & libc::O_NOFOLLOW == 0) {
        Ok(Found::Device(real, device)) => {
            let action = open_device(guest, call, &real, &device, flags);
            match &action {
                Action::Fail(errno) => guest.report_missing(call, syscall, &path, flags, *errno),
                _ => guest.report_lookup(call, syscall, &path, flags, Some(0)),
            }
            action
        }
        Ok(Found::OfProcess(file)) => {
            guest.report_lookup(call, syscall, &path, flags, None);
            process_file(guest, call, &path, &file, flags)
        }
        Ok(Found::File(real, status)) if guest.refuses(call, &real, &status, wanted(flags)) => {
            guest.report_missing(call, syscall, &path, flags, Errno::ACCESS);
            Errno::ACCESS.into()
        }
        Ok(Found::File(..) | Found::Other) => {
            guest.report_lookup(call, syscall, &path, flags, None);
            Action::Continue
        }
        // Where it leads is not known, so nobody goes there.
        Err(Errno::NAMETOOLONG) => Errno::NAMETOOLONG.into(),
        Err(errno) => {
            if flags & libc::O_CREAT != 0 && can_create(guest, call, &path) {
                guest.report_lookup(call, syscall, &path, flags, None);
            } else {
                guest.report_missing(call, syscall, &path, flags, errno);
            }
            Action::Continue
        }
    }
}

/// What is wanted of a file that is opened so, as permission bits.
fn wanted(flags: i32) -> u32 {
    match flags & libc::O_ACCMODE {
        libc::O_RDONLY => private::READ,
        libc::O_WRONLY => private::WRITE,
        _ => private::READ | private::WRITE,
    }
}

/// Whether a file comes to be where nothing is: in `/proc` and `/sys` none does, and `/dev` holds
/// shared memory and the like.
fn can_create(guest: &mut impl Paths, call: &Call, path: &str) -> bool {
    let parent = paths::parent(path);
    let can_hold_files = !is_machine(path) || paths::is_below(path, "/dev");
    can_hold_files && matches!(guest.resolve_device(call, parent, true), Ok(None))
}

/// qemu's log goes to a descriptor whose writes the supervisor sees; what is behind it does not
/// matter.
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

const NO_MEMORY: &str = "/dev/mem, /dev/kmem and /dev/port cannot be opened (EPERM): there is no \
                         machine behind them; what a program wants of one, it can be given by a \
                         model of that path";

fn open_device<'a>(
    guest: &mut impl Opens<'a>,
    call: &Call,
    path: &str,
    device: &Device,
    flags: i32,
) -> Action {
    let given = match &device.backing {
        Backing::Model(index) => return model::open(guest, call, path, *index, flags),
        Backing::Nvram => return nvram::driver::open(guest, call, flags),
        Backing::KernelLog if flags & libc::O_ACCMODE == libc::O_RDONLY => silence(flags),
        Backing::Console | Backing::KernelLog => guest.console().reopen().map(Rc::new),
        Backing::Host(host) => {
            rustix::fs::open(*host, OFlags::RDWR | OFlags::CLOEXEC, Mode::empty()).map(Rc::new)
        }
        Backing::Contents(contents) => {
            if path == "/proc/cmdline" {
                boot_arguments::reads_command_line(guest, call);
            }
            memory_file(path, contents).and_then(|file| memory_file::reopen(&file, flags))
        }
        Backing::Directory => open_directory(guest, call, path, flags),
        Backing::Loop(number) => loops::open(guest, *number, flags),
        Backing::Flash { block, number } => guest.devices().flash().open(*block, *number, flags),
        Backing::Tunnel => tunnel::open(guest, flags),
        Backing::LoopControl => memory_file(CONTROL, b""),
        Backing::Memory => {
            guest.report(Process::default(), What::Note(NO_MEMORY.into()));
            Err(Errno::PERM)
        }
        Backing::Nothing => Err(Errno::NXIO),
    };
    give(given, flags)
}

/// A file in which nothing is ever found: who reads it waits. It is a pipe that holds its own other
/// end.
fn silence(flags: i32) -> Result<Rc<OwnedFd>, Errno> {
    let (pipe, _) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC).map_err(shortage::of("pipe2"))?;
    let nonblocking = flags & libc::O_NONBLOCK;
    memory_file::reopen(&pipe, libc::O_RDWR | nonblocking)
}

/// A directory of `/proc` that only holds models: the sandbox keeps one that lists them.
fn open_directory(
    guest: &mut impl Callers,
    call: &Call,
    path: &str,
    flags: i32,
) -> Result<Rc<OwnedFd>, Errno> {
    if flags & libc::O_ACCMODE != libc::O_RDONLY {
        return Err(Errno::ISDIR);
    }
    let view = guest.view(call).ok_or(Errno::SRCH)?;
    let listing = view.find_directory(&format!("{LISTINGS}{path}"))?;
    view::read(listing).map(|directory| Rc::new(directory.into()))
}

/// A setting of the kernel that only the host's root may change: the guest believes that it does,
/// and reads what it wrote.
fn setting<'a>(guest: &mut impl Opens<'a>, call: &Call, path: &str, flags: i32) -> Option<Action> {
    let below = path.strip_prefix("/proc/sys/")?;
    if guest.kept().get(path).is_some() {
        return Some(give(model::kept(guest, path, b"", flags), flags));
    }
    if flags & libc::O_ACCMODE == libc::O_RDONLY {
        return None;
    }
    let initial = match guest.devices().get(path).map(|device| &device.backing) {
        Some(Backing::Contents(contents)) => contents.clone(),
        Some(_) => return None,
        // Those of its network are the guest's own.
        None if paths::is_below(below, "net") => return None,
        None => {
            let status = paths::status(guest.view(call)?.find(path).ok()?).ok()?;
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

/// What `/sys` tells that changes by itself, however one gets there: it is full of links.
fn described(
    guest: &mut (impl Paths + HasDevices + HasServices),
    call: &Call,
    path: &str,
    flags: i32,
) -> Option<Action> {
    if !paths::is_below(path, "/sys") {
        return None;
    }
    let Ok(Found::File(real, _)) = guest.resolve(call, path, true) else {
        return None;
    };
    if let Some(last) = hotplug::last(guest, &real) {
        return Some(give(memory_file(&real, last.as_bytes()), flags));
    }
    interface(guest, &real, flags)
}

/// What `/sys/class/net` tells about an interface: `/sys` is not the kernel's, the interfaces are.
fn interface(
    guest: &mut (impl HasDevices + HasServices),
    path: &str,
    flags: i32,
) -> Option<Action> {
    let (name, file) = path.strip_prefix("/sys/class/net/")?.split_once('/')?;
    if flags & libc::O_ACCMODE != libc::O_RDONLY || guest.devices().get(path).is_some() {
        return None;
    }
    let (network, links) = guest.services().interfaces()?;
    let link = links.as_known(network, network.link(name).ok()?);
    let counted = || {
        let counter = file.strip_prefix("statistics/")?;
        let place = STATISTICS.iter().position(|known| *known == counter)?;
        Some(format!("{}\n", link.count(place)))
    };
    let text = link.describe(file).or_else(counted)?;
    Some(give(memory_file(path, text.as_bytes()), flags))
}

fn give(file: Result<Rc<OwnedFd>, Errno>, flags: i32) -> Action {
    match file {
        Ok(fd) => Action::Give {
            fd,
            number: None,
            close_on_exec: flags & libc::O_CLOEXEC != 0,
        },
        Err(errno) => errno.into(),
    }
}

/// What `/proc` tells about a process of the guest: as a machine would, without the emulator, the
/// sandbox and the host. It is read where the supervisor knows the process, never where the guest
/// named it: there may be anything.
fn process_file(
    guest: &mut (impl Callers + HasMounts),
    call: &Call,
    path: &str,
    file: &ProcessFile,
    flags: i32,
) -> Action {
    let Some(record) = guest.process(call, file.pid) else {
        return Errno::SRCH.into();
    };
    let process = Rc::clone(&record.process);
    let about = About {
        name: record.who.name.clone(),
        argv: record.argv.clone(),
        uid: record.uid.unwrap_or_default(),
        gid: record.gid.unwrap_or_default(),
    };
    let contents = guest
        .in_its_proc(&process, file.pid)
        .and_then(|process| file.contents(&process, &about, guest.mounts()));
    match contents {
        Ok(Some(contents)) => give(memory_file(path, &contents), flags),
        Ok(None) => Action::Continue,
        Err(errno) => errno.into(),
    }
}

/// `access` and its kin.
pub fn access(guest: &mut (impl Paths + Reports), call: &Call, file: PathArg) -> Action {
    let Ok(path) = guest.path(call, file) else {
        return Action::Continue;
    };
    let syscall = if file.directory.is_some() {
        "faccessat"
    } else {
        "access"
    };
    let wanted = call.int(file.after(1)).cast_unsigned() & 0o7;
    match guest.resolve(call, &path, true) {
        Ok(Found::Device(..)) => {
            guest.report_lookup(call, syscall, &path, 0, Some(0));
            Action::Return(0)
        }
        Ok(Found::File(real, status)) if guest.refuses(call, &real, &status, wanted) => {
            guest.report_missing(call, syscall, &path, 0, Errno::ACCESS);
            Errno::ACCESS.into()
        }
        Ok(_) => {
            guest.report_lookup(call, syscall, &path, 0, None);
            // Root may change every setting; here it seems so.
            if paths::is_below(&path, "/proc/sys") {
                Action::Return(0)
            } else {
                Action::Continue
            }
        }
        Err(errno) => {
            guest.report_missing(call, syscall, &path, 0, errno);
            Action::Continue
        }
    }
}

/// `readlink`: the program of a process is not its emulator.
pub fn readlink<'a>(
    guest: &mut (impl Paths + Reports + HasConsole<'a> + HasKept + HasNvram + HasPlan<'a>),
    call: &Call,
    link: PathArg,
) -> Action {
    let Ok(path) = guest.path(call, link) else {
        return Action::Continue;
    };
    if let Some(question) = path.strip_prefix(nvram::QUESTIONS) {
        return nvram::answer(guest, call, question, link);
    }
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
        return give_link(guest, call, link, &target);
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
        return give_link(guest, call, link, &program);
    }
    if matches!(guest.resolve_device(call, &path, false), Ok(Some(_))) {
        return Errno::INVAL.into();
    }
    Action::Continue
}

/// What `/proc/PID/fd/N` leads to, where the guest must not see what really is there.
fn descriptor_target<'a>(
    guest: &mut (impl Callers + HasConsole<'a> + HasKept),
    path: &str,
) -> Option<String> {
    let (pid, fd) = path.strip_prefix("/proc/")?.split_once("/fd/")?;
    let record = guest.procs().by_guest_pid(pid.parse().ok()?)?;
    let fd: u32 = fd.parse().ok()?;
    let link = record.directory(i32::try_from(fd).ok()?)?;
    let status = record.held_status(i32::try_from(fd).ok()?);
    if let Some(path) = behind::path_behind(guest, &link) {
        return Some(path);
    }
    let status = status.ok()?;
    guest
        .console()
        .is_behind(&status)
        .then(|| CONSOLE.to_owned())
}

/// Answer a `readlink`.
fn give_link(guest: &mut impl Callers, call: &Call, link: PathArg, target: &str) -> Action {
    let room = usize::try_from(call.arg(link.after(2))).unwrap_or(0);
    let bytes = target
        .as_bytes()
        .get(..target.len().min(room))
        .unwrap_or_default();
    let memory = guest.memory(call);
    match memory {
        Some(memory) if memory.write(call, call.arg(link.after(1)), bytes).is_ok() => {
            Action::Return(i64::try_from(bytes.len()).unwrap_or(0))
        }
        _ => Errno::FAULT.into(),
    }
}

/// `mknod` of a device: remembered, with an empty file in its place.
pub fn mknod(
    guest: &mut (impl Paths + HasDevices + HasNamespaces),
    call: &Call,
    file: PathArg,
) -> Action {
    let mode = u32::try_from(call.arg(file.after(1)) & 0xFFFF).unwrap_or(0);
    let block = match mode & libc::S_IFMT {
        libc::S_IFCHR => false,
        libc::S_IFBLK => true,
        _ => return Action::Continue,
    };
    let Ok(path) = guest.path(call, file) else {
        return Errno::FAULT.into();
    };
    let Some(view) = guest.view(call) else {
        return Errno::SRCH.into();
    };
    let parent = match view.find_directory(paths::parent(&path)) {
        Ok(parent) => parent,
        Err(errno) => return errno.into(),
    };
    let name = paths::basename(&path);
    let real =
        paths::of_descriptor(&parent).map_or(path.clone(), |parent| paths::join(&parent, name));
    let numbers = (
        libc::major(call.arg(file.after(2))),
        libc::minor(call.arg(file.after(2))),
    );
    let exists = rustix::fs::statat(&parent, name, rustix::fs::AtFlags::SYMLINK_NOFOLLOW).is_ok();
    if exists {
        return Errno::EXIST.into();
    }
    if guest.devices().is_full() {
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
    if let Err(errno) = enter::run(&guest.namespaces(), place) {
        return errno.into();
    }
    if !makes_terminals
        && let Ok(status) = rustix::fs::statat(&parent, name, rustix::fs::AtFlags::SYMLINK_NOFOLLOW)
    {
        let node = Device::node(block, numbers, mode);
        guest.devices().make(&real, node, devices::id(&status));
    }
    Action::Return(0)
}
