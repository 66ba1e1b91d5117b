//! Arguments of a tool as they are typed, and what they reach.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use serde_json::{Map, Value};

use crate::places::{StateDir, existing_parent, project_of, resolve};

/// Bytes of arguments that are read from stdin.
const STDIN: u64 = 16 << 20;
/// Arguments that name a place which the caller wants to be reached.
const PLACES: [&str; 4] = ["project_dir", "results_dir", "rootfs", "output"];

/// The arguments as they were given. The tools' own rules make numbers and lists of text.
pub fn given(words: &[String]) -> anyhow::Result<Map<String, Value>> {
    let object = |text: &str| {
        serde_json::from_str(text).context(
            "the arguments are not a JSON object; words such as key=value are understood, too",
        )
    };
    match words {
        [only] if only == "-" => {
            let stdin = std::io::stdin().lock().take(STDIN);
            object(&std::io::read_to_string(stdin).context("cannot read stdin")?)
        }
        [only] if only.trim_start().starts_with('{') => object(only),
        words => {
            let pair = |(n, word): (usize, &String)| {
                let (key, value) = match word.split_once('=') {
                    Some(pair) => pair,
                    // What most tools are about.
                    None if n == 0 && word.starts_with("run-") => ("run_id", word.as_str()),
                    None if n == 0 => ("project_dir", word.as_str()),
                    None => {
                        bail!("{word:?} is not key=value; or give one JSON object, in quotes")
                    }
                };
                Ok((key.to_owned(), Value::from(value)))
            };
            words.iter().enumerate().map(pair).collect()
        }
    }
}

/// The roots of a call that nobody named some for: the current directory, and what the arguments
/// name, since whoever types a path wants it to be reached.
pub fn reach(arguments: &Map<String, Value>, state: &StateDir) -> anyhow::Result<Vec<PathBuf>> {
    let mut roots = vec![std::env::current_dir().context("there is no current directory")?];
    let named = PLACES
        .iter()
        .filter_map(|name| arguments.get(*name)?.as_str());
    for place in named {
        let place = resolve(Path::new(place))?;
        let parent = existing_parent(project_of(&place).unwrap_or(&place));
        // Of a path that leads nowhere the tool says so.
        roots.extend(Some(parent).filter(|parent| place.exists() || parent.parent().is_some()));
    }
    let run = arguments.get("run_id").and_then(Value::as_str);
    // Of one that is not known the tool says so.
    roots.extend(run.and_then(|run| Some(existing_parent(&state.project_of(run)?))));
    Ok(roots)
}
