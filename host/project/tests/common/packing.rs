//! Images of a small root filesystem, made by the tools that vendors use.

use std::fs::{self, File, Permissions};
use std::io::{Cursor, Write};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Stdio};

use backhand::{FilesystemWriter, NodeHeader, kind};
use rookery_project::Error;
use serde_json::Value;

use crate::images::mipsel;

/// A root filesystem in a directory of the host, with what an image may get wrong.
pub struct Root(tempfile::TempDir);

impl Root {
    pub fn make() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        let long = format!("usr/{0}", "x".repeat(180));
        for name in ["bin", "sbin", "etc", "dev", "lib", "usr/share", &long] {
            fs::create_dir_all(root.join(name)).unwrap();
        }
        let file = |path: &str, mode, content: &[u8]| {
            fs::write(root.join(path), content).unwrap();
            fs::set_permissions(root.join(path), Permissions::from_mode(mode)).unwrap();
        };
        file("bin/busybox", 0o4755, &mipsel());
        symlink("busybox", root.join("bin/sh")).unwrap();
        symlink("../bin/busybox", root.join("sbin/init")).unwrap();
        file("etc/secret", 0o600, b"needle of a file with two names\n");
        fs::hard_link(root.join("etc/secret"), root.join("etc/secret2")).unwrap();
        file("etc/empty", 0o644, b"");
        let data = b"0123456789abcdef".repeat(187_500);
        file("usr/share/data", 0o644, &[&data[..], b"!"].concat());
        file(&format!("{long}/{}", "x".repeat(180)), 0o644, b"deep");
        Self(dir)
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// A file that is nothing but a hole.
    pub fn sparse(&self, path: &str, bytes: u64) {
        let file = File::create(self.path().join(path)).unwrap();
        file.set_len(bytes).unwrap();
    }
}

/// What `tar tv` says of the archive in the project that `make` makes of `image`.
pub fn tar_listing(
    image: &[u8],
    make: &impl Fn(&[u8]) -> (tempfile::TempDir, Result<Value, Error>),
) -> String {
    let (dir, project) = make(image);
    project.unwrap();
    let archive = dir.path().join("new/base/fs.tar.gz");
    let listing = Command::new("tar").arg("tvzf").arg(archive).output();
    String::from_utf8(listing.unwrap().stdout).unwrap()
}

/// Run a tool that `scripts/setup` installs.
fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| {
        panic!("{command:?}: {error}; `scripts/setup` installs what tests need")
    });
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {said}");
}

pub fn squashfs(root: &Root, compressor: &str) -> Vec<u8> {
    squashfs_with(root, &["-comp", compressor])
}

pub fn squashfs_with(root: &Root, arguments: &[&str]) -> Vec<u8> {
    let out = tempfile::tempdir().unwrap();
    let image = out.path().join("image");
    let mut command = Command::new("mksquashfs");
    command.arg(root.path()).arg(&image).args(arguments);
    run(command.args(["-all-root", "-noappend", "-no-progress"]));
    fs::read(image).unwrap()
}

/// A squashfs as routers of the other byte order have it, which today's tools do not write.
pub fn big_endian() -> Vec<u8> {
    let mut writer = FilesystemWriter::default();
    writer.set_kind(kind::Kind::from_const(kind::BE_V4_0).unwrap());
    let header = NodeHeader::new(0o755, 0, 0, 1);
    for dir in ["bin", "sbin", "etc", "lib"] {
        writer.push_dir(dir, header).unwrap();
    }
    let busybox = Cursor::new(mipsel());
    writer.push_file(busybox, "bin/busybox", header).unwrap();
    writer
        .push_symlink("../bin/busybox", "sbin/init", header)
        .unwrap();
    let mut image = Cursor::new(Vec::new());
    writer.write(&mut image).unwrap();
    image.into_inner()
}

pub fn cpio(root: &Root) -> Vec<u8> {
    cpio_of_kind(root, "newc")
}

/// A kind as `cpio -H` names it.
pub fn cpio_of_kind(root: &Root, kind: &str) -> Vec<u8> {
    let mut find = Command::new("find");
    let names = find.arg(".").current_dir(root.path()).output();
    let names = names.unwrap().stdout;
    let mut command = Command::new("cpio");
    command.args(["-o", "-H", kind, "--quiet"]);
    filter(command.current_dir(root.path()), &names)
}

/// An image with a console, which only its own tool can put there without root.
pub fn ext(root: &Root, kind: &str, arguments: &[&str]) -> Vec<u8> {
    let out = tempfile::tempdir().unwrap();
    let image = out.path().join("image");
    let mut command = Command::new("mke2fs");
    command.args(["-q", "-t", kind]).args(arguments);
    run(command.arg("-d").arg(root.path()).arg(&image).arg("24M"));
    let console = out.path().join("console");
    fs::write(&console, "cd dev\nmknod console c 5 1\n").unwrap();
    let mut debugfs = Command::new("debugfs");
    run(debugfs.arg("-w").arg("-f").arg(console).arg(&image));
    fs::read(image).unwrap()
}

/// What a command that packs its input makes of it.
pub fn pack(command: &str, bytes: &[u8]) -> Vec<u8> {
    let mut words = command.split(' ');
    let mut command = Command::new(words.next().unwrap());
    filter(command.args(words), bytes)
}

fn filter(command: &mut Command, input: &[u8]) -> Vec<u8> {
    let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let mut child = child.unwrap_or_else(|error| {
        panic!("{command:?}: {error}; `scripts/setup` installs what tests need")
    });
    let mut to = child.stdin.take().unwrap();
    let output = std::thread::scope(|scope| {
        scope.spawn(move || to.write_all(input).unwrap());
        child.wait_with_output().unwrap()
    });
    assert!(output.status.success(), "{command:?}");
    output.stdout
}
