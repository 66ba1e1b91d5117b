//! The test plugin `liar`, whose one lie is chosen by a letter in the built component.

use std::path::Path;

use anyhow::{Context, Result};

use rookery_harness::places;

/// Write to `file` the liar that tells this lie; `-` is none. `tests/plugins/liar` has them all.
pub fn write(lie: u8, file: &Path) -> Result<()> {
    let mut component = std::fs::read(places::dist().join("test-plugins/liar.wasm"))?;
    let word = b"which-lie:a";
    let at = component
        .windows(word.len())
        .position(|window| window == word)
        .context("the liar holds its word")?
        + word.len()
        - 1;
    component[at] = lie;
    Ok(std::fs::write(file, component)?)
}
