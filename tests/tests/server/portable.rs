//! Every built-in tool can be given to every model: its listed schema is one that the converters of
//! Google's, `OpenAI`'s and Anthropic's SDKs take whole. `.ci/full` applies the converters
//! themselves.

use anyhow::Result;
use rookery_tests::Session;
use serde_json::{Map, Value};

/// Maps whose keys are the user's: no schema without `additionalProperties` can describe them.
/// Google's API and strict modes may refuse these; their object can also be sent as JSON text.
const FREE_MAPS: [(&str, &str); 3] = [
    (
        "add_pseudofile",
        "/properties/read/anyOf/1/properties/vals/anyOf/1",
    ),
    ("add_pseudofile", "/properties/ioctl/anyOf/1"),
    ("set_config", "/properties/value/anyOf/4"),
];
/// All that a listed schema may be made of.
const KEYWORDS: [&str; 15] = [
    "type",
    "description",
    "properties",
    "required",
    "items",
    "anyOf",
    "enum",
    "default",
    "minimum",
    "maximum",
    "pattern",
    "format",
    "minItems",
    "maxItems",
    "maxLength",
];
const TYPES: [&str; 6] = ["string", "integer", "number", "boolean", "array", "object"];

struct Check<'a> {
    tool: &'a str,
    found: &'a mut Vec<String>,
    free: &'a mut Vec<(String, String)>,
}

impl Check<'_> {
    fn problem(&mut self, at: &str, what: &str) {
        self.found.push(format!("{}: `{at}` {what}", self.tool));
    }

    fn schema(&mut self, schema: &Value, at: &str) {
        let Value::Object(schema) = schema else {
            return self.problem(at, "is not an object: Google's converter ends at it");
        };
        for keyword in schema
            .keys()
            .filter(|keyword| !KEYWORDS.contains(&keyword.as_str()))
        {
            self.problem(
                at,
                &format!("has `{keyword}`, which some converter or API refuses"),
            );
        }
        if let Some(variants) = schema.get("anyOf").and_then(Value::as_array) {
            for (n, variant) in variants.iter().enumerate() {
                self.schema(variant, &format!("{at}/anyOf/{n}"));
            }
            return;
        }
        let kind = schema
            .get("type")
            .and_then(Value::as_str)
            .unwrap_or_default();
        if !TYPES.contains(&kind) {
            self.problem(at, "has no single type");
        }
        if let Some(values) = schema.get("enum").and_then(Value::as_array)
            && (kind != "string" || values.is_empty() || !values.iter().all(Value::is_string))
        {
            self.problem(at, "has an enum of other values than text");
        }
        match kind {
            "object" => self.object(schema, at),
            "array" => match schema.get("items") {
                Some(items) => self.schema(items, &format!("{at}/items")),
                None => self.problem(at, "is a list without `items`"),
            },
            _ => {}
        }
    }

    fn object(&mut self, schema: &Map<String, Value>, at: &str) {
        let Some(properties) = schema
            .get("properties")
            .and_then(Value::as_object)
            .filter(|properties| !properties.is_empty())
        else {
            self.free.push((self.tool.to_owned(), at.to_owned()));
            return;
        };
        for name in schema
            .get("required")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
        {
            if !name
                .as_str()
                .is_some_and(|name| properties.contains_key(name))
            {
                self.problem(at, &format!("requires {name}, which it does not have"));
            }
        }
        for (name, property) in properties {
            let at = format!("{at}/properties/{name}");
            if property["description"].as_str().is_none_or(str::is_empty) {
                self.problem(&at, "has no description");
            }
            self.schema(property, &at);
        }
    }
}

#[tokio::test]
async fn every_listed_schema_is_one_that_every_converter_takes() -> Result<()> {
    let root = tempfile::tempdir()?;
    let client = Session::new(root.path()).await?;
    let (mut found, mut free) = (Vec::new(), Vec::new());
    let tools = client.definitions().await?;
    for (tool, definition) in &tools {
        let mut check = Check {
            tool,
            found: &mut found,
            free: &mut free,
        };
        check.schema(&definition["inputSchema"], "");
    }
    assert!(tools.len() >= 26, "{:?}", tools.keys());
    assert!(found.is_empty(), "{found:#?}");
    let known = FREE_MAPS.map(|(tool, at)| (tool.to_owned(), at.to_owned()));
    free.sort();
    let mut expected = known.to_vec();
    expected.sort();
    assert_eq!(
        free, expected,
        "objects without properties: describe them, or list them here"
    );
    client.close().await
}

/// A model has the whole list before it at every turn.
#[tokio::test]
async fn the_list_of_tools_stays_short() -> Result<()> {
    const TOOLS: usize = 30;
    const BYTES: usize = 30_000;
    let root = tempfile::tempdir()?;
    let client = Session::new(root.path()).await?;
    let tools = client.definitions().await?;
    let sizes: Vec<_> = tools
        .iter()
        .map(|(name, tool)| (tool.to_string().len(), name))
        .collect();
    let bytes: usize = sizes.iter().map(|(bytes, _)| bytes).sum();
    println!("{} tools, {bytes} bytes", tools.len());
    assert!(tools.len() <= TOOLS, "{} tools", tools.len());
    assert!(bytes <= BYTES, "{bytes} bytes: {sizes:?}");
    client.close().await
}

#[tokio::test]
async fn what_is_not_listed_is_enforced_all_the_same() -> Result<()> {
    let root = tempfile::tempdir()?;
    let client = Session::new(root.path()).await?;
    let text = client
        .error(
            "set_env",
            serde_json::json!({"project_dir": "x", "key": "a", "vlaue": "b"}),
        )
        .await?;
    assert!(text.contains("did you mean `value`?"), "{text}");
    client.close().await
}
