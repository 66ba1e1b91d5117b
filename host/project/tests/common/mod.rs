//! What several tests need.

use std::path::PathBuf;

/// The folder of recorded data and images, or a loud word that the test is skipped.
pub fn shared() -> Option<PathBuf> {
    let beside = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared");
    let dir = std::env::var_os("ROOKERY_SHARED").map_or_else(|| beside.into(), PathBuf::from);
    if dir.is_dir() {
        return Some(dir);
    }
    eprintln!(
        "SKIPPED: {} is not there; set ROOKERY_SHARED to run this test on recorded data",
        dir.display()
    );
    None
}
