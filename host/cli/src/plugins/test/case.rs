//! A case: what a tool is asked, and what it has to answer.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use serde::Deserialize;
use serde_json::{Map, Value};

/// Its file in a case's folder, in the order in which they are looked for.
const FILES: [&str; 2] = ["case.yaml", "case.json"];

/// What `case.yaml` says.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Case {
    /// Which tool is called; none where the component has one only.
    pub(super) tool: Option<String>,
    #[serde(default)]
    pub(super) arguments: Map<String, Value>,
    answer: Option<Value>,
    error: Option<Value>,
}

/// What has to come of a call. Each is compared as [`super::expect`] says.
#[derive(Debug, PartialEq)]
pub(super) enum Expected {
    Answer(Value),
    /// `{"kind": "not-found", "message": "…"}`
    Error(Value),
}

impl Case {
    pub(super) fn read(folder: &Path) -> anyhow::Result<Self> {
        let file = file_of(folder).with_context(|| {
            format!(
                "{} has neither {} nor {}",
                folder.display(),
                FILES[0],
                FILES[1]
            )
        })?;
        let shown = file.display();
        let text =
            std::fs::read_to_string(&file).with_context(|| format!("cannot read {shown}"))?;
        // YAML has all of JSON.
        let case: Self = serde_yaml::from_str(&text).with_context(|| format!("in {shown}"))?;
        ensure!(
            case.answer.is_some() != case.error.is_some(),
            "{shown} has to say what is expected: either `answer` or `error`"
        );
        Ok(case)
    }

    pub(super) fn expected(&self) -> Expected {
        match (&self.answer, &self.error) {
            (Some(answer), _) => Expected::Answer(answer.clone()),
            (None, error) => Expected::Error(error.clone().unwrap_or_default()),
        }
    }
}

/// The folders of the cases in `given`, each of which is one or holds some.
pub(super) fn folders(given: &[PathBuf]) -> anyhow::Result<Vec<PathBuf>> {
    let mut folders = Vec::new();
    for dir in given {
        if file_of(dir).is_some() {
            folders.push(dir.clone());
            continue;
        }
        let shown = dir.display();
        let mut inside = Vec::new();
        let entries = std::fs::read_dir(dir).with_context(|| format!("cannot read {shown}"))?;
        for entry in entries {
            let path = entry?.path();
            if file_of(&path).is_some() {
                inside.push(path);
            }
        }
        if inside.is_empty() {
            bail!(
                "{shown} is not a case, and holds none: a case is a folder with {}",
                FILES[0]
            );
        }
        inside.sort();
        folders.extend(inside);
    }
    Ok(folders)
}

/// Whether a file of a case's folder is [`Case`]'s.
pub(super) fn is_case(name: &str) -> bool {
    FILES.contains(&name)
}

fn file_of(folder: &Path) -> Option<PathBuf> {
    let mut files = FILES.iter().map(|name| folder.join(name));
    files.find(|file| file.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(text: &str) -> anyhow::Result<Case> {
        let dir = tempfile::tempdir()?;
        std::fs::write(dir.path().join("case.yaml"), text)?;
        Case::read(dir.path())
    }

    #[test]
    fn a_case_expects_an_answer_or_an_error() {
        let case = read("arguments: {n: 1}\nanswer: {total: 2}\n").expect("a case");
        assert_eq!(case.expected(), Expected::Answer(json!({"total": 2})));
        assert_eq!(Value::Object(case.arguments), json!({"n": 1}));
        let case = read("tool: x\nerror: {kind: limit}\n").expect("a case");
        assert_eq!(case.expected(), Expected::Error(json!({"kind": "limit"})));
        for wrong in [
            "tool: x\n",
            "answer: {}\nerror: {}\n",
            "answer: {}\nanswers: 1\n",
        ] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
