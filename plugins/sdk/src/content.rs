//! Results that are not structured data: text, images, audio, resources.

use serde::Serialize;
use serde_json::{Value, json};

/// A tool's answer as MCP content blocks, passed on once they were checked. Return it instead of a
/// type of your own.
///
/// Prefer a type: it has a schema, and programs can read it.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Content {
    content: Vec<Value>,
    #[serde(rename = "isError")]
    is_error: bool,
}

impl Content {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Add a text block.
    #[must_use]
    pub fn text(self, text: &str) -> Self {
        self.block(json!({ "type": "text", "text": text }))
    }

    /// Add an image: base64 data and its media type, which is PNG, JPEG, GIF or WebP.
    #[must_use]
    pub fn image(self, base64: &str, mime_type: &str) -> Self {
        self.block(json!({ "type": "image", "data": base64, "mimeType": mime_type }))
    }

    /// Add a sound: base64 data and its media type.
    #[must_use]
    pub fn audio(self, base64: &str, mime_type: &str) -> Self {
        self.block(json!({ "type": "audio", "data": base64, "mimeType": mime_type }))
    }

    /// Add a text resource. Its `uri` begins with `plugin:` or `urn:`: it names what comes with the
    /// answer, and nothing fetches it.
    #[must_use]
    pub fn resource(self, uri: &str, mime_type: &str, text: &str) -> Self {
        self.block(json!({
            "type": "resource",
            "resource": { "uri": uri, "mimeType": mime_type, "text": text }
        }))
    }

    /// Say that the call failed.
    #[must_use]
    pub fn failed(mut self) -> Self {
        self.is_error = true;
        self
    }

    /// Add any other content block of MCP.
    #[must_use]
    pub fn block(mut self, block: Value) -> Self {
        self.content.push(block);
        self
    }
}
