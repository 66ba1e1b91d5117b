//! What a case has `emulation` and `live` answer: no run is started, and none is reached.

use std::path::Path;
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, ensure};
use rookery_contract::Error;
use rookery_runtime::StandIn;
use serde::Deserialize;
use serde_json::{Value, json};

use super::expect::differences;

/// Its file in a case's folder, in the order in which they are looked for.
const FILES: [&str; 2] = ["answers.yaml", "answers.json"];
/// Longest text of arguments that is shown.
const SHOWN: usize = 300;

/// The answers of a case, and how they were used.
pub(super) struct Answers(Mutex<State>);

#[derive(Default)]
struct State {
    left: Vec<Entry>,
    /// Calls that no answer is there for.
    unexpected: Vec<String>,
}

/// One answer.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    /// The function: `live.command`.
    call: String,
    /// What its arguments have to be; others may be there. Compared as [`super::expect`] says.
    with: Option<Value>,
    answer: Option<Value>,
    /// `{"kind": "conflict", "message": "…"}`
    error: Option<Failure>,
    /// Whether it is given as often as it is asked for, and need not be.
    #[serde(default)]
    always: bool,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Failure {
    kind: String,
    message: String,
}

impl Answers {
    /// The answers of the case in `folder`; none where it has no such file.
    pub(super) fn read(folder: &Path) -> anyhow::Result<Option<Self>> {
        let mut files = FILES.iter().map(|name| folder.join(name));
        let Some(file) = files.find(|file| file.is_file()) else {
            return Ok(None);
        };
        let shown = file.display();
        let text =
            std::fs::read_to_string(&file).with_context(|| format!("cannot read {shown}"))?;
        let left: Vec<Entry> =
            serde_yaml::from_str(&text).with_context(|| format!("in {shown}"))?;
        for entry in &left {
            ensure!(
                entry.answer.is_some() != entry.error.is_some(),
                "in {shown}: {} has to have either `answer` or `error`",
                entry.call
            );
            if let Some(failure) = &entry.error {
                failure.error().with_context(|| format!("in {shown}"))?;
            }
        }
        let state = State {
            left,
            ..State::default()
        };
        Ok(Some(Self(Mutex::new(state))))
    }

    /// In which way the calls were others than the case expects, in words.
    pub(super) fn complaints(&self) -> Vec<String> {
        let state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let unused = state.left.iter().filter(|entry| !entry.always);
        let unused = unused.map(|entry| format!("{} was not called", entry.shown()));
        state.unexpected.iter().cloned().chain(unused).collect()
    }
}

impl StandIn for Answers {
    fn answer(&self, function: &str, arguments: Value) -> rookery_contract::Result<Value> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = state
            .left
            .iter()
            .position(|entry| entry.fits(function, &arguments));
        let Some(found) = found else {
            let call = format!("{function} {}", cut(&arguments));
            let left: Vec<String> = state.left.iter().map(Entry::shown).collect();
            let left = if left.is_empty() {
                "none is left".to_owned()
            } else {
                format!("left are: {}", left.join(", "))
            };
            let why = format!("unexpected call {call}; of the case's answers {left}");
            state.unexpected.push(why);
            return Err(Error::unavailable(
                format!("an answer to {call}"),
                "the case has none that fits",
                "add one to answers.yaml",
            ));
        };
        let entry = &state.left[found];
        let answer = match (&entry.answer, &entry.error) {
            (_, Some(failure)) => Err(failure
                .error()
                .unwrap_or_else(|error| Error::Internal(format!("{error:#}")))),
            (answer, None) => Ok(answer.clone().unwrap_or_default()),
        };
        if !entry.always {
            state.left.remove(found);
        }
        answer
    }
}

impl Entry {
    fn fits(&self, function: &str, arguments: &Value) -> bool {
        let fits = |with: &Value| {
            let mut with = with.clone();
            if let Some(members) = with.as_object_mut() {
                members.insert("...".to_owned(), Value::Bool(true));
            }
            differences(&with, arguments).is_empty()
        };
        self.call == function && self.with.as_ref().is_none_or(fits)
    }

    fn shown(&self) -> String {
        match &self.with {
            Some(with) => format!("{} {}", self.call, cut(with)),
            None => self.call.clone(),
        }
    }
}

impl Failure {
    fn error(&self) -> anyhow::Result<Error> {
        let Self { kind, message } = self;
        match kind.as_str() {
            "cancelled" => Ok(Error::Cancelled),
            "unavailable" => Ok(Error::unavailable(message, "the case says so", "nothing")),
            "other" => Ok(Error::Other((kind.clone(), message.clone()))),
            _ => serde_json::from_value(json!({"kind": kind, "text": message}))
                .with_context(|| format!("{kind:?} is not a kind of error")),
        }
    }
}

/// Whether a file of a case's folder is of answers.
pub(super) fn is_answers(name: &str) -> bool {
    FILES.contains(&name)
}

fn cut(value: &Value) -> String {
    let text = value.to_string();
    let mut cut: String = text.chars().take(SHOWN).collect();
    if cut.len() < text.len() {
        cut.push('…');
    }
    cut
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answers(text: &str) -> anyhow::Result<Answers> {
        let dir = tempfile::tempdir()?;
        std::fs::write(dir.path().join("answers.yaml"), text)?;
        Answers::read(dir.path())?.context("there are answers")
    }

    #[test]
    fn answers_are_given_in_order_to_the_calls_that_they_fit() {
        let answers = answers(
            "- {call: live.command, with: {argv: [ps, '...']}, answer: {stdout: first}}\n\
             - {call: live.command, with: {argv: [ps, '...']}, answer: {stdout: second}}\n\
             - {call: live.command, error: {kind: conflict, message: busy}}\n\
             - {call: emulation.status, always: true, answer: {state: running}}\n",
        )
        .expect("answers");
        let command = |argv: &str| answers.answer("live.command", json!({"argv": [argv], "n": 1}));
        assert_eq!(command("ls"), Err(Error::Conflict("busy".to_owned())));
        assert_eq!(command("ps"), Ok(json!({"stdout": "first"})));
        assert_eq!(command("ps"), Ok(json!({"stdout": "second"})));
        for _ in 0..3 {
            let status = answers.answer("emulation.status", json!({"run": "x"}));
            assert_eq!(status, Ok(json!({"state": "running"})));
        }
        assert!(answers.complaints().is_empty());
    }

    #[test]
    fn a_call_without_an_answer_and_an_answer_without_a_call_are_told() {
        let answers = answers("- {call: emulation.stop, answer: {}}\n").expect("answers");
        let refused = answers.answer("live.command", json!({"argv": ["ps"]}));
        assert!(matches!(refused, Err(Error::Unavailable(_))));
        let told = answers.complaints();
        assert!(
            told[0].contains("unexpected call live.command {\"argv\":[\"ps\"]}"),
            "{told:?}"
        );
        assert!(told[0].contains("left are: emulation.stop"), "{told:?}");
        assert_eq!(told[1], "emulation.stop was not called");
    }

    #[test]
    fn answers_that_say_nothing_or_are_misspelt_are_refused() {
        for wrong in [
            "- {call: live.command}\n",
            "- {call: live.command, answer: 1, error: {kind: limit, message: x}}\n",
            "- {call: live.command, error: {kind: bussy, message: x}}\n",
            "- {cal: live.command, answer: 1}\n",
        ] {
            assert!(answers(wrong).is_err(), "{wrong}");
        }
    }
}
