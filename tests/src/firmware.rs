//! Firmwares of the tests: the demo's root filesystem, whose busybox plays all parts.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::places;

/// Commands that scripts call, which the demo has no links for.
const COMMANDS: &[&str] = &[
    "cat", "cp", "date", "ifconfig", "losetup", "mkdir", "readlink", "touch", "umount",
];

/// The demo's root filesystem with another start script, as a directory below `dir`.
pub fn with_start(dir: &Path, name: &str, script: &str) -> Result<PathBuf> {
    let tree = dir.join(format!("{name}.tree"));
    std::fs::create_dir(&tree)?;
    let archive = places::demo_rootfs();
    tool("tar", &["xzf", archive.to_str().context("a path")?], &tree)?;
    std::fs::write(
        tree.join("etc/init.d/rcS"),
        format!("#!/bin/sh\n{script}\n"),
    )?;
    for command in COMMANDS {
        let link = tree.join("bin").join(command);
        if !link.exists() {
            std::os::unix::fs::symlink("busybox", link)?;
        }
    }
    Ok(tree)
}

/// Pack such a directory as `NAME.tar.gz` beside it.
pub fn pack(tree: &Path, name: &str) -> Result<()> {
    tool("tar", &["czf", &format!("../{name}.tar.gz"), "."], tree)
}

/// Run a tool that is there or that `scripts/setup` installs.
pub fn tool(program: &str, arguments: &[&str], dir: &Path) -> Result<()> {
    let mut command = Command::new(program);
    let output = command.args(arguments).current_dir(dir).output();
    let output = output.with_context(|| format!("{program}; `scripts/setup` installs it"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{program}: {said}");
    Ok(())
}
