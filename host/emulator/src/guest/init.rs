//! What is known of the guest's init before it starts.

use std::os::fd::OwnedFd;
use std::rc::Rc;

use rustix::io::Errno;

use crate::process::proc_dir::{PidNamespace, ProcDir};

/// Init.
pub struct Init {
    pub(super) process: ProcDir,
    pub(super) namespace: PidNamespace,
    pub(super) pidfd: Rc<OwnedFd>,
}

impl Init {
    /// The one that has this number on the host, and this `pidfd`.
    pub fn new(pid: rustix::process::Pid, pidfd: Rc<OwnedFd>) -> Result<Self, Errno> {
        let pid = pid.as_raw_nonzero().get().cast_unsigned();
        let namespace = PidNamespace::of(pid)?;
        let process = ProcDir::of_thread(pid, &namespace)?;
        Ok(Self {
            process,
            namespace,
            pidfd,
        })
    }
}
