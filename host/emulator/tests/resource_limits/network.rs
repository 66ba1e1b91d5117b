//! Interfaces and addresses, asked for by netlink.

use std::path::Path;
use std::time::Duration;

use rookery_runs::backend::Outcome;

use crate::support::native::{Data, Step, call};
use crate::{for_ever, run, run_with};

/// A netlink request.
fn request(kind: u16, header: &[u8], attributes: &[(u16, &[u8])]) -> Vec<u8> {
    let mut body = header.to_vec();
    for (kind, value) in attributes {
        body.extend(u16::try_from(4 + value.len()).unwrap().to_ne_bytes());
        body.extend(kind.to_ne_bytes());
        body.extend(*value);
        body.resize(body.len().next_multiple_of(4), 0);
    }
    let mut message = u32::try_from(16 + body.len())
        .unwrap()
        .to_ne_bytes()
        .to_vec();
    // A request to create what is not there.
    message.extend([kind.to_ne_bytes(), 0x601_u16.to_ne_bytes()].concat());
    message.extend([0; 8]);
    message.extend(body);
    message
}

fn new_bridge() -> Vec<u8> {
    request(
        16,
        &[0; 16],
        &[(18, &[11, 0, 1, 0, b'b', b'r', b'i', b'd', b'g', b'e', 0])],
    )
}

/// The number that a socket of routing netlink gets: the first that the supervisor watches.
const SOCKET: u64 = 448;

fn netlink() -> Step {
    call(libc::SYS_socket, &[16, 3, 0])
}

/// Send to the kernel by netlink.
fn send(data: &mut Data, message: &[u8]) -> Step {
    let kernel = data.put(&[16, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    let at = data.put(message);
    call(
        libc::SYS_sendto,
        &[SOCKET, at, message.len() as u64, 0, kernel, 12],
    )
}

pub fn bridges(work: &Path) {
    let mut data = Data::new();
    let mut steps = vec![netlink()];
    steps.extend(for_ever(vec![send(&mut data, &new_bridge())]));
    let ran = run(work, data, &steps);
    assert!(
        ran.excess().contains("more than 64 network interfaces"),
        "{}",
        ran.excess()
    );
    assert!(ran.took < Duration::from_secs(10), "{:?}", ran.took);
}

/// First it asks for room for them.
pub fn one_message(work: &Path) {
    let mut data = Data::new();
    let room = data.put(&(4_u32 << 20).to_ne_bytes());
    let link = send(&mut data, &new_bridge().repeat(4000));
    let steps = [
        netlink(),
        call(libc::SYS_setsockopt, &[SOCKET, 1, 7, room, 4]),
        link,
        call(libc::SYS_pause, &[]),
    ];
    let ran = run_with(work, data, &steps, |plan| plan.timeout_s = 4);
    assert_eq!(ran.outcome, Outcome::Deadline);
    assert!(ran.took < Duration::from_secs(4 + 2), "{:?}", ran.took);
}

pub fn addresses(work: &Path) {
    let mut data = Data::new();
    let mut steps = vec![netlink()];
    // `lo` is the first interface.
    let header = [2, 24, 0, 0, 1, 0, 0, 0];
    for last in 1..=200 {
        let ip: &[u8] = &[10, 1, 1, last];
        let message = request(20, &header, &[(1, ip), (2, ip)]);
        steps.push(send(&mut data, &message));
    }
    steps.push(call(libc::SYS_pause, &[]));
    let ran = run(work, data, &steps);
    assert!(
        ran.excess().contains("more than 64 network addresses"),
        "{}",
        ran.excess()
    );
}
