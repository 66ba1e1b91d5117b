//! Where the built programs and the test inputs are.

use std::path::{Path, PathBuf};

use crate::Skip;

/// The folder that `make build` fills: `ROOKERY_DIST`, else `dist` in the workspace.
pub fn dist() -> PathBuf {
    let dist =
        std::env::var_os("ROOKERY_DIST").map_or_else(|| workspace().join("dist"), PathBuf::from);
    assert!(
        dist.join("rookery").exists(),
        "{} holds no server; run `make build test-plugins` first",
        dist.display()
    );
    dist
}

/// The repository.
pub fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The demo's root filesystem, made by `demo/build-rootfs`.
pub fn demo_rootfs() -> PathBuf {
    let archive = dist().join("demo/rootfs.tar.gz");
    assert!(
        archive.exists(),
        "{} is missing; `make test` makes it",
        archive.display()
    );
    archive
}

/// A file of the recorded data and images that are kept outside the repository: below
/// `ROOKERY_SHARED`, else `../shared`. Whoever sets the variable has them all.
pub fn shared(path: &str) -> Result<PathBuf, Skip> {
    match std::env::var_os("ROOKERY_SHARED") {
        Some(shared) => existing(Path::new(&shared).join(path)).map_err(Skip::missing),
        None => existing(workspace().join("../shared").join(path)).map_err(|missing| {
            Skip::elsewhere(format!("{missing}; ROOKERY_SHARED names its folder"))
        }),
    }
}

/// A firmware image: from `ROOKERY_FIRMWARE` if that is set, else from the shared images.
pub fn firmware(name: &str) -> Result<PathBuf, Skip> {
    match std::env::var_os("ROOKERY_FIRMWARE") {
        Some(folder) => existing(Path::new(&folder).join(name)).map_err(Skip::missing),
        None => shared(&format!("fw/{name}")),
    }
}

fn existing(path: PathBuf) -> Result<PathBuf, String> {
    if path.exists() {
        return Ok(path);
    }
    Err(format!("{} is not here", path.display()))
}
