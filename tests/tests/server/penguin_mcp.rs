//! `penguin mcp` inside Penguin's image, and through Penguin's wrapper, as the manual says it. The
//! image is a directory here, the wrapper a stand-in that does what is recorded of it; for the same
//! in containers see `tests/container/run`.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use rookery_tests::places;
use rookery_tests::wire::Wire;
use serde_json::{Value, json};

/// Gives the container standard input on a terminal or where it is told to, and passes on no path
/// that does not exist. It talks on standard output.
const WRAPPER: &str = r#"#!/bin/bash
extra=
while [ $# -gt 0 ]; do
  case "$1" in
    --extra_docker_args) extra=$2; shift 2 ;;
    *) break ;;
  esac
done
echo "Mappings from host paths to guest paths:"
echo "$PENGUIN_IMAGE | $extra | $*" >> "$STAND_IN/wrapper"
for last; do :; done
[ -d "$last" ] && export PENGUIN_PROJECT_DIR=$last
export PATH="$STAND_IN/image/rookery:$STAND_IN/image/penguin:/usr/bin:/bin"
case " $extra " in *" -i "*) ;; *) [ -t 0 ] || exec < /dev/null ;; esac
penguin "$@"
"#;

/// Penguin's own command.
const PENGUIN: &str = "#!/bin/sh\necho \"Penguin itself: $*\"\nexit 7\n";

struct Machine {
    home: tempfile::TempDir,
}

impl Machine {
    fn new() -> Result<Self> {
        let home = tempfile::tempdir()?;
        let machine = Self { home };
        for (file, script) in [("bin/penguin", WRAPPER), ("image/penguin/penguin", PENGUIN)] {
            let file = machine.path(file);
            fs::create_dir_all(file.parent().context("a directory")?)?;
            fs::write(&file, script)?;
            fs::set_permissions(&file, fs::Permissions::from_mode(0o755))?;
        }
        // As the image has it: the program of `dist` under Penguin's name.
        fs::create_dir(machine.path("image/rookery"))?;
        std::os::unix::fs::symlink(
            places::dist().join("rookery"),
            machine.path("image/rookery/penguin"),
        )?;
        fs::create_dir(machine.path("projects"))?;
        fs::copy(
            places::demo_rootfs(),
            machine.path("projects/rootfs.tar.gz"),
        )?;
        Ok(machine)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    fn command(&self, program: &Path, path: &str) -> Command {
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("HOME", self.home.path())
            .env("ROOKERY_CACHE_DIR", places::dist().join("cache"))
            .env("PATH", path)
            .env("STAND_IN", self.home.path())
            .stderr(Stdio::null());
        command
    }

    /// The command line of the manual's configuration.
    fn documented(&self) -> Result<Command> {
        let manual = fs::read_to_string(places::workspace().join("docs/container.md"))?;
        let blocks = manual.split("```json\n").skip(1);
        let blocks = blocks.filter_map(|block| block.split("```").next());
        let mut wrapped = blocks.filter(|block| block.contains("extra_docker_args"));
        let config: Value = serde_json::from_str(wrapped.next().context("a configuration")?)?;
        let server = &config["mcpServers"]["rookery"];
        let program = server["command"].as_str().context("a command")?;
        let path = format!("{}:/usr/bin:/bin", self.path("bin").display());
        let mut command = self.command(Path::new(program), &path);
        let projects = self.path("projects");
        for argument in server["args"].as_array().context("arguments")? {
            let argument = argument.as_str().context("an argument")?;
            let argument = argument.replace("/path/to/projects", &projects.to_string_lossy());
            command.arg(argument);
        }
        Ok(command)
    }

    /// The image's own `penguin`.
    fn in_image(&self) -> Command {
        let (ours, theirs) = (self.path("image/rookery"), self.path("image/penguin"));
        let path = format!("{}:{}:/usr/bin:/bin", ours.display(), theirs.display());
        self.command(&self.path("image/rookery/penguin"), &path)
    }
}

#[test]
fn the_configuration_of_the_manual_reaches_the_server_through_penguins_wrapper() -> Result<()> {
    let machine = Machine::new()?;
    let mut wire = Wire::start(machine.documented()?)?;
    wire.greet()?;
    let made = wire.call(
        "init_project",
        &json!({"rootfs": "rootfs.tar.gz", "output": "router"}),
    )?;
    assert_eq!(made["arch"], "armel");
    assert!(machine.path("projects/router/config.yaml").exists());
    // The wrapper's own line never reached the client, which takes nothing but JSON.
    let calls = fs::read_to_string(machine.path("wrapper"))?;
    assert!(calls.starts_with("penguin-mcp | -i | mcp /"), "{calls}");
    wire.hang_up();
    ensure!(wire.ended(Duration::from_secs(20))?.success());
    Ok(())
}

#[test]
fn without_standard_input_the_server_ends_and_leaves_nothing() -> Result<()> {
    let machine = Machine::new()?;
    let path = format!("{}:/usr/bin:/bin", machine.path("bin").display());
    let mut command = machine.command(&machine.path("bin/penguin"), &path);
    command
        .arg("mcp")
        .arg(machine.path("projects"))
        .stdin(Stdio::piped());
    let output = command.output()?;
    assert!(output.status.success(), "{output:?}");
    Ok(())
}

#[test]
fn a_project_or_the_file_of_its_configuration_is_the_root() -> Result<()> {
    let machine = Machine::new()?;
    let project = machine.path("projects/router");
    let mut wire = Wire::start(machine.documented()?)?;
    wire.greet()?;
    let project_arguments = json!({"rootfs": "rootfs.tar.gz", "output": "router"});
    wire.call("init_project", &project_arguments)?;
    drop(wire);
    for root in [project.clone(), project.join("config.yaml")] {
        let mut command = machine.in_image();
        command.arg("mcp").arg(root);
        let mut wire = Wire::start(command)?;
        wire.greet()?;
        wire.call("show_patch", &json!({"project_dir": "."}))?;
        // What lies beside the project does not belong to it.
        let beside = json!({"rootfs": "../rootfs.tar.gz", "output": "other"});
        assert!(wire.call("init_project", &beside).is_err());
    }
    Ok(())
}

#[test]
fn every_other_command_is_penguins_own() -> Result<()> {
    let machine = Machine::new()?;
    let output = machine
        .in_image()
        .args(["run", "a project", "--timeout", "5"])
        .output()?;
    let said = String::from_utf8(output.stdout)?;
    assert_eq!(said, "Penguin itself: run a project --timeout 5\n");
    assert_eq!(output.status.code(), Some(7));
    let mut alone = machine.in_image();
    alone
        .arg("run")
        .env("PATH", machine.path("image/rookery"))
        .stderr(Stdio::piped());
    let output = alone.output()?;
    let said = String::from_utf8(output.stderr)?;
    assert!(
        !output.status.success() && said.contains("not on PATH"),
        "{said}"
    );
    let mut nowhere = machine.in_image();
    let output = nowhere
        .args(["mcp", "/nowhere"])
        .stderr(Stdio::piped())
        .output()?;
    let said = String::from_utf8(output.stderr)?;
    assert!(said.contains("paths that exist"), "{said}");
    Ok(())
}
