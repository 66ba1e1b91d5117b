//! What an archive may be, how it is compressed, and what is said of what it is instead.

mod edge;
#[path = "common/images.rs"]
mod images;

use edge::Roots;
use images::{firmware, gzip, mipsel, small_root};
use rookery_project::{Cancel, Error};

fn refused(archive: &[u8]) -> String {
    match firmware(archive).1 {
        Err(Error::InvalidArgument(why)) => why,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_firmware_that_compresses_well_is_no_bomb() {
    let zeros = vec![0; 72 << 20];
    let (_dir, firmware) = firmware(&small_root("").file("zero", 0o644, &zeros).gz());
    assert_eq!(firmware.unwrap().stat("/zero").unwrap()["bytes"], 72 << 20);
}

#[test]
fn compressed_data_is_read_to_its_end() {
    let whole = small_root("").gz();
    let mut flipped = whole.clone();
    let sum = flipped.len() - 8;
    flipped[sum] ^= 1;
    assert!(refused(&flipped).contains("damaged"), "the check sum");
    for cut in [1, 4, 8] {
        assert!(
            refused(&whole[..whole.len() - cut]).contains("damaged"),
            "{cut}"
        );
    }
    let again = gzip(&[0; 512]);
    for (more, warned) in [(&b"garbage"[..], true), (&[0; 512], true), (&again, false)] {
        let (dir, firmware) = firmware(&[&whole, more].concat());
        assert!(firmware.is_ok());
        let roots = Roots::new([dir.path().to_owned()]).unwrap();
        let made = roots
            .create("base/fs.tar.gz", "new", &Cancel::default())
            .unwrap();
        assert_eq!(
            made["warnings"].to_string().contains("left out"),
            warned,
            "{made}"
        );
    }
}

#[test]
fn an_image_of_another_format_is_named() {
    let mut ext4 = vec![0; 4096];
    ext4[0x438..0x43a].copy_from_slice(b"\x53\xef");
    for (bytes, word) in [
        (&b"\x27\x05\x19\x56 image"[..], "uImage"),
        (b"UBI# image", "UBI"),
        (b"\x85\x19 image", "JFFS2"),
        (b"\x45\x3d\xcd\x28 image", "cramfs"),
        (b"\x5d\0\0\x80\0 image", "lzma"),
        (b"7z\xbc\xaf\x27\x1c image", "7z"),
        (&mipsel(), "ELF"),
        (&ext4, "ext4"),
    ] {
        assert!(refused(bytes).contains(word), "{word}");
        let packed = refused(&gzip(bytes));
        assert!(
            packed.contains(word) && packed.contains("packed with gzip"),
            "{packed}"
        );
    }
    assert!(refused(&gzip(&gzip(b"x"))).contains("a gzip file, packed with gzip"));
    assert!(refused(&gzip(b"070701 a cpio archive")).contains("cpio"));
}
