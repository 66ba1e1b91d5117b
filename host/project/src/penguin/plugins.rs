//! Penguin's own plugins.

/// Enabled in every new project, and loaded without being asked.
pub const ENABLED: [&str; 17] = [
    "core",
    "core_pattern_guard",
    "crashes",
    "health",
    "indiv_debug",
    "interfaces",
    "lifeguard",
    "mount",
    "netbinds",
    "nvram2",
    "pseudofiles",
    "readiness",
    "scope",
    "send_hypercall",
    "shell",
    "snapshot",
    "vpn",
];
/// Comes with `pseudofiles`.
const TRACKER: &str = "pseudofile_tracker";
/// Writes the database of events.
pub const DATABASE: &str = "db";
/// Plugins that feed the database, any of them.
pub const LOGGERS: [&str; 4] = ["syscalls_logger", "exec_logger", "rw_logger", "processes"];
pub use rookery_contract::penguin::DIAGNOSTICS;

/// Names that the framework itself gives to plugins.
pub const FRAMEWORK: [&str; 11] = [
    "verbose",
    "outdir",
    "conf",
    "plugins",
    "proj_dir",
    "proj_name",
    "plugin_path",
    "fs",
    "fw",
    "statedir",
    "telnet_port",
];
/// Plugins that declare their arguments, and these.
pub(crate) static DECLARED: [(&str, &[&str]); 18] = [
    ("crashes", &["signals"]),
    ("db", &["bufsize"]),
    (
        "fetch_web",
        &["fetch_delay", "shutdown_after_www", "shutdown_on_failure"],
    ),
    ("ficd", &["stop_on_if"]),
    ("hyperfile", &["log_file", "logger", "models"]),
    (
        "kernelversion",
        &[
            "sysname",
            "nodename",
            "release",
            "kversion",
            "machine",
            "domainname",
        ],
    ),
    ("kmods", &["allowlist", "denylist", "quiet"]),
    ("mount", &["fake_mounts", "all_succeed", "verbose"]),
    ("mtd", &["devices", "pseudofiles"]),
    (
        "netbinds",
        &[
            "shutdown_on_www",
            "announce_debounce_s",
            "debounce_period",
            "transient_threshold",
        ],
    ),
    ("nvram2", &["logging", "persist"]),
    ("pseudofile_tracker", &["logging"]),
    ("pseudofiles", &["disable_tracking"]),
    ("qemu_mem", &["mmap_alignment", "mmap_base", "mmap_size"]),
    ("qmp", &["socket"]),
    ("syscalls_logger", &["procs"]),
    ("verifier", &["conditions", "continuous_eval"]),
    (
        "vpn",
        &[
            "IGLOO_VPN_PORT_MAPS",
            "log",
            "pcap",
            "spoof",
            "interfaces",
            "routes",
            "default_interface",
        ],
    ),
];

/// Whether two names mean one plugin: a file's name and a class's are alike to Penguin.
pub fn is_same(name: &str, other: &str) -> bool {
    let plain = |name: &str| name.replace(['_', '-'], "").to_ascii_lowercase();
    plain(name) == plain(other)
}

/// Whether Penguin loads a plugin that no configuration names.
pub fn is_always_loaded(name: &str) -> bool {
    ENABLED
        .iter()
        .chain([&TRACKER])
        .any(|own| is_same(own, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plugin_is_known_by_the_name_of_its_class_too() {
        for name in [
            "Nvram2",
            "CorePatternGuard",
            "core-pattern-guard",
            "PseudofileTracker",
        ] {
            assert!(is_always_loaded(name), "{name}");
        }
        assert!(!is_always_loaded("verifier"));
    }
}
