//! `read_firmware`

mod bytes;
mod entry;

use rookery_plugin::answer::{budget, fitting};
use rookery_plugin::shapes::{EntryKind, FileStat, FoundFile};
use rookery_plugin::{
    FindOptions, Firmware, ListOptions, Next, Place, Result, RootFilesystem, invalid, plugin, tool,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::bytes::{Form, Shown};
use crate::entry::Entry;

/// Bytes of text that are read where nothing is said, and of other files.
const TEXT: u32 = 2048;
const BINARY: u32 = 64;
/// Entries and matches where nothing is said.
const ROWS: u32 = 30;
/// Bytes of their JSON, unless more of them were asked for.
const ROW_BYTES: usize = 4096;
/// The most bytes of one answer.
const MOST: u32 = 16 << 10;

#[derive(Deserialize, JsonSchema)]
struct Args {
    /// Project
    project_dir: String,
    /// File or directory of the firmware
    #[serde(default = "root")]
    #[schemars(length(min = 1))]
    path: String,
    /// Default: search with a pattern, list a directory, read a file; stat has ELF facts
    what: Option<What>,
    /// Regular expression, searched for at and below path
    #[schemars(length(min = 1))]
    pattern: Option<String>,
    /// Where the pattern is: in the content of files or in their path
    #[serde(default)]
    r#in: In,
    /// Byte or entry to begin at
    #[serde(default)]
    offset: u64,
    /// Bytes, entries or matches
    #[schemars(range(min = 1, max = 16384))]
    limit: Option<u32>,
    /// How bytes are shown; default: text, or hex of what is not text
    r#as: Option<Form>,
}

fn root() -> String {
    "/".to_owned()
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum What {
    List,
    Read,
    Search,
    Stat,
}

#[derive(Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum In {
    #[default]
    Content,
    Path,
}

#[derive(Default, Serialize, JsonSchema)]
struct Found {
    path: String,
    /// Of a directory.
    #[serde(skip_serializing_if = "Option::is_none")]
    entries: Option<Vec<Entry>>,
    /// Of a search.
    #[serde(skip_serializing_if = "Option::is_none")]
    matches: Option<Vec<FoundFile>>,
    /// Of a file or of what `stat` asks for.
    #[serde(skip_serializing_if = "Option::is_none")]
    stat: Option<FileStat>,
    #[serde(flatten)]
    shown: Shown,
    /// Entries, matches or bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    total: Option<u64>,
    truncated: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<Next>,
}

/// Look into the firmware as it is before a run: list a directory, read a range of a file, search
/// contents or paths, or `stat` a file with its ELF facts.
#[tool(
    read_only,
    idempotent,
    title = "Read the firmware's files",
    example(project_dir = "fw", path = "/etc/init.d"),
    example(project_dir = "fw", pattern = "board_id", path = "/etc")
)]
fn read_firmware(host: &impl Firmware, args: Args) -> Result<Found> {
    let root = host.open_root_filesystem(&args.project_dir)?;
    match (args.what, &args.pattern) {
        (None | Some(What::Search), Some(pattern)) => search(&root, &args, pattern),
        (Some(What::Search), None) => Err(invalid("a search needs a pattern, such as \"httpd\"")),
        (Some(_), Some(_)) => Err(invalid("a pattern is for what \"search\" alone")),
        (Some(What::List), None) => list(&root, &args),
        (Some(What::Read), None) => {
            let stat = root.stat(&args.path)?;
            read(&root, &args, stat)
        }
        (Some(What::Stat), None) => {
            let stat = root.stat(&args.path)?;
            Ok(Found {
                path: args.path,
                stat: Some(stat),
                ..Found::default()
            })
        }
        (None, None) => {
            let stat = root.stat(&args.path)?;
            match stat.kind {
                EntryKind::Directory => list(&root, &args),
                EntryKind::File => read(&root, &args, stat),
                _ => Ok(Found {
                    path: args.path,
                    stat: Some(stat),
                    ..Found::default()
                }),
            }
        }
    }
}

/// The same call from `offset`.
fn next(args: &Args, offset: u64) -> Next {
    let mut arguments = json!({
        "project_dir": args.project_dir, "path": args.path, "offset": offset
    });
    let more = [
        ("limit", args.limit.map(Value::from)),
        ("as", args.r#as.map(|form| json!(form))),
    ];
    for (name, value) in more {
        if let Some(value) = value {
            arguments[name] = value;
        }
    }
    Next::call("read_firmware", arguments)
}

/// Bytes of JSON for entries or matches.
fn room(args: &Args) -> usize {
    args.limit.map_or(ROW_BYTES, budget)
}

fn list(root: &impl RootFilesystem, args: &Args) -> Result<Found> {
    let limit = args.limit.unwrap_or(ROWS);
    let offset = u32::try_from(args.offset).unwrap_or(u32::MAX);
    let listing = root.list_directory(&args.path, &ListOptions { limit, offset })?;
    let entries: Vec<Entry> = listing.entries.into_iter().map(Entry::from).collect();
    let kept = fitting(&entries, room(args));
    let following = args.offset.saturating_add(kept as u64);
    let more = following < listing.total;
    Ok(Found {
        path: args.path.clone(),
        total: Some(listing.total),
        truncated: more,
        next: (more && kept > 0).then(|| next(args, following)),
        entries: Some(entries.into_iter().take(kept).collect()),
        ..Found::default()
    })
}

fn search(root: &impl RootFilesystem, args: &Args, pattern: &str) -> Result<Found> {
    let limit = args.limit.unwrap_or(ROWS);
    let options = FindOptions {
        r#in: match args.r#in {
            In::Content => Place::Content,
            In::Path => Place::Path,
        },
        under: args.path.clone(),
        limit,
    };
    let found = root.search_files(pattern, &options)?;
    let kept = fitting(&found.matches, room(args));
    Ok(Found {
        path: args.path.clone(),
        total: Some(found.total),
        truncated: found.truncated || kept < found.matches.len(),
        matches: Some(found.matches.into_iter().take(kept).collect()),
        ..Found::default()
    })
}

fn read(root: &impl RootFilesystem, args: &Args, stat: FileStat) -> Result<Found> {
    if stat.kind != EntryKind::File {
        return Err(invalid(format!(
            "{} is not a file; leave out what, or give what \"list\" or \"stat\"",
            args.path
        )));
    }
    let most = args.limit.unwrap_or(TEXT).min(MOST);
    let bytes = root.read(&args.path, args.offset, most)?;
    // Of a program, nobody reads much.
    let binary = args.limit.unwrap_or(BINARY);
    let (shown, taken) = Shown::new(&bytes, args.r#as, binary as usize, 2 * most as usize);
    let following = args.offset.saturating_add(taken as u64);
    let more = taken > 0 && following < stat.bytes;
    Ok(Found {
        path: args.path.clone(),
        total: Some(stat.bytes),
        truncated: more,
        next: more.then(|| next(args, following)),
        stat: stat.elf.is_some().then_some(stat),
        shown,
        ..Found::default()
    })
}

plugin!(read_firmware);

#[cfg(test)]
mod tests;
