//! `rookery doctor`: whether this machine can run firmware, and what to do where it cannot.

use std::path::Path;
use std::process::ExitCode;

use clap::Args;
use serde_json::{Value, json};

use crate::backends;
use crate::places::PluginOptions;
use crate::plugins;
use crate::show::{self, text};

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

impl Doctor {
    pub fn execute(&self) -> anyhow::Result<ExitCode> {
        let backends = rookery_runs::probe(backends::all);
        let plugins = plugins::overview(&self.options)
            .unwrap_or_else(|error| json!({"error": format!("{error:#}")}));
        let places = [
            check_dir("state", &self.options.state().path()?, true),
            // One that was filled before and is read-only serves well, in a container image for
            // example.
            check_cache(&self.options.cache()?),
        ];
        let ok = backends.iter().any(|backend| backend.available)
            && plugins["tools"].as_u64().is_some_and(|tools| tools > 0)
            && places
                .iter()
                .all(|place| place["ok"] == true || place["needed"] == false);
        let report = json!({
            "ok": ok,
            "version": env!("CARGO_PKG_VERSION"),
            "backends": backends,
            "plugins": plugins,
            "directories": places
        });
        show::result(&report, self.json, describe);
        Ok(if ok {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        })
    }
}

/// Whether `dir` can be made and written. Leaves it there: it is used anyway.
fn check_dir(name: &str, dir: &Path, needed: bool) -> Value {
    let probe = dir.join(format!(".doctor-{}", std::process::id()));
    let written = std::fs::create_dir_all(dir).and_then(|()| std::fs::write(&probe, b""));
    let _ = std::fs::remove_file(&probe);
    let path = dir.to_string_lossy();
    match written {
        Ok(()) => json!({"name": name, "path": path, "ok": true}),
        Err(error) => {
            json!({
                "name": name,
                "path": path,
                "ok": false,
                "needed": needed,
                "detail": format!("cannot be written: {error}"),
                "fix": format!("make it writable, or name another with --{name}-dir")
            })
        }
    }
}

/// What the runtime would say of this cache: it has to be writable the first time, and closed to
/// others.
fn check_cache(dir: &Path) -> Value {
    let mut place = check_dir("cache", dir, false);
    if place["ok"] == true
        && let Err(reason) = rookery_runtime::check_cache(dir)
    {
        place["ok"] = json!(false);
        place["needed"] = json!(false);
        place["detail"] = json!(format!(
            "is not used, so every start compiles every plugin: {reason}"
        ));
    }
    place
}

fn describe(report: &Value) -> Vec<String> {
    let mut lines = vec![format!("rookery {}", text(report, "version"))];
    for backend in report["backends"].as_array().into_iter().flatten() {
        let state = if backend["available"] == true {
            "available"
        } else {
            "not available"
        };
        lines.push(format!("backend {}: {state}", text(backend, "backend")));
        lines.extend(
            backend["checks"]
                .as_array()
                .into_iter()
                .flatten()
                .flat_map(describe_check),
        );
    }
    let plugins = &report["plugins"];
    match plugins["error"].as_str() {
        Some(error) => lines.push(format!("plugins: {error}")),
        None => lines.push(format!(
            "plugins: {}, with {} tools",
            plugins["plugins"], plugins["tools"]
        )),
    }
    for rejected in plugins["rejected"].as_array().into_iter().flatten() {
        lines.push(format!(
            "  no  {}: {}",
            text(rejected, "file"),
            text(rejected, "reason")
        ));
    }
    for warning in plugins["warnings"].as_array().into_iter().flatten() {
        lines.push(format!("  opt {}", warning.as_str().unwrap_or_default()));
    }
    for place in report["directories"].as_array().into_iter().flatten() {
        lines.push(format!(
            "{} directory: {}",
            text(place, "name"),
            text(place, "path")
        ));
        if place["ok"] != true {
            lines.extend(describe_check(place));
        }
    }
    lines.push(if report["ok"] == true {
        "ready".to_owned()
    } else {
        "not ready: see above".to_owned()
    });
    lines
}

fn describe_check(check: &Value) -> Vec<String> {
    let mark = match (check["ok"] == true, check["needed"] == false) {
        (true, _) => "ok ",
        (false, true) => "opt",
        (false, false) => "no ",
    };
    let mut lines = vec![format!(
        "  {mark} {}: {}",
        text(check, "name"),
        text(check, "detail")
    )];
    if check["ok"] != true
        && let Some(fix) = check["fix"].as_str()
    {
        lines.push(format!("      {fix}"));
    }
    lines
}
