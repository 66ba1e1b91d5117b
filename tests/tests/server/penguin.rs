//! `rookery run` with a stand-in for Penguin's wrapper and engines: which engine is asked to stop,
//! and what is said of a run that broke off. Penguin itself is not run here.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result};
use rookery_tests::{places, processes};

/// Finds its output directory as Penguin's command line does, and has one service.
const WRAPPER: &str = r#"#!/bin/sh
echo "$PENGUIN_CONTAINER_ENGINE | $*" >> "$STAND_IN/wrapper"
for last; do :; done
while [ $# -gt 0 ]; do [ "$1" = --output ] && OUT=$2; shift; done
mkdir -p "$OUT"; echo "$last" > "$STAND_IN/project"
printf 'procname,ipvn,domain,guest_ip,guest_port,pid,time,state,closed_time\n' > "$OUT/netbinds.csv"
printf 'httpd,4,tcp,0.0.0.0,80,7,2.0,listening,\n' >> "$OUT/netbinds.csv"
[ -e "$STAND_IN/bridges" ] && cp "$STAND_IN/bridges" "$OUT/vpn_bridges.csv"
[ -e "$STAND_IN/dies" ] && { echo 'Missing .ran file'; exit 0; }
touch "$STAND_IN/up"
until [ -e "$STAND_IN/interrupted" ]; do sleep 0.1; done
touch "$OUT/.ran"; echo '{"binds": []}' > "$OUT/summary.json"
"#;

/// Has a boot argument that is missing, and keeps the files of a trial for whoever wants to see
/// them. Where it is to wait, it does so in a trial.
const TRIED: &str = r#"#!/bin/sh
while [ $# -gt 0 ]; do
  [ "$1" = --output ] && OUT=$2
  [ "$1" = --config ] && CONFIG=$2
  shift
done
mkdir -p "$OUT"; echo '- board_id' > "$OUT/env_missing.yaml"
if [ -n "$CONFIG" ]; then
  cp -r "$(dirname "$CONFIG")" "$STAND_IN/seen"
  [ -e "$STAND_IN/waits" ] && until [ -e "$STAND_IN/interrupted" ]; do sleep 0.1; done
fi
touch "$OUT/.ran"; echo '{"binds": []}' > "$OUT/summary.json"
"#;

struct Machine {
    home: tempfile::TempDir,
}

impl Machine {
    /// One with these engines, and whether each of them answers.
    fn with(engines: &[(&str, bool)]) -> Result<Self> {
        let home = tempfile::tempdir()?;
        let machine = Self { home };
        machine.program("penguin", WRAPPER)?;
        for (name, answers) in engines {
            let script = format!(
                "#!/bin/sh\necho \"{name} $*\" >> \"$STAND_IN/engines\"\n{}",
                if *answers {
                    "[ \"$1\" = kill ] && touch \"$STAND_IN/interrupted\"\nexit 0\n"
                } else {
                    "exit 1\n"
                }
            );
            machine.program(name, &script)?;
        }
        let project = machine.path("router");
        fs::create_dir_all(project.join("base"))?;
        fs::copy(places::demo_rootfs(), project.join("base/fs.tar.gz"))?;
        let config = "core: {version: 2, arch: armel, root_shell_backend: vsock}\n\
                      env: {igloo_init: /sbin/init}\n\
                      pseudofiles: {}\nnvram: {}\nlib_inject: {}\nstatic_files: {}\nplugins: {}\n";
        fs::write(project.join("config.yaml"), config)?;
        Ok(machine)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    fn program(&self, name: &str, script: &str) -> Result<()> {
        let bin = self.path("bin");
        fs::create_dir_all(&bin)?;
        fs::write(bin.join(name), script)?;
        fs::set_permissions(bin.join(name), fs::Permissions::from_mode(0o755))?;
        Ok(())
    }

    fn rookery(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(places::dist().join("rookery"));
        command
            .args(arguments)
            .env_clear()
            .env("HOME", self.home.path())
            .env(
                "PATH",
                format!("{}:/usr/bin:/bin", self.path("bin").display()),
            )
            .env("STAND_IN", self.home.path())
            .env("ROOKERY_CACHE_DIR", places::dist().join("cache"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    fn said(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    /// Run the project and stop it once it is up.
    fn run_and_stop(&self, engine: Option<&str>) -> Result<Output> {
        self.run_until(engine, || self.path("up").exists())
    }

    fn run_until(&self, engine: Option<&str>, done: impl Fn() -> bool) -> Result<Output> {
        let project = self.path("router");
        let project = project.to_str().context("a path")?;
        let mut command = self.rookery(&["run", project, "--backend", "penguin"]);
        command.envs(engine.map(|engine| ("PENGUIN_CONTAINER_ENGINE", engine)));
        let child = command.spawn()?;
        let done = processes::eventually(Duration::from_mins(1), done);
        assert!(done, "{}", self.said("wrapper"));
        rookery_tests::wire::signal(child.id(), "INT")?;
        Ok(child.wait_with_output()?)
    }
}

#[test]
fn the_engine_that_is_asked_to_stop_is_the_one_that_the_wrapper_uses() -> Result<()> {
    for (engines, variable, expected) in [
        (&[("docker", true), ("podman", true)][..], None, "docker"),
        (&[("docker", false), ("podman", true)], None, "podman"),
        (&[("podman", true)], None, "podman"),
        (
            &[("docker", true), ("podman", true)],
            Some("podman"),
            "podman",
        ),
    ] {
        let machine = Machine::with(engines)?;
        let output = machine.run_and_stop(variable)?;
        let told = String::from_utf8_lossy(&output.stdout);
        assert!(told.contains("stopped"), "{engines:?}: {told} {output:?}");
        let asked = machine.said("engines");
        let killed = asked
            .lines()
            .find(|line| line.contains("kill --signal=INT"));
        let name = killed.and_then(|line| line.split(' ').next());
        assert_eq!(name, Some(expected), "{engines:?}: {asked}");
        let wrapper = machine.said("wrapper");
        assert_eq!(
            wrapper.lines().count(),
            1,
            "nothing else was called: {wrapper}"
        );
        let (engine, arguments) = wrapper.split_once(" | ").context("both")?;
        assert!(engine.ends_with(expected), "{wrapper}");
        // Nobody gave this run a length: that is for Penguin to say.
        assert!(!arguments.contains("--timeout"), "{arguments}");
        assert!(
            machine.said("project").trim().ends_with("/router"),
            "the last path"
        );
    }
    Ok(())
}

/// Serve each connection to a new port: the port, and how many there were.
fn serve(each: fn(TcpStream) -> Result<()>) -> Result<(u16, Arc<AtomicUsize>)> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let port = listener.local_addr()?.port();
    let count = Arc::new(AtomicUsize::new(0));
    let served = Arc::clone(&count);
    std::thread::spawn(move || {
        for connection in listener.incoming().flatten() {
            let _ = each(connection);
            served.fetch_add(1, Ordering::Relaxed);
        }
    });
    Ok((port, count))
}

#[test]
fn services_behind_penguins_bridges_are_asked_whether_they_answer() -> Result<()> {
    let (page, asked) = serve(|mut connection| {
        let mut head = BufReader::new(connection.try_clone()?).lines();
        while head
            .next()
            .transpose()?
            .is_some_and(|line| !line.is_empty())
        {}
        let body = "<title>Router\u{7}</title>";
        let length = body.len();
        write!(
            connection,
            "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{body}"
        )?;
        Ok(())
    })?;
    // Penguin's bridge takes a connection, and ends it where the guest does not.
    let (refused, closed) = serve(|_| Ok(()))?;
    let machine = Machine::with(&[("podman", true)])?;
    let rows = format!(
        "procname,ipvn,domain,guest_ip,guest_port,host_port\n\
         httpd,ipv4,tcp,0.0.0.0,80,{page}\n\
         telnetd,ipv4,tcp,0.0.0.0,23,{refused}\n"
    );
    fs::write(machine.path("bridges"), rows)?;
    let both = || {
        [&asked, &closed]
            .iter()
            .all(|count| count.load(Ordering::Relaxed) > 0)
    };
    let output = machine.run_until(None, both)?;
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(told.contains("1 of 2 listening TCP ports"), "{told}");
    let answers = fs::read_to_string(machine.path("router/results/0/service_answers.yaml"))?;
    for said in [
        "\"status\":200",
        "\"title\":\"Router",
        "\"kind\":\"closed\"",
    ] {
        assert!(answers.contains(said), "{answers}");
    }
    assert!(!answers.contains('\u{7}'), "{answers}");
    Ok(())
}

#[test]
fn a_run_that_broke_off_is_not_said_to_have_had_no_service() -> Result<()> {
    let machine = Machine::with(&[("podman", true)])?;
    fs::write(machine.path("dies"), "")?;
    let project = machine.path("router");
    let project = project.to_str().context("a path")?;
    let output = machine
        .rookery(&["run", project, "--backend", "penguin", "--timeout", "5"])
        .output()?;
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(told.contains("died before its end"), "{told}");
    assert!(told.contains("httpd  tcp 0.0.0.0:80"), "{told}");
    assert!(!told.contains("no service listened"), "{told}");
    Ok(())
}

#[test]
fn doctor_says_which_engine_there_is_and_how_the_wrapper_is_installed() -> Result<()> {
    let machine = Machine::with(&[("docker", false)])?;
    // No plugin has to be compiled to tell of an engine.
    let none = machine.path("none");
    fs::create_dir(&none)?;
    let doctor = || {
        let mut doctor = machine.rookery(&["doctor", "--plugins"]);
        doctor.arg(&none);
        doctor
    };
    let output = doctor()
        .env("PENGUIN_CONTAINER_ENGINE", "docker")
        .output()?;
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(told.contains("docker info` fails"), "{told}");
    fs::remove_file(machine.path("bin/penguin"))?;
    let output = doctor().output()?;
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(told.contains("penguin_install.local | sh"), "{told}");
    Ok(())
}

/// A machine whose project has a patch, and the command that plays the loop on it.
fn tried() -> Result<(Machine, Command)> {
    let machine = Machine::with(&[("podman", true)])?;
    machine.program("penguin", TRIED)?;
    fs::write(machine.path("router/patch_90_mcp.yaml"), PATCH)?;
    let project = machine.path("router");
    let project = project.to_str().context("a path")?;
    let command = machine.rookery(&["rehost", project, "--backend", "penguin", "--json"]);
    Ok((machine, command))
}

const PATCH: &str = "env:\n  mine: \"1\"\n";

/// Whether nothing of a trial is left in the project.
fn is_as_before(machine: &Machine) -> Result<bool> {
    let mut names = fs::read_dir(machine.path("router/results"))?.flatten();
    let left = names.any(|entry| entry.file_name().to_string_lossy().starts_with(".trial"));
    Ok(!left && fs::read_to_string(machine.path("router/patch_90_mcp.yaml"))? == PATCH)
}

#[test]
fn a_trial_is_run_by_files_of_its_own_and_leaves_none() -> Result<()> {
    let (machine, mut command) = tried()?;
    let output = command.output()?;
    let told: serde_json::Value = serde_json::from_slice(&output.stdout)
        .with_context(|| String::from_utf8_lossy(&output.stderr).into_owned())?;
    assert_eq!(told["state"], "stuck", "{told}");
    assert_eq!(
        told["runs"], 3,
        "as it is, with another init, and with a placeholder"
    );
    let main = machine.said("seen/config.yaml");
    assert!(main.contains("auto_patching: false"), "{main}");
    assert!(
        main.contains("results/.trial-1/patch_90_mcp.yaml"),
        "{main}"
    );
    let patch = machine.said("seen/patch_90_mcp.yaml");
    assert!(
        patch.contains("mine") && patch.contains("/etc/init.d/rcS"),
        "{patch}"
    );
    // The second is copied into the copy of the first.
    let patch = machine.said("seen/.trial-2/patch_90_mcp.yaml");
    assert!(
        patch.contains("mine") && patch.contains("DYNVALDYNVALDYNVAL"),
        "{patch}"
    );
    assert!(is_as_before(&machine)?);
    Ok(())
}

#[test]
fn a_trial_that_is_stopped_or_whose_supervisor_is_killed_leaves_nothing() -> Result<()> {
    for signal in ["INT", "KILL"] {
        let (machine, mut command) = tried()?;
        fs::write(machine.path("waits"), "")?;
        let child = command.spawn()?;
        let begun = processes::eventually(Duration::from_mins(1), || {
            machine.path("seen/patch_90_mcp.yaml").exists()
        });
        assert!(
            begun && !is_as_before(&machine)?,
            "{}",
            machine.said("engines")
        );
        if signal == "KILL" {
            let state = machine.path(".local/state");
            for supervisor in processes::with_command_line(&state.display().to_string()) {
                processes::kill(supervisor)?;
            }
        }
        rookery_tests::wire::signal(child.id(), signal)?;
        child.wait_with_output()?;
        // Whoever looks next ends what is left.
        let gone = processes::eventually(Duration::from_secs(20), || {
            let looked = machine.rookery(&["ps"]).output();
            looked.is_ok() && is_as_before(&machine).unwrap_or(false)
        });
        assert!(gone, "{signal}");
    }
    Ok(())
}
