//! The way out of a guest's network: passt (Debian's package `passt`), a program of the host that
//! makes ordinary connections of what it is given as frames of Ethernet.
//!
//! It has the end of a socket and nothing of the guest's namespaces, runs as the guest's user, and
//! ends when the other end of the socket is closed. A guest reaches what that user of the host
//! could reach, but for the host's own loopback interface.

use std::collections::VecDeque;
use std::ffi::CString;
use std::io::{self, Read as _};
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStringExt as _;
use std::path::PathBuf;
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType};
use rustix::process::{Pid, Signal};
use rustix::thread::{Gid, Uid};

use crate::kernel::ending::await_end;
use crate::kernel::process;

const ENDS_WITHIN: Duration = Duration::from_millis(200);
/// What it may say of why it cannot work.
const SAID_MAX: u64 = 4096;
/// A frame: the largest packet of IPv4, behind its Ethernet header.
const FRAME_MAX: usize = 65_535 + 14;
/// The length of a frame goes before it.
const LENGTH: usize = 4;
/// Where it finds its end of the socket.
const SOCKET: i32 = 3;

/// The program, as it runs.
#[derive(Debug)]
pub struct Passt {
    process: Pid,
    said: OwnedFd,
}

/// Where the program is.
pub fn installed() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let directories = std::env::split_paths(&path).filter(|directory| directory.is_absolute());
    let usual = ["/usr/bin", "/usr/local/bin"].map(PathBuf::from);
    let mut files = directories.chain(usual).map(|dir| dir.join("passt"));
    files.find(|file| file.is_file())
}

impl Passt {
    /// Start it as the user `uid` for a guest with this address, whose neighbours are the gateway
    /// and a name server. Gives it and the other end of its socket.
    pub fn start(
        program: PathBuf,
        uid: u32,
        [guest, gateway, dns]: [Ipv4Addr; 3],
    ) -> io::Result<(Self, OwnedFd)> {
        let (ours, theirs) = rustix::net::socketpair(
            AddressFamily::UNIX,
            SocketType::STREAM,
            SocketFlags::CLOEXEC,
            None,
        )?;
        let (said, says) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
        let program = CString::new(program.into_os_string().into_vec())?;
        let arguments = format!(
            "passt --foreground --quiet --fd {SOCKET} --ipv4-only --address {guest} --netmask 24 \
             --gateway {gateway} --dns-forward {dns} --no-map-gw --mtu 1500 --tcp-ports none \
             --udp-ports none"
        );
        let arguments = arguments.split(' ').map(CString::new);
        let arguments = arguments.collect::<Result<Vec<_>, _>>()?;
        let Some(process) = process::fork_into(0)? else {
            let started = become_user(uid).and_then(|()| keep(theirs, says));
            if started.is_ok() {
                process::reset_signals();
                process::execute(&program, &arguments, &[]);
            }
            process::leave(1)
        };
        Ok((Self { process, said }, ours))
    }

    /// End it; gives what it said where it failed.
    pub fn stop(self) -> String {
        let _ = rustix::process::kill_process(self.process, Signal::KILL);
        await_end(self.process, ENDS_WITHIN);
        let mut said = String::new();
        let _ = rustix::io::ioctl_fionbio(&self.said, true);
        let _ = std::fs::File::from(self.said)
            .take(SAID_MAX)
            .read_to_string(&mut said);
        // It also says that there is no system log.
        let mut lines = said.lines().filter(|line| !line.contains("syslog"));
        lines
            .rfind(|line| !line.trim().is_empty())
            .unwrap_or_default()
            .to_owned()
    }
}

/// Leave what rights the supervisor keeps for its own files.
fn become_user(uid: u32) -> Result<(), Errno> {
    let (user, group) = (Uid::from_raw(uid), Gid::from_raw(uid));
    if rustix::process::geteuid() == user {
        return Ok(());
    }
    rustix::thread::set_thread_res_gid(group, group, group)?;
    rustix::thread::set_thread_res_uid(user, user, user)
}

/// Have the socket and the pipe where the program expects them, and nothing else.
fn keep(socket: OwnedFd, says: OwnedFd) -> Result<(), Errno> {
    use rustix::fs::{Mode, OFlags};
    let nothing = rustix::fs::open("/dev/null", OFlags::RDWR, Mode::empty())?;
    rustix::stdio::dup2_stdin(&nothing)?;
    rustix::stdio::dup2_stdout(&nothing)?;
    rustix::stdio::dup2_stderr(&says)?;
    process::close_all_except(&[socket.as_raw_fd()]);
    for descriptor in [nothing, says] {
        std::mem::forget(descriptor);
    }
    if socket.as_raw_fd() == SOCKET {
        rustix::io::fcntl_setfd(&socket, rustix::io::FdFlags::empty())?;
        std::mem::forget(socket);
    } else {
        // The lowest number that is free.
        std::mem::forget(rustix::io::dup(&socket)?);
    }
    Ok(())
}

/// Frames to and from it. Where it does not take one, the frame is lost, as on any link.
#[derive(Debug)]
pub struct Line {
    socket: OwnedFd,
    /// The rest of a frame that it took a part of.
    unsent: Vec<u8>,
    received: VecDeque<u8>,
}

impl Line {
    /// By this end of its socket.
    pub fn new(socket: OwnedFd) -> io::Result<Self> {
        rustix::io::ioctl_fionbio(&socket, true)?;
        Ok(Self {
            socket,
            unsent: Vec::new(),
            received: VecDeque::new(),
        })
    }

    /// Send a frame.
    pub fn send(&mut self, frame: &[u8]) {
        self.go_on();
        if !self.unsent.is_empty() {
            return;
        }
        let length = u32::try_from(frame.len()).unwrap_or(u32::MAX);
        let bytes = [&length.to_be_bytes()[..], frame].concat();
        match rustix::net::send(&self.socket, &bytes, rustix::net::SendFlags::NOSIGNAL) {
            Ok(sent) if sent < bytes.len() => {
                self.unsent = bytes.get(sent..).unwrap_or_default().to_vec();
            }
            _ => {}
        }
    }

    /// Whether the rest of a frame is still to be sent.
    pub fn is_behind(&self) -> bool {
        !self.unsent.is_empty()
    }

    /// Send the rest of a frame.
    pub fn go_on(&mut self) {
        let flags = rustix::net::SendFlags::NOSIGNAL;
        if !self.unsent.is_empty()
            && let Ok(sent) = rustix::net::send(&self.socket, &self.unsent, flags)
        {
            self.unsent.drain(..sent);
        }
    }

    /// Read what is there. An error means that nothing comes any more.
    pub fn receive(&mut self) -> io::Result<()> {
        let mut buffer = [0_u8; 16 << 10];
        match rustix::io::read(&self.socket, &mut buffer) {
            Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(length) => {
                self.received
                    .extend(buffer.get(..length).unwrap_or_default());
                match self.length() {
                    Some(length) if length > FRAME_MAX => Err(io::ErrorKind::InvalidData.into()),
                    _ => Ok(()),
                }
            }
            Err(Errno::AGAIN | Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// The next frame that is there whole.
    pub fn next(&mut self) -> Option<Vec<u8>> {
        let whole = LENGTH + self.length().filter(|length| *length <= FRAME_MAX)?;
        (self.received.len() >= whole).then(|| {
            let frame = self.received.drain(..whole);
            frame.skip(LENGTH).collect()
        })
    }

    fn length(&self) -> Option<usize> {
        let mut bytes = [0; LENGTH];
        for (at, byte) in bytes.iter_mut().enumerate() {
            *byte = *self.received.get(at)?;
        }
        usize::try_from(u32::from_be_bytes(bytes)).ok()
    }
}

impl AsFd for Line {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_keep_their_bounds_however_they_arrive() {
        let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
        let mut line = Line::new(ours.into()).unwrap();
        let mut other = Line::new(theirs.try_clone().unwrap().into()).unwrap();
        for frame in [&b"first"[..], &[7; 1500], b"third"] {
            other.send(frame);
        }
        line.receive().unwrap();
        assert_eq!(line.next().unwrap(), b"first");
        assert_eq!(line.next().unwrap(), [7; 1500]);
        assert_eq!(line.next().unwrap(), b"third");
        assert_eq!(line.next(), None);
        for byte in [0, 0, 0, 2, b'o'] {
            rustix::io::write(&theirs, &[byte]).unwrap();
            line.receive().unwrap();
            assert_eq!(line.next(), None);
        }
        rustix::io::write(&theirs, b"k").unwrap();
        line.receive().unwrap();
        assert_eq!(line.next().unwrap(), b"ok");
        rustix::io::write(&theirs, &[0xFF; 4]).unwrap();
        assert!(line.receive().is_err(), "no frame is that long");
    }

    #[test]
    fn what_is_not_taken_is_lost_by_whole_frames() {
        let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
        let mut line = Line::new(ours.into()).unwrap();
        let mut other = Line::new(theirs.into()).unwrap();
        for _ in 0..2000 {
            line.send(&[9; 1500]);
        }
        let mut frames = 0;
        loop {
            other.receive().unwrap();
            let Some(frame) = other.next() else {
                line.go_on();
                if !line.is_behind() {
                    break;
                }
                continue;
            };
            assert_eq!(frame, [9; 1500]);
            frames += 1;
        }
        assert!((1..2000).contains(&frames), "{frames}");
    }
}
