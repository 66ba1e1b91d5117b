//! How modules lie in folders: one that has parts is `name/mod.rs`, not `name.rs` beside `name/`.

use super::ratchet::{Found, add};
use super::tree::Tree;

pub fn modules_beside_their_folder(tree: &Tree) -> Found {
    let mut found = Found::new();
    for file in tree.rust() {
        let folder = format!("{}/", file.path.trim_end_matches(".rs"));
        if tree.rust().any(|other| other.path.starts_with(&folder)) {
            add(
                &mut found,
                &file.path,
                format!("belongs into {folder}mod.rs"),
            );
        }
    }
    found
}

#[test]
fn a_module_beside_its_folder_is_found() {
    let tree = Tree::sample(&[
        ("src/a.rs", ""),
        ("src/a/part.rs", ""),
        ("src/b/mod.rs", ""),
        ("src/b/part.rs", ""),
    ]);
    let found = modules_beside_their_folder(&tree);
    assert_eq!(found.keys().collect::<Vec<_>>(), ["src/a.rs"]);
}
