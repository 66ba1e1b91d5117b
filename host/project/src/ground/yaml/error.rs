//! What is wrong with a text.

use std::fmt;

/// Where and why a text is not the YAML that is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct YamlError {
    /// Line, counted from 1.
    pub line: usize,
    /// Column, counted from 1.
    pub column: usize,
    /// What is wrong, and what to write instead.
    pub message: String,
    /// Whether nothing is wrong with the text but that it holds more than is read at once.
    pub too_large: bool,
}

impl YamlError {
    /// What is wrong at a place.
    pub(super) fn at(line: usize, column: usize, message: impl Into<String>) -> Self {
        Self {
            line,
            column,
            message: message.into(),
            too_large: false,
        }
    }
}

impl fmt::Display for YamlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "line {}, column {}: {}",
            self.line, self.column, self.message
        )
    }
}
