//! Answers in the place of `emulation`, `live`, `http` and `toolbox`: for whoever tries a tool
//! alone.

use rookery_contract::Result;
use serde_json::Value;

/// Stands in for the functions of `emulation`, `live`, `http` and `toolbox`: none of them reaches a
/// run or another tool.
pub trait StandIn: Send + Sync {
    /// What a function, such as `live.command`, gives. Text is given as it is, other values as
    /// JSON.
    fn answer(&self, function: &str, arguments: Value) -> Result<Value>;
}
