//! Small root filesystem archives, hostile ones included.

use std::fs;
use std::io::Write;

use crate::edge::{Firmware, Roots};
use rookery_project::{Cancel, Error};
use tar::{Builder, EntryType, Header};

/// The smallest ELF program of an architecture: a header and nothing else.
pub fn elf(machine: u16, wide: bool, big: bool) -> Vec<u8> {
    let half = |n: u16| {
        if big {
            n.to_be_bytes()
        } else {
            n.to_le_bytes()
        }
    };
    let word = |n: u32| {
        if big {
            n.to_be_bytes()
        } else {
            n.to_le_bytes()
        }
    };
    let mut out = vec![
        0x7f,
        b'E',
        b'L',
        b'F',
        if wide { 2 } else { 1 },
        if big { 2 } else { 1 },
        1,
        0,
    ];
    out.extend([0; 8]);
    out.extend(half(2));
    out.extend(half(machine));
    out.extend(word(1));
    let address = |n: u32| match (wide, big) {
        (false, _) => word(n).to_vec(),
        (true, false) => u64::from(n).to_le_bytes().to_vec(),
        (true, true) => u64::from(n).to_be_bytes().to_vec(),
    };
    out.extend(address(0x1000));
    out.extend(address(0));
    out.extend(address(0));
    out.extend(word(0));
    for n in [
        if wide { 64 } else { 52 },
        if wide { 56 } else { 32 },
        0,
        0,
        0,
        0,
    ] {
        out.extend(half(n));
    }
    out
}

/// A MIPS little-endian program.
pub fn mipsel() -> Vec<u8> {
    elf(8, false, false)
}

/// Collects entries, checking nothing: names go into headers as they are.
pub struct Archive(pub Builder<Vec<u8>>);

impl Archive {
    pub fn new() -> Self {
        Self(Builder::new(Vec::new()))
    }

    pub fn entry(
        mut self,
        kind: EntryType,
        path: &str,
        mode: u32,
        link: &str,
        content: &[u8],
    ) -> Self {
        let mut header = Header::new_gnu();
        header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
        header.as_old_mut().linkname[..link.len()].copy_from_slice(link.as_bytes());
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_size(content.len() as u64);
        header.set_mtime(1);
        header.set_cksum();
        self.0.append(&header, content).unwrap();
        self
    }

    pub fn file(self, path: &str, mode: u32, content: &[u8]) -> Self {
        self.entry(EntryType::Regular, path, mode, "", content)
    }

    pub fn dir(self, path: &str) -> Self {
        self.entry(EntryType::Directory, path, 0o755, "", b"")
    }

    pub fn link(self, path: &str, target: &str) -> Self {
        self.entry(EntryType::Symlink, path, 0o777, target, b"")
    }

    pub fn hard_link(self, path: &str, target: &str) -> Self {
        self.entry(EntryType::Link, path, 0o644, target, b"")
    }

    pub fn device(mut self, path: &str, major: u32, minor: u32) -> Self {
        let mut header = Header::new_gnu();
        header.set_path(path).unwrap();
        header.set_entry_type(EntryType::Char);
        header.set_mode(0o600);
        header.set_size(0);
        header.set_device_major(major).unwrap();
        header.set_device_minor(minor).unwrap();
        header.set_cksum();
        self.0.append(&header, &b""[..]).unwrap();
        self
    }

    pub fn tar(self) -> Vec<u8> {
        self.0.into_inner().unwrap()
    }

    pub fn gz(self) -> Vec<u8> {
        gzip(&self.tar())
    }
}

pub fn gzip(data: &[u8]) -> Vec<u8> {
    let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    out.write_all(data).unwrap();
    out.finish().unwrap()
}

/// A root filesystem that boots in theory: busybox as init, a start script, configuration.
pub fn small_root(prefix: &str) -> Archive {
    let at = |path: &str| format!("{prefix}{path}");
    Archive::new()
        .dir(&at("bin/"))
        .file(&at("bin/busybox"), 0o4755, &mipsel())
        .link(&at("bin/sh"), "busybox")
        .link(&at("sbin/init"), "../bin/busybox")
        .file(
            &at("etc/inittab"),
            0o644,
            b"# x\n::sysinit:/etc/init.d/rcS\n::respawn:/sbin/getty\n",
        )
        .file(
            &at("etc/init.d/rcS"),
            0o755,
            b"#!/bin/sh\nifconfig vlan2 up\nbrctl addif br0 eth1\nbrctl addbr br1\n\
            vconfig add eth1 5\nifconfig eth1.5 up\n\
            cat /proc/vendor_x > /dev/watchdog\n",
        )
        .hard_link(&at("bin/[["), &at("bin/busybox"))
        .device(&at("dev/dsa"), 240, 3)
        .dir(&at("lib"))
}

/// The root filesystem of a project with this archive, and the project's directory.
#[allow(dead_code, reason = "each user of this module needs a part of it")]
pub fn firmware(archive: &[u8]) -> (tempfile::TempDir, Result<Firmware, Error>) {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("base")).unwrap();
    fs::write(dir.path().join("config.yaml"), "{}").unwrap();
    fs::write(dir.path().join("base/fs.tar.gz"), archive).unwrap();
    let project = Roots::new([dir.path().to_owned()])
        .unwrap()
        .project(".")
        .unwrap();
    let firmware = project.firmware(&Cancel::default());
    (dir, firmware)
}
