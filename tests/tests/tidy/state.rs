//! State that only its own folder may change.

use super::ratchet::{Found, add};
use super::source;
use super::tree::Tree;

const FOLDER: &str = "host/emulator/src/guest/";

/// Fields of the guest's state that code outside its folder could reach.
pub fn open_fields(tree: &Tree) -> Found {
    let mut found = Found::new();
    let files = tree.rust().filter(|file| !file.is_test());
    for file in files.filter(|file| file.path.starts_with(FOLDER)) {
        let code = source::without_tests(&source::code(&file.text));
        for (number, line) in code.lines().enumerate() {
            if let Some(name) = open_field(line) {
                let place = format!(
                    "line {}: `{name}`; give what is needed a method",
                    number + 1
                );
                add(&mut found, &file.path, place);
            }
        }
    }
    found
}

/// The name of a field that is visible outside its folder.
fn open_field(line: &str) -> Option<&str> {
    let line = line.trim_start();
    let rest = line
        .strip_prefix("pub ")
        .or_else(|| line.strip_prefix("pub(crate) "))?;
    let (name, _) = rest.split_once(':')?;
    let is_name = |c: char| c == '_' || c.is_ascii_alphanumeric();
    (!name.is_empty() && name.chars().all(is_name)).then_some(name)
}

#[test]
fn a_field_that_others_could_reach_is_found() {
    assert_eq!(open_field("    pub ended: Option<String>,"), Some("ended"));
    assert_eq!(open_field("pub(crate) kept: Kept,"), Some("kept"));
    assert_eq!(open_field("    pub(super) devices: Devices,"), None);
    assert_eq!(open_field("    ended: Option<String>,"), None);
    assert_eq!(open_field("pub fn run(plan: &Plan) {"), None);
    assert_eq!(open_field("pub const MOST: usize = 3;"), None);
}
