//! `missing_files`

mod calls;

use rookery_plugin::answer::{USUAL_BYTES, fitting, shorten};
use rookery_plugin::args::RunSelector;
use rookery_plugin::{Answer, Next, Result, Results, RunResults, change, plugin, tool};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// A path or a name is given up to this many bytes.
const LONGEST: usize = 1000;

#[derive(Deserialize, JsonSchema)]
struct Args {
    #[serde(flatten)]
    run: RunSelector,
    /// Only of this program: its name or path
    #[schemars(length(min = 1))]
    procname: Option<String>,
    /// Also what programs did without or found elsewhere
    #[serde(default)]
    all: bool,
    /// Maximum number of paths
    #[serde(default = "usual_limit")]
    #[schemars(range(min = 1, max = 500))]
    limit: u32,
}

fn usual_limit() -> u32 {
    10
}

#[derive(Serialize, JsonSchema)]
struct Wanted {
    missing_files: Vec<File>,
    total: u64,
    truncated: bool,
    /// Other paths that were left out as harmless; `all` gives them, too.
    #[serde(skip_serializing_if = "is_zero")]
    harmless: u64,
    file: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<Next>,
    /// That another run is newer.
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
}

#[derive(Serialize, JsonSchema)]
struct File {
    path: String,
    hits: u64,
    /// Who looked for it first and last.
    callers: Vec<String>,
    /// Programs only tried to connect to it: the service that makes this socket is not running.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    socket: bool,
    /// It was to be made in a directory that is missing: add that one (`dir`).
    #[serde(skip_serializing_if = "Option::is_none")]
    directory: Option<String>,
    /// The tool that can add it; none where none can.
    #[serde(skip_serializing_if = "Option::is_none")]
    fix: Option<&'static str>,
}

/// List files that programs looked for and did not find, those of programs that ended badly first.
/// Gives `hits`, `callers` and the tool that can `fix` each. Next: `add_static_file`.
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
    let parameters = parameters(args);
    let found = calls::missing(&run, &parameters, args.limit)?;
    let number = |column: usize| {
        let row = found.rows.first()?;
        row.get(column)?.as_u64()
    };
    let (total, harmless) = (number(2).unwrap_or(0), number(6).unwrap_or(0));
    let mut files: Vec<File> = found.rows.iter().filter_map(|row| file(row)).collect();
    let kept = fitting(
        &files,
        USUAL_BYTES.max(rookery_plugin::answer::budget(args.limit)),
    );
    files.truncate(kept);
    let status = run.status()?;
    Ok(Wanted {
        truncated: u64::try_from(kept).unwrap_or(u64::MAX) < total,
        total,
        harmless: if args.all { 0 } else { harmless },
        next: files
            .iter()
            .any(|file| file.fix == Some("add_pseudofile"))
            .then(|| Next::call("pseudofile_failures", json!(args.run))),
        missing_files: files,
        file: status.path_of("plugins.db"),
        note: status.note,
    })
}

/// Bound values of the query: never part of its text.
fn parameters(args: &Args) -> Value {
    let procname = args.procname.as_deref().filter(|name| !name.is_empty());
    let base = procname.and_then(|name| name.rsplit('/').next());
    json!({
        ":procname": procname,
        ":base": base,
        ":bare": procname.is_some_and(|name| !name.contains('/')),
        ":limit": args.limit,
        ":all": args.all,
        ":suffix": base.map(|base| format!("/{base}")),
    })
}

#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// None for a row that says nothing.
fn file(row: &[Value]) -> Option<File> {
    let [path, hits, _, is_socket, first, last, more @ ..] = row else {
        return None;
    };
    let makes = more.get(1).is_some_and(|makes| *makes != json!(0));
    let socket = *is_socket == json!(1);
    let path = text(path)?;
    let mut callers: Vec<String> = [first, last].into_iter().filter_map(text).collect();
    callers.dedup();
    Some(File {
        fix: fix(&path).filter(|_| !socket),
        socket,
        directory: path
            .rsplit_once('/')
            .map(|(directory, _)| directory.to_owned())
            .filter(|directory| makes && !directory.is_empty()),
        path,
        hits: hits.as_u64().unwrap_or(0),
        callers,
    })
}

/// A cell as text: the host gives what is long or a blob as an object, and what is no text as
/// base64.
fn text(cell: &Value) -> Option<String> {
    let mut text = cell.get("text").unwrap_or(cell).clone();
    shorten(&mut text, LONGEST);
    match text {
        Value::String(text) => Some(text),
        _ => None,
    }
}

fn fix(path: &str) -> Option<&'static str> {
    let parts = path.strip_prefix('/')?.split('/');
    let first = parts.clone().next()?;
    if matches!(first, "dev" | "proc" | "sys") {
        change::can_be_modelled(path).then_some("add_pseudofile")
    } else {
        // As is refused by `add_static_file`, too.
        let clean = |part: &str| !matches!(part, "" | "." | "..") && !part.contains('\\');
        parts.into_iter().all(clean).then_some("add_static_file")
    }
}

plugin!(missing_files);

#[cfg(test)]
mod tests;
