//! Write a Rookery tool in Rust: a function, its arguments and its result as types. Everything else
//! is derived.
//!
//! ```
//! use rookery_plugin::args::RunSelector;
//! use rookery_plugin::{Next, Result, RunResults, Results, SearchOptions, plugin, tool};
//! use schemars::JsonSchema;
//! use serde::{Deserialize, Serialize};
//! use serde_json::json;
//!
//! #[derive(Deserialize, JsonSchema)]
//! struct Args {
//!     #[serde(flatten)]
//!     run: RunSelector,
//!     /// How many lines to show
//!     #[serde(default = "five")]
//!     #[schemars(range(min = 1, max = 100))]
//!     limit: u32,
//! }
//!
//! fn five() -> u32 {
//!     5
//! }
//!
//! #[derive(Serialize, JsonSchema)]
//! struct Segfaults {
//!     total: u64,
//!     truncated: bool,
//!     lines: Vec<String>,
//!     #[serde(skip_serializing_if = "Option::is_none")]
//!     next: Option<Next>,
//! }
//!
//! /// Find segmentation faults on the console, when a service keeps restarting. Gives the newest
//! /// lines.
//! #[tool(read_only, title = "Segmentation faults", example(project_dir = "fw", limit = 5))]
//! fn segfaults(host: &impl Results, args: Args) -> Result<Segfaults> {
//!     let run = host.open_results(&args.run)?;
//!     let newest = SearchOptions::newest(args.limit);
//!     let found = run.search("console.log", "(?i)segmentation fault", &newest)?;
//!     Ok(Segfaults {
//!         total: found.total,
//!         truncated: found.truncated,
//!         next: (found.total > 0).then(|| Next::call("health", json!(args.run))),
//!         lines: found.matches.into_iter().map(|line| line.text).collect(),
//!     })
//! }
//!
//! plugin!(segfaults);
//!
//! // In a test, a FakeHost answers from fixtures.
//! use rookery_plugin::testing::{FakeHost, call, check};
//! check::<segfaults>();
//! let host = FakeHost::new().text("console.log", "boot\nhttpd: Segmentation fault\n");
//! let answer = call::<segfaults>(&host, json!({ "project_dir": "router" })).unwrap();
//! assert_eq!(answer["lines"], json!(["httpd: Segmentation fault"]));
//! ```
//!
//! # A crate for it
//! ```toml
//! [lib]
//! crate-type = ["cdylib", "rlib"]
//!
//! [dependencies]
//! # In a checkout; the contract comes with it, and no build script is needed.
//! rookery-plugin = { path = "../rookery/plugins/sdk" }
//! schemars = "1"
//! serde = { version = "1", features = ["derive"] }
//! serde_json = "1"
//!
//! [profile.plugin]                   # small, and a trap's backtrace has names
//! inherits = "release"
//! opt-level = "s"
//! lto = true
//! codegen-units = 1
//! panic = "abort"
//! strip = "debuginfo"
//! ```
//! `rustup target add wasm32-wasip2`, then `cargo build --profile plugin --target wasm32-wasip2`:
//! the `.wasm` file that results *is* the component.
//!
//! # What a component may do
//! What it imports. Ask for the narrowest traits of [`host`]: an interface that no tool calls is
//! not imported, and what is not imported needs no grant from the operator.
//!
//! # Missing data
//! Return [`Answer`]: what a run did not record is said as `{"available": false, "why": …,
//! "how_to_enable": …}`.

pub mod answer;
pub mod args;
#[doc(hidden)]
pub mod bindings;
pub mod change;
pub mod content;
pub mod entries;
mod error;
pub mod fragment;
pub mod gist;
pub mod guest;
pub mod host;
mod imports;
pub mod prelude;
pub mod running;
pub mod schema;
#[cfg(not(target_family = "wasm"))]
pub mod testing;
pub mod tool;

pub use answer::{Answer, Next};
pub use content::Content;
pub use error::{Error, Result, Unavailable, invalid, optional};
pub use host::{
    ApplyOptions, Binaries, CommandOptions, Config, ConfigMutation, Creation, CsvOptions,
    Emulation, FindOptions, Firmware, HookOptions, HookOutputOptions, Host, Http, HttpOptions,
    InitOptions, Level, ListOptions, Live, Log, Maker, NoteOptions, Notes, Payload, Place,
    PluginOp, PluginOptions, QueryOptions, ReachOptions, Results, RootFilesystem, RunListOptions,
    RunResults, SearchOptions, SnapshotAction, SnapshotOptions, StartOptions, StringOptions,
    SymbolOptions, Toolbox, UnhookOptions, WaitOptions, WhichSymbols,
};
pub use imports::Imports;
pub use rookery_contract::{shapes, text};
pub use rookery_plugin_macros::{plugin, tool};
pub use tool::{Guest, Tool, ToolDefinition};

#[doc(hidden)]
pub use serde_json;
