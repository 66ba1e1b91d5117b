//! A project is made of an image of a file system as of an archive: squashfs, cpio and ext, which a
//! confined process reads. This program is also that process.

#[path = "common/creating.rs"]
mod creating;
mod edge;
#[path = "common/images.rs"]
#[allow(dead_code, reason = "a part of it is needed here")]
mod images;
#[path = "common/packing.rs"]
mod packing;

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::ExitCode;

use creating::{create, names};
use edge::Roots;
use images::{gzip, small_root};
use packing::{Root, cpio, cpio_of_kind, ext, pack, squashfs, squashfs_with, tar_listing};
use rookery_harness::places;
use rookery_project::{Cancel, Error};
use serde_json::{Value, json};

/// A project that is made of a file of these bytes.
fn made(image: &[u8]) -> (tempfile::TempDir, Result<Value, Error>) {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("image"), image).unwrap();
    let made = create(dir.path(), "image", "new");
    (dir, made)
}

fn refused(image: &[u8]) -> String {
    let (dir, made) = made(image);
    assert_eq!(names(dir.path()), ["image"], "a failure leaves nothing");
    match made {
        Err(Error::InvalidArgument(why) | Error::Limit(why)) => why,
        other => panic!("{other:?}"),
    }
}

/// What `packing::Root` has is in the project of the image.
fn holds_the_root(image: &[u8]) {
    let (dir, made) = made(image);
    let made = made.unwrap();
    assert_eq!(made["arch"], "mipsel");
    assert_eq!(made["init"], "/sbin/init");
    assert_eq!(made["warnings"], json!([]));
    let firmware = firmware(dir.path());
    let stat = |path: &str| firmware.stat(path).unwrap();
    assert_eq!(stat("/bin/busybox")["mode"], "4755");
    assert_eq!(stat("/bin/busybox")["bytes"], 52);
    assert_eq!(stat("/bin/sh")["resolved"], "/bin/busybox");
    assert_eq!(stat("/etc/secret")["mode"], "0600");
    assert_eq!(stat("/etc/empty")["bytes"], 0);
    let zeros = firmware.list_directory("/usr/share", &Value::Null).unwrap();
    assert_eq!(zeros["entries"][0]["bytes"], 3_000_001);
    let long = "x".repeat(180);
    assert_eq!(stat(&format!("/usr/{long}/{long}"))["bytes"], 4);
    let found = firmware.search("^needle", &json!({ "in": "content" }), &Cancel::default());
    assert_eq!(
        found.unwrap()["total"],
        1,
        "the hard link is no second file"
    );
}

/// The console's device node is in the project of the image.
fn holds_the_console(image: &[u8]) {
    let (dir, made) = made(image);
    made.unwrap();
    let listing = firmware(dir.path()).list_directory("/dev", &Value::Null);
    let console = listing.unwrap()["entries"][0].clone();
    assert_eq!(console["name"], "console");
    assert_eq!(console["kind"], "character-device");
    assert_eq!(console["device"], "5:1");
}

fn firmware(dir: &Path) -> edge::Firmware {
    let roots = Roots::new([dir.to_owned()]).unwrap();
    let project = roots.project("new").unwrap();
    project.firmware(&Cancel::default()).unwrap()
}

fn a_squashfs_of_every_compressor_is_taken() {
    let root = Root::make();
    for compressor in ["gzip", "xz", "lzma", "lzo", "lz4", "zstd"] {
        println!("{compressor}");
        holds_the_root(&squashfs(&root, compressor));
    }
    println!("without compression, and without fragments");
    let plain = ["-noI", "-noD", "-noF", "-no-fragments", "-b", "4096"];
    holds_the_root(&squashfs_with(&root, &plain));
}

fn a_squashfs_in_the_other_byte_order_is_taken() {
    let (dir, made) = made(&packing::big_endian());
    assert_eq!(made.unwrap()["init"], "/sbin/init");
    let busybox = firmware(dir.path()).stat("/bin/busybox").unwrap();
    assert_eq!(
        (&busybox["mode"], &busybox["bytes"]),
        (&json!("0755"), &json!(52))
    );
}

fn a_squashfs_of_version_3_is_taken() {
    // Written by hand, field by field: no tool of today writes it.
    holds_version_3("version3");
}

fn a_squashfs_of_version_3_with_lzma_is_taken_whatever_its_settings() {
    // By the tools that vendors had: in both byte orders, and with other settings of lzma and a
    // mark of their own.
    for name in [
        "version3-lzma",
        "version3-lzma-big-endian",
        "version3-lzma-settings",
        "version3-lzma-settings-big-endian",
    ] {
        holds_version_3(name);
    }
    let mut damaged = seed("version3-lzma");
    damaged[119..200].fill(0x55);
    assert!(refused(&damaged).contains("sasquatch"));
}

fn seed(name: &str) -> Vec<u8> {
    let seeds = places::workspace().join("tests/fuzz/seeds/firmware_image");
    fs::read(seeds.join(format!("{name}.squashfs"))).unwrap()
}

fn holds_version_3(name: &str) {
    let image = seed(name);
    holds_the_console(&image);
    let (dir, made) = made(&image);
    assert_eq!(made.unwrap()["init"], "/sbin/init", "{name}");
    let firmware = firmware(dir.path());
    assert_eq!(
        firmware.stat("/bin/sh").unwrap()["resolved"],
        "/bin/busybox"
    );
    let big = firmware.read("/etc/big", 0, 25_601).unwrap();
    let pattern: Vec<u8> = (0..=255).cycle().take(25_600).collect();
    assert_eq!(big, pattern, "{name}");
}

fn a_squashfs_keeps_devices_and_owners() {
    let root = Root::make();
    let image = squashfs_with(&root, &["-p", "dev/console c 600 0 0 5 1"]);
    holds_the_console(&image);
    let names = tar_listing(&image, &made);
    assert!(names.contains("0/0"), "{names}");
}

fn an_initramfs_is_taken_however_it_is_packed() {
    let plain = cpio(&Root::make());
    holds_the_root(&plain);
    holds_the_root(&gzip(&plain));
    for packer in ["xz -c", "xz -c --format=lzma", "zstd -c"] {
        println!("{packer}");
        holds_the_root(&pack(packer, &plain));
    }
}

fn a_cpio_archive_of_any_kind_is_taken() {
    let root = Root::make();
    for kind in ["newc", "crc", "odc", "bin"] {
        println!("{kind}");
        let archive = cpio_of_kind(&root, kind);
        holds_the_root(&archive);
        let listing = tar_listing(&archive, &made);
        let links = listing.lines().filter(|line| line.starts_with('h'));
        assert_eq!(links.count(), 1, "{listing}");
    }
    // The old kind in the other byte order.
    let mut swapped = cpio_of_kind(&root, "bin");
    swap_words_of_headers(&mut swapped);
    holds_the_root(&swapped);
}

/// Of an archive of the old kind.
fn swap_words_of_headers(archive: &mut [u8]) {
    let mut rest = archive;
    while rest.starts_with(b"\xc7\x71") {
        let word = |at: usize| usize::from(u16::from_le_bytes([rest[at], rest[at + 1]]));
        let bytes = 26 + word(20).next_multiple_of(2);
        let content = (word(22) << 16 | word(24)).next_multiple_of(2);
        let (header, after) = rest.split_at_mut(bytes);
        header[..26].chunks_exact_mut(2).for_each(<[u8]>::reverse);
        rest = &mut after[content..];
    }
}

fn a_name_in_another_script_is_taken() {
    let root = Root::make();
    let name = OsStr::from_bytes(b"etc/\xd6\xd0\xce\xc4.conf");
    fs::write(root.path().join(name), "GBK\n").unwrap();
    holds_the_root(&cpio(&root));
}

fn a_tar_is_taken_however_it_is_packed() {
    let tar = small_root("").tar();
    for packer in ["xz -c", "zstd -c"] {
        let (_dir, made) = made(&pack(packer, &tar));
        assert_eq!(made.unwrap()["init"], "/sbin/init", "{packer}");
    }
}

fn ext_images_of_every_kind_are_taken() {
    let root = Root::make();
    for kind in ["ext2", "ext3", "ext4"] {
        println!("{kind}");
        let image = ext(&root, kind, &[]);
        holds_the_root(&image);
        holds_the_console(&image);
    }
    let image = ext(
        &root,
        "ext4",
        &["-O", "^64bit,^metadata_csum", "-b", "4096"],
    );
    holds_the_root(&gzip(&image));
    holds_the_console(&image);
}

fn hard_links_are_one_file() {
    let root = Root::make();
    let archives = [
        squashfs(&root, "gzip"),
        cpio(&root),
        ext(&root, "ext4", &[]),
    ];
    for image in archives {
        let listing = tar_listing(&image, &made);
        let links = listing.lines().filter(|line| line.starts_with('h'));
        assert_eq!(links.count(), 1, "{listing}");
    }
}

fn an_image_that_is_cut_off_or_damaged_is_refused() {
    let root = Root::make();
    let squashfs = squashfs(&root, "gzip");
    for image in [squashfs.clone(), cpio(&root), ext(&root, "ext4", &[])] {
        let why = refused(&image[..image.len() / 24]);
        assert!(why.contains("cannot be used as a root filesystem"), "{why}");
    }
    for place in [40, 100, 600, squashfs.len() - 600, squashfs.len() - 100] {
        let mut damaged = squashfs.clone();
        damaged[place..place + 40].fill(0xff);
        let (_dir, made) = made(&damaged);
        assert!(
            !matches!(made, Err(Error::Internal(_))),
            "at {place}: {made:?}"
        );
    }
}

fn a_compressor_that_nobody_knows_is_named_with_the_tool_that_may_read_it() {
    let mut image = squashfs(&Root::make(), "gzip");
    image[20] = 9;
    let why = refused(&image);
    assert!(why.contains("compressor 9"), "{why}");
    assert!(
        why.contains("unsquashfs") && why.contains("sasquatch"),
        "{why}"
    );
    image[28] = 2;
    assert!(refused(&image).contains("version 2.0"));
    let why = refused(b"shsq of a vendor");
    assert!(why.contains("sasquatch"), "{why}");
}

fn another_file_is_named_with_the_tool_that_extracts_it() {
    for (bytes, what, tool) in [
        (&b"\x27\x05\x19\x56 image"[..], "uImage", "binwalk"),
        (b"HDR0 image", "TRX", "binwalk"),
        (b"UBI# image", "UBI", "ubireader_extract_files"),
        (
            b"\x31\x18\x10\x06 image",
            "UBIFS",
            "ubireader_extract_files",
        ),
        (b"\x85\x19 image", "JFFS2", "jefferson"),
        (b"\x45\x3d\xcd\x28 image", "cramfs", "fsck.cramfs"),
        (b"-rom1fs-", "romfs", "unblob"),
        (b"PK\x03\x04 image", "zip", "unzip"),
        (b"7z\xbc\xaf\x27\x1c image", "7z", "7z x"),
        (b"\x03\0\0\0\x01\0\0\0\xff\xff", "YAFFS", "unblob"),
        (b"\x3a\xff\x26\xed image", "Android sparse", "simg2img"),
        (b"*#$^ image", "NETGEAR", "binwalk"),
        (b"a vendor's own", "something else", "unblob"),
    ] {
        let why = refused(bytes);
        assert!(why.contains(what) && why.contains(tool), "{why}");
        assert!(why.contains("Taken are a directory"), "{why}");
    }
    let why = refused(&pack("xz -c", b"UBI# image"));
    assert!(why.contains("UBI") && why.contains("ubireader"), "{why}");
}

fn a_squashfs_inside_an_update_file_is_not_searched_for() {
    let inside = squashfs(&Root::make(), "gzip");
    let why = refused(&[&b"HDR0 of a vendor"[..], &inside].concat());
    assert!(why.contains("TRX"), "{why}");
}

fn an_image_that_unpacks_to_more_than_any_firmware_is_refused() {
    let root = Root::make();
    root.sparse("usr/bomb", 5 << 30);
    let why = refused(&squashfs(&root, "gzip"));
    assert!(
        why.contains("as only an archive that is made to fill a disk does"),
        "{why}"
    );
}

fn a_name_that_leads_out_of_an_image_is_refused() {
    let mut image = cpio(&Root::make());
    let name = image.windows(10).position(|name| name == b"etc/secret");
    image[name.unwrap()..][..10].copy_from_slice(b"../../etcx");
    let why = refused(&image);
    assert!(why.contains(".."), "{why}");
}

fn main() -> ExitCode {
    let mut args = std::env::args_os().skip(1);
    if args
        .next()
        .is_some_and(|first| first == rookery_images::READ_IMAGE)
    {
        return rookery_images::read_image(args);
    }
    rookery_harness::run(rookery_harness::trials![
        a_squashfs_of_every_compressor_is_taken,
        a_squashfs_in_the_other_byte_order_is_taken,
        a_squashfs_of_version_3_is_taken,
        a_squashfs_of_version_3_with_lzma_is_taken_whatever_its_settings,
        a_squashfs_keeps_devices_and_owners,
        an_initramfs_is_taken_however_it_is_packed,
        a_cpio_archive_of_any_kind_is_taken,
        a_name_in_another_script_is_taken,
        a_tar_is_taken_however_it_is_packed,
        ext_images_of_every_kind_are_taken,
        hard_links_are_one_file,
        an_image_that_is_cut_off_or_damaged_is_refused,
        a_compressor_that_nobody_knows_is_named_with_the_tool_that_may_read_it,
        another_file_is_named_with_the_tool_that_extracts_it,
        a_squashfs_inside_an_update_file_is_not_searched_for,
        an_image_that_unpacks_to_more_than_any_firmware_is_refused,
        a_name_that_leads_out_of_an_image_is_refused,
    ])
}
