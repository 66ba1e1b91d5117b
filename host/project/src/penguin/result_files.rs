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
/// The page that is made of a run, by whoever looks at it. No run writes it.
pub const REPORT: &str = "report.html";
/// The file of a project that names the run which last took it.
pub const RUN_LOCK: &str = ".rookery-run.lock";

/// Where a result file comes from.
#[derive(Clone, Copy)]
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

/// Every file that runs write.
#[rustfmt::skip] // One source a line where it fits.
const FILES: &[(&[&str], Source)] = &[
    (
        &["console.log", "console_times.csv", CONFIG, PLUGINS, RUNTIME, "rookery_run.json"],
        start(&[]),
    ),
    (&["service_answers.yaml"], start(&[])),
    (&["guest_ip", "ipaddr.txt"], start(&[])),
    (&["pseudofiles_failures.yaml", "pseudofiles_modeled.yaml"], start(&["pseudofiles"])),
    (&["netbinds.csv"], start(&["netbinds"])),
    (&["crashes.yaml"], start(&["crashes"])),
    (&["lifeguard.csv"], start(&["lifeguard"])),
    (&["nvram.csv"], start(&["nvram2"])),
    (&["summary.json", "scores.txt", "score.txt", ".ran"], end(&[])),
    (&["netbinds_lifecycle.csv"], end(&["netbinds"])),
    (
        &[
            "health_final.yaml", "health_procs.txt", "health_procs_with_args.txt",
            "health_devices_accessed.txt",
        ],
        end(&["health"]),
    ),
    (&["env_missing.yaml", "env_uboot.txt", "env_mtd.txt"], end(&["env"])),
    (&["system_map.yaml"], end(&["processes"])),
    (
        &["iface.log", "iface_ioctl.log"],
        event(&["interfaces"], "no network interface was asked for"),
    ),
    (&["mounts.csv"], event(&["mount"], "nothing was mounted")),
    (
        &["netbind_events.csv", "netbinds_summary.csv"],
        event(&["netbinds"], "no service opened a port"),
    ),
    (&["endpoints.txt", "vpn_bridges.csv"], event(&["vpn"], "no service opened a port")),
    (&["netbind.ready"], event(&[], "no service opened a port")),
    (&["igloo_init.ready"], event(&[], "the guest's init was not started")),
    (
        &["shell_cov.csv", "shell_env.csv", "shell_cov_trace.csv"],
        event(&["shell"], "no instrumented shell ran a script"),
    ),
    (&["env_cmp.txt"], event(&["env"], "nothing was compared with DYNVALDYNVALDYNVAL")),
    (&["uboot.log"], event(&["uboot"], "no U-Boot variable was asked for")),
    (&["bash_cov.csv"], event(&["bash_command"], "no bash ran a command")),
    (&[DATABASE], event(&["db"], "no event was recorded")),
];

const fn start(plugins: &'static [&'static str]) -> Source {
    let when = When::Start;
    Source { plugins, when }
}

const fn end(plugins: &'static [&'static str]) -> Source {
    let when = When::End;
    Source { plugins, when }
}

const fn event(plugins: &'static [&'static str], why_not: &'static str) -> Source {
    let when = When::Event(why_not);
    Source { plugins, when }
}

/// Where a file of this name comes from, if runs write it.
pub(crate) fn source(file: &str) -> Option<Source> {
    let row = FILES.iter().find(|(names, _)| names.contains(&file));
    row.map(|(_, source)| *source)
}

/// Every file that runs write, each with the plugins that it needs.
pub fn all() -> impl Iterator<Item = (&'static str, &'static [&'static str])> {
    FILES
        .iter()
        .flat_map(|(names, source)| names.iter().map(|name| (*name, source.plugins)))
}

/// Whether runs write a file of this name.
pub(crate) fn is_known(file: &str) -> bool {
    source(file).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::penguin::tables::table;

    #[test]
    fn every_table_that_runs_write_has_its_columns() {
        // Penguin's plugin writes this one with a header and quoting.
        const QUOTED: [&str; 1] = ["bash_cov.csv"];
        for (name, _) in all() {
            let is_table = name.rsplit('.').next() == Some("csv");
            let is_known = !table(name).newest().is_empty() || QUOTED.contains(&name);
            assert!(is_known || !is_table, "{name}");
        }
    }

    #[test]
    fn no_file_has_two_sources() {
        let names: std::collections::BTreeSet<_> = all().map(|(name, _)| name).collect();
        assert_eq!(names.len(), all().count());
    }
}
