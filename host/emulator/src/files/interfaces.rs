//! The directory of an interface in `/sys/class/net`.

use std::fs;
use std::io::{self, Write as _};
use std::path::Path;

/// Where they are.
pub const CLASS: &str = "/sys/class/net";

/// The files of each. What those tell that have no contents here is asked when they are read.
const FILES: &[(&str, &str)] = &[
    ("address", ""),
    ("mtu", ""),
    ("operstate", ""),
    ("carrier", ""),
    ("ifindex", ""),
    ("type", ""),
    ("flags", ""),
    ("uevent", ""),
    ("dev_id", "0x0\n"),
    ("iflink", ""),
];
const STATISTICS: &str = "statistics";
/// A bridge is known by this directory.
const BRIDGE: &str = "bridge";

/// Make the directory of an interface.
pub fn describe(directory: &Path, is_bridge: bool) -> io::Result<()> {
    fs::create_dir(directory)?;
    fs::create_dir(directory.join(STATISTICS))?;
    if is_bridge {
        fs::create_dir(directory.join(BRIDGE))?;
    }
    for (name, value) in FILES {
        // Whatever a guest has put there meanwhile, nothing waits for its reader.
        fs::File::create_new(directory.join(name))?.write_all(value.as_bytes())?;
    }
    Ok(())
}

/// Remove the directory of an interface, but nothing that others put there.
pub fn remove(directory: &Path) {
    for (name, _) in FILES {
        let _ = fs::remove_file(directory.join(name));
    }
    for part in [STATISTICS, BRIDGE, ""] {
        let _ = fs::remove_dir(directory.join(part));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interface_goes_as_it_came_and_leaves_what_others_put_there() {
        let work = tempfile::tempdir().unwrap();
        let at = |path: &str| work.path().join(path);
        describe(&at("br7"), true).unwrap();
        assert!(at("br7/bridge").is_dir() && at("br7/mtu").is_file());
        assert!(describe(&at("br7"), true).is_err());
        remove(&at("br7"));
        assert!(!at("br7").exists());
        describe(&at("eth0"), false).unwrap();
        fs::write(at("eth0/model"), "").unwrap();
        remove(&at("eth0"));
        assert!(at("eth0/model").exists() && !at("eth0/mtu").exists());
    }
}
