//! Why a configuration does not load, with the file and the place.

use std::fmt;

use super::schema::Problem;
use crate::Error;
use crate::ground::yaml::{YamlError, locate};

/// What kind of thing is wrong with a configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// There is no main file.
    Missing,
    /// A file lies outside the project.
    Outside,
    /// A file cannot be read, or is no regular file.
    File,
    /// A file is not the YAML that Penguin reads.
    Yaml,
    /// A template is malformed or names an unknown variable.
    Template,
    /// A key or value is not what the structure allows.
    Structure,
    /// Two files cannot be combined.
    Merge,
    /// The merged configuration breaks a rule over several keys.
    Rule,
}

/// A configuration that Penguin would not run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// What kind of thing is wrong.
    pub kind: Kind,
    /// The file, relative to the project directory.
    pub file: String,
    /// What is wrong, each with its dotted path and line where known.
    pub problems: Vec<String>,
}

impl Refusal {
    /// One problem with a whole file.
    pub fn new(kind: Kind, file: &str, problem: impl Into<String>) -> Self {
        Self {
            kind,
            file: file.to_owned(),
            problems: vec![problem.into()],
        }
    }

    /// A file that is not YAML.
    pub fn yaml(file: &str, error: &YamlError) -> Self {
        Self::new(Kind::Yaml, file, error.to_string())
    }

    /// Problems at paths in a file whose text is known.
    pub fn at(kind: Kind, file: &str, text: &str, problems: &[Problem]) -> Self {
        let prefixes = |problem: &Problem| {
            let path = problem.path.clone();
            (0..=path.len()).map(move |length| path[..length].to_vec())
        };
        let places = locate(text, problems.iter().flat_map(prefixes).collect());
        let describe = |problem: &Problem| {
            let place = prefixes(problem)
                .rev()
                .find_map(|prefix| places.get(&prefix));
            let line = place
                .map(|(line, _)| format!(" (line {line})"))
                .unwrap_or_default();
            format!("{}{line}: {}", dotted(&problem.path), problem.message)
        };
        Self {
            kind,
            file: file.to_owned(),
            problems: problems.iter().map(describe).collect(),
        }
    }

    /// The problems without their lines, which move when the file is written anew.
    pub fn same_problems(&self) -> impl Iterator<Item = String> {
        self.problems.iter().map(|problem| {
            let (start, rest) = problem.split_once(" (line ").unwrap_or((problem, ""));
            let rest = rest.split_once(')').map_or(rest, |(_, rest)| rest);
            format!("{start}{rest}")
        })
    }
}

/// Keys as a dotted path, with what a terminal could misread escaped.
pub fn dotted(path: &[String]) -> String {
    if path.is_empty() {
        "the document".to_owned()
    } else {
        path.join(".").escape_debug().to_string()
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.file, self.problems.join("; "))
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        match refusal.kind {
            Kind::Missing => Self::NotFound(refusal.to_string()),
            Kind::Outside => Self::Denied(refusal.to_string()),
            _ => Self::InvalidArgument(refusal.to_string()),
        }
    }
}
