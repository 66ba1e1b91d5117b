//! The text of the contract survives every bindings generator: its comments become doc comments of
//! other languages.

use anyhow::{Context, Result};
use rookery_tests::places;

#[test]
fn comments_of_the_contract_hold_nothing_that_another_language_would_read() -> Result<()> {
    let mut files = 0;
    for entry in std::fs::read_dir(places::workspace().join("wit"))? {
        let path = entry?.path();
        if path.extension().is_none_or(|extension| extension != "wit") {
            continue;
        }
        files += 1;
        for (n, line) in std::fs::read_to_string(&path)?.lines().enumerate() {
            let place = format!("{}:{}: {line}", path.display(), n + 1);
            // A backslash begins an escape in Python, whose generator puts comments into plain
            // string literals.
            for (odd, why) in [
                ("\\", "an escape of Python's and C's"),
                ("\"\"\"", "the end of Python's docstring"),
                ("*/", "the end of C's and JavaScript's comments"),
                ("/*", "a comment within C's"),
            ] {
                assert!(!line.contains(odd), "{odd:?} is {why}: {place}");
            }
            assert!(!line.chars().any(char::is_control), "{place}");
        }
    }
    (files > 5)
        .then_some(())
        .context("the contract is not where it was")
}
