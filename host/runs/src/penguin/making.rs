//! Projects that Penguin's own `init` makes.
//!
//! Rookery reads the root filesystem first, whatever it is packed in: Penguin is given a sound
//! archive of it, in a directory that holds nothing else. What Penguin makes of it is moved to its
//! place only when it is complete and can be read.

use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rookery_contract::options::Maker;
use rookery_contract::shapes::NewProject;
use rookery_project::scratch::Scratch;
use rookery_project::{Cancel, Error, Result, Roots, UNFINISHED_PROJECT, Unavailable};
use rustix::process::{Pid, Signal};

use super::invocation::Place;
use super::output::without_colours;

/// Static analysis of a large firmware takes minutes, and so does fetching the image for the first
/// time.
const LONGEST: Duration = Duration::from_mins(30);
const POLL: Duration = Duration::from_millis(50);
/// How much of what Penguin said last is told.
const TOLD_BYTES: usize = 2000;

/// `creation.init-project`: have a project made, by Penguin where that is wanted or possible.
pub fn make_project(
    allowed: &Roots,
    rootfs: &str,
    output: &str,
    with: Maker,
    cancel: &Cancel,
) -> Result<NewProject> {
    let place = match with {
        Maker::Rookery => None,
        Maker::Auto => Place::find().filter(Place::answers),
        Maker::Penguin => Some(Place::find().ok_or_else(missing)?),
    };
    let Some(place) = place else {
        return allowed.create(rootfs, output, cancel);
    };
    let (_, output) = allowed.new_project(rootfs, output)?;
    let near = output.ancestors().skip(1).find(|dir| dir.is_dir());
    let near = near.unwrap_or(Path::new("/"));
    let scratch = Scratch::make(near, UNFINISHED_PROJECT)
        .map_err(|error| Error::io("make a directory in", near, &error))?;
    let ours = scratch.path().join("ours");
    let mut made = allowed.create(rootfs, &ours.to_string_lossy(), cancel)?;
    made.project_dir = output.to_string_lossy().into_owned();
    let theirs = init(&place, scratch.path(), &ours, cancel)
        .and_then(|()| initial_program(allowed, &scratch.path().join(PROJECT)));
    let done = match theirs {
        Ok(init) => {
            made.init = init.or(made.init);
            made.warnings
                .push("Penguin's own init made this project".to_owned());
            scratch.path().join(PROJECT)
        }
        Err(Error::Cancelled) => return Err(Error::Cancelled),
        Err(error) if with == Maker::Penguin => return Err(error),
        Err(error) => {
            made.warnings.push(format!(
                "Penguin's own init could not make this project, so Rookery made it: {error}"
            ));
            ours
        }
    };
    if let Some(parent) = output.parent() {
        fs::create_dir_all(parent).map_err(|error| Error::io("make", parent, &error))?;
    }
    fs::rename(&done, &output).map_err(|error| Error::io("make", &output, &error))?;
    Ok(made)
}

/// Below the scratch directory: what Penguin reads, where it writes, and where it is started. The
/// wrapper mounts the directory above each path by its name alone, so these names differ.
const ROOTFS: &str = "rootfs";
const PROJECT: &str = "project";
const WORK: &str = "work";

fn missing() -> Error {
    Error::Unavailable(Unavailable {
        what: "Penguin's own init".to_owned(),
        why: "there is no `penguin` on PATH with a container engine, and this is not Penguin's \
              image"
            .to_owned(),
        how_to_enable:
            "Leave `with` out, and Rookery makes the project; `rookery doctor` says how \
                        to install Penguin"
                .to_owned(),
    })
}

/// Run `penguin init` on the archive of the project `ours`.
fn init(place: &Place, scratch: &Path, ours: &Path, cancel: &Cancel) -> Result<()> {
    let io = |error: std::io::Error| Error::io("make a project in", scratch, &error);
    for dir in [ROOTFS, WORK] {
        fs::create_dir(scratch.join(dir)).map_err(io)?;
    }
    let archive = scratch.join(ROOTFS).join("fs.tar.gz");
    fs::hard_link(ours.join("base/fs.tar.gz"), &archive).map_err(io)?;
    let log = scratch.join("log");
    let said = File::options()
        .create_new(true)
        .read(true)
        .write(true)
        .open(&log)
        .map_err(io)?;
    let name = format!("rookery-init-{}", std::process::id());
    let mut command = place.command_named(&name);
    command
        .arg("init")
        .arg(&archive)
        .arg("--output")
        .arg(scratch.join(PROJECT))
        .current_dir(scratch.join(WORK))
        .stdin(Stdio::null())
        .stdout(said.try_clone().map_err(io)?)
        .stderr(said.try_clone().map_err(io)?)
        .process_group(0);
    let status = wait(command, place, &name, cancel)?;
    match status {
        Some(status) if status.success() => Ok(()),
        Some(status) => Err(Error::Backend(format!(
            "`penguin init` failed ({status}). It said last: {}",
            last(&said)
        ))),
        None => Err(Error::Backend(format!(
            "`penguin init` had not ended after {} minutes. It said last: {}",
            LONGEST.as_secs() / 60,
            last(&said)
        ))),
    }
}

/// How it ended; `None` if it took too long.
fn wait(
    mut command: Command,
    place: &Place,
    name: &str,
    cancel: &Cancel,
) -> Result<Option<std::process::ExitStatus>> {
    let mut child = command
        .spawn()
        .map_err(|error| Error::Backend(format!("`penguin init` cannot be started: {error}")))?;
    let deadline = Instant::now() + LONGEST;
    loop {
        let ended = child.try_wait();
        if let Ok(Some(status)) = ended {
            return Ok(Some(status));
        }
        let cancelled = cancel.check();
        if cancelled.is_err() || ended.is_err() || Instant::now() > deadline {
            kill(&mut child, place, name);
            return cancelled.map(|()| None);
        }
        std::thread::sleep(POLL);
    }
}

fn kill(child: &mut Child, place: &Place, name: &str) {
    if let Place::Host { engine, .. } = place {
        engine.remove(name);
    }
    let _ = rustix::process::kill_process_group(Pid::from_child(child), Signal::KILL);
    let _ = child.wait();
}

/// The end of what was said, in plain characters.
fn last(said: &File) -> String {
    let size = said.metadata().map_or(0, |metadata| metadata.len());
    let mut bytes = vec![0; TOLD_BYTES];
    let from = size.saturating_sub(TOLD_BYTES as u64);
    let read = said.read_at(&mut bytes, from).unwrap_or(0);
    bytes.truncate(read);
    without_colours(&String::from_utf8_lossy(&bytes))
        .trim()
        .to_owned()
}

/// What the project starts, once all of it can be read.
fn initial_program(allowed: &Roots, project: &Path) -> Result<Option<String>> {
    let unsound = |error: Error| {
        Error::Backend(format!(
            "the project that Penguin's init made cannot be used: {error}"
        ))
    };
    let project = allowed
        .project(&project.to_string_lossy())
        .map_err(unsound)?;
    let config = project.effective().map_err(unsound)?.config;
    let env = config.get("env");
    let init = env.and_then(|env| env.get("igloo_init")?.as_str());
    Ok(init.map(str::to_owned))
}
