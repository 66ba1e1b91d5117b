//! Where things are: projects, plugins, state and cache.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::Args;
use rookery_project::Roots;
use rookery_runs::ports::Ports;
use rookery_runs::{Runs, RunsConfig};
use rookery_runtime::{GUEST_MEMORY_MIB, LoadReport, Policy, Runtime, RuntimeConfig};

use crate::backends;
use crate::policy::PolicyFile;

/// What names the roots, beside the options of a command.
pub const ROOTS: &str = "ROOKERY_ROOT";

/// Where the state of runs is.
#[derive(Args, Clone)]
pub struct StateDir {
    /// Where the state of runs is kept [default: rookery below `$XDG_STATE_HOME` or
    /// ~/.local/state]
    #[arg(
        id = "state_dir",
        long = "state-dir",
        value_name = "DIR",
        env = "ROOKERY_STATE_DIR"
    )]
    dir: Option<PathBuf>,
    /// How much memory a guest may use, in MiB, including files in memory; a run that uses more is
    /// ended [default: 1024]
    #[arg(
        long,
        value_name = "MIB",
        env = "ROOKERY_GUEST_MEMORY",
        value_parser = clap::value_parser!(u64).range(GUEST_MEMORY_MIB)
    )]
    guest_memory: Option<u64>,
    /// How many runs may be under way at once; others wait for their turn [default: 32 for each
    /// processor, and no more than one for each 256 MiB of memory]
    #[arg(
        long,
        value_name = "N",
        env = "ROOKERY_RUNS_AT_ONCE",
        value_parser = clap::value_parser!(u16).range(1..)
    )]
    runs_at_once: Option<u16>,
}

impl StateDir {
    /// The directory. Not made here.
    pub fn path(&self) -> anyhow::Result<PathBuf> {
        self.dir.clone().map_or_else(
            || user_dir("XDG_STATE_HOME", ".local/state", "--state-dir"),
            Ok,
        )
    }

    /// Every run of this user, wherever its project is: the shell is the user's own.
    pub fn all_runs(&self, policy: &Policy) -> anyhow::Result<Runs> {
        self.runs(Roots::new([PathBuf::from("/")])?, policy)
    }

    /// The project of a run that is known.
    pub fn project_of(&self, run: &str) -> Option<PathBuf> {
        let runs = self.all_runs(&Policy::default()).ok()?;
        runs.status(run).ok()?.project_dir.map(PathBuf::from)
    }

    /// The runs below `roots`.
    pub fn runs(&self, roots: Roots, policy: &Policy) -> anyhow::Result<Runs> {
        let guest_memory = self.guest_memory.or(policy.serve().guest_memory_mib);
        let program = std::env::current_exe().context("cannot find this program's own file")?;
        Ok(Runs::new(RunsConfig {
            state_dir: self.path()?,
            program,
            backends: backends::all,
            roots,
            guest_memory: guest_memory.map(|mib| mib << 20),
            way_out: policy.serve().way_out,
        })
        .with_at_once(
            self.runs_at_once
                .or(policy.serve().runs_at_once)
                .map(usize::from),
        )
        .with_quota(policy.keep().limits()))
    }
}

/// Which ports of this machine lead to guests.
#[derive(Args, Clone)]
pub struct PortOptions {
    /// Ports of 127.0.0.1 that lead to the guest's services: `80=8080` makes the guest's port 80
    /// this machine's port 8080, and a range such as `8000-8100` has the ports for all other
    /// services; separate several with `,` [default: the guest's own number where that is 1024 or
    /// higher and free, else any free port]
    #[arg(long, value_name = "PORTS", env = "ROOKERY_PORTS", value_parser = str::parse::<Ports>)]
    ports: Option<Ports>,
}

impl PortOptions {
    /// What the operator said, here or in the policy.
    pub fn ports(&self, policy: &Policy) -> Ports {
        let ports = self.ports.as_ref().or(policy.serve().ports.as_ref());
        ports.cloned().unwrap_or_default()
    }
}

/// Which plugins are loaded and what they may do.
#[derive(Args, Clone)]
pub struct PluginOptions {
    /// A directory with plugins (*.wasm), in place of the default ones; can be given several times
    /// [default: `plugins` beside this program, which has the built-in tools, and rookery/plugins
    /// below `$XDG_DATA_HOME` or ~/.local/share, which is for your own] [env: `ROOKERY_PLUGINS`,
    /// separated by `:`]
    #[arg(long, value_name = "DIR")]
    plugins: Vec<PathBuf>,
    #[command(flatten)]
    policy: PolicyFile,
    /// Where compiled plugins are kept [default: rookery below `$XDG_CACHE_HOME` or ~/.cache]
    #[arg(long, value_name = "DIR", env = "ROOKERY_CACHE_DIR")]
    cache_dir: Option<PathBuf>,
    #[command(flatten)]
    state: StateDir,
}

impl PluginOptions {
    /// The directories that are searched: those given, which must exist, or the default ones that
    /// do.
    pub fn dirs(&self, policy: &Policy) -> anyhow::Result<Vec<PathBuf>> {
        let given = self.given_dirs(policy);
        if let Some(missing) = given.iter().find(|dir| !dir.is_dir()) {
            bail!(
                "{} is not a directory; --plugins takes directories that hold *.wasm files",
                missing.display()
            );
        }
        let mut dirs = self.watched_dirs(policy);
        dirs.retain(|dir| dir.is_dir());
        Ok(dirs)
    }

    /// The same, and those that are not there yet.
    pub fn watched_dirs(&self, policy: &Policy) -> Vec<PathBuf> {
        let given = self.given_dirs(policy);
        if !given.is_empty() {
            return given;
        }
        let own = user_dir("XDG_DATA_HOME", ".local/share", "--plugins")
            .ok()
            .map(|dir| dir.join("plugins"));
        [built_in(), own].into_iter().flatten().collect()
    }

    fn given_dirs(&self, policy: &Policy) -> Vec<PathBuf> {
        let given = given_or(&self.plugins, "ROOKERY_PLUGINS");
        if given.is_empty() {
            policy.serve().plugins.clone()
        } else {
            given
        }
    }

    /// The policy, with its file.
    pub fn policy(&self) -> &PolicyFile {
        &self.policy
    }

    /// A runtime's configuration for projects below `roots`.
    pub fn config(&self, roots: Roots, policy: Policy) -> anyhow::Result<RuntimeConfig> {
        let runs = self.state.runs(roots.clone(), &policy)?;
        Ok(RuntimeConfig {
            cache_dir: self.cache()?,
            // Also where its file was replaced or removed meanwhile.
            program: "/proc/self/exe".into(),
            policy,
            built_in: built_in(),
            installed: compiled(),
            lock: None,
            audit: None,
            roots,
            runs,
            stand_in: None,
        })
    }

    /// All plugins, admitted, without a lock and a choice of tools.
    pub fn load(&self, roots: Roots) -> anyhow::Result<(Runtime, LoadReport)> {
        let policy = self.policy.read()?;
        let dirs = self.dirs(&policy)?;
        let runtime = Runtime::new(self.config(roots, policy)?)?;
        let report = runtime.load(&dirs);
        Ok((runtime, report))
    }

    /// The cache directory. Not made here.
    pub fn cache(&self) -> anyhow::Result<PathBuf> {
        self.cache_dir
            .clone()
            .map_or_else(|| user_dir("XDG_CACHE_HOME", ".cache", "--cache-dir"), Ok)
    }

    /// The state directory.
    pub fn state(&self) -> &StateDir {
        &self.state
    }
}

/// The directory of the built-in plugins.
pub fn built_in() -> Option<PathBuf> {
    let exe = std::env::current_exe().ok()?;
    Some(exe.parent()?.join("plugins"))
}

/// The directory of the code that was installed with the program.
pub fn compiled() -> Option<PathBuf> {
    let exe = std::env::current_exe().ok()?;
    Some(exe.parent()?.join("compiled"))
}

/// The paths of the command line, or those of an environment variable, which alone are separated by
/// `:`.
pub fn given_or(given: &[PathBuf], variable: &str) -> Vec<PathBuf> {
    if !given.is_empty() {
        return given.to_vec();
    }
    let paths = std::env::var_os(variable).unwrap_or_default();
    std::env::split_paths(&paths)
        .filter(|path| !path.as_os_str().is_empty())
        .collect()
}

/// `$VARIABLE/rookery`, or `~/FALLBACK/rookery`.
pub fn user_dir(variable: &str, fallback: &str, option: &str) -> anyhow::Result<PathBuf> {
    let absolute =
        |path: std::ffi::OsString| Some(PathBuf::from(path)).filter(|path| path.is_absolute());
    let base = std::env::var_os(variable).and_then(absolute);
    let base = base.or_else(|| {
        std::env::home_dir()
            .filter(|home| home.is_absolute())
            .map(|home| home.join(fallback))
    });
    let base = base
        .with_context(|| format!("there is no home directory; name a directory with {option}"))?;
    Ok(base.join("rookery"))
}

/// The absolute path of `path`, which need not exist.
pub fn absolute(path: &Path) -> anyhow::Result<PathBuf> {
    std::path::absolute(path).with_context(|| format!("cannot resolve {}", path.display()))
}

/// `path` without links and `..`, as projects are compared; what of it does not exist stays as it
/// is.
pub fn resolve(path: &Path) -> anyhow::Result<PathBuf> {
    let path = absolute(path)?;
    for ancestor in path.ancestors() {
        if let (Ok(real), Ok(rest)) = (ancestor.canonicalize(), path.strip_prefix(ancestor)) {
            return Ok(if rest.as_os_str().is_empty() {
                real
            } else {
                real.join(rest)
            });
        }
    }
    Ok(path)
}

/// `path` as the text that the project crate takes.
pub fn utf8(path: &Path) -> anyhow::Result<&str> {
    path.to_str()
        .with_context(|| format!("{} is not valid UTF-8; rename it", path.display()))
}

/// The full path of a project's directory, which is there.
pub fn project(path: &Path) -> anyhow::Result<PathBuf> {
    let dir = resolve(path)?;
    if !dir.is_dir() {
        let what = if dir.exists() {
            "is not a project's directory"
        } else {
            "is not there"
        };
        bail!(
            "{} {what}; `rookery init FIRMWARE` makes a project",
            dir.display()
        );
    }
    Ok(dir)
}

/// The project whose run has this result directory.
pub fn project_of(results_dir: &Path) -> Option<&Path> {
    let all = results_dir.parent()?;
    all.parent().filter(|_| all.ends_with("results"))
}

/// The nearest directory above `path` that exists.
pub fn existing_parent(path: &Path) -> PathBuf {
    path.ancestors()
        .skip(1)
        .find(|dir| dir.is_dir())
        .unwrap_or(Path::new("/"))
        .to_owned()
}
