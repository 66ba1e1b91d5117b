//! One guest system call as a handler sees it, and what a handler can answer.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;

use crate::kernel::notify as abi;
use crate::process::first_program::FirstProgram;

/// What the kernel takes for a call that a signal ended (`linux/errno.h`): by the handler's flags
/// it is made again, or fails with `EINTR`.
const ERESTARTSYS: i64 = 512;

/// The end of a filter at which its notifications arrive.
#[derive(Debug)]
pub struct Listener {
    fd: OwnedFd,
    /// What the process that made it is yet to become.
    first: Option<Rc<FirstProgram>>,
}

impl Listener {
    /// Take over a listener that a sandboxed process made.
    pub fn new(fd: OwnedFd, first: Option<Rc<FirstProgram>>) -> Self {
        abi::prefer_same_cpu(fd.as_fd());
        Self { fd, first }
    }

    /// Whether a call waits.
    pub fn has_call(&self) -> bool {
        let mut wait = [PollFd::new(&self.fd, PollFlags::IN)];
        rustix::event::poll(&mut wait, Some(&Timespec::default())).is_ok_and(|ready| ready > 0)
    }

    /// The next call; `None` where its caller died meanwhile.
    pub fn receive(self: &Rc<Self>) -> io::Result<Option<Call>> {
        match abi::receive(self.fd.as_fd()) {
            Ok(notification) => Ok(Some(Call {
                notification,
                listener: Rc::clone(self),
                process: None,
                was_held: false,
            })),
            Err(error) if matches!(error.raw_os_error(), Some(libc::ENOENT | libc::EINTR)) => {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// A system call that waits.
#[derive(Debug, Clone)]
pub struct Call {
    notification: abi::Notification,
    listener: Rc<Listener>,
    /// Whose it is, once that is known: a key of the table of processes.
    pub process: Option<u32>,
    /// It was held back for a while, and is answered now.
    pub was_held: bool,
}

impl Call {
    /// A call of this thread that no kernel knows of: it can be looked at, and its caller's memory
    /// read, but not written.
    #[cfg(test)]
    pub fn of_this_thread(number: i64, args: [u64; 6]) -> Self {
        let thread = rustix::thread::gettid().as_raw_nonzero().get();
        let number = i32::try_from(number).unwrap();
        let nowhere = std::fs::File::open("/dev/null").unwrap().into();
        Self {
            notification: abi::Notification::of(thread.cast_unsigned(), number, args),
            listener: Rc::new(Listener {
                fd: nowhere,
                first: None,
            }),
            process: None,
            was_held: false,
        }
    }

    /// The calling thread, by its number on the host.
    pub fn thread(&self) -> u32 {
        self.notification.thread()
    }
    /// What the caller is yet to become, where it is a process of the supervisor's own: then only
    /// that process is behind this listener.
    pub fn first_program(&self) -> Option<Rc<FirstProgram>> {
        let first = self.listener.first.as_ref();
        first.filter(|program| program.waits()).map(Rc::clone)
    }
    /// The system call's number.
    pub fn number(&self) -> i64 {
        i64::from(self.notification.number())
    }
    /// All its arguments.
    pub fn args(&self) -> &[u64; 6] {
        self.notification.args()
    }
    /// An argument as it is: a pointer, or a size.
    pub fn arg(&self, index: usize) -> u64 {
        self.notification.args().get(index).copied().unwrap_or(0)
    }
    /// An argument that the kernel takes as `int`.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the kernel ignores the upper half as well"
    )]
    pub fn int(&self, index: usize) -> i32 {
        self.arg(index) as i32
    }
    /// Whether the caller still waits: who it was found to be it has been all the time, and what
    /// was read from it until now was its own.
    pub fn is_valid(&self) -> bool {
        abi::is_valid(self.listener.as_fd(), self.notification.id())
    }
    /// Answer. A caller that died needs none.
    pub fn answer(&self, action: &Action) {
        let (listener, id) = (self.listener.as_fd(), self.notification.id());
        let sent = match action {
            Action::Continue => abi::let_continue(listener, id),
            Action::Later => Ok(()),
            Action::Restart => abi::answer(listener, id, -ERESTARTSYS),
            Action::Return(value) => abi::answer(listener, id, *value),
            Action::Fail(errno) => abi::answer(listener, id, -i64::from(errno.raw_os_error())),
            Action::Give {
                fd,
                number,
                close_on_exec,
            } => {
                let give =
                    |number| abi::answer_fd(listener, id, fd.as_fd(), number, *close_on_exec);
                let given = give(*number).or_else(|error| match error.raw_os_error() {
                    // Beyond the limit that the caller has set itself: better without the number
                    // than not at all.
                    Some(libc::EBADF) if number.is_some() => give(None),
                    _ => Err(error),
                });
                match given.as_ref().map_err(io::Error::raw_os_error) {
                    Err(Some(errno)) if errno != libc::ENOENT => {
                        abi::answer(listener, id, -i64::from(errno))
                    }
                    _ => given,
                }
            }
        };
        if let Err(error) = sent
            && error.raw_os_error() != Some(libc::ENOENT)
        {
            let call = self.number();
            tracing::warn!(%error, call, "a guest's system call could not be answered");
        }
    }
}

/// The answer to a call.
#[derive(Debug)]
pub enum Action {
    /// The kernel carries it out.
    Continue,
    /// It waits on; somebody keeps the call and answers it later.
    Later,
    /// It is made again, once the caller has handled the signal that waits for it.
    Restart,
    /// It returns this.
    Return(i64),
    /// It fails.
    Fail(Errno),
    /// It returns a new descriptor for `fd`.
    Give {
        /// What the guest gets a descriptor of.
        fd: Rc<OwnedFd>,
        /// The number that it must have, where the caller's limit allows it.
        number: Option<u32>,
        /// Whether it closes on exec.
        close_on_exec: bool,
    },
}

impl From<Errno> for Action {
    fn from(errno: Errno) -> Self {
        Self::Fail(errno)
    }
}
