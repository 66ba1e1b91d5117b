//! The way to a port of the guest's own socket family (vsock): a socket that `vhost-device-vsock`
//! makes where Penguin runs. In Penguin's image it is a path; from a host it is reached by a
//! program in the container that passes bytes on.

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Instant;

use rookery_project::{Error, Result};
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fs::OFlags;

/// A socket's address has no more room.
const LONGEST_PATH: usize = 107;
/// The longest line that a connection is accepted with.
const LONGEST_ANSWER: usize = 4096;

/// Passes bytes on between its standard streams and the socket that it is given. It ends with its
/// input: a requester that is gone leaves nothing behind in the container.
const RELAY: &str = "\
import os,socket,sys,threading
s=socket.socket(socket.AF_UNIX)
s.connect(sys.argv[1])
def up():
    while True:
        b=os.read(0,65536)
        if not b: os._exit(0)
        s.sendall(b)
threading.Thread(target=up,daemon=True).start()
while True:
    b=s.recv(65536)
    if not b: break
    while b: b=b[os.write(1,b):]
os._exit(0)
";

/// Where Penguin's side of the socket is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::penguin) enum Way {
    /// Here.
    Here,
    /// In this container of this engine.
    Container { engine: PathBuf, name: String },
}

/// Why a port of the guest could not be reached.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum NoPort {
    /// There is no such socket, or nothing leads there.
    NoSocket(String),
    /// Nobody in the guest listens at the port.
    NobodyListens,
}

/// A connection with a port of the guest.
pub(super) struct Connection {
    ends: Ends,
    deadline: Instant,
}

enum Ends {
    Socket(UnixStream),
    Relay {
        child: Child,
        input: ChildStdin,
        output: ChildStdout,
    },
}

/// `said` as the path of such a socket.
pub(super) fn socket(said: Option<&str>) -> Result<PathBuf> {
    let path = Path::new(said.unwrap_or_default());
    let plain = path.components().all(|part| {
        matches!(
            part,
            std::path::Component::RootDir | std::path::Component::Normal(_)
        )
    });
    if path.is_absolute() && plain && path.as_os_str().len() <= LONGEST_PATH {
        return Ok(path.to_owned());
    }
    Err(Error::Backend(
        "Penguin's runtime.yaml names no vsock_uds_path that can be used; its guest was started \
         without vsock"
            .into(),
    ))
}

impl Connection {
    /// Connect with the guest's `port` through `socket`; all of it is over at `deadline`.
    pub(super) fn open(
        way: &Way,
        socket: &Path,
        port: u32,
        deadline: Instant,
    ) -> std::result::Result<Self, NoPort> {
        let failed = |error: io::Error| NoPort::NoSocket(error.to_string());
        let ends = way.reach(socket).map_err(failed)?;
        let mut connection = Self { ends, deadline };
        match connection.greet(port) {
            Ok(line) if line.starts_with(b"OK ") => Ok(connection),
            Err(error) if error.kind() == io::ErrorKind::TimedOut => Err(failed(error)),
            _ => Err(connection.why_closed()),
        }
    }

    /// Ask for `port`, and give the line that comes back.
    fn greet(&mut self, port: u32) -> io::Result<Vec<u8>> {
        self.send(format!("CONNECT {port}\n").as_bytes())?;
        let mut line = Vec::new();
        let mut byte = [0];
        while !line.ends_with(b"\n") && line.len() < LONGEST_ANSWER && self.receive(&mut byte)? > 0
        {
            line.extend(byte);
        }
        Ok(line)
    }

    /// Send all of `bytes`.
    pub(super) fn send(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            self.wait(PollFlags::OUT)?;
            let written = match &mut self.ends {
                Ends::Socket(socket) => socket.write(bytes),
                Ends::Relay { input, .. } => input.write(bytes),
            };
            match written {
                Ok(count) => bytes = bytes.get(count..).unwrap_or_default(),
                Err(error) if is_passing(&error) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// What has come, at least a byte unless it is the end.
    pub(super) fn receive(&mut self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            self.wait(PollFlags::IN)?;
            let read = match &mut self.ends {
                Ends::Socket(socket) => socket.read(into),
                Ends::Relay { output, .. } => output.read(into),
            };
            match read {
                Err(error) if is_passing(&error) => {}
                read => return read,
            }
        }
    }

    fn wait(&self, for_what: PollFlags) -> io::Result<()> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        let timeout = Timespec {
            tv_sec: left.as_secs().cast_signed(),
            tv_nsec: left.subsec_nanos().into(),
        };
        let fd = match &self.ends {
            Ends::Socket(socket) => socket.as_fd(),
            Ends::Relay { input, .. } if for_what == PollFlags::OUT => input.as_fd(),
            Ends::Relay { output, .. } => output.as_fd(),
        };
        match rustix::event::poll(
            &mut [PollFd::from_borrowed_fd(fd, for_what)],
            Some(&timeout),
        ) {
            Ok(0) => Err(io::ErrorKind::TimedOut.into()),
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// A connection that was closed at once: by the guest, or by an engine that could not start the
    /// relay.
    fn why_closed(&mut self) -> NoPort {
        let Ends::Relay { child, .. } = &mut self.ends else {
            return NoPort::NobodyListens;
        };
        while Instant::now() < self.deadline {
            match child.try_wait() {
                Ok(Some(status)) if status.success() => return NoPort::NobodyListens,
                Ok(Some(status)) => {
                    return NoPort::NoSocket(format!(
                        "the program that passes bytes on in Penguin's container ended with \
                         {status}"
                    ));
                }
                Ok(None) => std::thread::sleep(std::time::Duration::from_millis(10)),
                Err(_) => break,
            }
        }
        NoPort::NobodyListens
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        if let Ends::Relay { child, .. } = &mut self.ends {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Way {
    fn reach(&self, socket: &Path) -> io::Result<Ends> {
        match self {
            Self::Here => {
                let stream = UnixStream::connect(socket)?;
                stream.set_nonblocking(true)?;
                Ok(Ends::Socket(stream))
            }
            Self::Container { engine, name } => {
                let mut child = Command::new(engine)
                    .args(["exec", "-i", name, "python3", "-c", RELAY])
                    .arg(socket)
                    .current_dir("/")
                    .stdin(Stdio::piped())
                    .stdout(Stdio::piped())
                    .stderr(Stdio::null())
                    .spawn()?;
                let ends = child.stdin.take().zip(child.stdout.take());
                let (input, output) = ends.ok_or(io::ErrorKind::BrokenPipe)?;
                not_waiting(input.as_fd())?;
                not_waiting(output.as_fd())?;
                Ok(Ends::Relay {
                    child,
                    input,
                    output,
                })
            }
        }
    }
}

fn not_waiting(fd: BorrowedFd<'_>) -> io::Result<()> {
    let flags = rustix::fs::fcntl_getfl(fd)?;
    Ok(rustix::fs::fcntl_setfl(fd, flags | OFlags::NONBLOCK)?)
}

fn is_passing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
    )
}
