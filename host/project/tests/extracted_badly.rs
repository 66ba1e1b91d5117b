//! What extractors leave of a firmware: said, with the way to extract it again.

#[path = "common/creating.rs"]
#[allow(dead_code, reason = "a part of it is needed here")]
mod creating;
mod edge;
#[path = "common/images.rs"]
mod images;

use creating::create;
use edge::{Firmware, Roots};
use images::{Archive, elf, mipsel, small_root};
use rookery_project::Cancel;
use serde_json::{Value, json};

/// The project of an archive.
fn made(archive: Archive) -> Value {
    project(archive).1
}

/// The same, and the directory that it is in.
fn project(archive: Archive) -> (tempfile::TempDir, Value) {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("fw.tar.gz"), archive.gz()).unwrap();
    let made = create(dir.path(), "fw.tar.gz", "new").unwrap();
    (dir, made)
}

/// The root filesystem of the project, and the files that were put right.
fn kept(dir: &tempfile::TempDir) -> (Firmware, Value) {
    let roots = Roots::new([dir.path().to_owned()]).unwrap();
    let project = roots.project("new").unwrap();
    let repairs = std::fs::read_to_string(dir.path().join("new/static/Repairs.yaml"));
    let repairs = repairs.map_or(Value::Null, |text| serde_yaml::from_str(&text).unwrap());
    (project.firmware(&Cancel::default()).unwrap(), repairs)
}

/// A program with one segment of code that holds `code`.
fn program(code: &[u8]) -> Vec<u8> {
    let mut program = mipsel();
    let headers = u32::try_from(program.len()).unwrap();
    program[28..32].copy_from_slice(&headers.to_le_bytes());
    program[44..46].copy_from_slice(&1_u16.to_le_bytes());
    let begin = headers + 32;
    let length = u32::try_from(code.len()).unwrap();
    for word in [1, begin, 0x1000, 0x1000, length, length, 5, 0x1000] {
        program.extend(word.to_le_bytes());
    }
    program.extend(code);
    program
}

fn warns(made: &Value, words: &[&str]) {
    let warnings = made["warnings"].as_array().unwrap();
    let about = |warning: &&Value| {
        let text = warning.as_str().unwrap();
        words.iter().all(|word| text.contains(word))
    };
    assert!(
        warnings.iter().any(|warning| about(&warning)),
        "{warnings:?}"
    );
}

#[test]
fn tools_of_another_cpu_do_not_outvote_what_starts_first() {
    let mut archive = small_root("");
    for tool in 0..9 {
        let path = format!("usr/bin/tool{tool}");
        archive = archive.file(&path, 0o755, &elf(62, true, false));
    }
    let made = made(archive);
    assert_eq!(made["arch"], "mipsel");
    warns(&made, &["9 of", "x86_64", "will not run"]);
}

#[test]
fn each_file_has_one_voice_however_many_names_it_has() {
    let mut archive = Archive::new()
        .file("usr/bin/tool", 0o755, &elf(62, true, false))
        .file("usr/sbin/one", 0o755, &mipsel())
        .file("usr/sbin/other", 0o755, &mipsel());
    for name in 0..9 {
        archive = archive.hard_link(&format!("usr/bin/name{name}"), "usr/bin/tool");
    }
    assert_eq!(made(archive)["arch"], "mipsel");
}

#[test]
fn links_to_dev_null_are_told_as_what_an_extractor_made() {
    let archive = small_root("")
        .link("usr/sbin/httpd", "/dev/null")
        .link("usr/lib/libc.so.0", "/dev/null")
        .link("root/.ash_history", "/dev/null");
    let made = made(archive);
    warns(
        &made,
        &["2 in all", "/dev/null", "/usr/sbin/httpd", "unsquashfs"],
    );
    // Elsewhere such a link is meant.
    let history = small_root("").link("root/.ash_history", "/dev/null");
    assert_eq!(self::made(history)["warnings"], serde_json::json!([]));
}

#[test]
fn a_second_name_of_nothing_is_left_out_and_said() {
    let made = made(small_root("").hard_link("bin/zz", "bin/not-there"));
    warns(&made, &["/bin/zz", "/bin/not-there", "left out"]);
    assert_eq!(made["arch"], "mipsel");
}

#[test]
fn a_program_that_lost_its_end_is_named() {
    let mut whole = program(&[0x24; 9000]);
    whole.truncate(5000);
    let made = made(small_root("").file("usr/sbin/httpd", 0o755, &whole));
    warns(
        &made,
        &["1 in all", "cut off", "/usr/sbin/httpd", "extract"],
    );
}

#[test]
fn a_program_of_zeros_is_named() {
    let made = made(
        small_root("")
            .file("usr/sbin/httpd", 0o755, &[0; 9000])
            .file("usr/sbin/telnetd", 0o755, &program(&[0; 4096]))
            .file("usr/sbin/whole", 0o755, &program(&[0x24; 4096]))
            .file("usr/lib/libc.so.0", 0o644, &[0; 5000])
            .file("usr/lib/data", 0o644, &[0; 5000]),
    );
    warns(
        &made,
        &[
            "3 in all",
            "zeros",
            "/usr/sbin/httpd",
            "/usr/sbin/telnetd",
            "extract",
        ],
    );
}

#[test]
fn programs_that_lost_their_mode_have_it_again_and_it_is_said() {
    let mut archive = small_root("")
        .file("lib/ld-uClibc.so.0", 0o644, &mipsel())
        .file("usr/sbin/data", 0o640, b"no program")
        .file("usr/sbin/start", 0o750, b"#!/bin/sh\n");
    for (path, mode) in [("one", 0o644), ("two", 0o600), ("three", 0o644)] {
        archive = archive.file(&format!("usr/sbin/{path}"), mode, &mipsel());
    }
    let (dir, made) = project(archive);
    warns(
        &made,
        &[
            "executable",
            "3 in all",
            "/usr/sbin/one",
            "in this project",
            "extract",
        ],
    );
    let (firmware, repairs) = kept(&dir);
    let mode_of = |path: &str| firmware.stat(path).unwrap()["mode"].clone();
    assert_eq!(mode_of("/usr/sbin/one"), "0755");
    assert_eq!(mode_of("/usr/sbin/two"), "0700");
    assert_eq!(mode_of("/usr/sbin/data"), "0640");
    assert_eq!(repairs.as_array().unwrap().len(), 3);
    assert_eq!(
        repairs[0],
        json!({ "path": "/usr/sbin/one", "mode": "0755", "was": "0644" })
    );
}

#[test]
fn one_program_without_its_mode_is_left_as_the_device_has_it_and_said_if_it_is_called() {
    let archive = || {
        let mut archive = small_root("").file("usr/sbin/odd", 0o644, &mipsel());
        for tool in 0..9 {
            archive = archive.file(&format!("usr/sbin/tool{tool}"), 0o755, &mipsel());
        }
        archive
    };
    let (dir, quiet) = project(archive());
    assert_eq!(quiet["warnings"], json!([]));
    assert_eq!(kept(&dir).1, Value::Null);
    let script = b"#!/bin/sh\n/usr/sbin/odd -d &\n";
    let (dir, told) = project(archive().file("etc/init.d/S50odd", 0o755, script));
    warns(&told, &["not executable", "/usr/sbin/odd", "extract"]);
    assert_eq!(kept(&dir).0.stat("/usr/sbin/odd").unwrap()["mode"], "0644");
}

#[test]
fn what_init_runs_has_its_mode_again_even_alone() {
    let archive = small_root("")
        .file(
            "etc/inittab",
            0o644,
            b"# ::sysinit:/etc/odd\n::sysinit:/etc_ro/rcS\n",
        )
        .file("etc/odd", 0o644, b"#!/bin/sh\n")
        .file("etc_ro/rcS", 0o644, b"#!/bin/sh\n");
    let (dir, told) = project(archive);
    warns(&told, &["executable", "1 in all", "/etc_ro/rcS"]);
    let mode_of = |path: &str| kept(&dir).0.stat(path).unwrap()["mode"].clone();
    assert_eq!(mode_of("/etc_ro/rcS"), "0755");
    assert_eq!(mode_of("/etc/odd"), "0644");
}

#[test]
fn an_image_without_any_mode_has_those_of_its_programs_again() {
    let archive = Archive::new()
        .file("bin/busybox", 0o644, &mipsel())
        .file("sbin/init", 0o644, &mipsel())
        .file("etc/init.d/rcS", 0o644, b"#!/bin/sh\n")
        .file("etc/passwd", 0o644, b"root:x:0:0::/:/bin/sh\n");
    let (dir, told) = project(archive);
    assert_eq!(
        (&told["arch"], &told["init"]),
        (&json!("mipsel"), &json!("/sbin/init"))
    );
    warns(&told, &["executable", "3 in all"]);
    let mode_of = |path: &str| kept(&dir).0.stat(path).unwrap()["mode"].clone();
    assert_eq!(mode_of("/etc/init.d/rcS"), "0755");
    assert_eq!(mode_of("/etc/passwd"), "0644");
}

#[test]
fn links_that_became_files_are_links_again_and_it_is_said() {
    let wide: Vec<u8> = "busybox\0"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    let (dir, made) = project(
        small_root("")
            .file("bin/ls", 0o644, b"busybox")
            .file("sbin/reboot", 0o644, b"../bin/busybox")
            .file("usr/bin/wget", 0o644, b"/bin/busybox\n")
            .file(
                "bin/cat",
                0o644,
                &[b"!<symlink>\xff\xfe", &wide[..]].concat(),
            )
            .file("bin/note", 0o644, b"no-such-file")
            .file("etc/shell", 0o644, b"/bin/sh"),
    );
    warns(
        &made,
        &[
            "links",
            "4 in all",
            "/bin/ls",
            "links again in this project",
            "extract",
        ],
    );
    let (firmware, repairs) = kept(&dir);
    let resolved = |path: &str| firmware.stat(path).unwrap()["resolved"].clone();
    for path in ["/bin/ls", "/sbin/reboot", "/usr/bin/wget", "/bin/cat"] {
        assert_eq!(resolved(path), "/bin/busybox");
    }
    assert_eq!(resolved("/bin/note"), "/bin/note");
    assert_eq!(resolved("/etc/shell"), "/etc/shell");
    assert_eq!(
        repairs[1],
        json!({ "path": "/bin/ls", "link_to": "busybox" })
    );
}

#[test]
fn a_file_or_two_that_could_be_links_are_left_as_they_are_and_said() {
    let (dir, made) = project(small_root("").file("bin/ls", 0o644, b"busybox"));
    warns(&made, &["look like links", "/bin/ls", "left as they are"]);
    let (firmware, repairs) = kept(&dir);
    assert_eq!(firmware.stat("/bin/ls").unwrap()["resolved"], "/bin/ls");
    assert_eq!(repairs, Value::Null);
}
