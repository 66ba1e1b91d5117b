//! The guest's console: a terminal whose other end the supervisor reads.

use rustix::fs::{Gid, Stat, Uid};
use rustix::io::Errno;
use rustix::pty::OpenptFlags;
use rustix::termios::{OptionalActions, Winsize};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Both ends. The guest's stays open here, so that the console never hangs up.
#[derive(Debug)]
pub struct Console {
    master: OwnedFd,
    /// What init gets.
    pub guest: OwnedFd,
}

const FLAGS: OpenptFlags = OpenptFlags::RDWR
    .union(OpenptFlags::NOCTTY)
    .union(OpenptFlags::CLOEXEC);

impl Console {
    /// A terminal that passes every byte on unchanged, and that belongs to the user `owner`:
    /// opening it by `/proc/self/fd` takes the right to its node.
    pub fn open(owner: u32) -> rustix::io::Result<Self> {
        let master = rustix::pty::openpt(FLAGS)?;
        rustix::pty::unlockpt(&master)?;
        let guest = rustix::pty::ioctl_tiocgptpeer(&master, FLAGS)?;
        let mut attributes = rustix::termios::tcgetattr(&guest)?;
        attributes.make_raw();
        // Signals of the keyboard stay: nothing is ever typed.
        rustix::termios::tcsetattr(&guest, OptionalActions::Now, &attributes)?;
        rustix::termios::tcsetwinsize(
            &guest,
            Winsize {
                ws_row: 24,
                ws_col: 80,
                ws_xpixel: 0,
                ws_ypixel: 0,
            },
        )?;
        if owner != rustix::process::geteuid().as_raw() {
            let (user, group) = (Uid::from_raw(owner), Gid::from_raw(owner));
            rustix::fs::fchown(&guest, Some(user), Some(group))?;
        }
        rustix::io::ioctl_fionbio(&master, true)?;
        Ok(Self { master, guest })
    }

    /// The status of its node on the host.
    pub fn status(&self) -> rustix::io::Result<Stat> {
        rustix::fs::fstat(&self.guest)
    }

    /// Whether a status is that of its node.
    pub fn is_behind(&self, status: &Stat) -> bool {
        self.status()
            .is_ok_and(|own| (own.st_dev, own.st_ino) == (status.st_dev, status.st_ino))
    }

    /// The guest's end once more: an open of its own, so that one process's `O_NONBLOCK` is not
    /// another's.
    pub fn reopen(&self) -> rustix::io::Result<OwnedFd> {
        rustix::pty::ioctl_tiocgptpeer(&self.master, FLAGS)
    }

    /// What was written since; `None` where nothing was.
    pub fn read(&self) -> Option<Vec<u8>> {
        let mut buffer = vec![0_u8; 64 * 1024];
        loop {
            match rustix::io::read(&self.master, buffer.as_mut_slice()) {
                Ok(length) if length > 0 => {
                    buffer.truncate(length);
                    return Some(buffer);
                }
                Err(Errno::INTR) => {}
                _ => return None,
            }
        }
    }
}

impl AsFd for Console {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.master.as_fd()
    }
}
