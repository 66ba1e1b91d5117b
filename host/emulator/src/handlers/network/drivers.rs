//! What a driver of an interface is asked: whether there is a link, and how fast it is. What only
//! one kind of driver knows, wireless ones among them, fails as where the interface is of another.

use rustix::io::Errno;

use crate::handlers::network::Answer;
use crate::handlers::network::argument::Argument;
use crate::kernel::netlink::Link;
use crate::kernel::sockios::{SIOCETHTOOL, SIOCGMIIPHY, SIOCGMIIREG, SIOCSMIIREG};

/// Behind the name in a `struct ifreq`.
const BEHIND_NAME: u64 = 16;
/// The number of the one chip that drives a cable.
const CHIP: u16 = 1;

pub fn control(link: &Link, command: u32, argument: &Argument) -> Result<Answer, Errno> {
    match command {
        SIOCETHTOOL => ethtool(link, argument),
        SIOCGMIIPHY | SIOCGMIIREG => {
            let chip = if command == SIOCGMIIPHY {
                CHIP
            } else {
                argument.short(16)
            };
            let register = argument.short(18);
            let value = if chip == CHIP {
                register_of(register, link.has_carrier())
            } else {
                // Nothing answers there.
                0xFFFF
            };
            let fields = [chip, register, 0, value];
            let bytes = fields
                .iter()
                .flat_map(|field| argument.bytes_of_short(*field));
            Ok(Answer::of([(
                argument.address + BEHIND_NAME,
                bytes.collect(),
            )]))
        }
        SIOCSMIIREG => Ok(Answer::default()),
        _ => Err(Errno::OPNOTSUPP),
    }
}

/// A register of a chip of 100 Mbit/s (`linux/mii.h`).
fn register_of(register: u16, carrier: bool) -> u16 {
    match (register, carrier) {
        (0, _) => 0x3100,
        (1, true) => 0x786D,
        (1, false) => 0x7849,
        (4, _) => 0x01E1,
        (5, true) => 0x45E1,
        _ => 0,
    }
}

/// Commands of `linux/ethtool.h`.
fn ethtool(link: &Link, argument: &Argument) -> Result<Answer, Errno> {
    const GET_SETTINGS: u32 = 1;
    const SET_SETTINGS: u32 = 2;
    const GET_DRIVER: u32 = 3;
    const GET_LINK: u32 = 10;
    let at = argument.data();
    match argument.int_at(at).ok_or(Errno::FAULT)? {
        GET_LINK => {
            let carrier = argument.bytes_of(link.has_carrier().into());
            Ok(Answer::of([(at + 4, carrier.to_vec())]))
        }
        GET_SETTINGS => Ok(Answer::of([(at + 4, settings(argument))])),
        SET_SETTINGS => Ok(Answer::default()),
        GET_DRIVER => {
            let driver = [link.made_as.as_bytes(), &[0]].concat();
            Ok(Answer::of([(at + 4, driver)]))
        }
        _ => Err(Errno::OPNOTSUPP),
    }
}

/// `struct ethtool_cmd` behind its command: 100 Mbit/s in both directions, as both ends agreed.
fn settings(argument: &Argument) -> Vec<u8> {
    /// 10 and 100 Mbit/s, half and full, agreed on, by twisted pairs.
    const MODES: u32 = 0xCF;
    const SPEED: u16 = 100;
    const FULL: u8 = 1;
    const AGREED: u8 = 1;
    let mut bytes = [argument.bytes_of(MODES), argument.bytes_of(MODES)].concat();
    bytes.extend(argument.bytes_of_short(SPEED));
    // Duplex, port, number of the chip, transceiver, agreement.
    bytes.extend([FULL, 0, 1, 0, AGREED, 0]);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cable_is_in_where_the_interface_is_up() {
        const LINK: u16 = 0x0004;
        assert_ne!(register_of(1, true) & LINK, 0);
        assert_eq!(register_of(1, false) & LINK, 0);
        assert_eq!(register_of(31, true), 0);
    }
}
