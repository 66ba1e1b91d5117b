//! What a process gives up before it becomes a program of the guest: rights, limits, and system
//! calls.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::net::{RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags};
use rustix::thread::{CapabilitySet, CapabilitySets};

use crate::kernel::notify::Instruction;
use crate::kernel::process;
use crate::limits::kernel;
use crate::sandbox::message;

/// Wait for one byte. A supervisor that died sends none: then there is nothing to do here either.
pub fn await_go(socket: &OwnedFd) {
    match rustix::net::recv(socket, &mut [0_u8; 1], RecvFlags::empty()) {
        Ok((1, _)) => {}
        _ => process::leave(125),
    }
}

/// Adds what was being done to an error.
pub trait Doing<T> {
    /// The error as `cannot WHAT: ERROR`.
    fn doing(self, what: &str) -> Result<T, String>;
}

impl<T, E: std::fmt::Display> Doing<T> for Result<T, E> {
    fn doing(self, what: &str) -> Result<T, String> {
        self.map_err(|error| format!("cannot {what}: {error}"))
    }
}

/// Capabilities that firmware uses and that reach nothing outside the namespaces.
const CAPABILITIES: CapabilitySet = CapabilitySet::CHOWN
    .union(CapabilitySet::DAC_OVERRIDE)
    .union(CapabilitySet::FOWNER)
    .union(CapabilitySet::FSETID)
    .union(CapabilitySet::SETUID)
    .union(CapabilitySet::SETGID)
    .union(CapabilitySet::SETFCAP)
    .union(CapabilitySet::IPC_OWNER)
    .union(CapabilitySet::NET_BIND_SERVICE)
    .union(CapabilitySet::NET_ADMIN)
    .union(CapabilitySet::NET_RAW)
    .union(CapabilitySet::SYS_CHROOT)
    .union(CapabilitySet::KILL)
    .union(CapabilitySet::MKNOD);

/// Limits, capabilities and the filter; then the listener goes to the supervisor.
pub fn confine(filter: &[Instruction], socket: &OwnedFd) -> Result<(), String> {
    kernel::limit_process().doing("limit what a process may have")?;
    for bit in 0..64 {
        let capability = CapabilitySet::from_bits_retain(1 << bit);
        if !CAPABILITIES.contains(capability) {
            let _ = rustix::thread::remove_capability_from_bounding_set(capability);
        }
    }
    let sets = CapabilitySets {
        effective: CAPABILITIES,
        permitted: CAPABILITIES,
        inheritable: CapabilitySet::empty(),
    };
    rustix::thread::set_capabilities(None, sets).doing("drop capabilities")?;
    process::reset_signals();
    rustix::thread::set_no_new_privs(true).doing("set no_new_privs")?;
    let listener = crate::kernel::notify::install(filter).doing("install the seccomp filter")?;
    let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    let descriptors = [listener.as_fd()];
    ancillary.push(SendAncillaryMessage::ScmRights(&descriptors));
    let data = [io::IoSlice::new(&[message::READY])];
    rustix::net::sendmsg(socket, &data, &mut ancillary, SendFlags::NOSIGNAL)
        .doing("hand over the listener")?;
    Ok(())
}
