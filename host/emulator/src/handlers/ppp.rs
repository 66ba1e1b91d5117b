//! `/dev/ppp`: interfaces of PPP, which pppd makes by a command (`linux/ppp-ioctl.h`). They are
//! there, and carry nothing.

use rookery_project::ioctl::Direction;
use rustix::io::Errno;
use rustix::net::{AddressFamily, sockopt};

use crate::guest::access::{HasDevices, HasEmulators, HasServices, Reports};
use crate::handlers::{net, network};
use crate::network::wanted::Wanted;
use crate::process::call::{Action, Call};
use crate::qemu::arch::Arch;

/// A command of such a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Command {
    NewUnit,
    Unit,
    Flags,
    Channel,
    /// What only a line would notice.
    Setting,
}

/// Each with its direction, its number, and the size of its argument.
const COMMANDS: [(Command, Direction, u8, u32); 19] = [
    (Command::NewUnit, Direction::ReadWrite, 62, 4),
    (Command::Unit, Direction::Read, 86, 4),
    (Command::Flags, Direction::Read, 90, 4),
    (Command::Channel, Direction::Read, 55, 4),
    // PPPIOCSFLAGS, PPPIOCSASYNCMAP, PPPIOCSMRU, PPPIOCSMAXCID
    (Command::Setting, Direction::Write, 89, 4),
    (Command::Setting, Direction::Write, 87, 4),
    (Command::Setting, Direction::Write, 82, 4),
    (Command::Setting, Direction::Write, 81, 4),
    // PPPIOCSXASYNCMAP, PPPIOCSNPMODE, PPPIOCSDEBUG
    (Command::Setting, Direction::Write, 79, 32),
    (Command::Setting, Direction::Write, 75, 8),
    (Command::Setting, Direction::Write, 64, 4),
    // PPPIOCATTACH, PPPIOCDETACH, PPPIOCSMRRU, PPPIOCCONNECT, PPPIOCDISCONN, PPPIOCATTCHAN
    (Command::Setting, Direction::Write, 61, 4),
    (Command::Setting, Direction::Write, 60, 4),
    (Command::Setting, Direction::Write, 59, 4),
    (Command::Setting, Direction::Write, 58, 4),
    (Command::Setting, Direction::None, 57, 0),
    (Command::Setting, Direction::Write, 56, 4),
    // PPPIOCSPASS and PPPIOCSACTIVE, of 32 bits
    (Command::Setting, Direction::Write, 71, 8),
    (Command::Setting, Direction::Write, 70, 8),
];

/// What the emulator is taught to pass on for an architecture.
pub fn commands(arch: &Arch) -> impl Iterator<Item = u32> {
    COMMANDS.iter().map(|entry| number(arch, *entry))
}

fn number(arch: &Arch, (_, direction, number, size): (Command, Direction, u8, u32)) -> u32 {
    arch.ioctl(direction, b't', number, size)
}

/// `ioctl`, whose argument is at `address`. `None` where it is none of such a file's.
pub fn control<'a>(
    guest: &mut (impl Reports + HasServices + HasDevices + HasEmulators<'a>),
    call: &Call,
    command: u32,
    address: u64,
) -> Option<Action> {
    let arch = guest.emulators().first()?.arch;
    let (known, ..) = COMMANDS
        .iter()
        .find(|entry| number(arch, **entry) == command)?;
    let socket = net::socket(guest, call).ok()?;
    if sockopt::socket_domain(&socket) != Ok(AddressFamily::PACKET) {
        return None;
    }
    let memory = guest.memory(call)?;
    let result = match known {
        Command::NewUnit => {
            let mut wanted = [0; 4];
            let read = memory.read(address, &mut wanted);
            read.map_err(|_| Errno::FAULT)
                .and_then(|()| make(guest, arch.u32_of(&wanted, 0).cast_signed()))
        }
        Command::Setting => return Some(Action::Return(0)),
        Command::Unit | Command::Flags | Command::Channel => Ok(0),
    };
    Some(match result.map(|number| arch.bytes_of(number)) {
        Ok(bytes) if memory.write(call, address, &bytes).is_ok() => Action::Return(0),
        Ok(_) => Errno::FAULT.into(),
        Err(errno) => errno.into(),
    })
}

/// Make the interface with a number, or with the first that is free; gives its number. One of the
/// plan gives way to it.
fn make(guest: &mut (impl Reports + HasServices + HasDevices), number: i32) -> Result<u32, Errno> {
    const KIND: &str = "ppp";
    let (network, links) = guest.services().interfaces().ok_or(Errno::NODEV)?;
    let code = |error: std::io::Error| Errno::from_io_error(&error).unwrap_or(Errno::IO);
    let is_free = |number: &u32| {
        let name = format!("{KIND}{number}");
        network.link(&name).is_err() || links.is_beforehand(&name)
    };
    let number = match u32::try_from(number) {
        Ok(number) if is_free(&number) => number,
        Ok(_) => return Err(Errno::EXIST),
        Err(_) => (0..64).find(is_free).ok_or(Errno::NFILE)?,
    };
    let wanted = Wanted {
        name: format!("{KIND}{number}"),
        kind: KIND.to_owned(),
        vlan: None,
    };
    let refused = || Err(std::io::Error::from_raw_os_error(libc::EOPNOTSUPP));
    links.make(network, &wanted, refused).map_err(code)?;
    network::note(guest, &wanted);
    Ok(number)
}
