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
    /// A file cannot be read, or is not a regular file.
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

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The keys that lead there; none where it is not about one place.
    pub path: Option<Vec<String>>,
    /// The line in the file, where known.
    pub line: Option<usize>,
    /// What is wrong and what is allowed.
    pub message: String,
}

impl Fault {
    /// Whether it is the same wrong thing. Lines move when a file is written anew.
    fn is(&self, other: &Self) -> bool {
        self.path == other.path && self.message == other.message
    }
}

impl From<&Problem> for Fault {
    fn from(problem: &Problem) -> Self {
        Self {
            path: Some(problem.path.clone()),
            line: None,
            message: problem.message.clone(),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(path) = &self.path {
            f.write_str(&dotted(path))?;
            if let Some(line) = self.line {
                write!(f, " (line {line})")?;
            }
            f.write_str(": ")?;
        }
        f.write_str(&self.message)
    }
}

/// A configuration that Penguin would not run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// What kind of thing is wrong.
    pub kind: Kind,
    /// The file, relative to the project directory.
    pub file: String,
    /// All that is wrong.
    pub faults: Vec<Fault>,
}

impl Refusal {
    /// One problem with a whole file.
    pub fn new(kind: Kind, file: &str, problem: impl Into<String>) -> Self {
        Self {
            kind,
            file: file.to_owned(),
            faults: vec![Fault {
                path: None,
                line: None,
                message: problem.into(),
            }],
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
        let fault = |problem: &Problem| {
            let mut known = prefixes(problem).rev();
            let place = known.find_map(|prefix| places.get(&prefix));
            Fault {
                line: place.map(|(line, _)| *line),
                ..Fault::from(problem)
            }
        };
        Self {
            kind,
            file: file.to_owned(),
            faults: problems.iter().map(fault).collect(),
        }
    }

    /// Whether nothing is wrong that was not wrong before.
    pub fn adds_nothing_to(&self, before: &Self) -> bool {
        self.faults
            .iter()
            .all(|fault| before.faults.iter().any(|known| known.is(fault)))
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
        let faults: Vec<_> = self.faults.iter().map(Fault::to_string).collect();
        write!(f, "{}: {}", self.file, faults.join("; "))
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
