//! What each backend needs, and whether it is here.

use serde_json::{Value, json};

/// What each backend needs and whether it is here: `[{"backend": "user", "available": true, "checks": [{"name": "…", "ok": true, "detail": "…",
/// "fix": "…"}]}]`. Shown by `rookery doctor`.
pub fn probe() -> Value {
    crate::backends()
        .iter()
        .map(|backend| json!(backend.probe()))
        .collect()
}
