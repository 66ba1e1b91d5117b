//! The files of a result directory: what they are called, who writes them, and when.

/// What both Penguin and Rookery write first: what runs, and as which process.
pub const RUNTIME: &str = "runtime.yaml";
/// Holds the effective configuration.
pub const CONFIG: &str = "core_config.yaml";
/// Which plugins a run had.
pub const PLUGINS: &str = "core_plugins.yaml";
/// The database of events.
pub const DATABASE: &str = "plugins.db";
/// The file of a result directory in which real Penguin's output is kept, once that has ended.
pub const PENGUIN_LOG: &str = "penguin.log";
/// The file of a project that names the run which last took it.
pub const RUN_LOCK: &str = ".rookery-run.lock";

/// Where a result file comes from.
pub(crate) struct Source {
    /// The plugins that write it, all of them needed; none where the emulator or Penguin itself
    /// does.
    pub plugins: &'static [&'static str],
    pub when: When,
}

#[derive(Clone, Copy)]
pub(crate) enum When {
    /// When the run starts.
    Start,
    /// When the run ends.
    End,
    /// When something happens for the first time; this says that it did not.
    Event(&'static str),
}

/// Where a file of this name comes from, if runs write it.
pub(crate) fn source(file: &str) -> Option<Source> {
    use When::{End, Event, Start};
    let (plugins, when): (&'static [&'static str], When) = match file {
        "console.log" | CONFIG | PLUGINS | RUNTIME | "rookery_run.json" => (&[], Start),
        "netbinds.csv" => (&["netbinds"], Start),
        "crashes.yaml" => (&["crashes"], Start),
        "pseudofiles_failures.yaml" | "pseudofiles_modeled.yaml" => (&["pseudofiles"], Start),
        "lifeguard.csv" => (&["lifeguard"], Start),
        "nvram.csv" => (&["nvram2"], Start),
        "iface.log" | "iface_ioctl.log" => {
            (&["interfaces"], Event("no network interface was asked for"))
        }
        "summary.json" | "scores.txt" | "score.txt" | ".ran" => (&[], End),
        "netbinds_lifecycle.csv" => (&["netbinds"], End),
        "health_final.yaml"
        | "health_procs.txt"
        | "health_procs_with_args.txt"
        | "health_devices_accessed.txt" => (&["health"], End),
        "env_missing.yaml" | "env_uboot.txt" | "env_mtd.txt" => (&["env"], End),
        "system_map.yaml" => (&["processes"], End),
        "mounts.csv" => (&["mount"], Event("nothing was mounted")),
        "netbind_events.csv" | "netbinds_summary.csv" => {
            (&["netbinds"], Event("no service opened a port"))
        }
        "endpoints.txt" | "vpn_bridges.csv" => (&["vpn"], Event("no service opened a port")),
        "igloo_init.ready" => (&[], Event("the guest's init was not started")),
        "shell_cov.csv" | "shell_env.csv" | "shell_cov_trace.csv" => {
            (&["shell"], Event("no instrumented shell ran a script"))
        }
        "uboot.log" => (&["uboot"], Event("no U-Boot variable was asked for")),
        "bash_cov.csv" => (&["bash_command"], Event("no bash ran a command")),
        DATABASE => (&["db"], Event("no event was recorded")),
        _ => return None,
    };
    Some(Source { plugins, when })
}

/// Whether runs write a file of this name.
pub(crate) fn is_known(file: &str) -> bool {
    source(file).is_some()
}
