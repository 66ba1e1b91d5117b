//! The texts of a project that a case takes over: bounded, and without what is private.

use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use rookery_project::regular;
use serde::Serialize;
use serde_json::Value;

use super::private::{Private, is_secret};

/// Most that is read of one file.
const MAX_READ: u64 = 64 << 20;
/// The largest file that is taken over whole because it has no lines that could be left out.
const MAX_WHOLE: usize = 1 << 20;
/// Longest line.
const MAX_LINE: usize = 4096;

/// How much of a file is kept.
#[derive(Clone, Copy)]
pub(super) struct Bounds {
    /// Lines of what is made of lines.
    pub(super) lines: usize,
}

/// A file of the case.
#[derive(Serialize)]
pub(super) struct Kept {
    pub(super) file: String,
    pub(super) bytes: usize,
    /// What of it was kept, where that is not all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) cut: Option<String>,
}

/// The folder of the case.
pub(super) fn make_empty(dir: &Path) -> anyhow::Result<()> {
    let shown = dir.display();
    std::fs::create_dir_all(dir).with_context(|| format!("cannot make {shown}"))?;
    let is_empty = std::fs::read_dir(dir)?.next().is_none();
    ensure!(is_empty, "{shown} is not empty; name another folder");
    Ok(())
}

/// The files of the configuration.
pub(super) fn configuration(project: &Path) -> Vec<PathBuf> {
    let names = names(project).unwrap_or_default();
    let is_ours = |name: &String| {
        let patch = name.strip_prefix("patch_");
        let patch = patch.and_then(|rest| rest.strip_suffix(".yaml"));
        name == "config.yaml" || patch.is_some()
    };
    let ours = names.iter().filter(|name| is_ours(name));
    ours.map(|name| project.join(name)).collect()
}

/// The names of what lies in a directory, sorted.
pub(super) fn names(dir: &Path) -> anyhow::Result<Vec<String>> {
    let entries =
        std::fs::read_dir(dir).with_context(|| format!("cannot read {}", dir.display()))?;
    let mut names = Vec::new();
    for entry in entries {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}

/// Remember the secrets of a configuration, if it is one.
pub(super) fn learn(file: &Path, private: &mut Private) {
    let text = regular::read(file, MAX_READ).unwrap_or_default();
    if let Ok(configuration) = serde_yaml::from_slice::<Value>(&text) {
        private.learn_all(&configuration);
    }
}

/// Remember the secrets that the guest has asked its NVRAM for, or put there.
pub(super) fn learn_nvram(file: &Path, private: &mut Private) {
    let text = regular::read(file, MAX_READ).unwrap_or_default();
    let mut reader = csv::ReaderBuilder::new()
        .flexible(true)
        .from_reader(text.as_slice());
    for row in reader.records().filter_map(Result::ok) {
        private.learn(
            row.get(0).unwrap_or_default(),
            row.get(2).unwrap_or_default(),
        );
    }
}

/// Take a file over as `name`; why not, where it is left out.
pub(super) fn keep(
    from: &Path,
    case: &Path,
    name: &str,
    bounds: Bounds,
    private: &mut Private,
) -> anyhow::Result<Result<Kept, &'static str>> {
    let Ok(bytes) = regular::read(from, MAX_READ) else {
        return Ok(Err("it is not a regular file, or too large"));
    };
    let text = String::from_utf8_lossy(&bytes);
    let is_yaml = [".yaml", ".json"].iter().any(|end| name.ends_with(end));
    let (text, cut) = if !is_yaml {
        cut(&text, bounds)
    } else if text.len() <= MAX_WHOLE {
        (text.into_owned(), None)
    } else {
        return Ok(Err("it is larger than 1 MiB, and cannot be cut"));
    };
    let text = if name.ends_with("nvram.csv") {
        without_values(&text)
    } else {
        text
    };
    write(case, name, &private.scrub(&text), cut).map(Ok)
}

/// Write a file of the case.
pub(super) fn write(
    case: &Path,
    name: &str,
    text: &str,
    cut: Option<String>,
) -> anyhow::Result<Kept> {
    let file = case.join(name);
    std::fs::create_dir_all(file.parent().unwrap_or(case))
        .and_then(|()| std::fs::write(&file, text))
        .with_context(|| format!("cannot write {}", file.display()))?;
    Ok(Kept {
        file: name.to_owned(),
        bytes: text.len(),
        cut,
    })
}

/// The first and the last lines.
fn cut(text: &str, bounds: Bounds) -> (String, Option<String>) {
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let half = bounds.lines / 2;
    let is_long = lines.iter().any(|line| line.len() > MAX_LINE);
    if lines.len() <= bounds.lines && !is_long {
        return (text.to_owned(), None);
    }
    let (first, last) = if lines.len() <= bounds.lines {
        (lines.as_slice(), [].as_slice())
    } else {
        (&lines[..half], &lines[lines.len() - half..])
    };
    let shortened = |line: &&str| match line.char_indices().find(|(at, _)| *at >= MAX_LINE) {
        Some((at, _)) => format!("{}\n", &line[..at]),
        None => (*line).to_owned(),
    };
    let kept: String = first.iter().chain(last).map(shortened).collect();
    let count = first.len() + last.len();
    (kept, Some(format!("{count} of {} lines", lines.len())))
}

/// `nvram.csv` without the values of keys that are secrets': these stand in a column of their own.
fn without_values(text: &str) -> String {
    let lines = text.split_inclusive('\n').map(|line| {
        let mut columns = line.splitn(3, ',');
        match (columns.next(), columns.next(), columns.next()) {
            (Some(key), Some(operation), Some(value)) if is_secret(key) && value.len() > 1 => {
                format!("{key},{operation},(left out)\n")
            }
            _ => line.to_owned(),
        }
    });
    lines.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_console_keeps_its_beginning_and_its_end() {
        let lines: Vec<String> = (0..100).map(|n| format!("line {n}")).collect();
        let text = lines.join("\n") + "\n";
        let (kept, said) = cut(&text, Bounds { lines: 4 });
        assert_eq!(kept, "line 0\nline 1\nline 98\nline 99\n");
        assert_eq!(said.as_deref(), Some("4 of 100 lines"));
        assert_eq!(cut("a\n", Bounds { lines: 4 }), ("a\n".to_owned(), None));
        let (kept, _) = cut(&"é".repeat(MAX_LINE), Bounds { lines: 4 });
        assert_eq!(kept.len(), MAX_LINE + 1);
    }

    #[test]
    fn the_nvram_keeps_which_secrets_were_asked_for_and_not_their_values() {
        let text = "key,operation,value\nwl_psk,set,abc\nlan_ip,set,1.2.3.4\nwl_psk,miss,\n";
        assert_eq!(
            without_values(text),
            "key,operation,value\nwl_psk,set,(left out)\nlan_ip,set,1.2.3.4\nwl_psk,miss,\n"
        );
    }
}
