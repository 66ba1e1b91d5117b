//! What extractors leave of a firmware: said, with the way to extract it again.

#[path = "common/creating.rs"]
#[allow(dead_code, reason = "a part of it is needed here")]
mod creating;
mod edge;
#[path = "common/images.rs"]
mod images;

use creating::create;
use images::{Archive, elf, mipsel, small_root};
use serde_json::Value;

/// The project of an archive.
fn made(archive: Archive) -> Value {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("fw.tar.gz"), archive.gz()).unwrap();
    create(dir.path(), "fw.tar.gz", "new").unwrap()
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
    let mut whole = mipsel();
    // `e_phoff` and `e_phnum`, and one program header: what is loaded is longer than the file.
    let headers = u32::try_from(whole.len()).unwrap();
    whole[28..32].copy_from_slice(&headers.to_le_bytes());
    whole[44..46].copy_from_slice(&1_u16.to_le_bytes());
    let (loaded, length) = (1_u32, 100_000_u32);
    for word in [loaded, 0, 0, 0, length, length, 5, 0x1000] {
        whole.extend(word.to_le_bytes());
    }
    let made = made(small_root("").file("usr/sbin/httpd", 0o755, &whole));
    warns(
        &made,
        &["1 in all", "cut off", "/usr/sbin/httpd", "extract"],
    );
}
