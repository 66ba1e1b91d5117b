//! What is legal in a configuration beyond its structure, each rule once.
//!
//! Penguin takes more and fails later: it drops the name, skips the file or never matches the
//! number. Whoever writes a configuration refuses what these rules refuse; whoever runs one leaves
//! it out.

use std::net::IpAddr;

use crate::ground::yaml::value::command_number;

/// The longest name of a file, in bytes.
const NAME_MAX: usize = 255;
/// Linux's `IFNAMSIZ` without its NUL.
const INTERFACE_MAX: usize = 15;
/// Where device nodes and entries of `/proc` and `/sys` can be modelled.
const PSEUDO_ROOTS: [&str; 3] = ["/dev/", "/proc/", "/sys/"];

/// Whether a key of `nvram` can be kept: the value is stored in a file of this name.
pub fn is_nvram_key(key: &str) -> bool {
    !key.is_empty()
        && key.len() <= NAME_MAX
        && !key.contains(['/', '\0'])
        && !matches!(key, "." | "..")
}

/// Whether a network device can have this name: to Linux, and to Penguin, which takes fewer
/// characters.
pub fn is_interface_name(name: &str) -> bool {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
    !name.is_empty()
        && name.len() <= INTERFACE_MAX
        && name.bytes().all(legal)
        && !matches!(name, "." | "..")
}

/// An address that a network device can have: `192.168.1.1/24`, `fd00::1/64`; without a prefix, 24
/// or 64.
pub fn interface_address(text: &str) -> Option<(IpAddr, u8)> {
    let (ip, prefix) = text
        .split_once('/')
        .map_or((text, None), |(ip, prefix)| (ip, Some(prefix)));
    let ip: IpAddr = ip.parse().ok()?;
    let (usual, most) = if ip.is_ipv4() { (24, 32) } else { (64, 128) };
    let prefix = prefix.map_or(Some(usual), |prefix| prefix.parse().ok())?;
    let is_of_one = !ip.is_unspecified() && !ip.is_multicast();
    (is_of_one && (1..=most).contains(&prefix)).then_some((ip, prefix))
}

/// The number of an ioctl command, in decimal or hexadecimal digits: 32 bits without a sign, since
/// a kernel takes an `unsigned int` and Penguin compares just that.
pub fn ioctl_number(text: &str) -> Option<u32> {
    command_number(text).and_then(|number| u32::try_from(number).ok())
}

/// Whether a path is one of a pseudofile: in the guest's `/dev`, `/proc` or `/sys`, and spelled in
/// the one way in which a program's path is compared with it.
pub fn is_pseudofile_path(path: &str) -> bool {
    let below = PSEUDO_ROOTS.iter().any(|root| path.starts_with(root));
    below && is_clean_path(path)
}

/// Whether a guest path has no empty, `.` or `..` component and no control character.
pub fn is_clean_path(path: &str) -> bool {
    !path.chars().any(char::is_control)
        && path
            .trim_start_matches('/')
            .split('/')
            .all(|part| !matches!(part, "" | "." | ".."))
        && !path.starts_with("//")
}

/// Whether a number is one of a signal.
pub fn is_signal_number(number: i128) -> bool {
    (1..=64).contains(&number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interface_has_an_address_of_one_machine() {
        let understood =
            |text| interface_address(text).map(|(ip, prefix)| format!("{ip}/{prefix}"));
        for (text, address) in [
            ("192.168.1.1", "192.168.1.1/24"),
            ("10.1.2.3/8", "10.1.2.3/8"),
            ("fd00::1", "fd00::1/64"),
            ("fe80::1/128", "fe80::1/128"),
        ] {
            assert_eq!(understood(text).as_deref(), Some(address));
        }
        for text in [
            "",
            "/24",
            "1.2.3",
            "1.2.3.4/",
            "1.2.3.4/0",
            "1.2.3.4/33",
            "::1/129",
            "0.0.0.0/8",
            "224.0.0.1/4",
            "ff02::1/64",
            "1.2.3.4/24/1",
        ] {
            assert_eq!(understood(text), None, "{text}");
        }
    }

    #[test]
    fn an_nvram_key_is_the_name_of_a_file() {
        for key in ["lan_ipaddr", "wl0.1_ssid", "a b", "...", &"k".repeat(255)] {
            assert!(is_nvram_key(key), "{key}");
        }
        for key in [
            "",
            ".",
            "..",
            "a/b",
            "../x",
            "a\0b",
            &"k".repeat(256),
            &"ä".repeat(128),
        ] {
            assert!(!is_nvram_key(key), "{key}");
        }
    }

    #[test]
    fn an_interface_name_has_at_most_15_letters_and_is_no_directory() {
        for name in [
            "eth0",
            "br0.100",
            "wl0_1",
            "a",
            "...",
            "br-lan",
            "abcdefghijklmno",
        ] {
            assert!(is_interface_name(name), "{name}");
        }
        for name in [
            "",
            ".",
            "..",
            "abcdefghijklmnop",
            "a b",
            "a/b",
            "eth0:1",
            "ä",
            "*",
        ] {
            assert!(!is_interface_name(name), "{name}");
        }
    }

    #[test]
    fn an_ioctl_number_has_32_bits_and_no_sign() {
        for (text, number) in [
            ("0", 0),
            ("21505", 0x5401),
            ("0x80045705", 0x8004_5705),
            ("0XFFFFFFFF", u32::MAX),
            ("4294967295", u32::MAX),
        ] {
            assert_eq!(ioctl_number(text), Some(number), "{text}");
        }
        for text in [
            "-1",
            "+1",
            "0x-1",
            "4294967296",
            "0x100000000",
            "",
            "0x",
            "TCGETS",
            "*",
        ] {
            assert_eq!(ioctl_number(text), None, "{text}");
        }
    }

    #[test]
    fn a_pseudofile_lies_in_dev_proc_or_sys_and_has_one_spelling() {
        for path in ["/dev/x", "/proc/mtd", "/sys/class/net/eth0", "/dev/a.b/c"] {
            assert!(is_pseudofile_path(path), "{path}");
        }
        for path in [
            "/dev",
            "/dev/",
            "/dev//x",
            "/dev/x/",
            "/dev/./x",
            "/dev/../etc/x",
            "//dev/x",
            "/etc/x",
            "dev/x",
            "/dev/a\nb",
            "/device/x",
            "",
        ] {
            assert!(!is_pseudofile_path(path), "{path}");
        }
    }

    #[test]
    fn signals_are_1_to_64() {
        assert!(is_signal_number(1) && is_signal_number(64));
        assert!(!is_signal_number(0) && !is_signal_number(65) && !is_signal_number(-9));
    }
}
