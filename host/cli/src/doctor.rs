//! `rookery doctor`: whether this machine can run firmware, and what to do where it cannot.

use std::path::Path;
use std::process::ExitCode;

use clap::Args;
use rookery_runs::backend::Availability;
use serde::Serialize;

use crate::backends;
use crate::places::PluginOptions;
use crate::plugins::{self, Overview};
use crate::show;

/// Check that this machine has what Rookery needs
#[derive(Args)]
#[command(after_help = "\
Exits with 1 if no emulation backend works, no tool is loaded, or the state directory cannot be \
written.

Example:
  rookery doctor")]
pub struct Doctor {
    #[command(flatten)]
    options: PluginOptions,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// What is printed with `--json`.
#[derive(Serialize)]
struct Report {
    ok: bool,
    version: &'static str,
    backends: Vec<Availability>,
    plugins: Plugins,
    directories: [Directory; 2],
}

#[derive(Serialize)]
#[serde(untagged)]
enum Plugins {
    Loaded(Overview),
    Failed { error: String },
}

/// A directory that is written to.
#[derive(Serialize)]
struct Directory {
    name: &'static str,
    path: String,
    ok: bool,
    /// Of one that cannot be used: whether nothing works without it.
    #[serde(skip_serializing_if = "Option::is_none")]
    needed: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fix: Option<String>,
}

impl Doctor {
    pub fn execute(&self) -> anyhow::Result<ExitCode> {
        let backends = rookery_runs::probe(backends::all);
        let plugins = match plugins::overview(&self.options) {
            Ok(overview) => Plugins::Loaded(overview),
            Err(error) => Plugins::Failed {
                error: format!("{error:#}"),
            },
        };
        let directories = [
            check_dir("state", &self.options.state().path()?, true),
            // One that was filled before and is read-only serves well, in a container image for
            // example.
            check_cache(&self.options.cache()?),
        ];
        let ok = backends.iter().any(|backend| backend.available)
            && matches!(&plugins, Plugins::Loaded(loaded) if loaded.tools > 0)
            && directories
                .iter()
                .all(|place| place.ok || place.needed == Some(false));
        let report = Report {
            ok,
            version: env!("CARGO_PKG_VERSION"),
            backends,
            plugins,
            directories,
        };
        show::result(&report, self.json, describe);
        Ok(if ok {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        })
    }
}

/// Whether `dir` can be made and written. Leaves it there: it is used anyway.
fn check_dir(name: &'static str, dir: &Path, needed: bool) -> Directory {
    let probe = dir.join(format!(".doctor-{}", std::process::id()));
    let written = std::fs::create_dir_all(dir).and_then(|()| std::fs::write(&probe, b""));
    let _ = std::fs::remove_file(&probe);
    let error = written.err();
    Directory {
        name,
        path: dir.to_string_lossy().into_owned(),
        ok: error.is_none(),
        needed: error.is_some().then_some(needed),
        fix: error
            .is_some()
            .then(|| format!("make it writable, or name another with --{name}-dir")),
        detail: error.map(|error| format!("cannot be written: {error}")),
    }
}

/// What the runtime would say of this cache: it has to be writable the first time, and closed to
/// others.
fn check_cache(dir: &Path) -> Directory {
    let mut place = check_dir("cache", dir, false);
    if place.ok
        && let Err(reason) = rookery_runtime::check_cache(dir)
    {
        place.ok = false;
        place.needed = Some(false);
        place.detail = Some(format!(
            "is not used, so every start compiles every plugin: {reason}"
        ));
    }
    place
}

fn describe(report: &Report) -> Vec<String> {
    let mut lines = vec![format!("rookery {}", report.version)];
    for backend in &report.backends {
        let state = if backend.available {
            "available"
        } else {
            "not available"
        };
        lines.push(format!("backend {}: {state}", backend.backend));
        for check in &backend.checks {
            let (name, detail) = (&check.name, &check.detail);
            check_lines(
                &mut lines,
                check.ok,
                check.needed,
                name,
                detail,
                check.fix.as_deref(),
            );
        }
    }
    match &report.plugins {
        Plugins::Failed { error } => lines.push(format!("plugins: {error}")),
        Plugins::Loaded(loaded) => {
            let (plugins, tools) = (loaded.plugins, loaded.tools);
            lines.push(format!("plugins: {plugins}, with {tools} tools"));
            for rejected in &loaded.rejected {
                let (file, reason) = (rejected.file.display(), &rejected.reason);
                lines.push(format!("  no  {file}: {reason}"));
            }
            for warning in &loaded.warnings {
                lines.push(format!("  opt {warning}"));
            }
        }
    }
    for place in &report.directories {
        lines.push(format!("{} directory: {}", place.name, place.path));
        if !place.ok {
            let detail = place.detail.as_deref().unwrap_or("-");
            let needed = place.needed != Some(false);
            check_lines(
                &mut lines,
                false,
                needed,
                place.name,
                detail,
                place.fix.as_deref(),
            );
        }
    }
    if report.ok {
        lines.push("ready".to_owned());
        lines.push("next: rookery init FIRMWARE".to_owned());
    } else {
        lines.push("not ready: see above".to_owned());
    }
    lines
}

fn check_lines(
    lines: &mut Vec<String>,
    ok: bool,
    needed: bool,
    name: &str,
    detail: &str,
    fix: Option<&str>,
) {
    let mark = match (ok, needed) {
        (true, _) => "ok ",
        (false, false) => "opt",
        (false, true) => "no ",
    };
    lines.push(format!("  {mark} {name}: {detail}"));
    if let Some(fix) = fix.filter(|_| !ok) {
        lines.push(format!("      {fix}"));
    }
}
