//! A record of what goes over the guest's interfaces, as `tcpdump -i any -w` makes one: a file of
//! libpcap with the links' headers in the form `LINUX_SLL2`, which names the interface.
//!
//! It is made by a process of its own inside the guest's network namespace, so that traffic keeps
//! nobody waiting.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::process::{Pid, Signal};

use crate::kernel::ending::await_end;
use crate::kernel::packets::{About, Packets};
use crate::kernel::{enter, process};

/// The file in the result directory; Penguin has one of the same name by the same key.
const NAME: &str = "vpn.pcap";
/// What it may hold.
const BYTES_MAX: usize = 16 << 20;
/// As much of a packet is recorded, which is all but of the largest.
const PACKET_MAX: usize = 16 << 10;
const ENDS_WITHIN: Duration = Duration::from_millis(200);

/// The process that records.
#[derive(Debug)]
pub struct Capture(Pid);

/// Make the file.
pub fn file(results: &Path) -> io::Result<File> {
    std::fs::create_dir_all(results)?;
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    let flags = libc::O_CLOEXEC | libc::O_NOFOLLOW;
    let mut file = options.custom_flags(flags).open(results.join(NAME))?;
    file.write_all(&header())?;
    Ok(file)
}

impl Capture {
    /// Record the traffic of the guest behind `pidfd`.
    pub fn start(guest: &OwnedFd, file: &File) -> io::Result<Self> {
        let Some(process) = process::fork_into(0)? else {
            process::close_all_except(&[file.as_raw_fd(), guest.as_raw_fd()]);
            // A defect must not go on as a second supervisor.
            let _ = catch_unwind(AssertUnwindSafe(|| {
                if enter::enter(guest, libc::CLONE_NEWUSER | libc::CLONE_NEWNET).is_ok() {
                    process::close_all_except(&[file.as_raw_fd()]);
                    let _ = record(file);
                }
            }));
            process::leave(0)
        };
        Ok(Self(process))
    }

    /// End the process.
    pub fn stop(self) {
        let _ = rustix::process::kill_process(self.0, Signal::KILL);
        await_end(self.0, ENDS_WITHIN);
    }
}

fn record(mut file: &File) -> io::Result<()> {
    let packets = Packets::open()?;
    let mut buffer = vec![0; PACKET_MAX];
    let mut left = BYTES_MAX;
    loop {
        let about = match packets.next(&mut buffer) {
            Ok(about) => about,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            // An interface went down.
            Err(error) if error.raw_os_error() == Some(libc::ENETDOWN) => continue,
            Err(error) => return Err(error),
        };
        if is_seen_again(&about) {
            continue;
        }
        let held = buffer.get(..about.length.min(PACKET_MAX));
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let row = row(&about, held.unwrap_or_default(), now.unwrap_or_default());
        left = left
            .checked_sub(row.len())
            .ok_or(io::ErrorKind::FileTooLarge)?;
        file.write_all(&row)?;
    }
}

/// A packet of the guest to itself goes out and comes in by one interface.
fn is_seen_again(about: &About) -> bool {
    about.kind == libc::ARPHRD_LOOPBACK && about.direction == libc::PACKET_OUTGOING
}

/// The beginning of a file (`pcap-savefile(5)`).
fn header() -> Vec<u8> {
    const MAGIC: u32 = 0xA1B2_C3D4;
    const VERSION: [u16; 2] = [2, 4];
    const LINUX_SLL2: u32 = 276;
    let longest = u32::try_from(PACKET_MAX + LINK).unwrap_or(u32::MAX);
    let mut bytes = MAGIC.to_ne_bytes().to_vec();
    bytes.extend(VERSION.iter().flat_map(|part| part.to_ne_bytes()));
    for field in [0, 0, longest, LINUX_SLL2] {
        bytes.extend(field.to_ne_bytes());
    }
    bytes
}

/// The length of a link's header of the form `LINUX_SLL2`.
const LINK: usize = 20;

/// A packet: when it was read and its lengths, the link's header, and what of it was read.
fn row(about: &About, held: &[u8], now: Duration) -> Vec<u8> {
    let seconds = u32::try_from(now.as_secs()).unwrap_or(u32::MAX);
    let lengths = [held.len(), about.length].map(|length| {
        let length = u32::try_from(LINK + length);
        length.unwrap_or(u32::MAX)
    });
    let mut bytes = Vec::with_capacity(16 + LINK + held.len());
    for field in [seconds, now.subsec_micros(), lengths[0], lengths[1]] {
        bytes.extend(field.to_ne_bytes());
    }
    bytes.extend(about.protocol.to_be_bytes());
    bytes.extend([0, 0]);
    bytes.extend(about.interface.to_be_bytes());
    bytes.extend(about.kind.to_be_bytes());
    bytes.extend([about.direction, about.sender_length]);
    bytes.extend(about.sender);
    bytes.extend(held);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_is_written_as_its_readers_expect_it() {
        assert_eq!(header().len(), 24);
        assert_eq!(header()[20..], 276_u32.to_ne_bytes());
        let about = About {
            protocol: 0x0800,
            interface: 7,
            kind: 1,
            direction: 4,
            sender: [1, 2, 3, 4, 5, 6, 0, 0],
            sender_length: 6,
            length: 3000,
        };
        let row = row(&about, b"abcd", Duration::from_millis(1500));
        assert_eq!(row[..4], 1_u32.to_ne_bytes());
        assert_eq!(row[4..8], 500_000_u32.to_ne_bytes());
        assert_eq!(row[8..12], 24_u32.to_ne_bytes());
        assert_eq!(row[12..16], 3020_u32.to_ne_bytes());
        assert_eq!(
            row[16..],
            [
                8, 0, 0, 0, 0, 0, 0, 7, 0, 1, 4, 6, 1, 2, 3, 4, 5, 6, 0, 0, b'a', b'b', b'c', b'd'
            ]
        );
    }

    #[test]
    fn what_the_guest_sends_itself_is_recorded_once() {
        let about = |kind, direction| About {
            protocol: 0,
            interface: 1,
            kind,
            direction,
            sender: [0; 8],
            sender_length: 0,
            length: 0,
        };
        assert!(is_seen_again(&about(
            libc::ARPHRD_LOOPBACK,
            libc::PACKET_OUTGOING
        )));
        assert!(!is_seen_again(&about(
            libc::ARPHRD_LOOPBACK,
            libc::PACKET_HOST
        )));
        assert!(!is_seen_again(&about(
            libc::ARPHRD_ETHER,
            libc::PACKET_OUTGOING
        )));
    }
}
