//! A project, a state directory, and the registry on them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use rookery_contract::options::StartOptions;
use rookery_project::{Cancel, Result};
use rookery_runs::Registry;
use serde_json::{Map, Value, json};

use crate::scripted;

pub struct World {
    _directory: tempfile::TempDir,
    pub root: PathBuf,
}

impl World {
    pub fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().canonicalize().unwrap();
        fs::create_dir_all(root.join("router/base")).unwrap();
        fs::write(root.join("router/base/fs.tar.gz"), "").unwrap();
        Self {
            _directory: directory,
            root,
        }
    }

    pub fn project(&self) -> PathBuf {
        self.root.join("router")
    }

    pub fn registry(&self) -> Registry {
        registry(&self.root)
    }

    /// A registry whose supervisors do not begin before [`World::open_gate`].
    pub fn slow_registry(&self) -> Registry {
        use std::os::unix::fs::PermissionsExt as _;
        let program = self.root.join("slow-supervisor");
        let tests = std::env::current_exe().unwrap();
        let script = format!(
            "#!/bin/sh\nwhile [ ! -e '{}' ]; do sleep 0.02; done\nexec '{}' \"$@\"\n",
            self.gate().display(),
            tests.display()
        );
        fs::write(&program, script).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        Registry::new(self.root.join("state"), program, scripted::backends)
    }

    pub fn open_gate(&self) {
        fs::write(self.gate(), "").unwrap();
    }

    pub fn gate(&self) -> PathBuf {
        self.root.join("gate")
    }

    /// Start a run of a script.
    pub fn start(&self, script: &[(&str, &str)]) -> Result<String> {
        self.registry()
            .start(&self.project(), &config(script), &within(30))
    }

    /// Start a run and wait for its end.
    pub fn run(&self, script: &[(&str, &str)]) -> Value {
        let run_id = self.start(script).unwrap();
        self.wait(&run_id)
    }

    pub fn wait(&self, run_id: &str) -> Value {
        let status = self
            .registry()
            .wait(run_id, Duration::from_secs(20), &Cancel::default())
            .unwrap();
        assert!(!status.is_running(), "{status:?}");
        json!(status)
    }

    pub fn run_dir(&self, run_id: &str) -> PathBuf {
        self.root.join("state/runs").join(run_id)
    }

    /// The supervisor's pid.
    pub fn supervisor(&self, run_id: &str) -> i32 {
        let state: Value =
            serde_json::from_slice(&fs::read(self.run_dir(run_id).join("state.json")).unwrap())
                .unwrap();
        i32::try_from(state["owner"]["pid"].as_i64().unwrap()).unwrap()
    }

    pub fn result(&self, number: u32, name: &str) -> String {
        let path = self
            .project()
            .join("results")
            .join(number.to_string())
            .join(name);
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }
}

fn registry(root: &Path) -> Registry {
    Registry::new(
        root.join("state"),
        std::env::current_exe().unwrap(),
        scripted::backends,
    )
}

/// A configuration with every diagnostic on, whose environment is a script.
pub fn config(script: &[(&str, &str)]) -> Value {
    // The same step may come twice, which a map cannot hold: the script is packed into distinct
    // names.
    let mut env = Map::new();
    env.insert("igloo_init".into(), json!("/sbin/init"));
    for (step, argument) in script {
        assert!(
            env.insert((*step).to_owned(), json!(argument)).is_none(),
            "{step} comes twice"
        );
    }
    json!({
        "core": { "arch": "mipsel", "fs": "./base/fs.tar.gz" },
        "env": env,
        "pseudofiles": { "/dev/known": { "read": { "model": "zero" } } },
        "blocked_signals": [9],
        "plugins": {
            "db": {},
            "exec_logger": {},
            "syscalls_logger": {},
            "env": {},
            "netbinds": { "shutdown_on_www": false }
        }
    })
}

/// Wait until `condition` holds.
pub fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !condition() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Another server process, which starts a run, prints its id, and is killed; its supervisors are
/// `program`, else this one.
pub fn start_and_die(root: &Path, program: Option<PathBuf>) -> ExitCode {
    let script = [("listen", "80"), ("sleep_ms", "1500"), ("end", "done")];
    let registry = match program {
        Some(program) => Registry::new(root.join("state"), program, scripted::backends),
        None => registry(root),
    };
    let run_id = registry
        .start(
            &root.join("router"),
            &config(&script),
            &StartOptions::default(),
        )
        .unwrap();
    println!("{run_id}");
    rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL)
        .unwrap();
    ExitCode::FAILURE
}

/// Options of a run that may take so many seconds.
pub fn within(seconds: u32) -> StartOptions {
    StartOptions {
        timeout_s: Some(seconds),
        ..StartOptions::default()
    }
}
