//! The guest's console: a terminal whose other end the supervisor reads.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;

use rustix::io::Errno;
use rustix::pty::OpenptFlags;
use rustix::termios::{OptionalActions, Winsize};

/// Both ends. The guest's stays open here, so that the console never hangs up.
#[derive(Debug)]
pub struct Console {
    master: OwnedFd,
    /// What the guest gets.
    pub guest: Rc<OwnedFd>,
}

impl Console {
    /// A terminal that passes every byte on unchanged.
    pub fn open() -> rustix::io::Result<Self> {
        let master = rustix::pty::openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
        rustix::pty::unlockpt(&master)?;
        let guest = rustix::pty::ioctl_tiocgptpeer(&master, OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
        let mut attributes = rustix::termios::tcgetattr(&guest)?;
        attributes.make_raw();
        // Signals of the keyboard stay: nothing is ever typed.
        rustix::termios::tcsetattr(&guest, OptionalActions::Now, &attributes)?;
        rustix::termios::tcsetwinsize(&guest, Winsize { ws_row: 24, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 })?;
        rustix::io::ioctl_fionbio(&master, true)?;
        Ok(Self { master, guest: Rc::new(guest) })
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
