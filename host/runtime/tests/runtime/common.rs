//! A runtime on the component `tests/plugins/probe`, which does on request what a hostile tool
//! does.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, OnceLock};

use rookery_project::Roots;
use rookery_runs::{Runs, RunsConfig};
use rookery_runtime::{Failure, LoadReport, Policy, ProgressSink, Runtime, RuntimeConfig, Success};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

/// The probe's component, built once.
pub fn probe() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let output = Command::new(env!("CARGO"))
            .args([
                "build",
                "--package",
                "probe",
                "--target",
                "wasm32-wasip2",
                "--profile",
                "plugin",
                "--message-format",
                "json-render-diagnostics",
            ])
            .current_dir(workspace)
            // Flags for the host's tests (coverage, sanitizers) are not for the component.
            .env_remove("RUSTFLAGS")
            .env_remove("CARGO_ENCODED_RUSTFLAGS")
            .output()
            .expect("cargo runs");
        assert!(
            output.status.success(),
            "the probe does not build:\n{}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8_lossy(&output.stdout)
            .lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok())
            .filter_map(|message| message.pointer("/filenames/0")?.as_str().map(PathBuf::from))
            .find(|file| {
                file.extension()
                    .is_some_and(|extension| extension == "wasm")
            })
            .expect("cargo names the component")
    })
}

/// The probe's bytes with the word that says how `describe` behaves replaced.
pub fn probe_that(describe: &str) -> Vec<u8> {
    let (from, to) = (b"describe:sound", format!("describe:{describe}"));
    let mut bytes = std::fs::read(probe()).unwrap();
    let places: Vec<usize> = bytes
        .windows(from.len())
        .enumerate()
        .filter(|(_, window)| window == from)
        .map(|(at, _)| at)
        .collect();
    assert!(!places.is_empty() && to.len() == from.len());
    for at in places {
        bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
    }
    bytes
}

/// The program that compiles: `rookery`, as it was built with these tests.
fn rookery() -> PathBuf {
    let tests = std::env::current_exe().unwrap();
    let program = tests.ancestors().nth(2).unwrap().join("rookery");
    assert!(
        program.exists(),
        "{} is not there; run `cargo build --release` first",
        program.display()
    );
    program
}

/// A directory with plugins, a cache and a root for projects.
pub struct Place {
    pub dir: TempDir,
    /// Whether its plugins count as those that came with the program.
    pub built_in: bool,
}

impl Place {
    /// With nothing in it.
    pub fn empty() -> Self {
        let dir = tempfile::tempdir().unwrap();
        for sub in ["plugins", "root", "state"] {
            std::fs::create_dir(dir.path().join(sub)).unwrap();
        }
        Self {
            dir,
            built_in: true,
        }
    }

    /// With the probe as `probe.wasm`.
    pub fn with_probe() -> Self {
        let place = Self::empty();
        std::fs::copy(probe(), place.plugin("probe.wasm")).unwrap();
        place
    }

    pub fn plugin(&self, name: &str) -> PathBuf {
        self.dir.path().join("plugins").join(name)
    }

    pub fn cache(&self) -> PathBuf {
        self.dir.path().join("cache")
    }

    /// Files of the cache with this extension.
    pub fn cached(&self, extension: &str) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.cache().join("components"))
            .unwrap()
            .map(|entry| entry.unwrap().path());
        entries
            .filter(|path| path.extension().is_some_and(|found| found == extension))
            .collect()
    }

    pub fn config(&self, policy: &str) -> RuntimeConfig {
        let roots = Roots::new([self.dir.path().join("root")]).unwrap();
        let runs = Runs::new(RunsConfig {
            state_dir: self.dir.path().join("state"),
            program: "/bin/false".into(),
            backends: Vec::new,
            roots: roots.clone(),
            guest_memory: None,
            way_out: false,
        });
        let policy = if policy.is_empty() {
            Policy::default()
        } else {
            Policy::from_toml(policy).unwrap()
        };
        RuntimeConfig {
            cache_dir: self.cache(),
            program: rookery(),
            policy,
            built_in: self.built_in.then(|| self.dir.path().join("plugins")),
            installed: Some(self.dir.path().join("compiled")),
            lock: None,
            audit: None,
            roots,
            runs,
            stand_in: None,
        }
    }

    pub fn load(&self, policy: &str) -> (Runtime, LoadReport) {
        let runtime = Runtime::new(self.config(policy)).unwrap();
        let report = runtime.load(&[self.dir.path().join("plugins")]);
        (runtime, report)
    }
}

/// A policy of these budgets.
pub fn budgets(lines: &str) -> String {
    let (top, rest): (Vec<&str>, Vec<&str>) = lines.lines().partition(|line| {
        line.starts_with("concurrent_calls") || line.starts_with("shared_memory")
    });
    format!("{}\n[default]\n{}", top.join("\n"), rest.join("\n"))
}

/// A runtime with the probe under these budgets.
pub fn runtime(lines: &str) -> (Place, Arc<Runtime>) {
    let place = Place::with_probe();
    let (runtime, report) = place.load(&budgets(lines));
    assert!(report.rejected.is_empty(), "{:?}", report.rejected);
    (place, Arc::new(runtime))
}

pub fn silent() -> ProgressSink {
    None
}

/// Call the probe.
pub async fn call(runtime: &Runtime, arguments: Value) -> Result<Success, Failure> {
    runtime
        .call(
            "probe",
            &Arc::new(arguments),
            CancellationToken::new(),
            silent(),
        )
        .await
}

/// What the probe said.
pub async fn said(runtime: &Runtime, arguments: Value) -> String {
    let success = call(runtime, arguments).await.unwrap();
    success.output["said"].as_str().unwrap().to_owned()
}

/// How the call failed; and after it the runtime still answers.
pub async fn fails(runtime: &Runtime, arguments: Value) -> Failure {
    let failure = call(runtime, arguments).await.expect_err("the call fails");
    assert_eq!(
        said(runtime, json!({"do": "echo", "text": "still here"})).await,
        "still here"
    );
    failure
}
