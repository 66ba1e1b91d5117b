//! Answers in the place of `emulation` and `live`: for whoever tries a tool without a guest.

use rookery_contract::Result;
use serde_json::Value;

/// Stands in for the functions of `emulation` and `live`: none of them reaches a run.
pub trait StandIn: Send + Sync {
    /// What a function, such as `live.command`, gives. Text is given as it is, other values as
    /// JSON.
    fn answer(&self, function: &str, arguments: Value) -> Result<Value>;
}
