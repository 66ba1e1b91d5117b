//! New projects of odd firmware, and several builds at once.

#[path = "common/creating.rs"]
mod creating;
mod edge;
#[path = "common/images.rs"]
mod images;

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;

use creating::{create, names};
use images::{Archive, elf, small_root};
use rookery_project::Error;
use serde_json::Value;

#[test]
fn what_keeps_programs_from_running_is_warned_of() {
    let dir = tempfile::tempdir().unwrap();
    let made = |name: &str, archive: Archive| {
        fs::write(dir.path().join(name), archive.gz()).unwrap();
        create(dir.path(), name, &format!("new-{name}"))
    };
    let mut dynamic = elf(8, false, false);
    // One program header: the loader's name lies behind it.
    dynamic[28] = 52;
    dynamic[42] = 32;
    dynamic[44] = 1;
    let loader = b"/lib/ld-uClibc.so.0\0";
    for word in [3, 84, 0, 0, 20, 20, 4, 1_u32] {
        dynamic.extend(word.to_le_bytes());
    }
    dynamic.extend(loader);
    let broken = made("loader", small_root("").file("init", 0o755, &dynamic)).unwrap();
    assert!(
        broken["warnings"][0]
            .as_str()
            .unwrap()
            .contains("needs the loader /lib/ld-uClibc.so.0"),
        "{broken}"
    );
    let mixed = made(
        "mixed",
        small_root("").file("usr/bin/other", 0o755, &elf(40, false, false)),
    )
    .unwrap();
    assert!(
        mixed["warnings"][0]
            .as_str()
            .unwrap()
            .contains("are for armel, not for mipsel"),
        "{mixed}"
    );
}

#[test]
fn what_a_killed_build_left_is_cleared_and_what_is_in_use_is_not() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("fw.tar.gz"), small_root("./").gz()).unwrap();
    let old = std::time::SystemTime::now() - std::time::Duration::from_hours(1);
    let left = |name: &str, time: Option<std::time::SystemTime>| {
        let path = dir.path().join(name);
        fs::create_dir(&path).unwrap();
        fs::write(path.join("config.yaml"), "{}").unwrap();
        let handle = fs::File::open(&path).unwrap();
        if let Some(time) = time {
            handle.set_modified(time).unwrap();
        }
        handle
    };
    left(".rookery-init-dead", Some(old));
    left(".rookery-init-young", None);
    left("kept", Some(old));
    symlink(
        dir.path().join("kept"),
        dir.path().join(".rookery-init-link"),
    )
    .unwrap();
    let busy = left(".rookery-init-busy", Some(old));
    rustix::fs::flock(&busy, rustix::fs::FlockOperation::LockExclusive).unwrap();
    create(dir.path(), "fw.tar.gz", "new").unwrap();
    assert_eq!(
        names(dir.path()),
        [
            ".rookery-init-busy",
            ".rookery-init-link",
            "fw.tar.gz",
            "kept",
            "new"
        ]
    );
    assert!(dir.path().join("kept/config.yaml").exists());
}

#[test]
fn of_two_at_once_one_wins_and_the_other_is_told() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("fw.tar.gz"), small_root("./").gz()).unwrap();
    let outcomes: Vec<Result<Value, Error>> = std::thread::scope(|scope| {
        let started: Vec<_> = (0..4)
            .map(|_| scope.spawn(|| create(dir.path(), "fw.tar.gz", "new")))
            .collect();
        started.into_iter().map(|one| one.join().unwrap()).collect()
    });
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
    for error in outcomes.into_iter().filter_map(Result::err) {
        assert!(
            matches!(&error, Error::Conflict(why) if why.contains("is a project already")),
            "{error:?}"
        );
    }
    assert_eq!(names(dir.path()), ["fw.tar.gz", "new"]);
}

#[test]
fn a_sound_archive_is_kept_byte_for_byte_and_any_other_is_packed_anew() {
    let dir = tempfile::tempdir().unwrap();
    let root = || {
        Archive::new()
            .dir("./")
            .dir("./bin/")
            .file("./bin/busybox", 0o4755, &elf(8, false, false))
            .link("./bin/sh", "busybox")
            .hard_link("./bin/[[", "./bin/busybox")
            .dir("./etc/")
            .file("./etc/passwd", 0o644, b"root")
            .dir("./dev")
            .device("./dev/dsa", 240, 3)
    };
    let kept = |name: &str, archive: Vec<u8>| {
        fs::write(dir.path().join(name), &archive).unwrap();
        create(dir.path(), name, &format!("new-{name}")).unwrap();
        let own = dir.path().join(format!("new-{name}/base/fs.tar.gz"));
        fs::read(own).unwrap() == archive
    };
    assert!(kept("sound", root().gz()));
    for (name, archive) in [
        ("twice", root().file("./etc/passwd", 0o644, b"other")),
        ("no-parent", root().file("./var/log/x", 0o644, b"")),
        (
            "through-a-link",
            root().link("./tmp", "etc").file("./tmp/x", 0o644, b""),
        ),
    ] {
        assert!(!kept(name, archive.gz()), "{name}");
    }
    let mut followed = root().gz();
    followed.extend_from_slice(b"something else");
    assert!(!kept("followed", followed));
}

#[test]
fn every_reader_of_archives_finds_the_same_in_one_that_was_packed_anew() {
    let dir = tempfile::tempdir().unwrap();
    let large: Vec<u8> = (0..5_000_000_u32)
        .map(|n| ((n * n) >> 7).to_le_bytes()[0])
        .collect();
    // Whoever unpacks this twice is packed anew, in several members.
    let root = Archive::new()
        .dir("./")
        .dir("./bin/")
        .file("./bin/busybox", 0o4755, &elf(8, false, false))
        .dir("./etc/")
        .file("./etc/passwd", 0o644, b"root")
        .file("./large", 0o644, b"before")
        .file("./large", 0o644, &large);
    fs::write(dir.path().join("fw.tar.gz"), root.gz()).unwrap();
    create(dir.path(), "fw.tar.gz", "new").unwrap();
    let archive = dir.path().join("new/base/fs.tar.gz");
    let python = "import sys, tarfile\n\
                  sys.stdout.buffer.write(tarfile.open(sys.argv[1]).extractfile('large').read())";
    let readers = [
        ("tar", vec!["-xzOf", "ARCHIVE", "large"]),
        ("python3", vec!["-c", python, "ARCHIVE"]),
    ];
    for (program, arguments) in readers {
        let mut command = Command::new(program);
        for argument in arguments {
            match argument {
                "ARCHIVE" => command.arg(&archive),
                argument => command.arg(argument),
            };
        }
        let read = command.output().unwrap();
        let said = String::from_utf8_lossy(&read.stderr);
        assert!(
            read.status.success() && read.stdout == large,
            "{program}: {said}"
        );
    }
    let magic = [0x1f, 0x8b, 8, 0];
    let packed = fs::read(&archive).unwrap();
    let members = packed.windows(4).filter(|bytes| *bytes == magic).count();
    assert!(members >= 5, "{members}");
    // Our own reader too: what it finds it would keep as it is.
    fs::copy(&archive, dir.path().join("again.tar.gz")).unwrap();
    create(dir.path(), "again.tar.gz", "again").unwrap();
    let own = fs::read(dir.path().join("again/base/fs.tar.gz")).unwrap();
    assert!(own == packed);
}
