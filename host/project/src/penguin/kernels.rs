//! The kernels that Penguin ships.

use super::architectures::Architecture;
use super::project::STATIC_DIR;

/// Their versions, the default last.
pub const VERSIONS: [&str; 2] = ["4.10", "6.13"];

/// The paths of an architecture's kernels in Penguin's container, the default first.
pub fn paths(arch: &Architecture) -> impl Iterator<Item = String> {
    VERSIONS
        .iter()
        .rev()
        .map(|version| format!("{STATIC_DIR}/kernels/{version}/{}", arch.kernel))
}
