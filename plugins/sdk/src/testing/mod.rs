//! A test kit: call a tool on the build machine, with a host that answers from fixtures.
//!
//! ```
//! # use rookery_plugin::{testing::{FakeHost, call}, *};
//! # use serde_json::json;
//! # #[derive(serde::Deserialize, schemars::JsonSchema)] struct Args { project: String }
//! # /// Stop
//! # #[tool] fn set_x(host: &impl ConfigMutation, args: Args) -> Result<shapes::Change> {
//! #     host.apply(&args.project, &json!({"env": {"x": "1"}}), &ApplyOptions::default())
//! # }
//! let changed = json!({ "changed": true, "patch": { "env": { "x": "1" } } });
//! let host = FakeHost::new().answer("config-mutation.apply", changed);
//! let answer = call::<set_x>(&host, json!({ "project": "router" })).unwrap();
//! assert_eq!(answer["changed"], true);
//! assert_eq!(host.calls("config-mutation.apply")[0]["fragment"], json!({ "env": { "x": "1" } }));
//! ```

mod check;
#[cfg(feature = "sqlite")]
mod database;
mod fake;
mod files;

pub use check::{call, check, definition};
pub use fake::FakeHost;
