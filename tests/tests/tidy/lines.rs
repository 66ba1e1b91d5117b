//! Lines and the length of files.

use super::ratchet::{Found, Place, add};
use super::tree::{File, Tree};

const LENGTH: usize = 500;
const WIDTH: usize = 100;

pub fn long_files(tree: &Tree) -> Found {
    let mut found = Found::new();
    for file in tree.rust() {
        let number = file.text.lines().count();
        if number > LENGTH {
            let what = vec![format!("{number} lines; a file has at most {LENGTH}")];
            found.insert(file.path.clone(), Place { number, what });
        }
    }
    found
}

pub fn wide_lines(tree: &Tree) -> Found {
    let mut found = Found::new();
    for file in tree.files.iter().filter(|file| is_code(file)) {
        for (number, line) in file.text.lines().enumerate() {
            let columns = line.chars().count();
            if columns > WIDTH && can_break(line) {
                let place = format!("line {}: {columns} columns", number + 1);
                add(&mut found, &file.path, place);
            }
        }
    }
    found
}

pub fn untidy_ends(tree: &Tree) -> Found {
    let mut found = Found::new();
    for file in &tree.files {
        for (number, line) in file.text.split('\n').enumerate() {
            if line.ends_with([' ', '\t', '\r']) {
                let place = format!("line {} ends with a blank", number + 1);
                add(&mut found, &file.path, place);
            }
        }
        if !file.text.is_empty() && !file.text.ends_with('\n') {
            add(&mut found, &file.path, "no newline at the end".to_owned());
        }
    }
    found
}

/// Prose in Markdown has tables and links, whose lines cannot be broken; other files are for
/// programs, or as others wrote them.
fn is_code(file: &File) -> bool {
    let ends = [
        ".md",
        ".lock",
        ".html",
        ".json",
        ".csv",
        ".sql",
        "allowed.toml",
    ];
    let name = file.path.rsplit('/').next().unwrap_or(&file.path);
    !ends.iter().any(|end| file.ends_with(end)) && !name.starts_with("LICENSE")
}

/// A digest or an address that fills a line stays as it is, also where it would have to be indented
/// by one step to stand in a line of its own.
fn can_break(line: &str) -> bool {
    let indent = line.chars().take_while(|c| c.is_whitespace()).count();
    let pieces = line.split_whitespace().enumerate();
    pieces
        .map(|(number, piece)| indent + 4 * number.min(1) + piece.chars().count())
        .all(|columns| columns <= WIDTH)
}

#[test]
fn a_long_line_is_found_unless_it_cannot_be_broken() {
    let words = format!("// {}\n", "word ".repeat(30).trim_end());
    let digest = format!("    \"{}\",\n", "d".repeat(100));
    let tree = Tree::sample(&[("a.rs", &words), ("b.rs", &digest), ("c.md", &words)]);
    let found = wide_lines(&tree);
    assert_eq!(found.keys().collect::<Vec<_>>(), ["a.rs"]);
    assert_eq!(found["a.rs"].what, ["line 1: 152 columns"]);
}

#[test]
fn a_long_file_is_found_with_its_length() {
    let tree = Tree::sample(&[("a.rs", &"x\n".repeat(501)), ("b.rs", &"x\n".repeat(500))]);
    let found = long_files(&tree);
    assert_eq!(found.len(), 1);
    assert_eq!(found["a.rs"].number, 501);
}

#[test]
fn a_blank_at_a_lines_end_and_a_missing_newline_are_found() {
    let tree = Tree::sample(&[("a", "x \ny\n"), ("b", "x"), ("c", ""), ("d", "x\n")]);
    let found = untidy_ends(&tree);
    assert_eq!(found.keys().collect::<Vec<_>>(), ["a", "b"]);
}
