//! `missing_files`

use rookery_plugin::answer::{USUAL_BYTES, fitting};
use rookery_plugin::args::RunSelector;
use rookery_plugin::{
    Answer, Error, Next, QueryOptions, Result, Results, RunResults, plugin, tool,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

const QUERY: &str = include_str!("query.sql");

/// Callers shown of one path.
const CALLERS: usize = 3;

#[derive(Deserialize, JsonSchema)]
struct Args {
    #[serde(flatten)]
    run: RunSelector,
    /// Only this program, name or path
    procname: Option<String>,
    /// Most paths
    #[serde(default = "usual_limit")]
    #[schemars(range(min = 1, max = 500))]
    limit: u32,
}

fn usual_limit() -> u32 {
    30
}

#[derive(Serialize, JsonSchema)]
struct Wanted {
    missing_files: Vec<File>,
    total: u64,
    truncated: bool,
    file: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<Next>,
}

#[derive(Serialize, JsonSchema)]
struct File {
    path: String,
    hits: u64,
    callers: Vec<String>,
    /// The tool that can add it; none for a relative path.
    #[serde(skip_serializing_if = "Option::is_none")]
    fix: Option<&'static str>,
}

/// List files that programs looked for in vain, most wanted first, when a service fails. Many are harmless searches. Gives
/// `hits`, `callers` and the tool that can `fix` each. Next: `add_static_file`.
#[tool(
    read_only,
    idempotent,
    title = "Missing files",
    example(project_dir = "fw", procname = "httpd")
)]
fn missing_files(host: &impl Results, args: Args) -> Result<Answer<Wanted>> {
    Answer::from_result(read(host, &args))
}

fn read(host: &impl Results, args: &Args) -> Result<Wanted> {
    let run = host.open_results(&args.run)?;
    let found = run.query(
        QUERY,
        &parameters(args.procname.as_deref()),
        &QueryOptions::rows(args.limit),
    )?;
    let total = found
        .rows
        .first()
        .and_then(|row| row.get(3))
        .and_then(Value::as_u64)
        .unwrap_or(0);
    let mut files = found
        .rows
        .iter()
        .map(|row| file(row))
        .collect::<Result<Vec<File>>>()?;
    let kept = fitting(
        &files,
        USUAL_BYTES.max(rookery_plugin::answer::budget(args.limit)),
    );
    files.truncate(kept);
    let status = run.status()?;
    Ok(Wanted {
        truncated: u64::try_from(kept).unwrap_or(u64::MAX) < total,
        total,
        next: files
            .iter()
            .any(|file| file.fix == Some("add_pseudofile"))
            .then(|| Next::call("pseudofile_failures", json!(args.run))),
        missing_files: files,
        file: status.path_of("plugins.db"),
    })
}

/// Bound values of the query: never part of its text.
fn parameters(procname: Option<&str>) -> Value {
    let procname = procname.filter(|name| !name.is_empty());
    let base = procname.and_then(|name| name.rsplit('/').next());
    json!({
        ":procname": procname,
        ":base": base,
        ":bare": procname.is_some_and(|name| !name.contains('/')),
        ":suffix": base.map(|base| format!("/{base}")),
    })
}

fn file(row: &[Value]) -> Result<File> {
    let [Value::String(path), hits, callers, ..] = row else {
        return Err(Error::Internal(
            "the host gave a row that the query does not have".into(),
        ));
    };
    let callers = callers
        .as_str()
        .and_then(|text| serde_json::from_str::<Vec<String>>(text).ok())
        .unwrap_or_default();
    Ok(File {
        path: path.clone(),
        hits: hits.as_u64().unwrap_or(0),
        callers: callers.into_iter().take(CALLERS).collect(),
        fix: fix(path),
    })
}

fn fix(path: &str) -> Option<&'static str> {
    match path {
        _ if ["/dev/", "/proc/", "/sys/"]
            .iter()
            .any(|below| path.starts_with(below)) =>
        {
            Some("add_pseudofile")
        }
        _ if path.starts_with('/') => Some("add_static_file"),
        _ => None,
    }
}

plugin!(missing_files);

#[cfg(test)]
mod tests;
