//! What this program carries of its own source: the contract, and the SDK for Rust.

use std::path::Path;

use include_dir::{Dir, include_dir};

use super::tree::{Files, put};

static WIT: Dir = include_dir!("$CARGO_MANIFEST_DIR/../../wit");
static SDK: Dir = include_dir!("$CARGO_MANIFEST_DIR/../../plugins/sdk/src");
static MACROS: Dir = include_dir!("$CARGO_MANIFEST_DIR/../../plugins/sdk-macros");
/// The versions with which this program's own tools were built.
const LOCK: &str = include_str!("../../../../../Cargo.lock");

/// The contract's files, by their names.
pub(super) fn contract() -> impl Iterator<Item = (&'static str, &'static str)> {
    let is_wit = |path: &Path| path.extension().is_some_and(|extension| extension == "wit");
    let files = WIT.files().filter(move |file| is_wit(file.path()));
    files.filter_map(|file| Some((file.path().to_str()?, file.contents_utf8()?)))
}

/// The contract as the folder `below`.
pub(super) fn put_contract(files: &mut Files, below: &str) {
    for (name, text) in contract() {
        files.insert(format!("{below}/{name}"), text.into());
    }
}

/// The SDK's crates as the folder `rookery`, and the lock.
pub(super) fn put_crates(files: &mut Files) {
    put(files, &SDK, "rookery/sdk/src");
    for (name, text) in [
        (
            "Cargo.toml",
            include_str!("../../../../../plugins/sdk/Cargo.toml"),
        ),
        (
            "README.md",
            include_str!("../../../../../plugins/sdk/README.md"),
        ),
        ("LICENSE-MIT", include_str!("../../../../../LICENSE-MIT")),
        (
            "LICENSE-APACHE",
            include_str!("../../../../../LICENSE-APACHE"),
        ),
    ] {
        files.insert(format!("rookery/sdk/{name}"), text.into());
    }
    put_contract(files, "rookery/sdk/wit");
    put(files, &MACROS, "rookery/sdk-macros");
    if let Some(contract) = WIT.get_dir("contract") {
        put(files, contract, "rookery");
    }
    // They compare with the repository around them.
    files.retain(|path, _| !path.starts_with("rookery/contract/tests/"));
    files.insert("Cargo.lock".to_owned(), LOCK.into());
}
