//! What is told while a tool is written.

use std::path::Path;

use crate::show;

/// A line on stderr: stdout may be the protocol's.
pub(super) fn say(words: &str) {
    show::notes(&[words.to_owned()]);
}

/// As a person would type it.
pub(super) fn shown(path: &Path) -> String {
    path.display().to_string()
}
