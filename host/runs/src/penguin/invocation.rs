//! How Penguin is called, signalled and cleaned up after.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::Duration;

use data_encoding::HEXLOWER;
use rookery_project::{Error, Result};
use rustix::process::{Pid, Signal};
use sha2::{Digest as _, Sha256};

use crate::backend::Check;
use crate::penguin::run_bounded;
use crate::plan::Plan;

const ENGINES: [&str; 2] = ["docker", "podman"];
/// Present in the Penguin image only.
const IN_IMAGE: &str = "/igloo_static";
const ENGINE_PATIENCE: Duration = Duration::from_secs(20);

/// Where Penguin is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// On a host: the wrapper, and the engine that it uses.
    Host { wrapper: PathBuf, engine: PathBuf },
    /// In the Penguin image: the command line itself.
    Image { penguin: PathBuf },
}

impl Place {
    pub(super) fn find() -> Option<Self> {
        let penguin = on_path("penguin")?;
        if Path::new(IN_IMAGE).is_dir() {
            return Some(Self::Image { penguin });
        }
        Some(Self::Host {
            wrapper: penguin,
            engine: ENGINES.iter().find_map(|engine| on_path(engine))?,
        })
    }
}

/// What the backend needs, and what to do where it is missing.
pub(super) fn checks() -> Vec<Check> {
    let wrapper = on_path("penguin");
    let mut checks = vec![check(
        "penguin command",
        wrapper.as_deref(),
        "Install Penguin's wrapper with `docker run rehosting/penguin penguin_install`, and make \
         sure that it is in PATH",
    )];
    if Path::new(IN_IMAGE).is_dir() {
        return checks;
    }
    let engine = ENGINES.iter().find_map(|engine| on_path(engine));
    checks.push(check(
        "container engine",
        engine.as_deref(),
        "Install docker or podman",
    ));
    if let (Some(engine), true) = (engine, wrapper.is_some()) {
        let answers = run_bounded(Command::new(&engine).arg("version"), ENGINE_PATIENCE) == Some(0);
        checks.push(Check {
            name: "container engine answers".into(),
            ok: answers,
            needed: true,
            detail: format!(
                "`{} version` {}",
                engine.display(),
                if answers { "succeeds" } else { "fails" }
            ),
            fix: (!answers)
                .then(|| "Start the engine, and make sure that this user may use it".into()),
        });
    }
    checks
}

fn check(name: &str, found: Option<&Path>, fix: &str) -> Check {
    Check {
        name: name.into(),
        ok: found.is_some(),
        needed: true,
        detail: found.map_or_else(
            || "not found on PATH".into(),
            |path| path.display().to_string(),
        ),
        fix: found.is_none().then(|| fix.into()),
    }
}

fn on_path(name: &str) -> Option<PathBuf> {
    use std::os::unix::fs::PermissionsExt as _;
    let executable = |path: &PathBuf| {
        path.metadata()
            .is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
    };
    std::env::split_paths(&std::env::var_os("PATH")?)
        .map(|directory| directory.join(name))
        .find(executable)
}

/// One run's calls.
#[derive(Debug)]
pub(super) struct Invocation {
    place: Place,
    project_dir: PathBuf,
    results_dir: PathBuf,
    timeout_s: u64,
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
            timeout_s,
            ..
        } = plan.clone();
        Ok(Self {
            place,
            project_dir,
            results_dir,
            timeout_s,
            workdir,
            name,
        })
    }

    /// The command that runs the project.
    pub(super) fn command(&self) -> Command {
        let mut command = match &self.place {
            Place::Host { wrapper, .. } => {
                let mut command = Command::new(wrapper);
                command.args(["--name", &self.name, "--replace"]);
                command
            }
            Place::Image { penguin } => Command::new(penguin),
        };
        command
            .arg("run")
            .arg(&self.project_dir)
            .arg("--output")
            .arg(&self.results_dir);
        command
            .arg("--timeout")
            .arg(self.timeout_s.to_string())
            .current_dir(&self.workdir);
        command
    }

    /// Ask Penguin to end and write its files.
    pub(super) fn interrupt(&self, child: &Child) {
        match &self.place {
            Place::Host { engine, .. } => {
                self.engine(engine, &["kill", "--signal=INT", &self.name]);
            }
            // To the parent only: it passes the signal on to its child, which has a session of its
            // own.
            Place::Image { .. } => signal(child.id(), Signal::INT),
        }
    }

    /// End Penguin at once.
    pub(super) fn kill(&self, child: &Child) {
        match &self.place {
            Place::Host { engine, .. } => {
                self.engine(engine, &["rm", "--force", &self.name]);
            }
            Place::Image { .. } => self.end_processes(Signal::KILL),
        }
        if let Some(group) = pid(child.id()) {
            let _ = rustix::process::kill_process_group(group, Signal::KILL);
        }
    }

    /// Remove what a run leaves in the engine: a stopped container, an unused network.
    pub(super) fn clean(&self) {
        if let Place::Host { wrapper, .. } = &self.place {
            let mut down = Command::new(wrapper);
            down.args(["down", "--name", &self.name])
                .current_dir(&self.workdir);
            run_bounded(&mut down, ENGINE_PATIENCE);
        }
    }

    /// End a run whose supervisor is gone.
    pub(super) fn sweep(&self) {
        match &self.place {
            Place::Host { engine, .. } => {
                // The wrapper may be about to start its container.
                self.end_processes(Signal::KILL);
                self.engine(engine, &["rm", "--force", &self.name]);
                self.clean();
            }
            Place::Image { .. } => self.end_processes(Signal::INT),
        }
    }

    fn engine(&self, engine: &Path, arguments: &[&str]) {
        let mut command = Command::new(engine);
        command.args(arguments).current_dir(&self.workdir);
        if run_bounded(&mut command, ENGINE_PATIENCE) != Some(0) {
            tracing::warn!(?arguments, "the container engine did not do it");
        }
    }

    /// Signal the processes of this run: those that have its result directory among their
    /// arguments.
    fn end_processes(&self, with: Signal) {
        let wanted: OsString = self.results_dir.clone().into();
        for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
            let Some(number) = entry
                .file_name()
                .to_str()
                .and_then(|name| name.parse().ok())
            else {
                continue;
            };
            let arguments = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
            if number != std::process::id()
                && arguments
                    .split(|&byte| byte == 0)
                    .any(|argument| argument == wanted.as_encoded_bytes())
            {
                signal(number, with);
            }
        }
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
