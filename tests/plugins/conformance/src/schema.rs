//! A tool whose schema has definitions and references, of which the host makes what every client
//! reads.

use std::borrow::Cow;

use rookery_plugin::{Content, Result, tool};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde_json::Value;

#[derive(Deserialize)]
pub struct Person {
    name: String,
    #[serde(default)]
    address: Value,
}

impl JsonSchema for Person {
    fn schema_name() -> Cow<'static, str> {
        "Person".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "type": "object",
            "$defs": {
                "address": {
                    "type": "object",
                    "description": "Where they live",
                    "properties": {
                        "street": { "type": "string", "description": "Street" },
                        "city": { "type": "string", "description": "City" }
                    }
                }
            },
            "properties": {
                "name": { "type": "string", "description": "Who" },
                "address": { "$ref": "#/$defs/address", "description": "Where they live" }
            },
            "required": ["name"],
            "additionalProperties": false
        })
    }
}

/// Take a name and an address, for the conformance suite's test of JSON Schema 2020-12.
#[tool(read_only, idempotent)]
pub fn json_schema_2020_12_tool(args: Person) -> Result<Content> {
    Ok(Content::new().text(&format!("{} at {}", args.name, args.address)))
}
