//! The guest's world, built from inside by the process that becomes its init: namespaces, mounts,
//! devices, network, limits.

use std::ffi::CString;
use std::fs;
use std::io::{self, Write as _};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use rustix::fs::Mode;
use rustix::mount::{MountFlags, MountPropagationFlags, UnmountFlags};
use rustix::net::SendFlags;
use rustix::process::Signal;
use rustix::thread::{Gid, Uid};

use crate::files::interfaces;
use crate::files::mounts::{HOSTS_OWN, LISTINGS};
use crate::kernel::netlink::Netlink;
use crate::kernel::notify::Instruction;
use crate::kernel::passing::send_with_fd;
use crate::kernel::{paths, process};
use crate::limits;
use crate::limits::{Handle, kernel};
use crate::qemu::emulator::Qemu;
use crate::sandbox::confine::{Doing, await_go, confine};
use crate::sandbox::message;
use crate::sandbox::static_files::Change;
use crate::sandbox::{firmware_dev, static_files};

/// The launcher, as `build.rs` built it.
pub const LAUNCHER: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/launcher"));

/// What the path of every guest exec is overwritten with.
pub const LAUNCHER_PATH: &str = "/.q";

/// Bytes that the guest may write to its files, and how many files it may make; each costs the
/// host's kernel memory.
const DISK: &str = "size=512m,nr_inodes=65536";

/// Everything that the child needs; made by the supervisor before it forks.
#[derive(Debug)]
pub struct Setup<'a> {
    /// The guest's init.
    pub init: &'a str,
    /// Its environment.
    pub envp: Vec<String>,
    /// Interfaces to make.
    pub netdevs: &'a [String],
    /// Changes to its files.
    pub changes: Vec<Change>,
    /// Paths that the supervisor answers for: an empty file stands for each, so that listings show
    /// it.
    pub placeholders: Vec<(String, u32)>,
    /// The emulators.
    pub qemus: &'a [Qemu],
    /// The contents of the guest's own emulator, where the host's is not used as it is.
    pub patched: Option<Vec<u8>>,
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
    become_root_of_namespace(privileged)?;
    // Set after the change of user, which clears it; a supervisor that died before is noticed by
    // `await_go`.
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))
        .doing("tie the guest to its supervisor")?;
    let _ = rustix::process::setsid();
    rustix::process::umask(Mode::from_raw_mode(0o022));

    let (base, root) = mount_root(setup)?;
    mount_dev(&root, setup)?;
    mount_proc_and_sys(&root, setup)?;
    place_programs(&root, setup)?;
    let handles = limits::open(&root.join("proc"), &base, setup.budget)
        .doing("open what the guest is counted by")?;
    hand_over(socket, handles)?;
    let network = make_network(setup.netdevs, socket);
    for setting in kernel::set(&root.join("proc")) {
        let text = format!("limits of the kernel that could not be set for the guest: {setting}");
        tell(socket, message::WARNING, &text);
    }
    close_settings(&root.join("proc/sys"))?;
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
        place(path, *mode);
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

/// The guest's root owns settings that limit it.
fn close_settings(sys: &Path) -> Result<(), String> {
    for name in kernel::DIRECTORIES {
        let path = sys.join(name);
        if path.is_dir() {
            rustix::mount::mount_bind(&path, &path).doing("bind settings of the kernel")?;
            make_read_only(&path)?;
        }
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

/// The overlay over the unpacked root filesystem, which is the current directory: how to reach what
/// it writes to, and it.
///
/// The current directory is used because its parents may be closed to the guest's user.
fn mount_root(setup: &Setup<'_>) -> Result<(PathBuf, PathBuf), String> {
    let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    rustix::mount::mount_change("/", private).doing("make mounts private")?;
    // Seen in this mount namespace only: whatever directory is covered stays as it is for the host.
    // The emulators are still needed.
    let covers_qemu = |path: &Path| setup.qemus.iter().any(|qemu| qemu.path.starts_with(path));
    let base = ["/tmp", "/run", "/mnt", "/var"]
        .iter()
        .map(Path::new)
        .find(|path| path.is_dir() && !covers_qemu(path))
        .ok_or("the host has no /tmp, or qemu lies below it; put qemu elsewhere")?;
    let options = CString::new(format!("mode=0755,{DISK}")).doing("name mount options")?;
    rustix::mount::mount(
        "rookery",
        base,
        "tmpfs",
        MountFlags::NOSUID | MountFlags::NODEV,
        options.as_c_str(),
    )
    .doing("mount a tmpfs")?;
    let at = |name: &str| base.join(name);
    for name in ["upper", "work", "root"] {
        fs::create_dir(at(name)).doing("make a directory in the tmpfs")?;
    }
    let layers = format!(
        "lowerdir=.,upperdir={},workdir={}",
        at("upper").display(),
        at("work").display()
    );
    let mut result = Err("no overlay".to_owned());
    // tmpfs takes user attributes since Linux 6.6; without them a directory that replaces one of
    // the firmware's is not opaque.
    for options in [format!("{layers},userxattr"), layers] {
        let options = CString::new(options).doing("name mount options")?;
        result = rustix::mount::mount(
            "rookery",
            at("root"),
            "overlay",
            MountFlags::NOSUID | MountFlags::NODEV,
            options.as_c_str(),
        )
        .doing("mount an overlay over the root filesystem");
        if result.is_ok() {
            break;
        }
    }
    result.map(|()| (base.to_owned(), at("root")))
}

/// A directory that is really one; firmware may ship a link in its place.
fn directory(path: &Path) -> Result<(), String> {
    if fs::symlink_metadata(path).is_ok_and(|metadata| !metadata.is_dir()) {
        fs::remove_file(path).doing("replace a link by a directory")?;
    }
    fs::create_dir_all(path).doing("make a mount point")
}

fn mount_tmpfs(path: &Path, options: &std::ffi::CStr) -> Result<(), String> {
    directory(path)?;
    rustix::mount::mount(
        "rookery",
        path,
        "tmpfs",
        MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC,
        options,
    )
    .doing(&format!("mount a tmpfs on {}", path.display()))
}

fn mount_dev(root: &Path, setup: &Setup<'_>) -> Result<(), String> {
    let dev = root.join("dev");
    let kept = if dev.is_symlink() {
        Vec::new()
    } else {
        firmware_dev::take(&dev)
    };
    mount_tmpfs(&dev, c"mode=0755,size=4m,nr_inodes=16384")?;
    for name in ["null", "zero", "full", "random", "urandom", "tty"] {
        let path = dev.join(name);
        fs::write(&path, "").doing("make a device")?;
        rustix::mount::mount_bind(Path::new("/dev").join(name), &path).doing("bind a device")?;
    }
    for name in ["pts", "shm"] {
        fs::create_dir(dev.join(name)).doing("make a directory in /dev")?;
    }
    let options = c"newinstance,ptmxmode=0666,mode=0620";
    if rustix::mount::mount(
        "devpts",
        dev.join("pts"),
        "devpts",
        MountFlags::NOSUID | MountFlags::NOEXEC,
        options,
    )
    .is_ok()
    {
        let _ = symlink("pts/ptmx", dev.join("ptmx"));
    }
    for (name, target) in [
        ("fd", "/proc/self/fd"),
        ("stdin", "fd/0"),
        ("stdout", "fd/1"),
        ("stderr", "fd/2"),
    ] {
        let _ = symlink(target, dev.join(name));
    }
    firmware_dev::put_back(kept, &dev);
    for (path, mode) in setup
        .placeholders
        .iter()
        .filter(|(path, _)| paths::is_below(path, "/dev"))
    {
        place(&root.join(path.trim_start_matches('/')), *mode);
    }
    Ok(())
}

/// An empty file where nothing is.
fn place(path: &Path, mode: u32) {
    if let Some(parent) = path.parent() {
        let _ = fs::create_dir_all(parent);
    }
    let _ = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode & 0o777)
        .open(path);
}

fn mount_proc_and_sys(root: &Path, setup: &Setup<'_>) -> Result<(), String> {
    let proc = root.join("proc");
    directory(&proc)?;
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    rustix::mount::mount("proc", &proc, "proc", flags, None::<&std::ffi::CStr>)
        .doing("mount /proc (a container that masks parts of /proc forbids it)")?;
    for name in HOSTS_OWN {
        hide(&proc.join(name))?;
    }
    // The kernel refuses a real sysfs here; firmware looks for little more than its interfaces.
    let sys = root.join("sys");
    mount_tmpfs(&sys, c"mode=0755,size=4m,nr_inodes=4096")?;
    for name in [
        "block",
        "bus",
        "class/gpio",
        "class/leds",
        "class/mtd",
        "class/net",
        "dev",
        "devices/platform",
        "firmware",
        "fs/cgroup",
        "kernel/debug",
        "module",
        "power",
    ] {
        fs::create_dir_all(sys.join(name)).doing("make /sys")?;
    }
    for name in ["lo"]
        .into_iter()
        .chain(setup.netdevs.iter().map(String::as_str))
    {
        interfaces::describe(&sys.join("class/net").join(name), false)
            .doing("describe an interface in /sys")?;
    }
    Ok(())
}

/// Cover a directory with an empty one, where it is there.
fn hide(path: &Path) -> Result<(), String> {
    if !path.is_dir() {
        return Ok(());
    }
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC | MountFlags::RDONLY;
    rustix::mount::mount(
        "rookery",
        path,
        "tmpfs",
        flags,
        c"mode=0555,size=4k,nr_inodes=2",
    )
    .doing(&format!("cover {}", path.display()))
}

/// The launcher and the emulators, where the guest can execute but not change them.
fn place_programs(root: &Path, setup: &Setup<'_>) -> Result<(), String> {
    let hidden = root.join(".rookery");
    directory(&hidden)?;
    rustix::mount::mount(
        "rookery",
        &hidden,
        "tmpfs",
        MountFlags::NOSUID | MountFlags::NODEV,
        c"mode=0755,size=64m",
    )
    .doing("mount a tmpfs")?;
    let launcher = hidden.join("launcher");
    write_program(&launcher, LAUNCHER).doing("place the launcher")?;
    let mut bound = Vec::new();
    for (i, qemu) in setup.qemus.iter().enumerate() {
        let path = root.join(qemu.guest_path().trim_start_matches('/'));
        if let Some(patched) = setup.patched.as_ref().filter(|_| i == 0) {
            write_program(&path, patched).doing("place qemu")?;
            continue;
        }
        fs::write(&path, "").doing("place qemu")?;
        match rustix::mount::mount_bind(&qemu.path, &path) {
            Ok(()) => bound.push(path),
            Err(error) if i == 0 => {
                return Err(format!(
                    "cannot reach {} as the guest's user: {error}",
                    qemu.path.display()
                ));
            }
            Err(_) => {}
        }
    }
    let listed = |(path, _): &&(String, u32)| paths::is_below(path, LISTINGS);
    for (path, mode) in setup.placeholders.iter().filter(listed) {
        place(&root.join(path.trim_start_matches('/')), *mode);
    }
    let link = root.join(LAUNCHER_PATH.trim_start_matches('/'));
    let _ = fs::remove_file(&link);
    fs::write(&link, "").doing("place the launcher")?;
    rustix::mount::mount_bind(&launcher, &link).doing("place the launcher")?;
    bound.extend([link, hidden]);
    bound.iter().try_for_each(|path| make_read_only(path))
}

fn write_program(path: &Path, contents: &[u8]) -> io::Result<()> {
    fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o755)
        .open(path)?
        .write_all(contents)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))
}

/// Flags that came from the host cannot be dropped, so they are kept.
fn make_read_only(path: &Path) -> Result<(), String> {
    let now = rustix::fs::statvfs(path)
        .doing("look at a mount")?
        .f_flag
        .bits();
    let kept = MountFlags::from_bits_truncate(u32::try_from(now).unwrap_or(0))
        & (MountFlags::NODEV
            | MountFlags::NOEXEC
            | MountFlags::NOATIME
            | MountFlags::NODIRATIME
            | MountFlags::RELATIME);
    let flags = kept | MountFlags::RDONLY | MountFlags::NOSUID | MountFlags::BIND;
    rustix::mount::mount_remount(path, flags, c"")
        .doing(&format!("make {} read-only", path.display()))
}

/// The guest's interfaces. A pair's other end stays in the namespace in which this process began,
/// which the supervisor keeps.
fn make_network(netdevs: &[String], socket: &OwnedFd) -> Result<(), String> {
    let outside = Netlink::open().doing("open netlink")?;
    let elsewhere = fs::File::open("/proc/self/ns/net").doing("open the network namespace")?;
    process::new_network().doing("make a network namespace")?;
    let handles = limits::open_network().doing("open netlink")?;
    hand_over(socket, handles)?;
    let inside = Netlink::open().doing("open netlink")?;
    inside.up("lo").doing("set lo up")?;
    let names = netdevs.iter().filter(|name| name.as_str() != "lo");
    for (name, number) in names.zip(0x56..) {
        let mac = [0x52, 0x54, 0, 0x12, 0x34, number];
        match inside.add(name, mac, elsewhere.as_fd()) {
            Ok(()) => {
                let _ = outside.up(name);
                let _ = inside.up(name);
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
