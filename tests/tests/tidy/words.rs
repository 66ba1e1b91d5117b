//! What neither code nor texts may say.

use super::ratchet::{Found, add};
use super::source;
use super::tree::{File, Tree};

/// What is for a day that never comes. Written in two parts, so that this file holds neither.
const MARKS: [&str; 2] = [concat!("TO", "DO"), concat!("FIX", "ME")];

/// What is not said, and what is said instead; CONTRIBUTING.md has the same list.
pub const INSTEAD: [(&str, &str); 13] = [
    ("whitelist", "allow-list"),
    ("blacklist", "deny-list"),
    ("e.g.", "for example"),
    ("i.e.", "that is"),
    (
        "in vain",
        "what did not happen: `was not found`, `had no effect`",
    ),
    ("utilize", "use"),
    ("simply", "nothing: the sentence is better without it"),
    ("is no file", "is not a file"),
    ("is no regular file", "is not a regular file"),
    ("is no directory", "is not a directory"),
    ("is no number", "is not a number"),
    ("is no signal", "is not a signal number"),
    ("is no component", "is not a component"),
];

pub fn marks(tree: &Tree) -> Found {
    let mut found = Found::new();
    for file in &tree.files {
        for mark in MARKS {
            count(
                &mut found,
                file,
                &file.text,
                mark,
                "do it, or open an issue",
            );
        }
    }
    found
}

pub fn unwraps(tree: &Tree) -> Found {
    let mut found = Found::new();
    for file in tree.rust().filter(|file| !file.is_test()) {
        let code = source::without_tests(&source::code(&file.text));
        let instead = "`?`, or `expect` with the reason why it cannot fail";
        count(&mut found, file, &code, ".unwrap()", instead);
    }
    found
}

pub fn unused_words(tree: &Tree) -> Found {
    let mut found = Found::new();
    let is_text = |file: &&File| {
        let ends = [".rs", ".md", ".wit"];
        ends.iter().any(|end| file.ends_with(end))
            && !file.is_test()
            && file.path != "CONTRIBUTING.md"
    };
    for file in tree.files.iter().filter(is_text) {
        let text = file.text.to_lowercase();
        for (word, instead) in INSTEAD {
            count(&mut found, file, &text, word, instead);
        }
    }
    found
}

/// Count where a word stands by itself.
fn count(found: &mut Found, file: &File, text: &str, word: &str, instead: &str) {
    let is_word = |c: char| c == '_' || c.is_alphanumeric();
    for (number, line) in text.lines().enumerate() {
        for (at, _) in line.match_indices(word) {
            let before = line[..at].chars().next_back();
            let after = line[at + word.len()..].chars().next();
            let part = |c: Option<char>| c.is_some_and(is_word);
            // A call is part of an expression, and what is before it is not.
            if (part(before) && !word.starts_with('.')) || part(after) {
                continue;
            }
            let what = format!("line {}: {word:?}; instead: {instead}", number + 1);
            add(found, &file.path, what);
        }
    }
}

#[test]
fn a_mark_is_found_and_a_longer_word_is_not_one() {
    let text = format!("// {}: later\n// {}S\n", MARKS[0], MARKS[0]);
    let found = marks(&Tree::sample(&[("a.rs", &text)]));
    assert_eq!(found["a.rs"].number, 1);
}

#[test]
fn an_unwrap_is_found_in_product_code_only() {
    let tree = Tree::sample(&[
        (
            "a/src/lib.rs",
            "fn f() { x.unwrap(); }\n#[cfg(test)]\nmod t { fn g() { y.unwrap() } }\n",
        ),
        (
            "a/src/other.rs",
            "// x.unwrap() is not called\nfn f() { x.unwrap_or(1); }\n",
        ),
        ("a/tests/t.rs", "fn f() { x.unwrap(); }\n"),
    ]);
    let found = unwraps(&tree);
    assert_eq!(found.len(), 1);
    assert_eq!(found["a/src/lib.rs"].number, 1);
}

#[test]
fn a_word_that_we_do_not_use_is_found_with_what_to_say_instead() {
    let tree = Tree::sample(&[("a.md", "A Whitelist.\n"), ("b.md", "A whitelisted one.\n")]);
    let found = unused_words(&tree);
    assert_eq!(found.len(), 1);
    assert!(found["a.md"].what[0].contains("allow-list"));
}

#[test]
fn contributing_lists_the_same_words() {
    let contributing = rookery_tests::places::workspace().join("CONTRIBUTING.md");
    let text = std::fs::read_to_string(contributing).expect("CONTRIBUTING.md can be read");
    for (word, _) in INSTEAD {
        assert!(text.contains(word), "{word} is not in CONTRIBUTING.md");
    }
}
