//! `read_results`

use rookery_plugin::answer::{budget, fitting};
use rookery_plugin::args::RunSelector;
use rookery_plugin::shapes::{ListedRun, ResultFile, ResultsState};
use rookery_plugin::{
    Answer, Error, Next, Result, Results, RunListOptions, RunResults, SearchOptions, plugin, tool,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

/// Bytes of JSON for a list of files, unless more of them were asked for.
const FILE_BYTES: usize = 4096;
/// The newest run, whatever became of it.
const LATEST: &str = "latest";

#[derive(Deserialize, JsonSchema)]
struct Args {
    /// Project
    project_dir: String,
    /// Number, or latest. Without it: all runs, or the newest complete one's file
    #[schemars(length(min = 1))]
    run: Option<String>,
    /// Of that run; without it: its list of files
    #[schemars(length(min = 1))]
    file: Option<String>,
    /// Regular expression: the file's newest lines that match
    #[schemars(length(min = 1))]
    pattern: Option<String>,
    /// Byte to read from; negative: from the end
    #[serde(default)]
    offset: i64,
    /// Bytes, lines or runs
    #[schemars(range(min = 1, max = 32768))]
    limit: Option<u32>,
}

#[derive(Default, Serialize, JsonSchema)]
struct Found {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    runs: Vec<ListedRun>,
    #[serde(skip_serializing_if = "Option::is_none")]
    results_dir: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    state: Option<ResultsState>,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    files: Vec<ResultFile>,
    /// Of a file.
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    /// That match.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    lines: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    line_numbers: Vec<u64>,
    /// Runs, files, matches, or bytes of the file.
    total: u64,
    truncated: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<Next>,
    /// That another run is newer.
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
}

/// List a project's runs, newest first, with `state` and times; or the files of one; or read or
/// search one file. For what no other tool reads: nvram.csv, uboot.log, crashes.yaml.
#[tool(
    read_only,
    idempotent,
    title = "Read results of runs",
    example(project_dir = "fw"),
    example(project_dir = "fw", run = "latest", file = "nvram.csv", offset = -500)
)]
fn read_results(host: &impl Results, args: Args) -> Result<Answer<Found>> {
    Answer::from_result(find(host, &args))
}

fn find(host: &impl Results, args: &Args) -> Result<Found> {
    let Some(file) = &args.file else {
        if args.pattern.is_some() {
            return Err(Error::InvalidArgument(
                "pattern searches one file: give file, such as console.log".into(),
            ));
        }
        return match &args.run {
            None => runs(host, args),
            Some(run) => files(host, args, run),
        };
    };
    let run = match &args.run {
        Some(run) => open(host, &args.project_dir, run)?,
        None => host.open_results(&RunSelector {
            project_dir: Some(args.project_dir.clone()),
            results_dir: None,
        })?,
    };
    match &args.pattern {
        Some(pattern) => search(&run, args, file, pattern),
        None => read(&run, args, file),
    }
}

fn runs(host: &impl Results, args: &Args) -> Result<Found> {
    let options = RunListOptions {
        limit: args.limit.unwrap_or(10).min(100),
        offset: 0,
    };
    let listed = host.runs(&args.project_dir, &options)?;
    let latest = (listed.total > 0).then(|| {
        let arguments = json!({ "project_dir": args.project_dir, "run": LATEST });
        Next::call("read_results", arguments)
    });
    let never = || Next::call("run", json!({ "project_dir": args.project_dir }));
    Ok(Found {
        runs: listed.runs,
        total: listed.total,
        truncated: listed.truncated,
        next: Some(latest.unwrap_or_else(never)),
        ..Found::default()
    })
}

/// The run with this number, or the newest.
fn open<R: Results>(host: &R, project: &str, wanted: &str) -> Result<R::Run> {
    let options = RunListOptions {
        limit: RunListOptions::MAX_RUNS,
        offset: 0,
    };
    let listed = host.runs(project, &options)?.runs;
    let found = match wanted.parse::<u64>() {
        Ok(number) => listed.iter().find(|run| run.run == number),
        Err(_) if wanted == LATEST => listed.first(),
        Err(_) => {
            return Err(Error::InvalidArgument(format!(
                "run is {wanted:?}; give a number, or \"{LATEST}\""
            )));
        }
    };
    let Some(found) = found else {
        let known: Vec<_> = listed
            .iter()
            .take(10)
            .map(|run| run.run.to_string())
            .collect();
        return Err(Error::NotFound(if known.is_empty() {
            format!(
                "{project} has no runs: call run {}",
                json!({ "project_dir": project })
            )
        } else {
            format!(
                "{project} has no run {wanted}; the newest are {}",
                known.join(", ")
            )
        }));
    };
    host.open_results(&RunSelector {
        project_dir: None,
        results_dir: Some(found.results_dir.clone()),
    })
}

fn files(host: &impl Results, args: &Args, wanted: &str) -> Result<Found> {
    let status = open(host, &args.project_dir, wanted)?.status()?;
    let kept = fitting(&status.files, args.limit.map_or(FILE_BYTES, budget));
    Ok(Found {
        results_dir: Some(status.results_dir),
        state: Some(status.state),
        why: status.why,
        total: status.files_total.unwrap_or(status.files.len()) as u64,
        truncated: status.files_total.is_some() || kept < status.files.len(),
        files: status.files.into_iter().take(kept).collect(),
        ..Found::default()
    })
}

fn read(run: &impl RunResults, args: &Args, file: &str) -> Result<Found> {
    let bytes = args.limit.unwrap_or(2048);
    let mut read = run.read_text(file, args.offset, bytes)?;
    // Escaping makes text longer.
    let most = (bytes as usize).saturating_mul(2).max(64);
    let grown = read.text.len() > most;
    read.text.truncate(read.text.floor_char_boundary(most));
    let status = run.status()?;
    let more = read.next_offset < read.bytes;
    let mut following = json!({ "project_dir": args.project_dir, "file": file });
    following["offset"] = read.next_offset.into();
    if let Some(run) = &args.run {
        following["run"] = run.as_str().into();
    }
    if let Some(limit) = args.limit {
        following["limit"] = limit.into();
    }
    Ok(Found {
        results_dir: Some(status.results_dir),
        text: Some(read.text),
        total: read.bytes,
        truncated: more || grown,
        next: more.then(|| Next::call("read_results", following)),
        note: status.note,
        ..Found::default()
    })
}

fn search(run: &impl RunResults, args: &Args, file: &str, pattern: &str) -> Result<Found> {
    let limit = args.limit.unwrap_or(30).min(1000);
    let mut found = run.search(file, pattern, &SearchOptions::newest(limit))?;
    let newest = found.matches.iter().rev();
    let kept = fitting(newest.map(|line| &line.text), budget(limit));
    let dropped = found.matches.len() - kept;
    found.matches.drain(..dropped);
    let status = run.status()?;
    Ok(Found {
        results_dir: Some(status.results_dir),
        line_numbers: found.matches.iter().map(|line| line.line).collect(),
        lines: found.matches.into_iter().map(|line| line.text).collect(),
        total: found.total,
        truncated: found.truncated || dropped > 0,
        note: status.note,
        ..Found::default()
    })
}

plugin!(read_results);

#[cfg(test)]
mod tests;
