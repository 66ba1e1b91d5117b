//! Every dependency is used.

use std::collections::BTreeSet;

use toml::{Table, Value};

use super::ratchet::{Found, add};
use super::source;
use super::tree::Tree;

/// By the manifest: dependencies whose name stands nowhere in the package's code.
pub fn unused(tree: &Tree) -> Found {
    let mut found = Found::new();
    for manifest in tree
        .files
        .iter()
        .filter(|file| file.ends_with("/Cargo.toml"))
    {
        let folder = manifest.path.trim_end_matches("Cargo.toml");
        // A package in a folder of this one is not part of it.
        let is_own = |path: &str| {
            let inner = |other: &str| other.len() > folder.len() && path.starts_with(other);
            let manifests = tree
                .files
                .iter()
                .filter(|file| file.ends_with("/Cargo.toml"));
            let mut folders = manifests.map(|file| file.path.trim_end_matches("Cargo.toml"));
            path.starts_with(folder) && !folders.any(inner)
        };
        let code: Vec<_> = tree
            .rust()
            .filter(|file| is_own(&file.path))
            .map(|file| source::code(&file.text))
            .collect();
        let words: BTreeSet<_> = code.iter().flat_map(|code| source::tokens(code)).collect();
        for kind in ["dependencies", "dev-dependencies", "build-dependencies"] {
            for name in of(&manifest.text, kind) {
                if !words.contains(name.replace('-', "_").as_str()) {
                    add(
                        &mut found,
                        &manifest.path,
                        format!("{name} of [{kind}] is not used"),
                    );
                }
            }
        }
    }
    found
}

/// The names in all tables of this kind, those for one target too.
pub fn of(manifest: &str, kind: &str) -> Vec<String> {
    let manifest: Table = toml::from_str(manifest).expect("a manifest is TOML");
    let targets = manifest.get("target").and_then(Value::as_table);
    let of_targets = targets.into_iter().flat_map(Table::values);
    let tables = std::iter::once(manifest.get(kind)).chain(of_targets.map(|t| t.get(kind)));
    tables
        .flatten()
        .filter_map(Value::as_table)
        .flat_map(|table| table.keys().cloned())
        .collect()
}

#[test]
fn a_dependency_that_only_a_comment_names_is_unused() {
    let tree = Tree::sample(&[
        (
            "a/Cargo.toml",
            "[dependencies]\nb-c = \"1\"\nd = \"1\"\n[target.x.dependencies]\ne = \"1\"\n",
        ),
        ("a/src/lib.rs", "use b_c::X; // d and e\n"),
        ("a/inner/Cargo.toml", ""),
        ("a/inner/src/lib.rs", "use d::X;\n"),
    ]);
    let found = unused(&tree);
    assert_eq!(found.len(), 1);
    assert_eq!(found["a/Cargo.toml"].number, 2);
}
