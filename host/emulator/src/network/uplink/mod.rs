//! An interface behind which something answers: models of a name server and of a time server, and
//! the way out of the guest's network where its operator allows one.
//!
//! What goes over it is read by a process of its own inside the guest's network namespace. The
//! addresses are those of qemu's user networking, which is what Penguin has there.

mod dns;
mod frames;
mod ntp;
mod passt;

use std::io;
use std::net::Ipv4Addr;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use rookery_runs::plan;
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags};
use rustix::process::{Pid, Signal};

use crate::kernel::ending::await_end;
use crate::kernel::netlink::Netlink;
use crate::kernel::passing::packet_pair;
use crate::kernel::{enter, process, tap};
use crate::network::uplink::frames::Datagram;
use crate::network::uplink::ntp::Clock;
use crate::network::uplink::passt::{Line, Passt};

/// The addresses of the guest, of its gateway, and of the name server that asks the host's.
const GUEST: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 15);
const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 2);
const DNS: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 3);
const PREFIX: u8 = 24;

const DNS_PORT: u16 = 53;
const NTP_PORT: u16 = 123;

const ENDS_WITHIN: Duration = Duration::from_millis(200);
/// The way out answers within some milliseconds; the rest is for a busy machine.
const ANSWERS_WITHIN: Duration = Duration::from_secs(3);
const STARTS_WITHIN: Duration = Duration::from_secs(5);
/// Frames that are moved one way before those of the other have their turn.
const TURN: usize = 64;
/// A frame of an interface with the usual largest packet, and much more.
const FRAME_MAX: usize = 16 << 10;

/// How to have the program that makes the way out.
const INSTALL: &str = "apt-get install passt";

/// The supervisor's side.
#[derive(Debug)]
pub struct Uplink {
    process: Pid,
    /// Its end tells the process to end.
    _socket: OwnedFd,
    way_out: Option<Passt>,
}

impl Uplink {
    /// Make the interface for the guest behind `pidfd`, whose user is `uid`. Gives also what of it
    /// is not to be had.
    pub fn start(
        guest: &OwnedFd,
        plan: &plan::Uplink,
        uid: u32,
    ) -> io::Result<(Self, Option<String>)> {
        let (ours, theirs) = packet_pair()?;
        let (mut way_out, mut line, mut missing) = (None, None, None);
        match plan.way_out.then(|| way_out_of(uid)) {
            Some(Ok((started, socket))) => (way_out, line) = (Some(started), Some(socket)),
            Some(Err(error)) => missing = Some(error),
            None => {}
        }
        let Some(process) = process::fork_into(0)? else {
            live(guest, &theirs, line, plan)
        };
        drop((line, theirs));
        let said = started(&ours);
        if let Some(failed) = said
            .as_deref()
            .and_then(|said| said.strip_prefix("no way out"))
            && let Some(passt) = way_out.take()
        {
            let why = passt.stop();
            missing = Some(format!("passt does not work here{failed}: {why}"));
        }
        let uplink = Self {
            process,
            _socket: ours,
            way_out,
        };
        match said.as_deref() {
            None => {
                uplink.stop();
                Err(io::ErrorKind::TimedOut.into())
            }
            Some(said) if said.starts_with("failed: ") => {
                uplink.stop();
                Err(io::Error::other(said.replacen("failed: ", "", 1)))
            }
            Some(_) => Ok((uplink, missing)),
        }
    }

    /// End what belongs to it.
    pub fn stop(self) {
        let _ = rustix::process::kill_process(self.process, Signal::KILL);
        await_end(self.process, ENDS_WITHIN);
        if let Some(passt) = self.way_out {
            passt.stop();
        }
    }
}

fn way_out_of(uid: u32) -> Result<(Passt, OwnedFd), String> {
    let program = passt::installed().ok_or_else(|| {
        format!("it needs the program passt, which is not in the PATH ({INSTALL})")
    })?;
    Passt::start(program, uid, [GUEST, GATEWAY, DNS]).map_err(|error| error.to_string())
}

/// What the process said when it began, or none in time.
fn started(socket: &OwnedFd) -> Option<String> {
    let timeout = Some(STARTS_WITHIN);
    let kind = rustix::net::sockopt::Timeout::Recv;
    rustix::net::sockopt::set_socket_timeout(socket, kind, timeout).ok()?;
    let mut buffer = [0_u8; 256];
    let (length, _) = rustix::net::recv(socket, &mut buffer[..], RecvFlags::empty()).ok()?;
    let said = buffer.get(..length).filter(|said| !said.is_empty())?;
    Some(String::from_utf8_lossy(said).into_owned())
}

/// The process's life.
fn live(guest: &OwnedFd, supervisor: &OwnedFd, socket: Option<OwnedFd>, plan: &plan::Uplink) -> ! {
    let mut kept = vec![supervisor.as_raw_fd()];
    kept.extend(socket.as_ref().map(OwnedFd::as_raw_fd));
    process::close_all_except(&[&kept[..], &[guest.as_raw_fd()]].concat());
    // A defect must not go on as a second supervisor.
    let _ = catch_unwind(AssertUnwindSafe(|| {
        let entered = enter::enter(guest, libc::CLONE_NEWUSER | libc::CLONE_NEWNET);
        process::close_all_except(&kept);
        let made = entered.map_err(io::Error::from).and_then(|()| {
            let tap = make(plan)?;
            let line = socket.map(Line::new).transpose()?;
            Ok(Link::new(tap, line, plan))
        });
        let mut said = match &made {
            Ok(_) => "made".to_owned(),
            Err(error) => format!("failed: {error}"),
        };
        let mut link = made.ok();
        if let Some(link) = &mut link
            && let Err(error) = link.find_way_out(plan.mac)
        {
            link.line = None;
            said = format!("no way out ({error})");
        }
        let _ = rustix::net::send(supervisor, said.as_bytes(), SendFlags::NOSIGNAL);
        link.map(|mut link| link.serve(supervisor))
    }));
    process::leave(0)
}

/// Make the interface, with its addresses and the route by it.
fn make(plan: &plan::Uplink) -> io::Result<OwnedFd> {
    let tap = tap::make(&plan.interface)?;
    let network = Netlink::open()?;
    let index = network.link(&plan.interface)?.index;
    network.set_mac(index, plan.mac)?;
    network.add_address(index, GUEST.into(), PREFIX)?;
    network.up(&plan.interface)?;
    network.add_default_route(index, GATEWAY)?;
    Ok(tap)
}

/// Both ends of the link, and what answers on it.
struct Link {
    tap: OwnedFd,
    line: Option<Line>,
    dns: Option<Ipv4Addr>,
    ntp: Option<Clock>,
}

impl Link {
    fn new(tap: OwnedFd, line: Option<Line>, plan: &plan::Uplink) -> Self {
        Self {
            tap,
            line,
            dns: plan.dns,
            ntp: plan.ntp.map(Clock::new),
        }
    }

    /// Ask the way out for the gateway: it answers as soon as it works.
    fn find_way_out(&mut self, mac: [u8; 6]) -> io::Result<()> {
        let Some(line) = &mut self.line else {
            return Ok(());
        };
        line.send(&frames::who_has(GATEWAY, mac, GUEST));
        let until = Instant::now() + ANSWERS_WITHIN;
        while line.next().is_none() {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(io::ErrorKind::TimedOut.into());
            }
            let timeout = Timespec::try_from(left).ok();
            let mut fds = [PollFd::new(line, PollFlags::IN)];
            if rustix::event::poll(&mut fds, timeout.as_ref())? > 0 {
                line.receive()?;
            }
        }
        Ok(())
    }

    fn serve(&mut self, supervisor: &OwnedFd) {
        loop {
            let mut fds = vec![
                PollFd::new(supervisor, PollFlags::IN),
                PollFd::new(&self.tap, PollFlags::IN),
            ];
            if let Some(line) = &self.line {
                let flags = if line.is_behind() {
                    PollFlags::IN | PollFlags::OUT
                } else {
                    PollFlags::IN
                };
                fds.push(PollFd::from_borrowed_fd(line.as_fd(), flags));
            }
            let _ = rustix::event::poll(&mut fds, None);
            // The supervisor says nothing: it is gone.
            if fds.first().is_some_and(|fd| !fd.revents().is_empty()) {
                return;
            }
            drop(fds);
            if !self.take_from_guest() {
                return;
            }
            self.take_from_outside();
        }
    }

    /// Whether the interface is still there.
    fn take_from_guest(&mut self) -> bool {
        let mut buffer = vec![0_u8; FRAME_MAX];
        for _ in 0..TURN {
            let frame = match rustix::io::read(&self.tap, &mut buffer) {
                Ok(length) => buffer.get(..length).unwrap_or_default(),
                Err(Errno::AGAIN | Errno::INTR) => break,
                // It is down.
                Err(Errno::IO) => {
                    std::thread::sleep(Duration::from_millis(10));
                    break;
                }
                Err(_) => return false,
            };
            let answer = match (self.answer(frame), &mut self.line) {
                (Some(answer), _) => Some(answer),
                (None, Some(line)) => {
                    line.send(frame);
                    None
                }
                (None, None) => frames::refuse(frame),
            };
            if let Some(answer) = answer {
                // What the guest does not take is lost.
                let _ = rustix::io::write(&self.tap, &answer);
            }
        }
        true
    }

    fn take_from_outside(&mut self) {
        let Some(line) = &mut self.line else {
            return;
        };
        line.go_on();
        let is_open = line.receive().is_ok();
        while let Some(frame) = line.next() {
            let _ = rustix::io::write(&self.tap, &frame);
        }
        if !is_open {
            self.line = None;
        }
    }

    /// What a model says to a frame.
    fn answer(&self, frame: &[u8]) -> Option<Vec<u8>> {
        let asked = Datagram::of(frame)?;
        let answer = match asked.to.1 {
            DNS_PORT => dns::answer(asked.data, self.dns?),
            NTP_PORT => self.ntp?.answer(asked.data),
            _ => None,
        };
        Some(asked.answer(&answer?))
    }
}
