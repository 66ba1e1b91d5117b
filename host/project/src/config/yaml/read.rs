//! From YAML text to a [`Value`], with the refusals that Penguin's loader has and bounds on what hostile text can cost.

use std::collections::HashMap;
use std::fmt;
use std::ops::Range;

use saphyr_parser::{Event, Parser, ScalarStyle, Span, Tag};
use serde_json::Value as Json;

use super::super::value::{Key, Map, Value};
use super::scalar::{resolve_core, resolve_result};
use super::text::{check_characters, check_tabs};
use crate::{Error, Result};

/// Nesting that Penguin's recursive loader survives with room to spare.
const MAX_DEPTH: usize = 64;
/// Bytes of scalars plus [`NODE_WEIGHT`] a node, aliases counted as often as they are used.
const MAX_WEIGHT: usize = 32 << 20;
const NODE_WEIGHT: usize = 32;

/// Where and why a text is not the YAML that is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct YamlError {
    /// Line, counted from 1.
    pub line: usize,
    /// Column, counted from 1.
    pub column: usize,
    /// What is wrong, and what to write instead.
    pub message: String,
}

impl fmt::Display for YamlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "line {}, column {}: {}",
            self.line, self.column, self.message
        )
    }
}

/// Read one configuration document: YAML 1.2 core schema, no duplicate keys, no second document, no tags but the core ones
/// and `!!binary`. An empty document is [`Value::Null`].
pub fn parse(text: &str) -> Result<Value, YamlError> {
    check_characters(text)?;
    let mut reader = Reader::new(text, Schema::Core);
    reader.run()?;
    if reader.has_tabs {
        check_tabs(text, &reader.scalars)?;
    }
    Ok(reader.finish())
}

/// Read a result file that Penguin's Python wrote.
///
/// Names that YAML versions disagree on stay the text that they are in the file (`08`, `0o17`), keys too. Of keys given
/// twice the last counts; foreign tags are ignored.
pub fn parse_result(text: &str) -> Result<Json> {
    let mut reader = Reader::new(text, Schema::Result);
    reader
        .run()
        .map(|()| reader.finish().to_json())
        .map_err(|error| Error::InvalidArgument(format!("not a YAML result file: {error}")))
}

/// Line and column of the node at `path` in a text that [`parse`] accepts.
pub fn locate(text: &str, path: &[String]) -> Option<(usize, usize)> {
    let mut reader = Reader::new(text, Schema::Core);
    reader.wanted = Some(path.to_vec());
    reader.run().ok()?;
    reader.found
}

#[derive(Clone, Copy, PartialEq)]
enum Schema {
    Core,
    Result,
}

enum Container {
    List(Vec<Value>),
    Map(Map, Option<Key>),
}

struct Frame {
    container: Container,
    anchor: usize,
    weight: usize,
}

struct Reader<'a> {
    text: &'a str,
    schema: Schema,
    stack: Vec<Frame>,
    anchors: HashMap<usize, (Value, usize)>,
    weight: usize,
    root: Option<Value>,
    documents: usize,
    /// Character ranges of scalars, and whether a tab may stand in them.
    scalars: Vec<(Range<usize>, bool)>,
    has_tabs: bool,
    wanted: Option<Vec<String>>,
    found: Option<(usize, usize)>,
}

impl<'a> Reader<'a> {
    fn new(text: &'a str, schema: Schema) -> Self {
        Self {
            text,
            schema,
            stack: Vec::new(),
            anchors: HashMap::new(),
            weight: 0,
            root: None,
            documents: 0,
            scalars: Vec::new(),
            has_tabs: schema == Schema::Core && text.contains('\t'),
            wanted: None,
            found: None,
        }
    }

    fn run(&mut self) -> Result<(), YamlError> {
        for event in Parser::new_from_str(self.text) {
            let (event, span) = event.map_err(|error| {
                let mark = error.marker();
                YamlError {
                    line: mark.line(),
                    column: mark.col() + 1,
                    message: error.info().to_owned(),
                }
            })?;
            self.event(event, span)?;
        }
        Ok(())
    }

    fn finish(self) -> Value {
        self.root.unwrap_or(Value::Null)
    }

    fn event(&mut self, event: Event<'_>, span: Span) -> Result<(), YamlError> {
        match event {
            Event::DocumentStart(_) => {
                self.documents += 1;
                if self.documents > 1 {
                    return Err(error(
                        span,
                        "a second document starts here; a configuration file holds one",
                    ));
                }
            }
            Event::Scalar(text, style, anchor, tag) => {
                if self.has_tabs {
                    self.scalars.push((
                        span.start.index()..span.end.index(),
                        style != ScalarStyle::Plain,
                    ));
                }
                let value = self.scalar(&text, style, tag.as_deref(), span)?;
                let weight = text.len() + NODE_WEIGHT;
                self.weigh(weight, span)?;
                self.node(value, anchor, weight, span)?;
            }
            Event::SequenceStart(anchor, tag) => {
                self.container_tag(tag.as_deref(), "seq", span)?;
                self.open(Container::List(Vec::new()), anchor, span)?;
            }
            Event::MappingStart(anchor, tag) => {
                self.container_tag(tag.as_deref(), "map", span)?;
                self.open(Container::Map(Map::new(), None), anchor, span)?;
            }
            Event::SequenceEnd | Event::MappingEnd => {
                if let Some(frame) = self.stack.pop() {
                    let value = match frame.container {
                        Container::List(items) => Value::List(items),
                        Container::Map(map, _) => Value::Map(map),
                    };
                    self.node(value, frame.anchor, frame.weight, span)?;
                }
            }
            Event::Alias(id) => {
                let Some(weight) = self.anchors.get(&id).map(|(_, weight)| *weight) else {
                    return Err(error(span, "an alias to a node that is not complete yet"));
                };
                self.weigh(weight, span)?;
                if let Some((value, _)) = self.anchors.get(&id).cloned() {
                    self.node(value, 0, weight, span)?;
                }
            }
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => {}
        }
        Ok(())
    }

    fn open(&mut self, container: Container, anchor: usize, span: Span) -> Result<(), YamlError> {
        if self.stack.len() >= MAX_DEPTH {
            return Err(error(
                span,
                &format!("nested deeper than {MAX_DEPTH} levels"),
            ));
        }
        self.weigh(NODE_WEIGHT, span)?;
        self.look_for(span);
        self.stack.push(Frame {
            container,
            anchor,
            weight: NODE_WEIGHT,
        });
        Ok(())
    }

    fn weigh(&mut self, weight: usize, span: Span) -> Result<(), YamlError> {
        self.weight += weight;
        if self.weight > MAX_WEIGHT {
            return Err(error(
                span,
                "the document grows too large when its aliases are expanded",
            ));
        }
        Ok(())
    }

    fn node(
        &mut self,
        value: Value,
        anchor: usize,
        weight: usize,
        span: Span,
    ) -> Result<(), YamlError> {
        if anchor != 0 {
            self.weigh(weight, span)?;
            self.anchors.insert(anchor, (value.clone(), weight));
        }
        if !matches!(value, Value::List(_) | Value::Map(_)) {
            self.look_for(span);
        }
        let schema = self.schema;
        match self.stack.last_mut() {
            None => self.root = Some(value),
            Some(frame) => {
                frame.weight += weight;
                match &mut frame.container {
                    Container::List(items) => items.push(value),
                    Container::Map(map, pending) => match pending.take() {
                        None => *pending = Some(as_key(value, self.text, span)?),
                        Some(key) if schema == Schema::Core && map.contains_key(&key) => {
                            return Err(error(
                                span,
                                &format!(
                                    "key {:?} is given twice in this mapping; keep one",
                                    key.text()
                                ),
                            ));
                        }
                        Some(key) => drop(map.insert(key, value)),
                    },
                }
            }
        }
        Ok(())
    }

    /// Remember where the wanted node starts, when the stack says that it is the one starting now.
    fn look_for(&mut self, span: Span) {
        let Some(wanted) = &self.wanted else { return };
        if self.found.is_some() || wanted.len() != self.stack.len() {
            return;
        }
        let here = self
            .stack
            .iter()
            .zip(wanted)
            .all(|(frame, step)| match &frame.container {
                Container::List(items) => items.len().to_string() == *step,
                Container::Map(_, key) => key.as_ref().is_some_and(|key| key.text() == *step),
            });
        if here {
            self.found = Some((span.start.line(), span.start.col() + 1));
        }
    }

    fn in_mapping(&self) -> bool {
        matches!(
            self.stack.last(),
            Some(Frame {
                container: Container::Map(..),
                ..
            })
        )
    }

    fn expects_key(&self) -> bool {
        matches!(
            self.stack.last(),
            Some(Frame {
                container: Container::Map(_, None),
                ..
            })
        )
    }

    fn scalar(
        &self,
        text: &str,
        style: ScalarStyle,
        tag: Option<&Tag>,
        span: Span,
    ) -> Result<Value, YamlError> {
        let untagged = || match (style, self.schema) {
            (ScalarStyle::Plain, Schema::Core) => resolve_core(text),
            (ScalarStyle::Plain, Schema::Result) if self.expects_key() => Value::from(text),
            (ScalarStyle::Plain, Schema::Result) => resolve_result(text, self.in_mapping()),
            _ => Value::from(text),
        };
        let Some(tag) = tag else {
            return Ok(untagged());
        };
        if tag.handle == "!" && tag.suffix.is_empty() || tag.handle.is_empty() && tag.suffix == "!"
        {
            return Ok(Value::from(text));
        }
        let typed = match (tag.is_yaml_core_schema(), tag.suffix.as_str()) {
            (true, "str") => Some(Value::from(text)),
            (true, "binary") => base64(text).map(Value::Bytes),
            (true, "int" | "float" | "bool" | "null") => {
                match (resolve_core(text), tag.suffix.as_str()) {
                    (Value::Int(number), "float") => text
                        .parse()
                        .ok()
                        .map(Value::Float)
                        .or(Some(Value::Int(number))),
                    (value @ Value::Int(_), "int")
                    | (value @ Value::Float(_), "float")
                    | (value @ Value::Bool(_), "bool")
                    | (value @ Value::Null, "null") => Some(value),
                    _ => None,
                }
            }
            _ if self.schema == Schema::Result => return Ok(untagged()),
            _ => {
                return Err(error(
                    span,
                    &format!("tag {tag} is not accepted; write a plain value"),
                ));
            }
        };
        typed.ok_or_else(|| {
            error(
                span,
                &format!("{text:?} is not what its tag {tag} promises"),
            )
        })
    }

    fn container_tag(
        &self,
        tag: Option<&Tag>,
        expected: &str,
        span: Span,
    ) -> Result<(), YamlError> {
        match tag {
            Some(tag)
                if self.schema == Schema::Core
                    && !(tag.is_yaml_core_schema() && tag.suffix == expected) =>
            {
                Err(error(
                    span,
                    &format!("tag {tag} is not accepted; write a plain list or mapping"),
                ))
            }
            _ => Ok(()),
        }
    }
}

fn as_key(value: Value, text: &str, span: Span) -> Result<Key, YamlError> {
    let source = || {
        text.chars()
            .skip(span.start.index())
            .take(span.end.index().saturating_sub(span.start.index()).min(64))
            .collect()
    };
    match value {
        Value::Str(text) => Ok(Key::Str(text)),
        Value::Int(number) => Ok(Key::Int(number)),
        Value::Bool(_) | Value::Null | Value::Float(_) => Ok(Key::Other(source())),
        Value::Bytes(_) | Value::List(_) | Value::Map(_) => {
            Err(error(span, "a key must be a string or a number"))
        }
    }
}

fn error(span: Span, message: &str) -> YamlError {
    YamlError {
        line: span.start.line(),
        column: span.start.col() + 1,
        message: message.to_owned(),
    }
}

fn base64(text: &str) -> Option<Vec<u8>> {
    let compact: Vec<u8> = text.bytes().filter(|b| !b.is_ascii_whitespace()).collect();
    data_encoding::BASE64.decode(&compact).ok()
}
