//! Keys of the NVRAM that programs missed, and the values that the firmware itself has for them.

use std::collections::BTreeSet;

use rookery_plugin::guest::is_setting;
use rookery_plugin::{
    CsvOptions, FindOptions, Place, Result, RootFilesystem, RunResults, optional,
};
use serde_json::{Map, Value, json};

/// Lines of the firmware that are looked at for one key.
const LINES: u32 = 8;

/// The keys that a program asked for and that no program set, sorted.
pub fn missed(run: &impl RunResults) -> Result<BTreeSet<String>> {
    let options = CsvOptions {
        only: Map::from_iter([("operation".to_owned(), json!(["miss", "set"]))]),
        limit: Some(CsvOptions::MAX_ROWS),
        ..CsvOptions::default()
    };
    let table = optional(run.read_csv("nvram.csv", &options))?.unwrap_or_default();
    let with = |operation: &str| -> BTreeSet<String> {
        let cell = |row: &Map<String, Value>, name| Some(row.get(name)?.as_str()?.to_owned());
        let rows = table.rows.iter();
        let of = rows.filter(|row| cell(row, "operation").as_deref() == Some(operation));
        of.filter_map(|row| cell(row, "key")).collect()
    };
    let (missed, set) = (with("miss"), with("set"));
    let is_plain = |key: &&String| !key.is_empty() && !key.contains(['/', '\\']);
    Ok(missed.difference(&set).filter(is_plain).cloned().collect())
}

/// The one value that the firmware's own files give to a key, such as a script of the factory's or
/// of a reset. None where they give several.
pub fn own_value(root: &impl RootFilesystem, key: &str) -> Option<String> {
    let mut escaped = String::new();
    for character in key.chars() {
        if !character.is_ascii_alphanumeric() {
            escaped.push('\\');
        }
        escaped.push(character);
    }
    let options = FindOptions {
        r#in: Place::Content,
        limit: LINES,
        ..FindOptions::default()
    };
    let assigned = format!(
        r#"(^|[^\w.:-]){escaped}=["']?[\w.:-]|nvram[ _]set +["']?{escaped}["']? +["']?[\w.:-]"#
    );
    let found = root.search_files(&assigned, &options).ok()?.matches;
    let values: BTreeSet<_> = found
        .iter()
        .filter_map(|line| assigned_in(&line.text, key))
        .collect();
    let mut values = values.into_iter();
    values.next().filter(|_| values.next().is_none())
}

/// What a line gives to a key: `key=value`, or `nvram set key value`.
fn assigned_in(line: &str, key: &str) -> Option<String> {
    if line.trim_start().starts_with('#') {
        return None;
    }
    let quote = ['"', '\''];
    let goes_on = |c: char| c.is_ascii_alphanumeric() || "_.:-".contains(c);
    line.match_indices(key).find_map(|(at, _)| {
        let (before, after) = (line.get(..at)?, line.get(at + key.len()..)?);
        if before.chars().next_back().is_some_and(goes_on) {
            return None;
        }
        let value = match after.strip_prefix('=') {
            Some(value) => value,
            None if sets(before) => after.trim_start_matches(quote).strip_prefix(' ')?,
            None => return None,
        };
        let value = value.trim_start().trim_start_matches(quote);
        let value = value.split(|c: char| !goes_on(c)).next()?;
        is_setting(value).then(|| value.to_owned())
    })
}

/// Whether a line so far is a command that sets a key: `nvram set `, `nvram_set `.
fn sets(before: &str) -> bool {
    let words = before.trim_end_matches(['"', '\'', ' ']);
    words.ends_with("nvram set") || words.ends_with("nvram_set")
}

#[cfg(test)]
mod tests {
    use rookery_plugin::testing::FakeHost;

    use super::*;

    #[test]
    fn a_key_that_some_program_set_is_not_missing() {
        let run = FakeHost::new().text(
            "nvram.csv",
            "key,operation,value,origin\nrev,miss,,\nlan,miss,,\nlan,set,1,guest\n\
             a/b,miss,,\nmtu,hit,,penguin\n",
        );
        assert_eq!(missed(&run).unwrap(), ["rev".to_owned()].into());
        assert!(missed(&FakeHost::new()).unwrap().is_empty());
    }

    #[test]
    fn a_line_gives_a_value_in_the_forms_that_firmware_has() {
        let value = |line| assigned_in(line, "rev");
        for line in [
            "rev=7",
            "nvram set rev=7",
            "nvram set rev='7'; nvram commit",
            "nvram set \"rev=7\"",
            "nvram_set rev 7",
            "nvram set rev \"7\"",
        ] {
            assert_eq!(value(line).as_deref(), Some("7"), "{line}");
        }
        for line in [
            "# rev=7",
            "my_rev=7",
            "rev",
            "rev 7",
            "rev=",
            "rev=$REV",
            "rev=%s",
            "nvram get rev 7",
        ] {
            assert_eq!(value(line), None, "{line}");
        }
    }

    #[test]
    fn a_value_counts_only_where_the_firmware_gives_no_other() {
        let root = |lines: &[&str]| {
            let matches: Vec<_> = lines
                .iter()
                .map(|text| json!({ "path": "/etc/x", "text": text }))
                .collect();
            FakeHost::new().answer(
                "root-filesystem.search",
                json!({ "matches": matches, "truncated": false }),
            )
        };
        let value = |lines: &[&str]| own_value(&root(lines), "rev");
        assert_eq!(value(&["rev=7", "nvram_set rev 7"]).as_deref(), Some("7"));
        assert_eq!(value(&["rev=7", "rev=8"]), None);
        assert_eq!(value(&[]), None);
    }
}
