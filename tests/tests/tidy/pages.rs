//! What the pages say of the tree is true of it: every tool is named where tools are listed, every
//! path of the architecture page is there, and every test of the threat model.

use super::ratchet::{Found, add};
use super::tree::Tree;

/// Where every tool is named.
const LISTS: [&str; 4] = [
    "README.md",
    "host/runtime/src/policy/toolsets.toml",
    "host/server/src/docs/workflow.md",
    "host/server/src/instructions.rs",
];

pub fn tools_that_are_not_named(tree: &Tree) -> Found {
    let mut found = Found::new();
    let manifests = tree.files.iter().filter_map(|file| {
        let rest = file.path.strip_prefix("plugins/")?;
        let name = rest.strip_suffix("/Cargo.toml")?;
        file.text.contains("\"cdylib\"").then_some(name)
    });
    for tool in manifests {
        for list in LISTS.iter().filter_map(|list| tree.file(list)) {
            let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
            if !list.text.split(|c| !is_part(c)).any(|word| word == tool) {
                add(&mut found, &list.path, format!("does not name `{tool}`"));
            }
        }
    }
    found
}

const PAGE: &str = "docs/architecture.md";
const FOLDERS: [&str; 6] = ["docs/", "host/", "plugins/", "scripts/", "tests/", "wit/"];

pub fn paths_that_are_not_there(tree: &Tree) -> Found {
    let mut found = Found::new();
    let page = tree.file(PAGE).map_or("", |page| &page.text);
    for path in page.split('`').skip(1).step_by(2) {
        let is_path = FOLDERS.iter().any(|folder| path.starts_with(folder));
        if !is_path || path.contains(['*', '<', ' ']) {
            continue;
        }
        let below = format!("{}/", path.trim_end_matches('/'));
        let is_there =
            |file: &super::tree::File| file.path == path || file.path.starts_with(&below);
        if !tree.files.iter().any(is_there) {
            add(&mut found, PAGE, format!("`{path}` is not there"));
        }
    }
    found
}

const MODEL: &str = "docs/threat-model.md";

/// A claim of the threat model stands in a row with the test that keeps it.
pub fn claims_without_their_test(tree: &Tree) -> Found {
    let mut found = Found::new();
    let page = tree.file(MODEL).map_or("", |page| &page.text);
    let mut claims = page.lines().skip_while(|line| *line != "| claim | test |");
    let rows = claims
        .by_ref()
        .filter(|line| line.starts_with("| ") && !line.starts_with("| claim "));
    for row in rows {
        let test = row
            .split('`')
            .rev()
            .nth(1)
            .and_then(|test| test.split_once("::"));
        let is_there = test.is_some_and(|(path, name)| {
            let file = tree.file(path);
            let is_it = |file: &super::tree::File| file.text.contains(&format!("fn {name}("));
            file.is_some_and(is_it)
        });
        if !is_there {
            add(&mut found, MODEL, format!("has no test: {row}"));
        }
    }
    found
}

#[test]
fn a_claim_whose_test_is_gone_is_found() {
    let tree = Tree::sample(&[
        (
            MODEL,
            "| who | what |\n| claim | test |\n|---|---|\n| it holds | `a.rs::holds` |\n\
             | it held | `a.rs::held` |\n| it might | |\n",
        ),
        ("a.rs", "fn holds() {}"),
    ]);
    let found = claims_without_their_test(&tree);
    assert_eq!(found[MODEL].what.len(), 2, "{:?}", found[MODEL].what);
}

#[test]
fn a_tool_without_a_row_and_a_path_without_a_file_are_found() {
    let manifest = "crate-type = [\"cdylib\", \"rlib\"]";
    let tree = Tree::sample(&[
        ("README.md", "`run` `run_wait`"),
        ("plugins/run/Cargo.toml", manifest),
        ("plugins/wait/Cargo.toml", manifest),
        ("plugins/sdk/Cargo.toml", ""),
        (
            PAGE,
            "`plugins/run`, `plugins/run/Cargo.toml`, `host/none.rs`, `host/*`",
        ),
    ]);
    let found = tools_that_are_not_named(&tree);
    assert_eq!(found["README.md"].what, ["does not name `wait`"]);
    let found = paths_that_are_not_there(&tree);
    assert_eq!(found[PAGE].what, ["`host/none.rs` is not there"]);
}
