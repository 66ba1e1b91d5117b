//! Where the built programs and the test inputs are.

use std::path::{Path, PathBuf};

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
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
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

/// A file of the recorded data and images that are kept outside the repository: `ROOKERY_SHARED`, else `../shared`.
///
/// `None`, said loudly, where it is not here: the test that asked returns.
pub fn shared(path: &str) -> Option<PathBuf> {
    let shared = std::env::var_os("ROOKERY_SHARED")
        .map_or_else(|| workspace().join("../shared"), PathBuf::from);
    here_or_skip(shared.join(path))
}

/// A firmware image: from `ROOKERY_FIRMWARE` if that is set, else from the shared images.
pub fn firmware(name: &str) -> Option<PathBuf> {
    match std::env::var_os("ROOKERY_FIRMWARE") {
        Some(folder) => here_or_skip(Path::new(&folder).join(name)),
        None => shared(&format!("fw/{name}")),
    }
}

fn here_or_skip(path: PathBuf) -> Option<PathBuf> {
    if path.exists() {
        return Some(path);
    }
    eprintln!(
        "SKIPPED: {} is not here, what it would show is not tested",
        path.display()
    );
    None
}

/// Whether the embedded emulator works on this machine; if not, says loudly why and the test that asked returns.
pub fn can_emulate() -> bool {
    let doctor = std::process::Command::new(dist().join("rookery"))
        .args(["doctor", "--json"])
        .output()
        .expect("rookery doctor starts");
    let report: serde_json::Value =
        serde_json::from_slice(&doctor.stdout).expect("rookery doctor --json prints JSON");
    let user = report["backends"]
        .as_array()
        .and_then(|all| all.iter().find(|b| b["backend"] == "user"))
        .expect("the embedded backend is reported");
    if user["available"] == true {
        return true;
    }
    eprintln!("SKIPPED: the embedded emulator does not work here: {user}");
    false
}
