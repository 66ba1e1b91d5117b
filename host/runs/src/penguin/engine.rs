//! The container engine that Penguin's wrapper uses, found as the wrapper finds it.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Names the engine, for the wrapper and for us.
pub(super) const VARIABLE: &str = "PENGUIN_CONTAINER_ENGINE";
const DOCKER: &str = "docker";
const PODMAN: &str = "podman";
/// An engine that has not done something by then hangs.
const PATIENCE: Duration = Duration::from_secs(20);
/// The wrapper's networks are named so.
const NETWORKS: &str = "nw_";

/// A container engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Engine {
    pub(super) program: PathBuf,
}

/// What the search for an engine found.
pub(super) struct Found {
    /// The wrapper's choice; none where there is nothing to choose from.
    pub(super) engine: Option<Engine>,
    /// How it was chosen, or what is missing.
    pub(super) how: String,
}

impl Engine {
    /// The engine that the wrapper would use: what the variable names, else docker if its daemon
    /// answers, else podman, else docker, whose daemon may come up.
    pub(super) fn find() -> Found {
        choose(std::env::var_os(VARIABLE).as_deref(), &on_path)
    }

    /// All that a container may have been started with, whatever is chosen now.
    pub(super) fn all() -> Vec<Self> {
        let named = std::env::var_os(VARIABLE).and_then(|name| on_path(&name));
        let others = [DOCKER, PODMAN]
            .into_iter()
            .map(|name| on_path(name.as_ref()));
        let mut all: Vec<_> = others.chain([named]).flatten().collect();
        all.sort();
        all.dedup();
        all.into_iter().map(|program| Self { program }).collect()
    }

    /// Whether its daemon answers, or it needs none.
    pub(super) fn answers(&self) -> bool {
        self.does(&["info"])
    }

    /// Whether the first process of the container `name` was signalled.
    pub(super) fn interrupt(&self, name: &str) -> bool {
        self.does(&["kill", "--signal=INT", name])
    }

    /// Remove the container `name`, and the networks that the wrapper made for it.
    pub(super) fn remove(&self, name: &str) {
        let format = "{{range $network, $_ := .NetworkSettings.Networks}}{{$network}} {{end}}";
        let inspect = ["inspect", "--type", "container", "--format", format, name];
        let networks = self.says(&inspect).unwrap_or_default();
        let removed = self.does(&["rm", "--force", name]);
        if !removed {
            tracing::warn!(engine = ?self.program, name, "the container could not be removed");
        }
        // Others belong to other runs, which may not have begun to use theirs.
        for network in networks.split_whitespace() {
            if network.starts_with(NETWORKS) {
                self.does(&["network", "rm", network]);
            }
        }
    }

    fn does(&self, arguments: &[&str]) -> bool {
        self.says(arguments).is_some()
    }

    /// What it prints, where it succeeds.
    fn says(&self, arguments: &[&str]) -> Option<String> {
        // A file, since a pipe may stay open in processes that it leaves behind.
        let output = tempfile::tempfile().ok()?;
        let mut child = Command::new(&self.program)
            .args(arguments)
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(output.try_clone().ok()?)
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let deadline = Instant::now() + PATIENCE;
        loop {
            match child.try_wait() {
                Ok(Some(status)) => return status.success().then(|| begin_of(&output)),
                Ok(None) if Instant::now() < deadline => {
                    std::thread::sleep(Duration::from_millis(10));
                }
                _ => {
                    let _ = child.kill();
                    let _ = child.wait();
                    return None;
                }
            }
        }
    }
}

fn begin_of(output: &std::fs::File) -> String {
    use std::os::unix::fs::FileExt as _;
    let mut bytes = [0; 4096];
    let read = output.read_at(&mut bytes, 0).unwrap_or(0);
    String::from_utf8_lossy(bytes.get(..read).unwrap_or_default()).into_owned()
}

/// `variable` is what names an engine, `look_up` finds a program by its name.
fn choose(variable: Option<&OsStr>, look_up: &dyn Fn(&OsStr) -> Option<PathBuf>) -> Found {
    let found = |program: Option<PathBuf>, how: String| Found {
        engine: program.map(|program| Engine { program }),
        how,
    };
    if let Some(name) = variable.filter(|name| !name.is_empty()) {
        let how = format!("{VARIABLE} names {}", name.display());
        return match look_up(name) {
            Some(program) => found(Some(program), how),
            None => found(None, format!("{how}, which is not on PATH")),
        };
    }
    let docker = look_up(DOCKER.as_ref()).map(|program| Engine { program });
    let podman = look_up(PODMAN.as_ref());
    match (docker, podman) {
        (Some(docker), podman) if podman.is_none() || docker.answers() => {
            found(Some(docker.program), DOCKER.to_owned())
        }
        (Some(_), podman) => found(
            podman,
            "podman, since docker's daemon does not answer".into(),
        ),
        (None, Some(podman)) => found(Some(podman), PODMAN.to_owned()),
        (None, None) => found(None, "neither docker nor podman is on PATH".into()),
    }
}

/// The program that a shell would start by this name.
pub(super) fn on_path(name: &OsStr) -> Option<PathBuf> {
    use std::os::unix::fs::PermissionsExt as _;
    let executable = |path: &PathBuf| {
        path.metadata()
            .is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
    };
    if Path::new(name).components().count() > 1 {
        return Some(PathBuf::from(name)).filter(executable);
    }
    // In Penguin's image this program stands before Penguin's own, under its name.
    let own = Path::new("/proc/self/exe").canonicalize().ok();
    let is_own = |path: &PathBuf| own.is_some() && path.canonicalize().ok() == own;
    std::env::split_paths(&std::env::var_os("PATH")?)
        .map(|directory| directory.join(name))
        .find(|path| executable(path) && !is_own(path))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    /// Engines by name; `info` fails where the daemon does not answer.
    fn choice(variable: Option<&str>, engines: &[(&str, bool)]) -> (Option<String>, String) {
        let directory = tempfile::tempdir().unwrap();
        for (name, answers) in engines {
            let path = directory.path().join(name);
            let status = i32::from(!answers);
            fs::write(
                &path,
                format!("#!/bin/sh\n[ \"$1\" != info ] || exit {status}\n"),
            )
            .unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        }
        let look_up = |name: &OsStr| {
            let path = directory.path().join(name);
            path.exists().then_some(path)
        };
        let found = choose(variable.map(OsStr::new), &look_up);
        let name = found.engine.map(|engine| {
            let name = engine.program.file_name().unwrap_or_default();
            name.to_string_lossy().into_owned()
        });
        (name, found.how)
    }

    #[test]
    fn the_engine_is_the_one_that_the_wrapper_takes() {
        let (up, down) = (("docker", true), ("docker", false));
        let podman = ("podman", true);
        for (variable, engines, expected) in [
            (None, &[up, podman][..], Some("docker")),
            (None, &[down, podman], Some("podman")),
            (None, &[podman], Some("podman")),
            (None, &[up], Some("docker")),
            // It is what there is, and the check of its daemon says what is wrong.
            (None, &[down], Some("docker")),
            (None, &[], None),
            (Some("podman"), &[up, podman], Some("podman")),
            (Some("docker"), &[down, podman], Some("docker")),
            (Some(""), &[up, podman], Some("docker")),
            (Some("nerdctl"), &[up, podman], None),
            (Some("nerdctl"), &[up, ("nerdctl", true)], Some("nerdctl")),
        ] {
            let (chosen, how) = choice(variable, engines);
            assert_eq!(
                chosen.as_deref(),
                expected,
                "{variable:?} {engines:?}: {how}"
            );
        }
        let (_, how) = choice(Some("nerdctl"), &[up]);
        assert!(
            how.contains(VARIABLE) && how.contains("not on PATH"),
            "{how}"
        );
    }
}
