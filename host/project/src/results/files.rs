//! Why a result file is missing, and how to get it.

use super::Results;
use super::database;
use crate::{Error, Result};

/// Where a result file comes from.
enum Source {
    /// Written by every run when it starts.
    Always,
    /// Written by every run when it ends.
    AtEnd,
    /// Written when something happens for the first time.
    OnEvent(&'static str),
    /// Written only with these plugins.
    Plugins(&'static [&'static str]),
}

fn source(file: &str) -> Option<Source> {
    Some(match file {
        "console.log"
        | "netbinds.csv"
        | "crashes.yaml"
        | "core_config.yaml"
        | "core_plugins.yaml"
        | "runtime.yaml"
        | "pseudofiles_failures.yaml"
        | "pseudofiles_modeled.yaml"
        | "lifeguard.csv"
        | "nvram.csv" => Source::Always,
        "health_final.yaml"
        | "summary.json"
        | "scores.txt"
        | "score.txt"
        | ".ran"
        | "netbinds_lifecycle.csv"
        | "health_procs.txt"
        | "health_procs_with_args.txt"
        | "health_devices_accessed.txt" => Source::AtEnd,
        "mounts.csv" => Source::OnEvent("nothing was mounted"),
        "endpoints.txt" | "vpn_bridges.csv" | "netbind_events.csv" | "netbinds_summary.csv" => {
            Source::OnEvent("no service opened a port")
        }
        "igloo_init.ready" => Source::OnEvent("the guest's init was not started"),
        "shell_cov.csv" | "shell_env.csv" | "shell_cov_trace.csv" => {
            Source::OnEvent("no instrumented shell ran a script")
        }
        "iface.log" | "iface_ioctl.log" => Source::OnEvent("no network interface was asked for"),
        "env_missing.yaml" | "env_uboot.txt" | "env_mtd.txt" => Source::Plugins(&["env"]),
        "uboot.log" => Source::Plugins(&["uboot"]),
        "system_map.yaml" => Source::Plugins(&["processes"]),
        "bash_cov.csv" => Source::Plugins(&["bash_command"]),
        database::FILE => Source::Plugins(&["db", "exec_logger", "syscalls_logger"]),
        _ => return None,
    })
}

/// The error for a file that is not there.
pub(super) fn missing(results: &Results, file: &str) -> Error {
    let ended = results
        .status()
        .map(|status| status["state"].as_str().unwrap_or_default().to_owned());
    let state: Result<&str, _> = ended.as_deref();
    let (why, how) = match (source(file), state) {
        (Some(_), Ok("never-ran")) => ("the run left no files at all".into(), "Run the project, and read why it does not start".into()),
        (Some(Source::Always), _) => (
            "the run ended before it was written".into(),
            "Look at the run's status and its console.log; run the project again".into(),
        ),
        (Some(Source::AtEnd), Ok("running")) => {
            ("it is written when the run ends, and the run goes on".into(), "Wait for the end of the run, or stop it".into())
        }
        (Some(Source::AtEnd), _) => (
            "it is written when a run ends, and this one died".into(),
            "Look at the end of console.log for the cause, fix it, and run again; a timeout ends a run properly".into(),
        ),
        (Some(Source::OnEvent(event)), _) => (event.to_owned(), "It appears once that happens in a run".into()),
        (Some(Source::Plugins(plugins)), state) => {
            let settings: Vec<_> = plugins.iter().map(|p| format!("{p}: {{}}")).collect();
            let why = match state {
                Ok("running") => "the run goes on, and writes it later, or its plugin is off",
                Ok("died") => "the run died before it was written, or its plugin was off",
                _ => "the plugin that writes it was off in this run",
            };
            (
                why.to_owned(),
                format!("Enable it with `plugins: {{{}}}` in a patch file of the project (patch_*.yaml), then run again", settings.join(", ")),
            )
        }
        (None, _) => {
            (format!("{} holds no such file", results.dir.display()), "The run's status lists the files that it left".into())
        }
    };
    Error::Unavailable {
        what: file.to_owned(),
        why,
        how_to_enable: how,
    }
}
