//! The boot argument or the key of the NVRAM that a program complains of.

use rookery_plugin::guest::is_setting;
use rookery_plugin::{FindOptions, Place, Result, RootFilesystem, RunResults, optional};
use serde_json::Value;

use crate::blockers::cause::Cause;
use crate::blockers::newest_line;
use crate::blockers::subject::Subject;
use crate::nvram;
use crate::timeline::{Process, Timeline};

/// Bytes of the shortest name.
const SHORTEST: usize = 3;

/// What the console's newest line of a program speaks of: an argument or a key that the run noted
/// as missing, or an argument that the program's own file has before an equals sign.
pub fn setting(
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
    if let Some(name) = noted.find(|name| words.contains(name)) {
        return Ok(Some(Subject::BootArgument(name.to_owned())));
    }
    let mut keys = nvram::missed(run)?.into_iter();
    if let Some(key) = keys.find(|key| names_key(&line, key)) {
        return Ok(Some(Subject::NvramKey(key)));
    }
    let path = process.argv.first();
    let named = path.and_then(|path| in_the_program(root?, path, &words));
    Ok(named.map(Subject::BootArgument))
}

/// The key of the NVRAM for which a program that crashed had asked last, without getting a value.
pub fn asked_last(run: &impl RunResults, process: &Process) -> Result<Option<Subject>> {
    let crashes = optional(run.read_yaml("crashes.yaml"))?.unwrap_or_default();
    // One record stands for all crashes of a program, with the number of the first.
    let of_it = |crash: &&Value| crash["proc"] == process.name();
    let crash = crashes["crashes"]
        .as_array()
        .into_iter()
        .flatten()
        .find(of_it);
    let last = crash.and_then(|crash| crash["last_calls"].as_array()?.last()?.as_str());
    Ok(last.and_then(missed_key).map(Subject::NvramKey))
}

/// `nvram_get "landevs": ENOENT(No such file or directory)`
fn missed_key(call: &str) -> Option<String> {
    let (key, result) = call.strip_prefix("nvram_get \"")?.split_once("\": ")?;
    (is_setting(key) && result.starts_with("ENOENT")).then(|| key.to_owned())
}

/// Whether a line speaks of a key, whose name may have dots and dashes.
fn names_key(line: &str, key: &str) -> bool {
    let goes_on = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let stands_alone = |(at, _): (usize, &str)| {
        let before = line.get(..at).and_then(|text| text.chars().next_back());
        let after = line
            .get(at + key.len()..)
            .and_then(|text| text.chars().next());
        !before.is_some_and(goes_on) && !after.is_some_and(goes_on)
    };
    key.len() >= SHORTEST && line.match_indices(key).any(stands_alone)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_call_of_a_crash_names_the_key_that_had_no_value() {
        let key = |call| missed_key(call);
        assert_eq!(
            key("nvram_get \"wl0.1_ssid\": ENOENT(No such file or directory)").as_deref(),
            Some("wl0.1_ssid")
        );
        for other in [
            "nvram_get \"a b; reboot\": ENOENT(No such file or directory)",
            "openat \"/etc/landevs\": ENOENT(No such file or directory)",
            "nvram_get \"landevs",
        ] {
            assert_eq!(key(other), None, "{other}");
        }
    }

    #[test]
    fn a_key_is_named_where_it_stands_alone() {
        let names = |line| names_key(line, "wl0.1_ssid");
        assert!(names("rc: wl0.1_ssid is not set") && names("wl0.1_ssid"));
        assert!(!names("rc: awl0.1_ssid") && !names("wl0.1_ssid2: no"));
        assert!(!names_key("id: no", "id"), "too short to mean anything");
    }
}
