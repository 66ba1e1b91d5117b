//! The tools as clients see them: built once, in a fixed order, so that a client's prompt cache
//! stays valid.

use std::collections::BTreeMap;

use rmcp::model::Tool;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::advertise;
use crate::arguments::Usage;
use crate::escape::excerpt;
use crate::reply::Output;

/// `_meta` key of a definition that says what the tool's output is; see [`Output`].
const RESULT_KEY: &str = "rookery/result";
/// `_meta` key of what a tool needs of a backend.
const NEEDS_KEY: &str = "rookery/needs";
/// Names in the answer to an unknown name.
const MAX_NAMES: usize = 60;

/// All tools by name.
#[derive(Debug, Default)]
pub struct Catalogue {
    entries: BTreeMap<String, Entry>,
}

/// One tool.
#[derive(Debug)]
pub struct Entry {
    /// As a client sees it.
    pub tool: Tool,
    /// How to call it.
    pub usage: Usage,
    /// What it answers with.
    pub output: Output,
}

impl Catalogue {
    /// A definition that is no MCP `Tool` object is left out, and the log says why.
    pub fn new(tools: impl IntoIterator<Item = (String, Value)>) -> Self {
        let mut entries = BTreeMap::new();
        for (name, definition) in tools {
            match Entry::new(&name, definition) {
                Ok(entry) => {
                    entries.insert(name, entry);
                }
                Err(error) => {
                    tracing::error!(
                        tool = name,
                        %error,
                        "left out a tool whose definition is malformed"
                    );
                }
            }
        }
        Self { entries }
    }

    /// The tool `name`.
    pub fn get(&self, name: &str) -> Option<&Entry> {
        self.entries.get(name)
    }

    /// Whether clients see the same tools in both.
    pub fn looks_like(&self, other: &Self) -> bool {
        let (ours, others) = (self.entries.values(), other.entries.values());
        let others = others.map(|entry| &entry.tool);
        ours.map(|entry| &entry.tool).eq(others)
    }

    /// All tools, by name.
    pub fn list(&self) -> Vec<Tool> {
        self.entries
            .values()
            .map(|entry| entry.tool.clone())
            .collect()
    }

    /// What to tell a caller of `name`, which does not exist.
    pub fn unknown(&self, name: &str) -> String {
        let mut names: Vec<&str> = self
            .entries
            .keys()
            .take(MAX_NAMES)
            .map(String::as_str)
            .collect();
        if self.entries.len() > MAX_NAMES {
            names.push("…");
        }
        format!(
            "Unknown tool: {}. Available: {}",
            excerpt(name, 80),
            names.join(", ")
        )
    }
}

/// The tool `name` as tools/list gives it, or why it is not listed.
pub fn listed(name: &str, definition: &Value) -> Result<Value, serde_json::Error> {
    serde_json::to_value(Entry::new(name, definition.clone())?.tool)
}

impl Entry {
    fn new(name: &str, definition: Value) -> serde_json::Result<Self> {
        let usage = Usage::new(&definition);
        let mut definition = advertise::listed(definition);
        let mut output = Output::Structured;
        if let Some(map) = definition.as_object_mut() {
            map.insert("name".to_owned(), json!(name));
            if let Some(Value::Object(meta)) = map.get_mut("_meta") {
                if meta
                    .shift_remove(RESULT_KEY)
                    .is_some_and(|value| value == "content")
                {
                    output = Output::Content;
                }
                // Of no use to a client: the tool is listed.
                meta.shift_remove(NEEDS_KEY);
                if meta.is_empty() {
                    map.shift_remove("_meta");
                }
            }
        }
        Ok(Self {
            tool: Tool::deserialize(definition)?,
            usage,
            output,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn definition(meta: &Value) -> Value {
        json!({
            "title": "T",
            "description": "d",
            "inputSchema": {"type": "object", "properties": {"z": {}, "a": {}}},
            "examples": [{}],
            "_meta": meta
        })
    }

    #[test]
    fn tools_are_listed_by_name_with_their_properties_in_the_given_order() {
        let catalogue = Catalogue::new([
            (
                "b".to_owned(),
                definition(&json!({"rookery/result": "content"})),
            ),
            ("a".to_owned(), definition(&json!({"x": 1}))),
            ("broken".to_owned(), json!({"description": 5})),
        ]);
        assert_eq!(
            json!(catalogue.list()),
            json!([
                {
                    "name": "a",
                    "title": "T",
                    "description": "d",
                    "inputSchema": {"type": "object", "properties": {"z": {}, "a": {}}},
                    "_meta": {"x": 1}
                },
                {
                    "name": "b",
                    "title": "T",
                    "description": "d",
                    "inputSchema": {"type": "object", "properties": {"z": {}, "a": {}}}
                }
            ])
        );
        assert!(
            json!(catalogue.list())
                .to_string()
                .contains(r#""properties":{"z":{},"a":{}}"#)
        );
        assert_eq!(
            catalogue.get("a").map(|entry| entry.output),
            Some(Output::Structured)
        );
        assert_eq!(
            catalogue.get("b").map(|entry| entry.output),
            Some(Output::Content)
        );
        assert_eq!(
            catalogue.unknown("c\u{7}"),
            r"Unknown tool: c\u{7}. Available: a, b"
        );
    }
}
