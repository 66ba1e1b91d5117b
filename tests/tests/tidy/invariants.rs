//! The invariants of docs/architecture.md stand beside the code that keeps them.

use super::ratchet::{Found, add};
use super::tree::Tree;

const PAGE: &str = "docs/architecture.md";

/// What a file that is named for an invariant says of it.
fn mark(number: usize) -> String {
    format!("//! Invariant {number}: ")
}

/// Invariants without a file that keeps them, files that do not name theirs, and names of
/// invariants that no page has.
pub fn apart_from_their_code(tree: &Tree) -> Found {
    let mut found = Found::new();
    let page = tree.files.iter().find(|file| file.path == PAGE);
    let kept = page.map_or(Vec::new(), |page| kept_by(&page.text));
    for (number, files) in &kept {
        if files.is_empty() {
            add(
                &mut found,
                PAGE,
                format!("invariant {number} names no file"),
            );
        }
        for path in files {
            let file = tree.rust().find(|file| file.path == *path);
            if !file.is_some_and(|file| file.text.contains(&mark(*number))) {
                add(&mut found, path, format!("no line `{}…`", mark(*number)));
            }
        }
    }
    for file in tree.rust().filter(|file| !file.is_test()) {
        for line in file
            .text
            .lines()
            .filter(|line| line.starts_with("//! Invariant "))
        {
            let is_kept = |(number, files): &(usize, Vec<String>)| {
                line.starts_with(&mark(*number)) && files.contains(&file.path)
            };
            if !kept.iter().any(is_kept) {
                add(
                    &mut found,
                    &file.path,
                    format!("{PAGE} does not say so: {line}"),
                );
            }
        }
    }
    found
}

/// The numbers of the page's invariants, and the files that each names.
fn kept_by(page: &str) -> Vec<(usize, Vec<String>)> {
    let section = page
        .split("\n## ")
        .find(|part| part.starts_with("Invariants"));
    let mut kept: Vec<(usize, Vec<String>)> = Vec::new();
    for line in section.unwrap_or_default().lines() {
        let number = line
            .split_once(". ")
            .and_then(|(number, _)| number.parse().ok());
        if let Some(number) = number {
            kept.push((number, Vec::new()));
        }
        let links = line.split("](../").skip(1);
        let files = links.filter_map(|rest| rest.split(')').next());
        if let Some((_, last)) = kept.last_mut() {
            last.extend(files.map(str::to_owned));
        }
    }
    kept
}

#[test]
fn invariants_are_read_with_their_files() {
    let page = "# x\n\n## Invariants\n\n1. **One.** Text\n   Kept by [`a`](../a.rs), \
                [`b`](../b.rs).\n2. **Two.**\n\n## More\n3. no invariant ](../c.rs)\n";
    let files = ["a.rs", "b.rs"].map(str::to_owned).to_vec();
    assert_eq!(kept_by(page), [(1, files), (2, Vec::new())]);
}
