//! The supervisor's side of building a guest: the fork, the user mapping, and the listener that
//! comes back.

use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::time::{Duration, Instant};

use rookery_project::{Error, Result};
use rustix::process::{Pid, PidfdFlags, Signal, WaitOptions};

use crate::kernel::passing::{packet_pair, receive_with_fd};
use crate::kernel::process;
use crate::limits::cgroup::Group;
use crate::limits::{HANDLES, Handle};
use crate::models::Mounted;
use crate::network::capture::Capture;
use crate::network::uplink::Uplink;
use crate::process::call::Listener;
use crate::sandbox::child;
use crate::sandbox::child::Setup;
use crate::sandbox::guest_user;
use crate::sandbox::message;
use crate::sandbox::privileges::Privileges;
use crate::sandbox::rootfs::Rootfs;

/// Building the guest's world takes some 20 ms; a machine under heavy load a hundred times that.
const SETUP: Duration = Duration::from_secs(20);
/// A timeout of zero would be none.
const SETUP_MIN: Duration = Duration::from_millis(1);

/// The guest's world, with its init about to start.
pub struct World {
    /// The host pid of init.
    pub init: Pid,
    /// Init, to be waited for and joined.
    pub pidfd: Rc<OwnedFd>,
    /// Closes when init is executed; a message says why it was not.
    pub socket: OwnedFd,
    /// The guest's system calls.
    pub listener: Rc<Listener>,
    /// What did not work, as [`message::WARNING`] has it.
    pub warnings: Vec<String>,
    /// What the supervisor may still do.
    pub privileges: Rc<Privileges>,
    /// Its control group, where it has one. Dropped after the guest is gone.
    pub group: Option<Group>,
    /// What the guest is counted by.
    pub handles: Vec<(Handle, OwnedFd)>,
    /// The file system of its models, which nobody serves yet.
    pub models: Option<Mounted>,
    /// The root of the file system for its flash memory.
    pub flash: Option<OwnedFd>,
    /// The process that records what goes over its interfaces.
    pub capture: Option<Capture>,
    /// The interface behind which something answers.
    pub uplink: Option<Uplink>,
    /// The namespace with the other ends of interface pairs; they vanish with it.
    pub outside: std::fs::File,
}

impl World {
    /// Fork the process that builds the guest's world, and wait until it has, but not beyond
    /// `deadline`.
    pub fn build(rootfs: &Rootfs, setup: &Setup<'_>, deadline: Instant) -> Result<Self> {
        let failed = |what: &str, error: &dyn std::fmt::Display| {
            Error::Backend(format!("cannot {what}: {error}"))
        };
        let (ours, theirs) = packet_pair().map_err(|error| failed("make a socket", &error))?;
        let privileged = guest_user::becomes_another_user();
        // The child mounts what is its current directory.
        let back = rustix::fs::open(
            ".",
            rustix::fs::OFlags::PATH | rustix::fs::OFlags::CLOEXEC,
            rustix::fs::Mode::empty(),
        );
        std::env::set_current_dir(&rootfs.directory)
            .map_err(|error| Error::io("enter", &rootfs.directory, &error))?;
        let init = process::fork_into(process::GUEST_NAMESPACES);
        if matches!(init, Ok(None)) {
            child::become_init(setup, &theirs, privileged);
        }
        if let Ok(back) = back {
            let _ = rustix::process::fchdir(back);
        }
        drop(theirs);
        let init = init
            .ok()
            .flatten()
            .ok_or_else(|| failed("make namespaces", &"see `rookery doctor`"))?;
        let group = Group::new(setup.budget).filter(|group| group.add(init).is_ok());
        let world = Self::connect(init, ours, group, deadline);
        if world.is_err() {
            let _ = rustix::process::kill_process(init, Signal::KILL);
            let _ = rustix::process::waitpid(Some(init), WaitOptions::empty());
        }
        world
    }

    fn connect(
        init: Pid,
        socket: OwnedFd,
        group: Option<Group>,
        deadline: Instant,
    ) -> Result<Self> {
        let failed = |what: &str, error: &dyn std::fmt::Display| {
            Error::Backend(format!("cannot {what}: {error}"))
        };
        let pid = init.as_raw_nonzero();
        let pidfd = rustix::process::pidfd_open(init, PidfdFlags::empty())
            .map_err(|error| failed("watch the guest's init", &error))?;
        let outside = std::fs::File::open(format!("/proc/{pid}/ns/net"))
            .map_err(|error| failed("open the network namespace", &error))?;
        let uid = guest_user::uid();
        let other = guest_user::becomes_another_user();
        let gid = if other {
            uid
        } else {
            rustix::process::getegid().as_raw()
        };
        if !other {
            write_map(pid, "setgroups", "deny")?;
        }
        write_map(pid, "uid_map", &format!("0 {uid} 1"))?;
        write_map(pid, "gid_map", &format!("0 {gid} 1"))?;
        // Nothing that is left to do needs more, and nothing of the guest has run yet.
        let privileges = Rc::new(Privileges::give_up(uid)?);
        let timeout = rustix::net::sockopt::set_socket_timeout(
            &socket,
            rustix::net::sockopt::Timeout::Recv,
            Some(
                SETUP
                    .min(deadline.saturating_duration_since(Instant::now()))
                    .max(SETUP_MIN),
            ),
        );
        timeout.map_err(|error| failed("set a timeout", &error))?;
        go(&socket)?;
        let mut buffer = [0_u8; 4096];
        let mut warnings = Vec::new();
        let mut handles = Vec::new();
        let (mut device, mut root, mut flash) = (None, None, None);
        loop {
            let (length, fd) =
                receive_with_fd(&socket, &mut buffer).map_err(|error| match error.kind() {
                    std::io::ErrorKind::WouldBlock => failed(
                        "build the guest's world",
                        &"it was not done within 20 s, or not before the run's deadline, because \
                          the host is busy; give the run more time",
                    ),
                    _ => failed("build the guest's world", &error),
                })?;
            let text = buffer
                .get(1..length)
                .map(String::from_utf8_lossy)
                .unwrap_or_default()
                .into_owned();
            match (buffer.first().filter(|_| length > 0), fd) {
                (Some(&message::READY), Some(fd)) => {
                    return Ok(Self {
                        init,
                        pidfd: Rc::new(pidfd),
                        socket,
                        listener: Rc::new(Listener::new(fd, None)),
                        warnings,
                        privileges,
                        group,
                        handles,
                        models: device
                            .zip(root)
                            .map(|(device, root)| Mounted { device, root }),
                        flash,
                        capture: None,
                        uplink: None,
                        outside,
                    });
                }
                (Some(&message::HANDLE), Some(fd)) => {
                    let place = buffer.get(1).copied().map_or(HANDLES.len(), usize::from);
                    handles.extend(HANDLES.get(place).map(|handle| (*handle, fd)));
                }
                (Some(&message::DETACHED), Some(fd)) => match buffer.get(1) {
                    Some(&message::MODELS_DEVICE) => device = Some(fd),
                    Some(&message::MODELS) => root = Some(fd),
                    _ => flash = Some(fd),
                },
                (Some(&message::WARNING), _) => {
                    tracing::warn!("{text}");
                    warnings.push(text);
                }
                (Some(&(message::HANDLE | message::DETACHED)), None) => {
                    return Err(failed("build the guest's world", &"no descriptor is left"));
                }
                (Some(_), _) => return Err(Error::Backend(text)),
                (None, _) => {
                    return Err(Error::Backend(
                        "the process that builds the guest's world ended early".into(),
                    ));
                }
            }
        }
    }

    /// Let init be executed.
    pub fn start(&self) -> Result<()> {
        go(&self.socket)
    }
}

fn go(socket: &OwnedFd) -> Result<()> {
    let sent = rustix::net::send(socket, b"g", rustix::net::SendFlags::NOSIGNAL);
    sent.map(drop).map_err(|error| {
        Error::Backend(format!(
            "the process that builds the guest's world is gone: {error}"
        ))
    })
}

fn write_map(pid: std::num::NonZeroI32, file: &str, text: &str) -> Result<()> {
    let path = format!("/proc/{pid}/{file}");
    std::fs::write(&path, text).map_err(|error| {
        Error::Backend(format!(
            "cannot map the guest's user ({file} {text}): {error}"
        ))
    })
}
