//! Templates in configuration strings, rendered as Penguin does but in a box: within a budget of
//! steps, memory and output.

mod engine;
mod measure;
mod python;
mod quote;
#[cfg(test)]
mod tests;

use std::cell::Cell;

use compact_str::CompactString;
use indexmap::IndexMap;
use minijinja::{Environment, Value as Item};

pub use self::engine::Context;
use crate::ground::yaml::value::{Key, Value};
use crate::penguin::architectures::Architecture;
pub use quote::{holds_template, is_called, is_template, map_strings, neutralise, restore};

/// Stands for the version of the kernel, which is known only after the merge.
const KERNEL_VERSION: &str = "__ROOKERY_KERNEL_VERSION_7e1d__";
/// Steps of all templates of a load together.
const MAX_STEPS: u64 = 1_000_000;
const MAX_OUTPUT: usize = 16 << 20;

/// Renders the templates of one load.
pub struct Renderer {
    environment: Environment<'static>,
    steps: Cell<u64>,
    output: Cell<usize>,
}

impl Default for Renderer {
    fn default() -> Self {
        Self {
            environment: engine::environment(),
            steps: Cell::new(MAX_STEPS),
            output: Cell::new(MAX_OUTPUT),
        }
    }
}

/// A template that Penguin would stop at, or that this box refuses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TemplateError {
    /// The keys that lead to it.
    pub path: Vec<String>,
    /// What is wrong and what to do.
    pub message: String,
}

impl Renderer {
    /// The variables of a file: those of the main file, its own `core` and architecture, then its
    /// own `vars` in order.
    pub fn context(&self, file: &Value, main: Option<&Context>) -> Result<Context, TemplateError> {
        let mut context =
            Context::from([("kernel_version".to_owned(), Item::from(KERNEL_VERSION))]);
        context.extend(
            main.into_iter()
                .flatten()
                .map(|(name, item)| (name.clone(), item.clone())),
        );
        if let Some(core @ Value::Map(_)) = file.get("core") {
            context.insert("core".to_owned(), item(core));
            if let Some(arch) = core
                .get("arch")
                .and_then(Value::as_str)
                .filter(|arch| !arch.is_empty())
            {
                let known = Architecture::by_name(arch);
                let mut set =
                    |name: &str, value| context.insert(name.to_owned(), Item::from(value));
                set("arch", known.map_or(arch, |known| known.name));
                if let Some(known) = known {
                    set("arch_dir", known.arch_dir);
                    set("dylib_dir", known.dylib_dir);
                }
            }
        }
        if let Some(Value::Map(vars)) = file.get("vars") {
            for (name, value) in vars {
                let rendered = self.render(value.clone(), &context).map_err(|mut error| {
                    error.path.splice(0..0, ["vars".to_owned(), name.text()]);
                    error
                })?;
                context.insert(name.text(), item(&rendered));
            }
        }
        Ok(context)
    }

    /// The value with every string in it rendered, keys too.
    pub fn render(&self, value: Value, context: &Context) -> Result<Value, TemplateError> {
        if !holds_template(&value) {
            return Ok(value);
        }
        self.render_all(value, context)
    }

    fn render_all(&self, value: Value, context: &Context) -> Result<Value, TemplateError> {
        Ok(match value {
            Value::Str(text) => Value::Str(self.string(text, context)?),
            Value::List(items) => {
                let render = |(index, value)| {
                    self.render_all(value, context)
                        .map_err(|error| below(error, usize::to_string(&index)))
                };
                Value::List(
                    items
                        .into_iter()
                        .enumerate()
                        .map(render)
                        .collect::<Result<_, _>>()?,
                )
            }
            Value::Map(map) => Value::Map(
                map.into_iter()
                    .map(|(key, value)| {
                        let name = key.text();
                        let key = match key {
                            Key::Str(text) => Key::Str(
                                self.string(text, context)
                                    .map_err(|error| below(error, name.clone()))?,
                            ),
                            other => other,
                        };
                        Ok((
                            key,
                            self.render_all(value, context)
                                .map_err(|error| below(error, name))?,
                        ))
                    })
                    .collect::<Result<_, _>>()?,
            ),
            other => other,
        })
    }

    fn string(
        &self,
        text: CompactString,
        context: &Context,
    ) -> Result<CompactString, TemplateError> {
        if !is_template(&text) {
            return Ok(text);
        }
        // Python's template engine makes line ends one kind.
        let source = text.replace("\r\n", "\n").replace('\r', "\n");
        let fail = |message: String| TemplateError {
            path: Vec::new(),
            message: format!("{message}: {:?}", excerpt(&source)),
        };
        let render = engine::render(&self.environment, &source, context, self.output.get());
        let (text, steps) = render.map_err(fail)?;
        self.output.set(self.output.get() - text.len());
        let left = self.steps.get().checked_sub(steps);
        self.steps.set(left.ok_or_else(|| {
            fail("the templates of this project take too many steps; use fewer loops".to_owned())
        })?);
        Ok(text.into())
    }
}

/// The beginning of a template, from its first expression on, for messages.
fn excerpt(source: &str) -> String {
    const LONGEST: usize = 60;
    let start = source.find('{').unwrap_or(0);
    let mut rest = source.get(start..).unwrap_or_default().chars();
    let mut text: String = rest.by_ref().take(LONGEST).collect();
    if rest.next().is_some() {
        text.push('…');
    }
    text
}

fn below(mut error: TemplateError, step: String) -> TemplateError {
    error.path.insert(0, step);
    error
}

/// Put the version of the kernel where a template asked for it.
pub fn resolve_kernel_version(value: &mut Value, version: &str) {
    match value {
        Value::Str(text) if holds_kernel_version(text) => {
            *text = text.replace(KERNEL_VERSION, version).into();
        }
        Value::List(items) => items
            .iter_mut()
            .for_each(|value| resolve_kernel_version(value, version)),
        Value::Map(map) => {
            map.values_mut()
                .for_each(|value| resolve_kernel_version(value, version));
            if map
                .keys()
                .any(|key| matches!(key, Key::Str(text) if holds_kernel_version(text)))
            {
                *map = std::mem::take(map)
                    .into_iter()
                    .map(|(key, value)| {
                        let key = key.text().replace(KERNEL_VERSION, version);
                        (Key::Str(key.into()), value)
                    })
                    .collect();
            }
        }
        _ => {}
    }
}

/// Most strings are too short to be searched.
fn holds_kernel_version(text: &str) -> bool {
    text.len() >= KERNEL_VERSION.len() && text.contains(KERNEL_VERSION)
}

fn item(value: &Value) -> Item {
    match value {
        Value::Null => Item::from(()),
        Value::Bool(flag) => Item::from(*flag),
        Value::Int(number) => Item::from(*number),
        Value::Float(number) => Item::from(*number),
        Value::Str(text) => Item::from(text.as_str()),
        Value::Bytes(bytes) => Item::from(String::from_utf8_lossy(bytes).into_owned()),
        Value::List(items) => Item::from(items.iter().map(item).collect::<Vec<_>>()),
        Value::Map(map) => Item::from_object(
            map.iter()
                .map(|(key, value)| (name(key), item(value)))
                .collect::<IndexMap<Item, Item>>(),
        ),
    }
}

fn name(key: &Key) -> Item {
    match key {
        Key::Str(text) | Key::Other(text) => Item::from(text.as_str()),
        Key::Int(number) => Item::from(*number),
    }
}
