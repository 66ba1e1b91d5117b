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
