//! Rules with exceptions whose numbers can only shrink.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::OnceLock;

use super::RULES;
use super::tree::Tree;

/// What a rule found, by the file or folder that has it.
pub type Found = BTreeMap<String, Place>;
type Allowed = BTreeMap<String, BTreeMap<String, usize>>;

/// How much there is at a place, and what.
#[derive(Default)]
pub struct Place {
    pub number: usize,
    pub what: Vec<String>,
}

/// Count one more at a place.
pub fn add(found: &mut Found, place: &str, what: String) {
    let entry = found.entry(place.to_owned()).or_default();
    entry.number += 1;
    entry.what.push(what);
}

/// Fail unless the tree has exactly what `allowed.toml` says.
pub fn hold(rule: &str) {
    static TREE: OnceLock<(Tree, Allowed)> = OnceLock::new();
    let (tree, allowed) = TREE.get_or_init(|| {
        let tree = Tree::read(&rookery_tests::places::workspace());
        if std::env::var_os("TIDY_WRITE").is_some() {
            std::fs::write(allow_list(), written(&tree)).expect("allowed.toml can be written");
        }
        let text = std::fs::read_to_string(allow_list()).expect("allowed.toml can be read");
        let allowed = toml::from_str(&text).expect("allowed.toml is TOML of numbers");
        (tree, allowed)
    });
    let (_, check) = RULES
        .iter()
        .find(|(name, _)| *name == rule)
        .expect("a rule of the table");
    let none = BTreeMap::new();
    let complaints = compare(&check(tree), allowed.get(rule).unwrap_or(&none));
    assert!(
        complaints.is_empty(),
        "{rule}:\n{}\nCONTRIBUTING.md has the rules, and how exceptions are kept.",
        complaints.join("\n")
    );
}

/// What differs between the tree and the exceptions.
pub fn compare(found: &Found, allowed: &BTreeMap<String, usize>) -> Vec<String> {
    let mut complaints = Vec::new();
    for (place, there) in found {
        let limit = allowed.get(place).copied().unwrap_or(0);
        if there.number > limit {
            let what: Vec<_> = there
                .what
                .iter()
                .take(8)
                .map(|w| format!("\n    {w}"))
                .collect();
            complaints.push(format!(
                "  {place}: {} where {limit} is allowed{}",
                there.number,
                what.concat()
            ));
        }
    }
    for (place, limit) in allowed {
        let number = found.get(place).map_or(0, |there| there.number);
        if number < *limit {
            complaints.push(format!(
                "  {place}: {number}, which is better than the {limit} of allowed.toml; \
                 keep it so with TIDY_WRITE=1"
            ));
        }
    }
    complaints
}

fn allow_list() -> PathBuf {
    rookery_tests::places::workspace().join("tests/tests/tidy/allowed.toml")
}

/// `allowed.toml` as the tree is now.
fn written(tree: &Tree) -> String {
    let mut text = String::from(
        "# Today's exceptions of each rule of tests/tests/tidy, by place. Numbers only shrink.\n\
         # Written by `TIDY_WRITE=1 cargo test --release --test tidy`.\n",
    );
    for (rule, check) in RULES {
        let found = check(tree);
        if !found.is_empty() {
            let _ = writeln!(text, "\n[{rule}]");
        }
        for (place, there) in found {
            let _ = writeln!(text, "{place:?} = {}", there.number);
        }
    }
    text
}

#[test]
fn a_number_that_grew_is_told_and_one_that_shrank_too() {
    let mut found = Found::new();
    add(&mut found, "a.rs", "line 3".to_owned());
    let allowed = |number| BTreeMap::from([("a.rs".to_owned(), number)]);
    assert_eq!(compare(&found, &allowed(1)), Vec::<String>::new());
    assert!(compare(&found, &BTreeMap::new())[0].contains("line 3"));
    assert!(compare(&found, &allowed(2))[0].contains("better"));
    assert!(compare(&Found::new(), &allowed(1))[0].contains("better"));
}
