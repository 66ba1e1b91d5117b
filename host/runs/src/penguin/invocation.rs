//! How Penguin is called, signalled and cleaned up after.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use data_encoding::HEXLOWER;
use rookery_project::{Error, Result};
use rustix::process::{Pid, Signal};
use sha2::{Digest as _, Sha256};

use crate::backend::Check;
use crate::penguin::engine::{Engine, VARIABLE, on_path};
use crate::penguin::live::Way;
use crate::plan::Plan;
use crate::trial_files;

/// Present in the Penguin image only.
const IN_IMAGE: &str = "/igloo_static";
/// The wrapper removes its network when it ends, which it does once its container is gone.
const WRAPPER_ENDS_WITHIN: Duration = Duration::from_secs(5);
/// A Penguin that nobody supervises any more has so long to write its files, and that long to be
/// gone after it was killed.
const SWEEP_GRACE: Duration = Duration::from_secs(8);
const GONE_WITHIN: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_millis(50);

/// Where Penguin is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// On a host: the wrapper, and the engine that it uses.
    Host { wrapper: PathBuf, engine: Engine },
    /// In the Penguin image: the command line itself.
    Image { penguin: PathBuf },
}

impl Place {
    pub(super) fn find() -> Option<Self> {
        let penguin = on_path("penguin".as_ref())?;
        if Path::new(IN_IMAGE).is_dir() {
            return Some(Self::Image { penguin });
        }
        Some(Self::Host {
            wrapper: penguin,
            engine: Engine::find().engine?,
        })
    }

    /// Whether what is there works, as far as can be known at once.
    pub(super) fn answers(&self) -> bool {
        match self {
            Self::Host { engine, .. } => engine.answers(),
            Self::Image { .. } => true,
        }
    }

    /// Penguin's command without its arguments. Its container, if it has one, is called `name`: the
    /// wrapper itself names only those of runs.
    pub(super) fn command_named(&self, name: &str) -> Command {
        match self {
            Self::Host { wrapper, engine } => {
                let mut command = Command::new(wrapper);
                command.args(["--extra_docker_args", &format!("--name {name}")]);
                command.env(VARIABLE, &engine.program);
                command
            }
            Self::Image { penguin } => Command::new(penguin),
        }
    }
}

/// What the backend needs, and what to do where it is missing.
pub(super) fn checks() -> Vec<Check> {
    let wrapper = on_path("penguin".as_ref());
    let found = |path: &Path| path.display().to_string();
    let mut checks = vec![check(
        "penguin command",
        wrapper
            .as_deref()
            .map(found)
            .ok_or("not found on PATH".into()),
        "Install Penguin's wrapper for this user with `docker run --rm rehosting/penguin \
         penguin_install.local | sh` (`penguin_install | sudo sh` for all users; podman works as \
         well), and make sure that `command -v penguin` finds it",
    )];
    if Path::new(IN_IMAGE).is_dir() {
        return checks;
    }
    let chosen = Engine::find();
    let described = match &chosen.engine {
        Some(engine) => Ok(format!("{} ({})", engine.program.display(), chosen.how)),
        None => Err(chosen.how),
    };
    checks.push(check(
        "container engine",
        described,
        "Install docker or podman, or name another engine in PENGUIN_CONTAINER_ENGINE, as for \
         Penguin's wrapper",
    ));
    if let (Some(engine), true) = (chosen.engine, wrapper.is_some()) {
        let program = engine.program.display();
        let answers = if engine.answers() {
            Ok(format!("`{program} info` succeeds"))
        } else {
            Err(format!("`{program} info` fails"))
        };
        let fix = "Start the engine, and make sure that this user may use it, or install podman, \
                   which needs no daemon";
        checks.push(check("container engine answers", answers, fix));
    }
    checks
}

/// `seen` is an error where it is not as it should be.
fn check(name: &str, seen: std::result::Result<String, String>, fix: &str) -> Check {
    Check {
        name: name.into(),
        ok: seen.is_ok(),
        needed: true,
        fix: seen.is_err().then(|| fix.into()),
        detail: seen.unwrap_or_else(|seen| seen),
    }
}

/// One run's calls.
#[derive(Debug)]
pub(super) struct Invocation {
    place: Place,
    project_dir: PathBuf,
    results_dir: PathBuf,
    /// Of a trial: what is read in the place of the project's own.
    main_file: Option<PathBuf>,
    /// None where Penguin itself is to say when the run ends.
    timeout_s: Option<u64>,
    /// An empty directory: the wrapper rewrites any argument that is the name of a file where it
    /// is started.
    workdir: PathBuf,
    /// The container's name, the same for all runs of a project, of which there is one at a time.
    name: String,
}

impl Invocation {
    pub(super) fn new(place: Place, plan: &Plan) -> Result<Self> {
        let hash = Sha256::digest(plan.project_dir.as_os_str().as_encoded_bytes());
        let name = format!(
            "rookery-{}",
            HEXLOWER.encode(hash.get(..6).unwrap_or_default())
        );
        // The wrapper mounts the parent of each path by its name alone, so two parents of one name
        // hide each other.
        let base_name = |path: &Path| {
            path.parent()
                .and_then(Path::file_name)
                .map(ToOwned::to_owned)
        };
        if matches!(place, Place::Host { .. })
            && base_name(&plan.project_dir) == base_name(&plan.results_dir)
        {
            return Err(Error::Backend(
                "Penguin's wrapper cannot run a project in a directory called \"results\"; move \
                 the project elsewhere"
                    .into(),
            ));
        }
        let workdir = plan.cache_dir.join("penguin-workdir");
        std::fs::create_dir_all(&workdir).map_err(|error| Error::io("make", &workdir, &error))?;
        let Plan {
            project_dir,
            results_dir,
            ..
        } = plan.clone();
        Ok(Self {
            place,
            main_file: trial_files::main_file(&results_dir),
            project_dir,
            results_dir,
            timeout_s: (!plan.is_open_ended()).then_some(plan.timeout_s),
            workdir,
            name,
        })
    }

    /// The way to what runs beside Penguin.
    pub(super) fn way(&self) -> Way {
        match &self.place {
            Place::Host { engine, .. } => Way::Container {
                engine: engine.program.clone(),
                name: self.name.clone(),
            },
            Place::Image { .. } => Way::Here,
        }
    }

    /// The command that runs the project.
    pub(super) fn command(&self) -> Command {
        let mut command = match &self.place {
            Place::Host { wrapper, engine } => {
                let mut command = Command::new(wrapper);
                command.args(["--name", &self.name, "--replace"]);
                // The engine that is asked to stop the container is the one that has it.
                command.env(VARIABLE, &engine.program);
                command
            }
            Place::Image { penguin } => Command::new(penguin),
        };
        command.arg("run").arg("--output").arg(&self.results_dir);
        if let Some(seconds) = self.timeout_s {
            command.arg("--timeout").arg(seconds.to_string());
        }
        if let Some(file) = &self.main_file {
            command.arg("--config").arg(file);
        }
        // The wrapper takes the last path for the project, by which its other commands find the
        // container.
        command.arg(&self.project_dir).current_dir(&self.workdir);
        command
    }

    /// Ask Penguin to end and write its files. Whether the signal arrived: the container may not be
    /// there yet.
    pub(super) fn interrupt(&self, child: &Child) -> bool {
        match &self.place {
            Place::Host { engine, .. } => engine.interrupt(&self.name),
            // To the parent only: it passes the signal on to its child, which has a session of its
            // own.
            Place::Image { .. } => {
                signal(child.id(), Signal::INT);
                true
            }
        }
    }

    /// End Penguin at once.
    pub(super) fn kill(&self, child: &mut Child) {
        match &self.place {
            Place::Host { engine, .. } => {
                engine.remove(&self.name);
                let deadline = Instant::now() + WRAPPER_ENDS_WITHIN;
                while matches!(child.try_wait(), Ok(None)) && Instant::now() < deadline {
                    std::thread::sleep(POLL);
                }
            }
            Place::Image { .. } => self.kill_processes(),
        }
        if let (Ok(None), Some(group)) = (child.try_wait(), pid(child.id())) {
            let _ = rustix::process::kill_process_group(group, Signal::KILL);
            // The wrapper may just have started its container.
            if let Place::Host { engine, .. } = &self.place {
                engine.remove(&self.name);
            }
        }
    }

    /// End a run whose supervisor is gone; nothing of it is alive after that.
    pub(super) fn sweep(&self) {
        self.sweep_with(&Engine::all());
    }

    /// The run may have had another engine than the one that is chosen now.
    pub(super) fn sweep_with(&self, engines: &[Engine]) {
        match &self.place {
            Place::Host { .. } => {
                // The wrapper may be about to start its container.
                self.kill_processes();
                for engine in engines {
                    engine.remove(&self.name);
                }
            }
            Place::Image { .. } => {
                self.signal_processes(Signal::INT);
                if !self.are_gone_within(SWEEP_GRACE) {
                    self.kill_processes();
                }
            }
        }
    }

    fn kill_processes(&self) {
        let deadline = Instant::now() + GONE_WITHIN;
        loop {
            for process in self.processes() {
                // Penguin's child leads a group of its own, with the emulator in it.
                let group = pid(process).and_then(|pid| rustix::process::getpgid(Some(pid)).ok());
                if let Some(group) = group.filter(|group| *group != rustix::process::getpgrp()) {
                    let _ = rustix::process::kill_process_group(group, Signal::KILL);
                }
                signal(process, Signal::KILL);
            }
            if self.are_gone_within(POLL) || Instant::now() > deadline {
                return;
            }
        }
    }

    fn signal_processes(&self, with: Signal) {
        for process in self.processes() {
            signal(process, with);
        }
    }

    fn are_gone_within(&self, limit: Duration) -> bool {
        let deadline = Instant::now() + limit;
        loop {
            if self.processes().is_empty() {
                return true;
            }
            if Instant::now() >= deadline {
                return false;
            }
            std::thread::sleep(POLL);
        }
    }

    /// The processes of this run: those that have its result directory among their arguments.
    fn processes(&self) -> Vec<u32> {
        let wanted: OsString = self.results_dir.clone().into();
        let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
        let numbers = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        let is_of_run = |number: &u32| {
            // One that has ended and was not reaped has none.
            let arguments = std::fs::read(format!("/proc/{number}/cmdline")).unwrap_or_default();
            let mut arguments = arguments.split(|&byte| byte == 0);
            arguments.any(|argument| argument == wanted.as_encoded_bytes())
        };
        let own = std::process::id();
        numbers
            .filter(|number| *number != own && is_of_run(number))
            .collect()
    }
}

fn signal(process: u32, with: Signal) {
    if let Some(pid) = pid(process) {
        let _ = rustix::process::kill_process(pid, with);
    }
}

fn pid(process: u32) -> Option<Pid> {
    Pid::from_raw(i32::try_from(process).ok()?)
}
