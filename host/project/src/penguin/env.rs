//! The environment: which variables of `env` Penguin keeps off the kernel's command line.

/// Variables that Penguin exports from a file of its own, beside those whose names begin with
/// `igloo_`.
const EXPORTED: [&str; 8] = [
    "ROOT_SHELL",
    "SHARED_DIR",
    "WWW",
    "CID",
    "STRACE",
    "PROJ_NAME",
    "LD_LIBRARY_PATH",
    "TERM",
];
/// Of those, what firmware reads too.
const OF_FIRMWARE_TOO: [&str; 2] = ["LD_LIBRARY_PATH", "TERM"];
/// Begins the names of Penguin's own variables, in letters of either case.
const PREFIX: &str = "igloo_";
/// Read by the kernel itself, so it stays on the command line.
const OF_KERNEL: &str = "igloo_task_size";
/// A value that ends the run when the plugin `env` is on.
pub const MAGIC: &str = "DYNVALDYNVALDYNVAL";

/// Whether Penguin keeps a variable off the command line.
pub fn is_exported(name: &str) -> bool {
    let prefixed = name
        .get(..PREFIX.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(PREFIX));
    name != OF_KERNEL && (prefixed || EXPORTED.contains(&name))
}

/// Whether a variable serves only Penguin's own start-up, so that no firmware misses it.
pub fn is_penguins_own(name: &str) -> bool {
    is_exported(name) && !OF_FIRMWARE_TOO.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_or_firmware_reads_is_told_from_what_is_penguins() {
        for own in [
            "igloo_init",
            "IGLOO_LTRACE",
            "Igloo_x",
            "ROOT_SHELL",
            "PROJ_NAME",
        ] {
            assert!(is_exported(own) && is_penguins_own(own), "{own}");
        }
        for both in ["TERM", "LD_LIBRARY_PATH"] {
            assert!(is_exported(both) && !is_penguins_own(both), "{both}");
        }
        for other in ["igloo_task_size", "sxid", "igloo", "term", "", "größer"] {
            assert!(!is_exported(other) && !is_penguins_own(other), "{other}");
        }
    }
}
