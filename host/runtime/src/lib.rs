//! Load, admit and call WebAssembly tool components under budgets. Knows wasmtime; knows no MCP.
//!
//! A file becomes a plugin by *admission*: it is a valid component, imports no more than the
//! operator's policy grants, and describes its tools soundly. A *call* gets a fresh instance with
//! every budget armed, and whatever happens in it, a trap, a loop, a flood, a cancellation, ends
//! that call only.

mod admission;
mod arguments;
mod audit;
mod cache;
mod checks;
mod code;
mod coerce;
mod compiler;
mod component_file;
mod decision;
mod engine;
mod executor;
mod failure;
mod file_stamp;
mod host;
mod installed;
mod interface;
mod known_files;
mod limits;
mod linker;
mod load;
mod meter;
mod outcome;
mod policy;
mod registry;
mod reload;
mod runtime;
mod seats;
mod stand_in;
mod stderr;
mod text;
mod threads;
mod wasi;
mod watch;
mod work;

use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use admission::check_name;
#[doc(hidden)]
pub use admission::look_into_component;
pub use audit::Audit;
pub use cache::check_cache;
pub use compiler::{COMPILE, compile_component};
pub use interface::Interface;
pub use load::Pending;
pub use outcome::{Failure, FailureKind, ProgressSink, Success, Usage};
pub use policy::{GUEST_MEMORY_MIB, Keep, Lock, Policy, PolicyError, Serving, built_in_tools};
use rookery_project::Roots;
use rookery_runs::Runs;
pub use runtime::Runtime;
use serde::{Serialize, Serializer};
use serde_json::Value;
pub use stand_in::StandIn;
pub use text::is_hidden;
pub use watch::Watch;

/// What a runtime needs.
pub struct RuntimeConfig {
    /// Where compiled code and definitions are cached; only this user can write there.
    pub cache_dir: PathBuf,
    /// The program that compiles: with [`COMPILE`] as its first argument it calls
    /// [`compile_component`].
    pub program: PathBuf,
    /// What tools may do.
    pub policy: Policy,
    /// The directory whose components came with the program: they are granted everything that the
    /// policy does not deny.
    pub built_in: Option<PathBuf>,
    /// Where code lies that was installed with the program.
    pub installed: Option<PathBuf>,
    /// Outside which nothing is admitted, where the operator wants that.
    pub lock: Option<Lock>,
    /// Where calls and decisions are recorded.
    pub audit: Option<Audit>,
    /// The projects that tools may reach.
    pub roots: Roots,
    /// The runs that tools may reach.
    pub runs: Runs,
    /// What answers in their place.
    pub stand_in: Option<Arc<dyn StandIn>>,
}

/// One admitted tool.
pub struct Tool {
    /// Its name.
    pub name: String,
    /// The MCP `Tool` object without `name`, normalised: see `wit/types.wit`.
    pub definition: Value,
    /// The component that holds it.
    pub plugin: Arc<Plugin>,
}

/// One admitted component.
#[derive(Debug, Clone, Serialize)]
pub struct Plugin {
    /// Its file.
    #[serde(serialize_with = "lossy")]
    pub file: PathBuf,
    /// SHA-256 of the file, hexadecimal.
    pub digest: String,
    /// Whether it came with the program.
    pub built_in: bool,
    /// The `rookery:plugin` interfaces that it imports: what it can do.
    pub imports: Vec<String>,
    /// Names of its tools.
    pub tools: Vec<String>,
    /// Those of them that are not served.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub withheld: Vec<Withheld>,
}

impl Plugin {
    /// The names of its tools that are served.
    pub fn served(&self) -> impl Iterator<Item = &String> {
        let withheld = |name: &String| self.withheld.iter().any(|one| one.tool == *name);
        self.tools.iter().filter(move |name| !withheld(name))
    }
}

/// A tool that was admitted and is not served.
#[derive(Debug, Clone, Serialize)]
pub struct Withheld {
    /// Its name.
    pub tool: String,
    /// Why, and what to do.
    pub reason: String,
}

/// A file that was not admitted.
#[derive(Debug, Clone, Serialize)]
pub struct Rejected {
    /// The file.
    #[serde(serialize_with = "lossy")]
    pub file: PathBuf,
    /// The rule that refused it: `docs/policy.md` lists all of them.
    pub rule: String,
    /// Why, and what to do.
    pub reason: String,
}

/// What loading found.
#[derive(Debug, Clone, Default, Serialize)]
pub struct LoadReport {
    /// Admitted components.
    pub plugins: Vec<Plugin>,
    /// Files that were skipped.
    pub rejected: Vec<Rejected>,
    /// What of the policy had no effect.
    pub warnings: Vec<String>,
}

/// A file's name need not be UTF-8.
fn lossy<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    path.to_string_lossy().serialize(serializer)
}
