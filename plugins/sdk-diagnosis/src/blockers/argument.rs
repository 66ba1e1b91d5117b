//! The boot argument that a program complains of.

use rookery_plugin::{FindOptions, Place, Result, RootFilesystem, RunResults, optional};
use serde_json::Value;

use crate::blockers::cause::Cause;
use crate::blockers::newest_line;
use crate::blockers::subject::Subject;
use crate::timeline::Timeline;

/// Bytes of the shortest name.
const SHORTEST: usize = 3;

/// The argument that the console's newest line of a program speaks of: one that the run noted as
/// missing, or one that the program's own file has before an equals sign.
pub fn boot_argument(
    run: &impl RunResults,
    root: Option<&impl RootFilesystem>,
    timeline: &Timeline,
    cause: &Cause,
) -> Result<Option<Subject>> {
    let Some(process) = timeline.processes.get(cause.process) else {
        return Ok(None);
    };
    let Some(line) = newest_line(run, process.name())? else {
        return Ok(None);
    };
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let words = line.split(|c| !is_word(c));
    let words: Vec<&str> = words
        .filter(|word| word.len() >= SHORTEST && *word != process.name())
        .collect();
    let missing = optional(run.read_yaml("env_missing.yaml"))?.unwrap_or_default();
    let missing = missing.as_array().map(Vec::as_slice).unwrap_or_default();
    let mut noted = missing.iter().filter_map(Value::as_str);
    let named = noted.find(|name| words.contains(name)).map(str::to_owned);
    let named = named.or_else(|| in_the_program(root?, process.argv.first()?, &words));
    Ok(named.map(Subject::BootArgument))
}

fn in_the_program(root: &impl RootFilesystem, path: &str, words: &[&str]) -> Option<String> {
    if words.is_empty() || !path.starts_with('/') {
        return None;
    }
    let options = FindOptions {
        r#in: Place::Content,
        under: path.to_owned(),
        limit: 1,
    };
    let pattern = format!("\\b({})=", words.join("|"));
    let found = root.search_files(&pattern, &options).ok()?.matches;
    let text = &found.first()?.text;
    let word = words
        .iter()
        .find(|word| text.contains(&format!("{word}=")))?;
    Some((*word).to_owned())
}
