//! What names of the guest's mean, and which of them may stand in a call that a tool proposes.
//!
//! Invariant 8: a guest chooses its names, so they are data. A proposed call may hold one only
//! where it is a plain value of its kind.

/// Bytes of the longest path that may stand in a call.
const PATH_MAX: usize = 200;
/// Bytes of the longest name or value of a setting that may stand in a call.
const SETTING_MAX: usize = 64;
/// Files of `/sys/class/net` that every interface has (`Documentation/ABI/testing/sysfs-class-net`
/// of Linux).
const ATTRIBUTES: [&str; 14] = [
    "address",
    "addr_assign_type",
    "broadcast",
    "carrier",
    "dev_id",
    "flags",
    "ifindex",
    "iflink",
    "mtu",
    "operstate",
    "speed",
    "statistics",
    "type",
    "uevent",
];

/// Whether the kernel takes this as the name of a network interface, and it is made of harmless
/// characters (`dev_valid_name` of Linux).
pub fn is_interface(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    (1..16).contains(&name.len()) && name.chars().all(plain) && !matches!(name, "." | "..")
}

/// Whether this is an absolute path of harmless characters that means what it says.
pub fn is_plain_path(path: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+@:,".contains(c);
    path.len() <= PATH_MAX
        && path.starts_with('/')
        && path.chars().all(plain)
        && path
            .split('/')
            .skip(1)
            .all(|part| !matches!(part, "" | "." | ".."))
}

/// Whether this is the name or the value of a setting, as boot arguments and the NVRAM have, of
/// harmless characters.
pub fn is_setting(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_.-:".contains(c);
    (1..=SETTING_MAX).contains(&text.len()) && text.chars().all(plain)
}

/// The network interface without which there is no such file below `/sys` or `/proc`.
pub fn interface_of(path: &str) -> Option<&str> {
    const DIRECTORIES: [&str; 5] = [
        "/sys/class/net/",
        "/sys/devices/virtual/net/",
        "/proc/sys/net/ipv4/conf/",
        "/proc/sys/net/ipv6/conf/",
        "/proc/sys/net/ipv4/neigh/",
    ];
    let rest = DIRECTORIES.iter().find_map(|of| path.strip_prefix(of))?;
    let mut parts = rest.split('/');
    let (name, file) = (parts.next()?, parts.next());
    // Those are always there, so something below them is missing; so is a file that only some have.
    let always = matches!(name, "" | "all" | "default" | "lo" | "bonding_masters");
    let of_all = file.is_none_or(|file| !path.starts_with("/sys") || ATTRIBUTES.contains(&file));
    (!always && of_all && is_interface(name)).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_value_of_its_kind_is_taken() {
        for name in ["br0", "eth0.100", "ra0"] {
            assert!(is_interface(name));
        }
        for name in ["", "..", "a b", "br0;reboot", "a-name-of-16-char", "é"] {
            assert!(!is_interface(name), "{name}");
        }
        for text in ["board_id", "wl0.1_ssid", "00:11:22:33:44:55", "-1"] {
            assert!(is_setting(text));
        }
        let long = "a".repeat(SETTING_MAX + 1);
        for text in ["", "a b", "$(reboot)", "a/b", "a=b", "é", &long] {
            assert!(!is_setting(text), "{text}");
        }
        for path in ["/etc/shop.conf", "/var/lock/subsys"] {
            assert!(is_plain_path(path));
        }
        let long = format!("/{}", "a".repeat(PATH_MAX));
        for path in [
            "",
            "/",
            "etc",
            "/etc/../x",
            "/a b",
            "/a\n",
            "/a//b",
            "/no\u{200b}",
            &long,
        ] {
            assert!(!is_plain_path(path), "{path}");
        }
    }

    #[test]
    fn a_path_names_the_interface_that_it_needs() {
        for (path, name) in [
            ("/sys/class/net/ra0/address", Some("ra0")),
            ("/sys/class/net/ra0", Some("ra0")),
            ("/proc/sys/net/ipv4/conf/br0/forwarding", Some("br0")),
            ("/proc/sys/net/ipv4/conf/all/forwarding", None),
            ("/sys/class/net/br0/bridge/stp_state", None),
            ("/sys/class/net/a b/address", None),
            ("/sys/class/gpio", None),
        ] {
            assert_eq!(interface_of(path), name, "{path}");
        }
    }
}
