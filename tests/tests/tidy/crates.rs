//! Circles within the crates.

use std::collections::BTreeMap;

use super::circles::circles;
use super::modules::{self, Edges};
use super::ratchet::{Found, add};
use super::tree::{File, Tree};

/// The `src` folders of all packages that are part of the product.
pub fn sources(tree: &Tree) -> Vec<String> {
    let manifests = tree
        .files
        .iter()
        .filter(|file| file.ends_with("/Cargo.toml"));
    let folders = manifests
        .filter(|file| !file.is_test())
        .map(|file| file.path.as_str());
    folders
        .map(|path| path.replace("/Cargo.toml", "/src"))
        .collect()
}

/// By the file whose imports close circles of three files or more.
pub fn circles_of_files(tree: &Tree) -> Found {
    let mut found = Found::new();
    for src in sources(tree) {
        for ((from, _), circle) in circles(&modules::edges(tree, &src), 3) {
            let short = circle.replace(&format!("{src}/"), "");
            add(&mut found, &from, short);
        }
    }
    found
}

/// By the folder: how many imports of its files lead to a folder from which a way leads back. A
/// folder and one that lies in it are the inside of one room.
pub fn circles_of_folders(tree: &Tree) -> Found {
    let mut found = Found::new();
    for src in sources(tree) {
        let mut between = Edges::new();
        let mut imports: BTreeMap<_, usize> = BTreeMap::new();
        for (from, to) in modules::edges(tree, &src) {
            let edge = (folder(tree, &from), folder(tree, &to));
            if !lies_in(&edge.0, &edge.1) && !lies_in(&edge.1, &edge.0) {
                between.insert(edge.clone());
                *imports.entry(edge).or_default() += 1;
            }
        }
        for (edge, circle) in circles(&between, 2) {
            for _ in 0..imports[&edge] {
                add(&mut found, &edge.0, circle.clone());
            }
        }
    }
    for place in found.values_mut() {
        place.what.dedup();
    }
    found
}

fn lies_in(folder: &str, other: &str) -> bool {
    let below = folder.strip_prefix(other);
    below.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// The folder of a file. A crate's root is a place of its own: it wires the folders together.
/// `a.rs` beside `a/` belongs to `a`.
fn folder(tree: &Tree, file: &str) -> String {
    let own = file.trim_end_matches(".rs");
    let is_root = own.ends_with("/src/lib") || own.ends_with("/src/main");
    let inside = format!("{own}/");
    let is_part = |other: &File| other.path.starts_with(&inside) && !other.is_test();
    if is_root || tree.rust().any(is_part) {
        return own.to_owned();
    }
    file.rsplit_once('/')
        .map_or("", |(folder, _)| folder)
        .to_owned()
}

#[cfg(test)]
fn sample() -> Tree {
    Tree::sample(&[
        ("a/Cargo.toml", ""),
        ("a/src/lib.rs", "mod x; mod y; mod z;"),
        ("a/src/x/mod.rs", "mod one; use crate::y::Two;"),
        ("a/src/x/one.rs", "pub struct One;"),
        ("a/src/x/w/mod.rs", "use crate::x::one::One; mod v;"),
        ("a/src/y/mod.rs", "pub struct Two; use crate::z::Three;"),
        ("a/src/z/mod.rs", "pub struct Three; use crate::x;"),
    ])
}

#[test]
fn a_circle_of_three_files_is_told_from_file_to_file() {
    let found = circles_of_files(&sample());
    let files = ["a/src/x/mod.rs", "a/src/y/mod.rs", "a/src/z/mod.rs"];
    assert_eq!(found.keys().collect::<Vec<_>>(), files);
    assert_eq!(
        found[files[0]].what,
        ["x/mod.rs→y/mod.rs→z/mod.rs→x/mod.rs"]
    );
}

#[test]
fn a_circle_of_folders_is_told_with_the_number_of_its_imports() {
    let found = circles_of_folders(&sample());
    assert_eq!(
        found.keys().collect::<Vec<_>>(),
        ["a/src/x", "a/src/y", "a/src/z"]
    );
    let circle = "a/src/x→a/src/y→a/src/z→a/src/x";
    assert_eq!(found["a/src/x"].what, [circle]);
    assert_eq!(found["a/src/x"].number, 1);
}
