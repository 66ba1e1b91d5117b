//! The guest's world, built from inside by the process that becomes its init: namespaces, mounts,
//! devices, network, limits.

use std::ffi::CString;
use std::fs;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::Mode;
use rustix::mount::UnmountFlags;
use rustix::net::SendFlags;
use rustix::process::Signal;
use rustix::thread::{Gid, Uid};

use crate::files::sys_tree::SysDevice;
use crate::kernel::netlink::Netlink;
use crate::kernel::notify::Instruction;
use crate::kernel::passing::send_with_fd;
use crate::kernel::process;
use crate::limits;
use crate::limits::{Handle, kernel};
use crate::qemu::emulator::Qemu;
use crate::qemu::kept::Changed;
use crate::sandbox::confine::{Doing, await_go, confine};
use crate::sandbox::detached;
use crate::sandbox::message;
use crate::sandbox::programs::Emulator;
use crate::sandbox::static_files::Change;
use crate::sandbox::{mounting, programs, static_files};
use rookery_runs::plan::Address;

/// Everything that the child needs; made by the supervisor before it forks.
#[derive(Debug)]
pub struct Setup<'a> {
    /// The guest's init.
    pub init: &'a str,
    /// Its environment.
    pub envp: Vec<String>,
    /// Interfaces to make.
    pub netdevs: &'a [String],
    /// Their addresses.
    pub addresses: &'a [Address],
    /// Changes to its files.
    pub changes: Vec<Change>,
    /// Paths that the supervisor answers for: an empty file stands for each, so that listings show
    /// it.
    pub placeholders: Vec<(String, u32)>,
    /// Devices that `/sys` shows.
    pub sys_devices: Vec<SysDevice>,
    /// Whether there are models, which have a file system.
    pub has_models: bool,
    /// The bytes of flash memory that it has, where it has any.
    pub flash: Option<u64>,
    /// The emulators.
    pub qemus: &'a [Qemu],
    /// The guest's own emulator, where the host's is not used as it is.
    pub changed: Option<Changed>,
    /// Its system calls.
    pub filter: Vec<Instruction>,
    /// Its terminal.
    pub console: BorrowedFd<'a>,
    /// The bytes of memory that it may have.
    pub budget: u64,
}

/// The child's life until it is the guest's init. Waits on `socket` twice: for its user mapping,
/// and for the start.
pub fn become_init(setup: &Setup<'_>, socket: &OwnedFd, privileged: bool) -> ! {
    let failed = match build(setup, socket, privileged) {
        Ok(never) => match never {},
        Err(failed) => failed,
    };
    tell(socket, message::FAILED, &failed);
    process::leave(125)
}

fn tell(socket: &OwnedFd, kind: u8, text: &str) {
    let _ = rustix::net::send(
        socket,
        &[&[kind], text.as_bytes()].concat(),
        SendFlags::NOSIGNAL,
    );
}

fn build(
    setup: &Setup<'_>,
    socket: &OwnedFd,
    privileged: bool,
) -> Result<std::convert::Infallible, String> {
    // First of all, so that the socket ends when the supervisor does.
    process::close_all_except(&[socket.as_raw_fd(), setup.console.as_raw_fd()]);
    await_go(socket);
    let device = setup.has_models.then(detached::open_device);
    let emulator = setup.changed.as_ref().map(Emulator::open).transpose()?;
    become_root_of_namespace(privileged)?;
    // Set after the change of user, which clears it; a supervisor that died before is noticed by
    // `await_go`.
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))
        .doing("tie the guest to its supervisor")?;
    let _ = rustix::process::setsid();
    rustix::process::umask(Mode::from_raw_mode(0o022));

    make_detached(setup, device, socket)?;
    let (base, root) = mounting::mount_root(setup.qemus)?;
    mounting::mount_dev(&root, &setup.placeholders)?;
    mounting::mount_proc_and_sys(&root, setup.netdevs, &setup.sys_devices)?;
    programs::place(&root, setup.qemus, emulator.as_ref(), &setup.placeholders)?;
    let handles = limits::open(&root.join("proc"), &base, setup.budget)
        .doing("open what the guest is counted by")?;
    hand_over(socket, handles)?;
    let network = make_network(setup, socket);
    for setting in kernel::set(&root.join("proc")) {
        let text = format!("limits of the kernel that could not be set for the guest: {setting}");
        tell(socket, message::WARNING, &text);
    }
    mounting::close_settings(&root.join("proc/sys"))?;
    rustix::process::chdir(&root).doing("enter the guest's root")?;
    rustix::process::pivot_root(".", ".").doing("pivot_root")?;
    rustix::mount::unmount(".", UnmountFlags::DETACH).doing("detach the host's root")?;
    rustix::process::chdir("/").doing("enter the guest's root")?;
    let _ = rustix::system::sethostname(b"localhost");
    network?;

    for change in &setup.changes {
        if let Err(error) = static_files::apply(change) {
            tell(
                socket,
                message::WARNING,
                &format!(
                    "static files that could not be made or changed: {}: {error}",
                    static_files::subject(change)
                ),
            );
        }
    }
    for (path, mode) in &setup.placeholders {
        let path = Path::new(path);
        if path.is_symlink() {
            let _ = fs::remove_file(path);
        }
        mounting::place(path, *mode);
    }
    for descriptor in [
        rustix::stdio::dup2_stdin,
        rustix::stdio::dup2_stdout,
        rustix::stdio::dup2_stderr,
    ] {
        descriptor(setup.console).doing("attach the console")?;
    }
    process::close_all_except(&[socket.as_raw_fd()]);
    confine(&setup.filter, socket)?;
    await_go(socket);
    Err(start_init(setup))
}

/// What models cannot do without a file system, and how to have it.
const IN_MEMORY: &str = "models cannot be a file system here (FUSE): each open of one that is only \
                         written to, waits, or has no end is a socket, which has no positions and \
                         refuses no write; of another it is a file in memory, which epoll \
                         refuses, which takes unseen what a shell writes into it by a descriptor \
                         for both, and where a sequence gives one turn an open; let the user who \
                         runs Rookery open /dev/fuse";

/// File systems that have no place in the guest's tree; it can do without.
fn make_detached(
    setup: &Setup<'_>,
    device: Option<Result<OwnedFd, String>>,
    socket: &OwnedFd,
) -> Result<(), String> {
    let warn = |what: &str, why: &str| tell(socket, message::WARNING, &format!("{what}: {why}"));
    match device.map(|device| device.and_then(detached::models)) {
        Some(Ok(made)) => {
            hand_over_detached(socket, message::MODELS_DEVICE, &made.device)?;
            hand_over_detached(socket, message::MODELS, &made.root)?;
        }
        Some(Err(error)) => warn(IN_MEMORY, &error),
        None => {}
    }
    match setup.flash.map(detached::memory) {
        Some(Ok(root)) => hand_over_detached(socket, message::FLASH, &root)?,
        Some(Err(error)) => warn("flash partitions fail to be opened", &error),
        None => {}
    }
    Ok(())
}

fn hand_over_detached(socket: &OwnedFd, which: u8, fd: &OwnedFd) -> Result<(), String> {
    send_with_fd(socket, &[message::DETACHED, which], Some(fd.as_fd()))
        .doing("hand over a file system")
}

fn hand_over(socket: &OwnedFd, handles: Vec<(Handle, OwnedFd)>) -> Result<(), String> {
    for (handle, descriptor) in handles {
        let place = limits::HANDLES.iter().position(|known| *known == handle);
        let place = place
            .and_then(|place| u8::try_from(place).ok())
            .unwrap_or(u8::MAX);
        send_with_fd(socket, &[message::HANDLE, place], Some(descriptor.as_fd()))
            .doing("hand over what the guest is counted by")?;
    }
    Ok(())
}

/// The one user that is mapped, with all its capabilities in the new namespace.
fn become_root_of_namespace(privileged: bool) -> Result<(), String> {
    if privileged {
        rustix::thread::set_thread_groups(&[]).doing("drop supplementary groups")?;
    }
    let (uid, gid) = (Uid::ROOT, Gid::ROOT);
    rustix::thread::set_thread_res_gid(gid, gid, gid).doing("become the guest's root group")?;
    rustix::thread::set_thread_res_uid(uid, uid, uid).doing("become the guest's root")?;
    // The change of user made /proc/self unreadable.
    let dumpable = rustix::process::DumpableBehavior::Dumpable;
    rustix::process::set_dumpable_behavior(dumpable).doing("stay readable")
}

/// The guest's interfaces. A pair's other end stays in the namespace in which this process began,
/// which the supervisor keeps.
fn make_network(setup: &Setup<'_>, socket: &OwnedFd) -> Result<(), String> {
    let outside = Netlink::open().doing("open netlink")?;
    let elsewhere = fs::File::open("/proc/self/ns/net").doing("open the network namespace")?;
    let other = Netlink::open().doing("open netlink")?;
    hand_over(socket, vec![(Handle::Outside, other.into())])?;
    process::new_network().doing("make a network namespace")?;
    let handles = limits::open_network().doing("open netlink")?;
    hand_over(socket, handles)?;
    let inside = Netlink::open().doing("open netlink")?;
    inside.up("lo").doing("set lo up")?;
    let names = setup.netdevs.iter().filter(|name| name.as_str() != "lo");
    for (name, number) in names.zip(0x56..) {
        let mac = [0x52, 0x54, 0, 0x12, 0x34, number];
        match inside.add(name, mac, elsewhere.as_fd()) {
            Ok(()) => {
                let _ = outside.up(name);
                let _ = inside.up(name);
                give_addresses(setup.addresses, name, &inside, socket);
            }
            Err(error) => tell(
                socket,
                message::WARNING,
                &format!("network interfaces that could not be made: {name}: {error}"),
            ),
        }
    }
    Ok(())
}

fn give_addresses(all: &[Address], name: &str, network: &Netlink, socket: &OwnedFd) {
    for address in all.iter().filter(|address| address.interface == name) {
        let link = network.link(name);
        let given =
            link.and_then(|link| network.add_address(link.index, address.ip, address.prefix));
        if let Err(error) = given {
            let (ip, prefix) = (address.ip, address.prefix);
            let text =
                format!("addresses that could not be given: {ip}/{prefix} to {name}: {error}");
            tell(socket, message::WARNING, &text);
        }
    }
}

/// Execute init; gives why that failed.
fn start_init(setup: &Setup<'_>) -> String {
    let strings = |all: &[String]| -> Vec<CString> {
        all.iter()
            .filter_map(|s| CString::new(s.as_str()).ok())
            .collect()
    };
    let envp = strings(&setup.envp);
    let init = strings(&[setup.init.to_owned()]);
    let Some(path) = init.first() else {
        return "the path of init holds a NUL".to_owned();
    };
    let error = process::execute(path, &init, &envp);
    if error.raw_os_error() == Some(libc::ENOEXEC) {
        // A script without an interpreter line: a shell that starts it runs it itself.
        let argv = strings(&["/bin/sh".to_owned(), setup.init.to_owned()]);
        process::execute(c"/bin/sh", &argv, &envp);
    }
    format!(
        "the guest's init {:?} cannot be executed: {error}",
        setup.init
    )
}
