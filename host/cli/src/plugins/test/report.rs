//! What came of the calls, for people and scripts.

use std::fmt;

use rookery_runtime::Usage;
use serde::Serialize;
use serde_json::Value;

use super::expect::Difference;
use crate::plugins::one::used;

/// What came of one call.
#[derive(Debug, Serialize)]
pub(super) struct Outcome {
    passed: bool,
    /// Why it failed, or what is worth knowing of one that passed.
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    differences: Vec<String>,
    pub(super) usage: Usage,
}

impl Outcome {
    pub(super) fn passed(why: Option<String>, usage: Usage) -> Self {
        Self {
            passed: true,
            why,
            differences: Vec::new(),
            usage,
        }
    }

    pub(super) fn failed(why: String, differences: Vec<String>, usage: Usage) -> Self {
        Self {
            passed: false,
            why: Some(why),
            differences,
            usage,
        }
    }

    /// Of a call that could not be made.
    pub(super) fn unable(error: &anyhow::Error) -> Self {
        Self::failed(format!("{error:#}"), Vec::new(), Usage::default())
    }

    /// The same, but failed where something else was wrong, too.
    pub(super) fn but(mut self, complaints: Vec<String>) -> Self {
        if !complaints.is_empty() {
            self.passed = false;
            let why = "the calls of the host are not those of the case";
            self.why.get_or_insert_with(|| why.to_owned());
            self.differences.extend(complaints);
        }
        self
    }

    pub(super) fn named(self, name: String) -> Tried {
        Tried {
            name,
            outcome: self,
        }
    }

    /// Why it failed, with every difference.
    pub(super) fn failure(&self) -> Option<String> {
        let why = self.why.iter().chain(&self.differences);
        let why: Vec<_> = why.map(String::as_str).collect();
        (!self.passed).then(|| why.join("\n"))
    }
}

/// A call, by its name.
#[derive(Debug, Serialize)]
pub(super) struct Tried {
    pub(super) name: String,
    #[serde(flatten)]
    pub(super) outcome: Outcome,
}

/// All calls.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    pub(super) passed: usize,
    pub(super) failed: usize,
    pub(super) tried: Vec<Tried>,
}

impl Report {
    pub(super) fn of(tried: Vec<Tried>) -> Self {
        let passed = tried.iter().filter(|one| one.outcome.passed).count();
        Self {
            passed,
            failed: tried.len() - passed,
            tried,
        }
    }

    pub(super) fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for Tried { name, outcome } in &self.tried {
            let word = if outcome.passed { "ok  " } else { "FAIL" };
            lines.push(format!("{word} {name}  ({})", used(&outcome.usage)));
            let why = outcome.why.iter().chain(&outcome.differences);
            lines.extend(
                why.flat_map(|text| text.lines())
                    .map(|line| format!("       {line}")),
            );
        }
        lines.push(format!("{} passed, {} failed", self.passed, self.failed));
        lines
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = if self.at.is_empty() {
            "(all)"
        } else {
            &self.at
        };
        let shown = |value: &Option<Value>| match value {
            Some(value) => value.to_string(),
            None => "nothing".to_owned(),
        };
        write!(
            f,
            "{at}\n  expected {}\n  got      {}",
            shown(&self.expected),
            shown(&self.got)
        )
    }
}
