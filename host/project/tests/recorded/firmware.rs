//! Images of real devices.

use std::fs;

use anyhow::Result;
use rookery_harness::{Trial, places, trials};
use rookery_project::{Cancel, unpack};
use serde_json::{Value, json};

use crate::edge::Roots;
use crate::images::firmware;

pub fn tests() -> Vec<Trial> {
    trials![
        real_images_are_understood,
        projects_of_real_images_are_complete
    ]
}

fn real_images_are_understood() -> Result<()> {
    let images = places::shared("fw")?;
    for (name, arch, init, entries, interpreter) in [
        (
            "dv-mipsel-uclibc",
            "mipsel",
            "/etc/rc.local",
            514,
            "/lib/ld-uClibc.so.0",
        ),
        (
            "lede-17.01.4-mips-musl",
            "mipseb",
            "/sbin/init",
            1021,
            "/lib/ld-musl-mips-sf.so.1",
        ),
        (
            "openwrt-19.07-aarch64-musl",
            "aarch64",
            "/sbin/init",
            713,
            "/lib/ld-musl-aarch64.so.1",
        ),
    ] {
        let archive = images.join(format!("{name}.rootfs.tar.gz"));
        let (_dir, firmware) = firmware(&fs::read(&archive).unwrap());
        let firmware = firmware.unwrap();
        assert_eq!(
            firmware.init_candidates().unwrap()["candidates"][0]["path"],
            init,
            "{name}: {}",
            firmware.init_candidates().unwrap()
        );
        let candidates = firmware.init_candidates().unwrap();
        assert!(
            candidates["candidates"]
                .as_array()
                .unwrap()
                .iter()
                .any(|c| c["path"] == "/sbin/init"),
            "{name}: {candidates}"
        );
        let busybox = firmware.stat("/bin/busybox").unwrap();
        assert_eq!(
            (&busybox["elf"]["arch"], &busybox["elf"]["interpreter"]),
            (&json!(arch), &json!(interpreter)),
            "{name}"
        );
        assert!(!busybox["elf"]["needed"].as_array().unwrap().is_empty());
        let dir = tempfile::tempdir().unwrap();
        let report = unpack(&archive, &dir.path().join("root"), &Cancel::default()).unwrap();
        assert_eq!(report.entries, entries, "{name}");
        assert!(dir.path().join("root/bin/busybox").is_file());
    }
    Ok(())
}

fn projects_of_real_images_are_complete() -> Result<()> {
    let images = places::shared("fw")?;
    let dir = tempfile::tempdir().unwrap();
    let confined = Roots::new([dir.path().to_owned(), images]).unwrap();
    let images = &confined.dirs()[1];
    for (name, arch, init, wants) in [
        ("dv-mipsel-uclibc", "mipsel", "/etc/rc.local", &["eth0"][..]),
        (
            "lede-17.01.4-mips-musl",
            "mipseb",
            "/sbin/init",
            &["eth0", "eth1"],
        ),
        (
            "openwrt-19.07-aarch64-musl",
            "aarch64",
            "/sbin/init",
            &["eth0"],
        ),
    ] {
        let rootfs = images.join(format!("{name}.rootfs.tar.gz"));
        let answer = confined
            .create(rootfs.to_str().unwrap(), name, &Cancel::default())
            .unwrap();
        assert_eq!(
            (&answer["arch"], &answer["init"]),
            (&json!(arch), &json!(init)),
            "{answer}"
        );
        let patch: Value = {
            let netdevs = dir
                .path()
                .join(name)
                .join("static_patches/netdevs.dynamic.yaml");
            serde_yaml::from_str(&fs::read_to_string(netdevs).unwrap()).unwrap()
        };
        let netdevs = patch["netdevs"].as_array().unwrap();
        assert!(
            wants.iter().all(|want| netdevs.contains(&json!(want))),
            "{name}: {patch}"
        );
        let firmware = confined
            .project(name)
            .unwrap()
            .firmware(&Cancel::default())
            .unwrap();
        assert_eq!(
            firmware.init_candidates().unwrap()["candidates"],
            answer["init_candidates"],
            "the copy is the same firmware"
        );
    }
    Ok(())
}
