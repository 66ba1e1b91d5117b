//! Imports and dependencies go in the directions of `directions.toml`.

use std::collections::BTreeMap;

use super::ratchet::{Found, add};
use super::tree::Tree;
use super::{crates, dependencies, modules};

type Table = BTreeMap<String, Vec<String>>;

#[derive(Default)]
struct Directions {
    packages: Table,
    folders: Table,
}

pub fn against(tree: &Tree) -> Found {
    let text = include_str!("directions.toml");
    let mut tables: BTreeMap<String, Table> = toml::from_str(text).expect("directions.toml");
    let directions = Directions {
        packages: tables.remove("packages").unwrap_or_default(),
        folders: tables.remove("folders").unwrap_or_default(),
    };
    check(tree, &directions)
}

fn check(tree: &Tree, directions: &Directions) -> Found {
    let mut found = Found::new();
    for (package, forbidden) in &directions.packages {
        let Some(manifest) = tree.file(&format!("{package}/Cargo.toml")) else {
            add(
                &mut found,
                package,
                "is not there: move its rule along".to_owned(),
            );
            continue;
        };
        for dependency in dependencies::of(&manifest.text, "dependencies") {
            if forbidden
                .iter()
                .any(|pattern| matches(pattern, &dependency))
            {
                add(&mut found, package, format!("depends on {dependency}"));
            }
        }
    }
    let all_edges: Vec<_> = crates::sources(tree)
        .iter()
        .flat_map(|src| modules::edges(tree, src))
        .collect();
    for (folder, forbidden) in &directions.folders {
        for place in [folder].into_iter().chain(forbidden) {
            if !tree.rust().any(|file| lies_in(&file.path, place)) {
                let what = format!("{place} is not there: move its rule along");
                add(&mut found, folder, what);
            }
        }
        for (from, to) in all_edges.iter().filter(|(from, _)| lies_in(from, folder)) {
            if forbidden.iter().any(|place| lies_in(to, place)) {
                add(&mut found, folder, format!("{from} imports {to}"));
            }
        }
    }
    found
}

fn matches(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(begin) => name.starts_with(begin),
        None => name == pattern,
    }
}

/// The file itself, or one of the folder's; `a.rs` beside `a/` is one of them.
fn lies_in(file: &str, place: &str) -> bool {
    file == place
        || file
            .strip_prefix(place)
            .is_some_and(|rest| rest.starts_with('/') || rest == ".rs")
}

#[test]
fn what_goes_against_a_direction_is_found() {
    let tree = Tree::sample(&[
        (
            "a/Cargo.toml",
            "[dependencies]\nrookery-b.workspace = true\n",
        ),
        ("a/src/lib.rs", "mod low; mod high;"),
        ("a/src/low.rs", "use crate::high::High;"),
        ("a/src/high/mod.rs", "pub struct High;"),
    ]);
    let one = |from: &str, to: &str| Table::from([(from.to_owned(), vec![to.to_owned()])]);
    let directions = Directions {
        packages: one("a", "rookery-*"),
        folders: one("a/src/low", "a/src/high"),
    };
    let found = check(&tree, &directions);
    assert_eq!(found["a"].what, ["depends on rookery-b"]);
    assert_eq!(
        found["a/src/low"].what,
        ["a/src/low.rs imports a/src/high/mod.rs"]
    );
    let gone = Directions {
        packages: one("b", "rookery-*"),
        folders: one("a/src/gone", "a/src/high"),
    };
    assert_eq!(check(&tree, &gone).len(), 2);
}
