//! The root filesystem as data: real images, and archives made to break out.

mod edge;
#[path = "common/images.rs"]
mod images;

use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use edge::Roots;
use images::{Archive, elf, firmware, gzip, mipsel, small_root};
use proptest::prelude::*;
use rookery_project::{Cancel, Error, unpack};
use serde_json::{Value, json};

fn refused(archive: &[u8]) -> String {
    let (_dir, firmware) = firmware(archive);
    let error = firmware.unwrap_err();
    assert!(
        matches!(error, Error::InvalidArgument(_) | Error::Limit(_)),
        "{error:?}"
    );
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("a.tar.gz"), archive).unwrap();
    let inner = dir.path().join("inner");
    fs::create_dir(&inner).unwrap();
    let archive = dir.path().join("a.tar.gz");
    let error_again = unpack(&archive, &inner.join("into"), &Cancel::default()).unwrap_err();
    assert!(!error_again.to_string().is_empty());
    let left = fs::read_dir(inner).unwrap().count();
    assert_eq!(left, 0, "nothing is left");
    error.to_string()
}

fn unpacked(archive: &[u8]) -> (tempfile::TempDir, PathBuf, rookery_project::Unpacked) {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("a.tar"), archive).unwrap();
    let into = dir.path().join("into");
    let report = unpack(&dir.path().join("a.tar"), &into, &Cancel::default()).unwrap();
    (dir, into, report)
}

#[test]
fn an_image_is_listed_read_and_searched() {
    let (_dir, firmware) = firmware(&small_root("./").gz());
    let firmware = firmware.unwrap();
    let list = firmware.list_directory("/bin", &Value::Null).unwrap();
    assert_eq!(list["total"], 3);
    assert_eq!(
        list["entries"][2],
        json!({"name": "sh", "kind": "symlink", "bytes": 0, "mode": "0777", "target": "busybox"})
    );
    let page = firmware
        .list_directory("bin", &json!({"limit": 1, "offset": 1}))
        .unwrap();
    assert_eq!(
        (&page["entries"][0]["name"], &page["truncated"]),
        (&json!("busybox"), &json!(true))
    );
    let stat = firmware.stat("/sbin/init").unwrap();
    assert_eq!(
        (&stat["resolved"], &stat["elf"]["arch"], &stat["mode"]),
        (&json!("/bin/busybox"), &json!("mipsel"), &json!("4755"))
    );
    assert_eq!(
        firmware.stat("/dev/dsa").unwrap()["kind"],
        "character-device"
    );
    assert_eq!(firmware.read("/etc/inittab", 2, 1).unwrap(), b"x");
    assert!(
        firmware
            .read("/etc/inittab", 1 << 40, 9)
            .unwrap()
            .is_empty()
    );

    let cancel = Cancel::default();
    let found = firmware
        .search("vendor_[a-z]", &Value::Null, &cancel)
        .unwrap();
    assert_eq!(
        (&found["total"], &found["matches"][0]["path"]),
        (&json!(1), &json!("/etc/init.d/rcS"))
    );
    assert_eq!(
        found["matches"][0]["text"],
        "cat /proc/vendor_x > /dev/watchdog"
    );
    let paths = firmware
        .search(
            "^/etc/.*rcS$",
            &json!({"in": "path", "under": "/etc"}),
            &cancel,
        )
        .unwrap();
    assert_eq!(paths["matches"][0]["path"], "/etc/init.d/rcS");
    assert!(firmware.search("(", &Value::Null, &cancel).is_err());
    assert!(
        firmware
            .search("x", &json!({"under": "/nope"}), &cancel)
            .is_err()
    );
    for bad in ["/nope", "/etc/inittab/x"] {
        assert!(
            matches!(firmware.stat(bad), Err(Error::NotFound(_))),
            "{bad}"
        );
    }
    assert!(
        firmware
            .list_directory("/etc/inittab", &Value::Null)
            .is_err()
    );
    assert!(firmware.read("/etc", 0, 1).is_err());
}

#[test]
fn a_match_across_two_chunks_is_found_once() {
    let mut big = vec![b'.'; 20 << 20];
    for at in [(8 << 20) - 3, (8 << 20) - (64 << 10) - 2, 12 << 20] {
        big[at..at + 6].copy_from_slice(b"NEEDLE");
    }
    let (_dir, firmware) = firmware(&Archive::new().file("bin/x", 0o644, &big).tar());
    let found = firmware
        .unwrap()
        .search("NEEDLE", &Value::Null, &Cancel::default())
        .unwrap();
    let offsets: Vec<_> = found["matches"]
        .as_array()
        .unwrap()
        .iter()
        .map(|m| m["offset"].as_u64().unwrap())
        .collect();
    assert_eq!(
        offsets,
        [(8 << 20) - (64 << 10) - 2, (8 << 20) - 3, 12 << 20]
    );
}

#[test]
fn entries_that_point_out_are_refused() {
    assert!(refused(&Archive::new().file("../evil", 0o644, b"x").gz()).contains("`..`"));
    assert!(refused(&Archive::new().file("a/../../evil", 0o644, b"x").gz()).contains("`..`"));
    assert!(
        refused(
            &Archive::new()
                .file("a", 0o644, b"x")
                .hard_link("b", "../../etc/passwd")
                .gz()
        )
        .contains("`..`")
    );
    assert!(
        refused(
            &Archive::new()
                .file("a/b", 0o644, b"")
                .file("a", 0o644, b"")
                .gz()
        )
        .contains("not empty")
    );
    assert!(
        refused(
            &Archive::new()
                .file("a", 0o644, b"")
                .file("a/b", 0o644, b"")
                .gz()
        )
        .contains("not a directory")
    );
    assert!(
        refused(&Archive::new().link("l", "l").file("l/x", 0o644, b"").gz()).contains("circle")
    );
    assert!(refused(&Archive::new().file("\x1b[2J/../x", 0o644, b"").gz()).contains("\\u{1b}"));
}

#[test]
fn what_is_no_archive_is_named() {
    for (bytes, word) in [
        (&b""[..], "empty"),
        (b"hsqs....", "squashfs"),
        (b"PK\x03\x04", "zip"),
        (b"\xfd7zXZ\0", "xz"),
        (b"plain text", "something else"),
    ] {
        assert!(refused(bytes).contains(word), "{word}");
    }
    let whole = small_root("").gz();
    assert!(refused(&whole[..whole.len() / 2]).contains("damaged or cut off"));
    assert!(refused(&gzip(&[0; 1024])).contains("empty"));
    assert!(refused(&gzip(b"no tar inside")).contains("damaged"));
}

#[test]
fn a_name_that_never_ends_is_refused_early() {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::GNULongName);
    header.set_path("././@LongLink").unwrap();
    header.set_size(4 << 20);
    header.set_cksum();
    let mut long = header.as_bytes().to_vec();
    long.extend(std::iter::repeat_n(b'a', 4 << 20));
    assert!(refused(&gzip(&long)).contains("names and headers"));
}

#[test]
fn a_link_is_never_written_through() {
    let victim = tempfile::tempdir().unwrap();
    let target = victim.path().to_str().unwrap().to_owned();
    let archive = Archive::new()
        .link("out", &target)
        .file("out/planted", 0o644, b"x")
        .link("up", "../../../../../../..")
        .file("up/tmp/planted2", 0o644, b"x")
        .tar();
    let (_dir, into, report) = unpacked(&archive);
    assert_eq!(fs::read_dir(victim.path()).unwrap().count(), 0);
    assert_eq!(
        fs::read_link(into.join("out")).unwrap(),
        victim.path(),
        "the link itself is as it was"
    );
    assert!(
        into.join(target.trim_start_matches('/'))
            .join("planted")
            .is_file(),
        "inside, as a chroot would have it"
    );
    assert!(into.join("tmp/planted2").is_file());
    assert_eq!(report.bytes, 2);
}

#[test]
fn modes_links_nodes_and_long_names_survive() {
    let mut archive = small_root("./")
        .file("secret", 0o000, b"s")
        .file("closed/inner", 0o444, b"i")
        .entry(tar::EntryType::Directory, "closed", 0o111, "", b"")
        .entry(tar::EntryType::Fifo, "run/pipe", 0o600, "", b"");
    let long = format!("usr/share/{}/{}", "d".repeat(120), "n".repeat(200));
    let mut header = tar::Header::new_gnu();
    header.set_size(4);
    header.set_mode(0o640);
    archive
        .0
        .append_data(&mut header, &long, &b"long"[..])
        .unwrap();
    let mut pax = tar::Header::new_ustar();
    pax.set_size(3);
    pax.set_mode(0o600);
    pax.set_cksum();
    archive
        .0
        .append_pax_extensions([("path", "etc/päx".as_bytes())])
        .unwrap();
    archive.0.append(&pax, &b"pax"[..]).unwrap();
    let (_dir, into, report) = unpacked(&archive.tar());
    let mode = |path: &str| {
        fs::symlink_metadata(into.join(path))
            .unwrap()
            .permissions()
            .mode()
            & 0o7777
    };
    assert_eq!(
        (
            mode("bin/busybox"),
            mode("secret"),
            mode("closed"),
            mode("etc/init.d/rcS")
        ),
        (0o755, 0o400, 0o711, 0o755)
    );
    assert_eq!(fs::read(into.join(&long)).unwrap(), b"long");
    assert_eq!(fs::read(into.join("etc/päx")).unwrap(), b"pax");
    assert_eq!(
        fs::read_link(into.join("sbin/init")).unwrap(),
        Path::new("../bin/busybox")
    );
    let inode = |path: &str| fs::metadata(into.join(path)).unwrap().ino();
    assert_eq!(inode("bin/[["), inode("bin/busybox"));
    assert!(
        fs::metadata(into.join("run/pipe"))
            .unwrap()
            .file_type()
            .is_fifo()
    );
    let program = &report.set_ids[0];
    assert_eq!((&*program.path, program.bits), ("/bin/busybox", 0o4000));
    assert!(!into.join("dev/dsa").exists());
    let node = &report.nodes[0];
    assert_eq!(
        (
            node.path.as_str(),
            node.block,
            node.major,
            node.minor,
            node.mode
        ),
        ("/dev/dsa", false, 240, 3, 0o600)
    );
}

#[test]
fn sparse_files_are_expanded() {
    let dir = tempfile::tempdir().unwrap();
    let file = fs::File::create(dir.path().join("sparse")).unwrap();
    std::os::unix::fs::FileExt::write_at(&file, b"end", (1 << 20) - 3).unwrap();
    let mut builder = tar::Builder::new(Vec::new());
    builder.sparse(true);
    builder
        .append_path_with_name(dir.path().join("sparse"), "sparse")
        .unwrap();
    let (_dir, into, _) = unpacked(&builder.into_inner().unwrap());
    let content = fs::read(into.join("sparse")).unwrap();
    assert_eq!(
        (content.len(), &content[content.len() - 3..]),
        (1 << 20, &b"end"[..])
    );
}

#[test]
fn unpacking_needs_an_empty_place_and_can_be_cancelled() {
    let dir = tempfile::tempdir().unwrap();
    let archive = dir.path().join("a.tar");
    fs::write(&archive, small_root("").tar()).unwrap();
    fs::create_dir(dir.path().join("full")).unwrap();
    fs::write(dir.path().join("full/x"), "").unwrap();
    assert!(matches!(
        unpack(&archive, &dir.path().join("full"), &Cancel::default()),
        Err(Error::Conflict(_))
    ));
    fs::create_dir(dir.path().join("empty")).unwrap();
    assert!(unpack(&archive, &dir.path().join("empty"), &Cancel::default()).is_ok());
    let cancel = Cancel::default();
    cancel.cancel();
    assert_eq!(
        unpack(&archive, &dir.path().join("no"), &cancel).unwrap_err(),
        Error::Cancelled
    );
    assert!(!dir.path().join("no").exists());
}

#[test]
fn an_archive_that_is_a_link_or_missing_says_so() {
    let (dir, _) = firmware(&small_root("").gz());
    let roots = Roots::new([dir.path().to_owned()]).unwrap();
    let base = dir.path().join("base/fs.tar.gz");
    fs::remove_file(&base).unwrap();
    let error = roots
        .project(".")
        .unwrap()
        .firmware(&Cancel::default())
        .unwrap_err();
    assert!(matches!(error, Error::Unavailable(_)), "{error}");
    symlink("/etc/passwd", &base).unwrap();
    assert!(matches!(
        roots.project(".").unwrap().firmware(&Cancel::default()),
        Err(Error::Denied(_))
    ));
}

#[test]
fn only_what_can_start_is_a_candidate() {
    let root = || {
        Archive::new()
            .file("bin/busybox", 0o755, &mipsel())
            .file("bin/cp", 0o755, &mipsel())
            .link("bin/sh", "busybox")
    };
    let paths = |archive: Archive| {
        let found = firmware(&archive.tar())
            .1
            .unwrap()
            .init_candidates()
            .unwrap();
        found["candidates"]
            .as_array()
            .unwrap()
            .iter()
            .map(|c| c["path"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    // Not executable, dangling, of another CPU, without an interpreter, a directory, a hostile
    // name.
    let none = root()
        .file("sbin/init", 0o644, &mipsel())
        .link("init", "/nowhere")
        .file("etc/init", 0o755, &elf(40, false, false))
        .file("linuxrc", 0o755, b"#!/bin/zsh\n")
        .dir("preinit")
        .file("opt/{{7*7}} x/init", 0o755, b"#!/bin/sh\n");
    assert_eq!(paths(none), [""; 0]);
    // Where there is none, the program that serves; where there is one, that starts it.
    let server = || Archive::new().file("bin/httpd", 0o755, &mipsel());
    assert_eq!(paths(server()), ["/bin/httpd"]);
    let started = server().file("bin/init", 0o755, &mipsel());
    assert_eq!(paths(started), ["/bin/init"]);
    let busybox = root()
        .link("sbin/init", "/bin/busybox")
        .link("linuxrc", "bin/busybox")
        .file("etc/inittab", 0o644, b"::sysinit:/etc/start.sh\n")
        .file("etc/start.sh", 0o755, b"#! /bin/sh -e\n");
    assert_eq!(paths(busybox), ["/sbin/init", "/etc/start.sh"]);
    let tools = root()
        .file("sbin/init", 0o755, &mipsel())
        .hard_link("usr/sbin/init", "sbin/init")
        .file("bin/mount", 0o755, &mipsel())
        .file("etc/start.sh", 0o755, b"#!/bin/sh\n")
        .file(
            "etc/inittab",
            0o644,
            b"::sysinit:/bin/mount -a\n::sysinit:/bin/busybox mkdir /x\n\
            ::sysinit:/bin/sh /etc/start.sh\n",
        );
    assert_eq!(paths(tools), ["/sbin/init", "/etc/start.sh"]);
    let old_openwrt = root().link("sbin/init", "../bin/busybox").file(
        "etc/preinit",
        0o755,
        b"#!/bin/sh\n. /etc/functions.sh\nmount_root\n",
    );
    assert_eq!(paths(old_openwrt), ["/etc/preinit", "/sbin/init"]);
    // An SFP stick: what its preinit ends as is what a kernel starts by itself.
    let stick = |preinit: &[u8]| {
        let stick = root().link("sbin/init", "../bin/busybox");
        stick.file("etc/preinit", 0o755, preinit)
    };
    let becomes = stick(b"#!/bin/sh\nmount_root\nexec env - PATH=$PATH /sbin/init\n");
    assert_eq!(paths(becomes), ["/sbin/init", "/etc/preinit"]);
    let by_parts = stick(b"#!/bin/sh\nfor i in /lib/preinit/*; do . $i; done\n").file(
        "lib/preinit/99_10_run_init",
        0o644,
        b"run_init() {\n  exec env - PATH=$PATH $init </dev/console\n}\n",
    );
    assert_eq!(paths(by_parts), ["/sbin/init", "/etc/preinit"]);
    let only_said = stick(b"#!/bin/sh\n# exec /sbin/init\necho /sbin/init\n");
    assert_eq!(paths(only_said), ["/etc/preinit", "/sbin/init"]);
    let odd = root().file("opt/vendor/rcS", 0o755, b"#!/bin/sh\n").file(
        "etc/rc.local",
        0o755,
        b"echo no interpreter line\n",
    );
    assert_eq!(paths(odd), ["/opt/vendor/rcS", "/etc/rc.local"]);
}

#[test]
fn the_architectures_have_penguins_names() {
    for (machine, wide, big, name) in [
        (40, false, false, "armel"),
        (183, true, false, "aarch64"),
        (8, false, true, "mipseb"),
        (8, true, false, "mips64el"),
        (20, false, true, "powerpc"),
        (21, true, true, "powerpc64"),
        (21, true, false, "powerpc64le"),
        (243, true, false, "riscv64"),
        (243, false, false, "riscv32"),
        (40, false, true, "armeb"),
        (3, false, false, "i386"),
        (42, false, false, "machine-42"),
        (258, true, false, "loongarch64"),
        (62, true, false, "x86_64"),
    ] {
        let (_dir, firmware) = firmware(
            &Archive::new()
                .file("bin/x", 0o755, &elf(machine, wide, big))
                .tar(),
        );
        let stat = firmware.unwrap().stat("/bin/x").unwrap();
        assert_eq!(
            (&stat["elf"]["arch"], &stat["elf"]["endianness"]),
            (&json!(name), &json!(if big { "big" } else { "little" }))
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 100,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn a_damaged_archive_is_an_error_or_an_image_but_no_panic(
        at in 0usize..6000,
        with in any::<u8>(),
        cut in 0usize..6000,
    ) {
        let mut archive = small_root("./").tar();
        let length = archive.len();
        archive[at % length] = with;
        archive.truncate(length - cut % length);
        let (_dir, firmware) = firmware(&archive);
        if let Ok(firmware) = firmware {
            firmware.init_candidates().unwrap();
        }
    }
}
