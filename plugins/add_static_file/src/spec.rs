//! What is done to one file, as the schema tells it. The host reads and checks it.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

/// For its schema: the fields that matter. The host knows some more.
#[derive(Deserialize, JsonSchema)]
#[allow(dead_code, clippy::doc_markdown)] // read by models, not by rustdoc
pub struct Spec {
    /// What to do
    r#type: Kind,
    /// Text
    contents: Option<String>,
    /// Like "0755"
    #[schemars(length(min = 1))]
    mode: Option<String>,
    /// File of this machine, below the project
    #[schemars(length(min = 1))]
    host_path: Option<String>,
    /// Where it points
    #[schemars(length(min = 1))]
    target: Option<String>,
    /// char or block
    #[schemars(length(min = 1))]
    devtype: Option<String>,
    /// Device number
    major: Option<u32>,
    /// Device number
    minor: Option<u32>,
    /// Old path
    #[schemars(length(min = 1))]
    from: Option<String>,
    /// Where the bytes go
    file_offset: Option<u64>,
    /// Bytes
    #[schemars(length(min = 1))]
    hex_bytes: Option<String>,
    #[serde(flatten)]
    others: Map<String, Value>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Kind {
    InlineFile,
    HostFile,
    Dir,
    Symlink,
    Dev,
    Delete,
    Move,
    Shim,
    BinaryPatch,
}

/// Without empty text and zeros that are of another `type`: clients in a strict mode send every
/// field.
pub fn without_unused(mut spec: Map<String, Value>) -> Map<String, Value> {
    let kind = spec
        .get("type")
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned();
    let unused = |name: &str, value: &Value| match name {
        "contents" => kind != "inline_file" && value == "",
        "major" | "minor" => kind != "dev" && *value == 0,
        "file_offset" => kind != "binary_patch" && *value == 0,
        _ => false,
    };
    spec.retain(|name, value| !unused(name, value));
    spec
}
