//! An image of a file system becomes a project through the server as an archive does, and what
//! cannot be taken is refused with the tool that extracts it.

use std::fs::File;
use std::path::Path;

use anyhow::{Context, Result};
use rookery_tests::firmware::tool;
use rookery_tests::{Session, places};
use serde_json::{Value, json};

/// Images of the demo's root filesystem in `dir`.
fn images(dir: &Path) -> Result<()> {
    let archive = places::demo_rootfs();
    let archive = archive.to_str().context("a path")?;
    std::fs::create_dir(dir.join("tree"))?;
    tool("tar", &["xzf", archive, "-C", "tree"], dir)?;
    let squashfs = ["tree", "fw.squashfs", "-all-root", "-no-progress"];
    tool(
        "mksquashfs",
        &[&squashfs[..], &["-comp", "xz"]].concat(),
        dir,
    )?;
    let ext = ["-q", "-t", "ext4", "-d", "tree", "fw.ext4", "32M"];
    tool("mke2fs", &ext, dir)?;
    let cpio = "cd tree && find . | cpio -o -H newc --quiet | gzip > ../fw.cpio.gz";
    tool("sh", &["-c", cpio], dir)
}

async fn every_image_of_a_firmware_becomes_the_project_that_its_archive_becomes() -> Result<()> {
    let root = tempfile::tempdir()?;
    images(root.path())?;
    std::fs::copy(places::demo_rootfs(), root.path().join("fw.tar.gz"))?;
    let client = Session::new(root.path()).await?;
    let make = async |image: &str| -> Result<Value> {
        let output = format!("{image}-project");
        let arguments = json!({ "rootfs": image, "output": output });
        let mut made = client.ok("init_project", arguments).await?;
        for of_the_place in ["project_dir", "next", "files"] {
            made.as_object_mut()
                .context("an object")?
                .remove(of_the_place);
        }
        Ok(made)
    };
    let of_archive = make("fw.tar.gz").await?;
    for image in ["fw.squashfs", "fw.ext4", "fw.cpio.gz"] {
        assert_eq!(make(image).await?, of_archive, "{image}");
    }
    client.close().await
}

async fn a_hostile_image_ends_its_own_call_only() -> Result<()> {
    let root = tempfile::tempdir()?;
    let dir = root.path();
    std::fs::create_dir(dir.join("tree"))?;
    File::create(dir.join("tree/hole"))?.set_len(2 << 30)?;
    let bomb = ["tree", "bomb.squashfs", "-all-root", "-no-progress"];
    tool("mksquashfs", &bomb, dir)?;
    let mut damaged = std::fs::read(dir.join("bomb.squashfs"))?;
    damaged[60..90].fill(0x7f);
    std::fs::write(dir.join("damaged.squashfs"), damaged)?;
    std::fs::write(dir.join("update.bin"), b"HDR0 of a vendor")?;
    let client = Session::new(dir).await?;
    for (image, words) in [
        ("bomb.squashfs", "made to fill a disk"),
        ("damaged.squashfs", "sasquatch"),
        ("update.bin", "binwalk"),
    ] {
        let arguments = json!({ "rootfs": image, "output": "new" });
        let said = client.error("init_project", arguments).await?;
        assert!(said.contains(words), "{image}: {said}");
        assert!(!dir.join("new").exists(), "{image}");
    }
    client.close().await
}

/// All of them.
pub fn trials() -> Vec<rookery_tests::Trial> {
    rookery_tests::trials![
        every_image_of_a_firmware_becomes_the_project_that_its_archive_becomes,
        a_hostile_image_ends_its_own_call_only,
    ]
}
