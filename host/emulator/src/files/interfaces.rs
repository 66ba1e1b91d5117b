//! The directory of an interface in `/sys/class/net`.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

/// Where they are.
pub const CLASS: &str = "/sys/class/net";
/// Where VLANs are listed, which the kernel has with a module only, and what is there without any.
/// Each has a file beside it.
pub const VLANS: &str = "/proc/net/vlan";
pub const VLAN_TABLE: &str = "/proc/net/vlan/config";
pub const NO_VLANS: &str =
    "VLAN Dev name\t | VLAN ID\nName-Type: VLAN_NAME_TYPE_RAW_PLUS_VID_NO_PAD\n";

type Files = &'static [(&'static str, &'static str)];

/// The files of each. What those tell that have no contents here is asked when they are read.
const FILES: Files = &[
    ("address", ""),
    ("addr_len", ""),
    ("broadcast", ""),
    ("mtu", ""),
    ("operstate", ""),
    ("carrier", ""),
    ("ifindex", ""),
    ("iflink", ""),
    ("type", ""),
    ("flags", ""),
    ("tx_queue_len", ""),
    ("uevent", ""),
    ("addr_assign_type", "0\n"),
    ("carrier_changes", "1\n"),
    ("dev_id", "0x0\n"),
    ("dev_port", "0\n"),
    ("dormant", "0\n"),
    ("duplex", "full\n"),
    ("ifalias", ""),
    ("link_mode", "0\n"),
    ("name_assign_type", "3\n"),
    ("netdev_group", "0\n"),
    ("speed", "100\n"),
];
/// Of each, too; in the order in which the kernel counts (`struct rtnl_link_stats64`).
pub const STATISTICS: &[&str] = &[
    "rx_packets",
    "tx_packets",
    "rx_bytes",
    "tx_bytes",
    "rx_errors",
    "tx_errors",
    "rx_dropped",
    "tx_dropped",
    "multicast",
    "collisions",
];
const RECEIVING: Files = &[("rps_cpus", "0\n"), ("rps_flow_cnt", "0\n")];
const SENDING: Files = &[("tx_timeout", "0\n"), ("xps_cpus", "0\n")];
/// A bridge is known by this directory, and keeps its settings there.
const BRIDGE: &str = "bridge";
const OF_BRIDGE: Files = &[
    ("ageing_time", "30000\n"),
    ("bridge_id", ""),
    ("default_pvid", "1\n"),
    ("flush", ""),
    ("forward_delay", "1500\n"),
    ("gc_timer", "0\n"),
    ("group_fwd_mask", "0x0\n"),
    ("hash_max", "4096\n"),
    ("hello_time", "200\n"),
    ("hello_timer", "0\n"),
    ("max_age", "2000\n"),
    ("multicast_querier", "0\n"),
    ("multicast_router", "1\n"),
    ("multicast_snooping", "1\n"),
    ("nf_call_arptables", "0\n"),
    ("nf_call_ip6tables", "0\n"),
    ("nf_call_iptables", "0\n"),
    ("priority", "32768\n"),
    ("root_id", ""),
    ("root_path_cost", "0\n"),
    ("root_port", "0\n"),
    ("stp_state", "0\n"),
    ("tcn_timer", "0\n"),
    ("topology_change", "0\n"),
    ("topology_change_detected", "0\n"),
    ("topology_change_timer", "0\n"),
    ("vlan_filtering", "0\n"),
];
/// The ports of a bridge, and what each has in its own directory.
const PORTS: &str = "brif";
const PORT: &str = "brport";
const OF_PORT: Files = &[
    ("bpdu_guard", "0\n"),
    ("flush", ""),
    ("hairpin_mode", "0\n"),
    ("isolated", "0\n"),
    ("learning", "1\n"),
    ("multicast_fast_leave", "0\n"),
    ("multicast_flood", "1\n"),
    ("multicast_router", "1\n"),
    ("multicast_to_unicast", "0\n"),
    ("path_cost", "100\n"),
    ("port_id", "0x8001\n"),
    ("port_no", "0x1\n"),
    ("priority", "32\n"),
    ("proxyarp", "0\n"),
    ("root_block", "0\n"),
    ("state", "3\n"),
    ("unicast_flood", "1\n"),
];

/// Make the directory of an interface.
pub fn describe(directory: &Path, is_bridge: bool) -> io::Result<()> {
    fs::create_dir(directory)?;
    let statistics: Vec<_> = STATISTICS.iter().map(|name| (*name, "")).collect();
    make(&directory.join("statistics"), &statistics)?;
    make(&directory.join("queues/rx-0"), RECEIVING)?;
    make(&directory.join("queues/tx-0"), SENDING)?;
    if is_bridge {
        make(&directory.join(BRIDGE), OF_BRIDGE)?;
        fs::create_dir(directory.join(PORTS))?;
    }
    symlink("../../net", directory.join("subsystem"))?;
    make(directory, FILES)
}

fn make(directory: &Path, files: &[(&str, &str)]) -> io::Result<()> {
    fs::create_dir_all(directory)?;
    for (name, value) in files {
        // Whatever a guest has put there meanwhile, nothing waits for its reader.
        fs::File::create_new(directory.join(name))?.write_all(value.as_bytes())?;
    }
    Ok(())
}

/// Let an interface of the directory `class` be a port of a bridge.
pub fn join(class: &Path, port: &str, bridge: &str) -> io::Result<()> {
    let own = class.join(port);
    make(&own.join(PORT), OF_PORT)?;
    symlink(format!("../../{bridge}"), own.join(PORT).join(BRIDGE))?;
    symlink(format!("../{bridge}"), own.join("master"))?;
    let ports = class.join(bridge).join(PORTS);
    symlink(format!("../../{port}/{PORT}"), ports.join(port))
}

/// Let it be none any more.
pub fn part(class: &Path, port: &str, bridge: &str) {
    let own = class.join(port);
    for link in [
        class.join(bridge).join(PORTS).join(port),
        own.join("master"),
        own.join(PORT).join(BRIDGE),
    ] {
        let _ = fs::remove_file(link);
    }
    unmake(&own.join(PORT), OF_PORT);
}

/// The links in the directory `class` that say that an interface is made of another.
fn links(class: &Path, lower: &str, upper: &str) -> [(PathBuf, String); 2] {
    [
        (class.join(lower).join(format!("upper_{upper}")), upper),
        (class.join(upper).join(format!("lower_{lower}")), lower),
    ]
    .map(|(link, to)| (link, format!("../{to}")))
}

/// Let an interface of the directory `class` be above another, which it is made of.
pub fn stack(class: &Path, lower: &str, upper: &str) {
    for (link, to) in links(class, lower, upper) {
        let _ = symlink(to, link);
    }
}

/// Let it be so no more.
pub fn unstack(class: &Path, lower: &str, upper: &str) {
    for (link, _) in links(class, lower, upper) {
        let _ = fs::remove_file(link);
    }
}

/// Remove the directory of an interface, but nothing that others put there.
pub fn remove(directory: &Path) {
    let statistics: Vec<_> = STATISTICS.iter().map(|name| (*name, "")).collect();
    let _ = fs::remove_file(directory.join("subsystem"));
    unmake(&directory.join("statistics"), &statistics);
    unmake(&directory.join("queues/rx-0"), RECEIVING);
    unmake(&directory.join("queues/tx-0"), SENDING);
    unmake(&directory.join("queues"), &[]);
    unmake(&directory.join(BRIDGE), OF_BRIDGE);
    unmake(&directory.join(PORTS), &[]);
    unmake(directory, FILES);
}

fn unmake(directory: &Path, files: &[(&str, &str)]) {
    for (name, _) in files {
        let _ = fs::remove_file(directory.join(name));
    }
    let _ = fs::remove_dir(directory);
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
        describe(&at("eth0"), false).unwrap();
        join(work.path(), "eth0", "br7").unwrap();
        assert!(at("br7/brif/eth0/bridge/mtu").is_file() && at("eth0/master/brif").is_dir());
        stack(work.path(), "eth0", "br7");
        assert!(at("eth0/upper_br7/bridge").is_dir() && at("br7/lower_eth0/mtu").is_file());
        unstack(work.path(), "eth0", "br7");
        part(work.path(), "eth0", "br7");
        assert!(!at("eth0/brport").exists() && !at("br7/brif/eth0").exists());
        remove(&at("br7"));
        assert!(!at("br7").exists());
        fs::write(at("eth0/model"), "").unwrap();
        remove(&at("eth0"));
        assert!(at("eth0/model").exists() && !at("eth0/mtu").exists());
    }
}
