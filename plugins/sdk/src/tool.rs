//! What `#[tool]` makes of a function, and how a component answers with it.

use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

pub use crate::bindings::exports::rookery::plugin::tools::Guest;
pub use crate::bindings::rookery::plugin::types::ToolDefinition;
use crate::content::Content;
use crate::error::{Error, Result, invalid, to_json};
use crate::host::Host;
use crate::schema;

/// One tool. Implemented by `#[tool]` for a type with the function's name.
pub trait Tool {
    /// Name, description and behaviour.
    const ABOUT: About;
    /// What it takes.
    type Arguments: DeserializeOwned + JsonSchema;
    /// What it gives.
    type Output: Output;

    /// Correct calls: literal argument objects, the first of which is shown in the description.
    fn examples() -> Vec<Value>;

    /// Do it.
    fn run<H: Host>(host: &H, arguments: Self::Arguments) -> Result<Self::Output>;
}

/// What `#[tool]` reads from the attribute and the doc comment.
#[derive(Debug, Clone, Copy)]
#[allow(clippy::struct_excessive_bools)]
pub struct About {
    /// The function's name.
    pub name: &'static str,
    /// For people.
    pub title: &'static str,
    /// The doc comment.
    pub description: &'static str,
    /// It changes nothing.
    pub read_only: bool,
    /// It overwrites or removes something.
    pub destructive: bool,
    /// Calling it again with the same arguments has no further effect.
    pub idempotent: bool,
    /// It reaches things outside this machine.
    pub open_world: bool,
    /// What of `live.capabilities` it uses: a built-in tool is not listed where no backend has it.
    pub needs: Option<&'static str>,
}

/// What a tool may return: a type whose JSON is an object, with a schema; or [`Content`].
pub trait Output {
    /// Its schema, where it has one.
    fn schema() -> Option<Value>;
    /// Its JSON text.
    fn to_json(&self) -> Result<String>;
}

impl<T: Serialize + JsonSchema> Output for T {
    fn schema() -> Option<Value> {
        Some(schema::of_output::<T>())
    }
    fn to_json(&self) -> Result<String> {
        to_json(self)
    }
}

impl Output for Content {
    fn schema() -> Option<Value> {
        None
    }
    fn to_json(&self) -> Result<String> {
        to_json(self)
    }
}

/// The most that a description may have, its example included.
pub(crate) const DESCRIPTION_CHARS: usize = 1000;

/// The definition of a tool, as `describe` gives it. An example that would make the description too
/// long, or tells no more than that an argument is needed, is left to error messages.
pub fn define<T: Tool>() -> ToolDefinition {
    let about = T::ABOUT;
    let examples = T::examples();
    let mut description = about.description.to_owned();
    let tells = |example: &&Value| {
        example
            .as_object()
            .is_none_or(|arguments| arguments.len() > 1)
    };
    if let Some(example) = examples.first().filter(tells) {
        let example = format!(" Example: {example}");
        if description.chars().count() + example.chars().count() <= DESCRIPTION_CHARS {
            description.push_str(&example);
        }
    }
    let mut definition = Map::new();
    definition.insert("title".into(), json!(about.title));
    definition.insert("description".into(), json!(description));
    definition.insert("inputSchema".into(), schema::of_input::<T::Arguments>());
    let output = T::Output::schema();
    let mut meta = Map::new();
    if output.is_none() {
        meta.insert("rookery/result".into(), json!("content"));
    }
    meta.extend(
        about
            .needs
            .map(|needs| ("rookery/needs".to_owned(), json!(needs))),
    );
    if !meta.is_empty() {
        definition.insert("_meta".into(), Value::Object(meta));
    }
    definition.extend(output.map(|schema| ("outputSchema".to_owned(), schema)));
    definition.insert(
        "annotations".into(),
        json!({
            "readOnlyHint": about.read_only, "destructiveHint": about.destructive,
            "idempotentHint": about.idempotent, "openWorldHint": about.open_world,
        }),
    );
    if !examples.is_empty() {
        definition.insert("examples".into(), Value::Array(examples));
    }
    ToolDefinition {
        name: about.name.to_owned(),
        definition: Value::Object(definition).to_string(),
    }
}

/// Call a tool with arguments as JSON text.
pub fn call<T: Tool>(host: &impl Host, arguments: &str) -> Result<String> {
    let arguments =
        serde_json::from_str(arguments).map_err(|error| wrong_arguments::<T>(&error))?;
    T::run(host, arguments)?.to_json()
}

/// The host shows an example after it, as after every error by the arguments.
fn wrong_arguments<T: Tool>(error: &serde_json::Error) -> Error {
    let name = T::ABOUT.name;
    invalid(format!("Invalid arguments for {name}: {error}."))
}

/// The error of `call` for a name that the component does not hold.
pub fn unknown(name: &str, known: &[&str]) -> Error {
    Error::NotFound(format!(
        "This component has no tool `{}`; it has {}.",
        name.escape_default(),
        known.join(", ")
    ))
}
