//! `init_project` with a stand-in for Penguin's wrapper, whose `init` writes what is recorded of
//! it, fails, or makes something that is not a project. Penguin itself is not run here.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result};
use rookery_tests::places;
use rookery_tests::wire::Wire;
use serde_json::{Value, json};

/// Refuses what Penguin would: an archive that is not there, and a project that is.
const WRAPPER: &str = r#"#!/bin/bash
echo "$*" >> "$STAND_IN/wrapper"
[ "$1" = --extra_docker_args ] && shift 2
[ "$1" = init ] || exit 2
archive=$2 output=$4
[ "$3" = --output ] && tar tzf "$archive" > "$STAND_IN/archive" || exit 2
[ -e "$output/config.yaml" ] && exit 1
mode=$(cat "$STAND_IN/mode")
[ "$mode" = fails ] && { printf 'Traceback\n\033[31mno such arch\033[0m\n' >&2; exit 1; }
mkdir -p "$output/base" "$output/static_patches"
[ "$mode" = odd ] && { mkdir "$output/config.yaml"; exit 0; }
cp "$archive" "$output/base/fs.tar.gz"
cat > "$output/config.yaml" <<CONFIG
core: {version: 2, arch: armel, fs: ./base/fs.tar.gz}
patches: [static_patches/base.yaml]
env: {}
pseudofiles: {}
nvram: {}
netdevs: []
blocked_signals: []
lib_inject: {}
static_files: {}
plugins: {}
CONFIG
echo 'env: {igloo_init: /sbin/chosen-by-penguin}' > "$output/static_patches/base.yaml"
"#;

struct Machine {
    home: tempfile::TempDir,
}

impl Machine {
    /// With a wrapper that behaves so, and an engine that answers or not; or with neither.
    fn new(mode: Option<&str>, answers: bool) -> Result<Self> {
        let machine = Self {
            home: tempfile::tempdir()?,
        };
        fs::create_dir(machine.path("bin"))?;
        fs::create_dir(machine.path("fw"))?;
        fs::copy(places::demo_rootfs(), machine.path("fw/rootfs.tar.gz"))?;
        if let Some(mode) = mode {
            fs::write(machine.path("mode"), mode)?;
            machine.program("penguin", WRAPPER)?;
            let engine = format!("#!/bin/sh\nexit {}\n", u8::from(!answers));
            for name in ["docker", "podman"] {
                machine.program(name, &engine)?;
            }
        }
        Ok(machine)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    fn program(&self, name: &str, script: &str) -> Result<()> {
        let file = self.path("bin").join(name);
        fs::write(&file, script)?;
        Ok(fs::set_permissions(
            file,
            fs::Permissions::from_mode(0o755),
        )?)
    }

    /// What `init_project` answers, success or not.
    fn make(&self, with: Option<&str>) -> Result<Value> {
        let mut command = Command::new(places::dist().join("rookery"));
        command
            .arg("serve")
            .arg("--root")
            .arg(self.path("fw"))
            .env_clear()
            .env("HOME", self.home.path())
            .env("ROOKERY_CACHE_DIR", places::dist().join("cache"))
            .env(
                "PATH",
                format!("{}:/usr/bin:/bin", self.path("bin").display()),
            )
            .env("STAND_IN", self.home.path())
            .stderr(Stdio::null());
        let mut wire = Wire::start(command)?;
        wire.greet()?;
        let mut arguments = json!({"rootfs": "rootfs.tar.gz", "output": "new/router"});
        if let Some(with) = with {
            arguments["with"] = json!(with);
        }
        let call = json!({"name": "init_project", "arguments": arguments});
        wire.request("tools/call", &call)
    }

    /// Nothing of an attempt is left beside the project.
    fn is_tidy(&self) -> Result<bool> {
        let mut names = Vec::new();
        for entry in fs::read_dir(self.path("fw"))? {
            names.push(entry?.file_name());
        }
        names.sort();
        Ok(names == ["new", "rootfs.tar.gz"])
    }
}

fn warned(answer: &Value, words: &str) -> bool {
    let made = &answer["structuredContent"];
    made["warnings"].to_string().contains(words)
}

#[test]
fn where_penguin_is_its_own_init_makes_the_project() -> Result<()> {
    let machine = Machine::new(Some("works"), true)?;
    let answer = machine.make(None)?;
    let made = &answer["structuredContent"];
    assert_eq!(made["init"], "/sbin/chosen-by-penguin", "{answer}");
    assert_eq!(made["arch"], "armel");
    assert!(warned(&answer, "Penguin's own init made"), "{answer}");
    assert!(machine.is_tidy()?);
    let project = machine.path("fw/new/router");
    assert!(project.join("static_patches/base.yaml").exists());
    // It was given an archive of what was found, in a directory of its own.
    let called = fs::read_to_string(machine.path("wrapper"))?;
    assert!(called.contains("--name rookery-init-"), "{called}");
    assert!(called.contains("/rootfs/fs.tar.gz --output "), "{called}");
    let archive = fs::read_to_string(machine.path("archive"))?;
    assert!(
        archive.lines().any(|file| file.ends_with("etc/init.d/rcS")),
        "{archive}"
    );
    Ok(())
}

#[test]
fn where_penguins_init_fails_rookery_makes_the_project_unless_penguin_was_asked_for() -> Result<()>
{
    for (mode, words) in [("fails", "no such arch"), ("odd", "not a regular file")] {
        let machine = Machine::new(Some(mode), true)?;
        let refused = machine.make(Some("penguin"))?;
        let said = refused["content"][0]["text"].as_str().context("text")?;
        assert!(
            refused["isError"] == true && said.contains(words),
            "{refused}"
        );
        assert!(!machine.path("fw/new").exists());
        let answer = machine.make(Some("auto"))?;
        assert!(warned(&answer, words), "{answer}");
        assert_eq!(answer["structuredContent"]["init"], "/sbin/init");
        assert!(
            machine
                .path("fw/new/router/static_patches/diagnostics.yaml")
                .exists()
        );
        assert!(machine.is_tidy()?);
    }
    Ok(())
}

#[test]
fn without_penguin_or_by_its_name_rookery_makes_the_project() -> Result<()> {
    // An engine whose daemon is not there would be waited for.
    for (mode, answers, with) in [
        (None, true, None),
        (Some("works"), false, None),
        (Some("works"), true, Some("rookery")),
    ] {
        let machine = Machine::new(mode, answers)?;
        let answer = machine.make(with)?;
        assert_eq!(
            answer["structuredContent"]["init"], "/sbin/init",
            "{answer}"
        );
        assert!(!warned(&answer, "Penguin"), "{answer}");
        assert!(!machine.path("wrapper").exists());
    }
    let machine = Machine::new(None, true)?;
    let refused = machine.make(Some("penguin"))?;
    let said = refused["content"][0]["text"].as_str().context("text")?;
    assert!(said.contains("rookery doctor"), "{refused}");
    Ok(())
}
