//! From YAML text to a [`Value`], with the refusals that Penguin's loader has and bounds on what
//! hostile text can cost.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Span, Tag};
use serde_json::Value as Json;

use super::characters::{check_characters, check_directives, check_outside};
use super::error::YamlError;
use super::relax::relax;
use super::scalar::{resolve_core, resolve_result};
use super::source::{Place, check_scalar, content_start, extent};
use super::tags::{self, Typed};
use super::value::{Key, Map, Value};
use crate::{Error, Result};

/// Nesting that Penguin's recursive loader survives with room to spare.
const MAX_DEPTH: usize = 64;
/// Bytes of scalars plus [`NODE_WEIGHT`] a node, aliases counted as often as they are used.
const MAX_WEIGHT: usize = 32 << 20;
const NODE_WEIGHT: usize = 32;

/// Read one configuration document: YAML 1.2 core schema, no duplicate keys, no second document, no
/// tags but the core ones and `!!binary`. An empty document is [`Value::Null`].
pub fn parse(text: &str) -> Result<Value, YamlError> {
    check_characters(text)?;
    check_directives(text)?;
    core(text, Paths::new()).map(|(value, _)| value)
}

/// Read a result file that Penguin's Python wrote.
///
/// Names that YAML versions disagree on stay the text that they are in the file (`08`, `0o17`),
/// keys too. Of keys given twice the last counts; foreign tags are ignored. A text that holds more
/// than is read at once is `Limit`.
pub fn parse_result(text: &str) -> Result<Json> {
    let mut reader = Reader::new(text, Schema::Result);
    reader
        .run()
        .map(|()| reader.finish().to_json())
        .map_err(|stop| {
            let error = stop.error();
            let case = if error.too_large {
                Error::Limit
            } else {
                Error::InvalidArgument
            };
            case(format!("not a YAML result file: {error}"))
        })
}

/// Paths of nodes.
pub type Paths = HashSet<Vec<String>>;

/// The nodes at some paths, each with its line and column.
pub type Places = HashMap<Vec<String>, (usize, usize)>;

/// Where the nodes at `paths` are, in a text that [`parse`] accepts.
pub fn locate(text: &str, paths: Paths) -> Places {
    core(text, paths).map_or_else(|_| Places::new(), |(_, places)| places)
}

fn core(text: &str, wanted: Paths) -> Result<(Value, Places), YamlError> {
    // Blanks after the last line end would count as a line of a block.
    let (before, last) = text.rsplit_once('\n').unwrap_or(("", text));
    let text = if last.trim_matches(' ').is_empty() && !before.is_empty() {
        &text[..=before.len()]
    } else {
        text
    };
    let read = |text: &str, wanted| {
        let mut reader = Reader::new(text, Schema::Core);
        reader.wanted = wanted;
        reader.run()?;
        check_outside(&reader.chars, &reader.scalars).map_err(Stop::Content)?;
        let places = std::mem::take(&mut reader.found);
        Ok((reader.finish(), places))
    };
    match read(text, wanted.clone()) {
        Err(Stop::Layout(error)) => match read(&relax(text), wanted) {
            Err(Stop::Content(again)) => Err(again),
            Err(_) => Err(error),
            Ok(value) => Ok(value),
        },
        read => read.map_err(Stop::error),
    }
}

/// Why reading ended early.
enum Stop {
    /// The parser refuses a layout that Penguin's scanner may accept.
    Layout(YamlError),
    /// The parser refuses the text.
    Grammar(YamlError),
    /// The text is YAML, but not what is asked for.
    Content(YamlError),
}

impl Stop {
    fn error(self) -> YamlError {
        match self {
            Self::Layout(error) | Self::Grammar(error) | Self::Content(error) => error,
        }
    }
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
    in_brackets: bool,
}

struct Reader<'a> {
    text: &'a str,
    chars: Vec<char>,
    schema: Schema,
    stack: Vec<Frame>,
    anchors: HashMap<usize, (Value, usize)>,
    weight: usize,
    root: Option<Value>,
    documents: usize,
    /// Character ranges of scalars, and whether a tab may stand in them.
    scalars: Vec<(Range<usize>, bool)>,
    wanted: Paths,
    found: Places,
}

impl<'a> Reader<'a> {
    fn new(text: &'a str, schema: Schema) -> Self {
        Self {
            text,
            chars: text.chars().collect(),
            schema,
            stack: Vec::new(),
            anchors: HashMap::new(),
            weight: 0,
            root: None,
            documents: 0,
            scalars: Vec::new(),
            wanted: Paths::new(),
            found: Places::new(),
        }
    }

    fn run(&mut self) -> Result<(), Stop> {
        for event in Parser::new_from_str(self.text) {
            let (event, span) = event.map_err(|error| refused(&error))?;
            self.event(event, span).map_err(Stop::Content)?;
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
                let extent = extent(&self.chars, style, span);
                if self.schema == Schema::Core {
                    let place = Place {
                        is_key: self.expects_key(),
                        in_brackets: self.in_brackets(),
                    };
                    check_scalar(&self.chars, &extent, style, place)
                        .map_err(|message| error(span, message))?;
                }
                self.scalars.push((extent, style != ScalarStyle::Plain));
                let text = self.without_added_line_end(&text, style, span);
                let value = self.scalar(text, style, tag.as_deref(), span)?;
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
        let start = content_start(&self.chars, span);
        let in_brackets = self.in_brackets() || matches!(self.chars.get(start), Some('[' | '{'));
        self.stack.push(Frame {
            container,
            anchor,
            weight: NODE_WEIGHT,
            in_brackets,
        });
        Ok(())
    }

    fn weigh(&mut self, weight: usize, span: Span) -> Result<(), YamlError> {
        self.weight += weight;
        if self.weight > MAX_WEIGHT {
            let too_large = "the document grows too large when its aliases are expanded";
            return Err(YamlError {
                too_large: true,
                ..error(span, too_large)
            });
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
                        None => *pending = Some(as_key(value, &self.chars, span)?),
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

    /// Remember where the node starts, if it is wanted.
    fn look_for(&mut self, span: Span) {
        if self.wanted.is_empty() {
            return;
        }
        let path: Option<Vec<String>> = self
            .stack
            .iter()
            .map(|frame| match &frame.container {
                Container::List(items) => Some(items.len().to_string()),
                Container::Map(_, key) => key.as_ref().map(Key::text),
            })
            .collect();
        if let Some(path) = path.filter(|path| self.wanted.contains(path)) {
            let place = (span.start.line(), span.start.col() + 1);
            self.found.entry(path).or_insert(place);
        }
    }

    fn in_brackets(&self) -> bool {
        self.stack.last().is_some_and(|frame| frame.in_brackets)
    }

    /// A block at the end of a text that has no last line end gets one from the parser, and none
    /// from Penguin's.
    fn without_added_line_end<'t>(&self, text: &'t str, style: ScalarStyle, span: Span) -> &'t str {
        let is_block = matches!(style, ScalarStyle::Literal | ScalarStyle::Folded);
        let is_last = span.end.index() >= self.chars.len() && self.chars.last() != Some(&'\n');
        match text.strip_suffix('\n') {
            Some(stripped) if is_block && is_last => stripped,
            _ => text,
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
        let accepts_foreign = self.schema == Schema::Result;
        match tag {
            None => Ok(untagged()),
            Some(tag) => match tags::typed(tag, text, style) {
                Typed::As(value) => Ok(value),
                Typed::Untagged => Ok(untagged()),
                Typed::Foreign if accepts_foreign => Ok(untagged()),
                Typed::Foreign => Err(error(
                    span,
                    &format!("tag {tag} is not accepted; write a plain value"),
                )),
                Typed::Not(problem) => Err(error(span, &problem)),
            },
        }
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

fn as_key(value: Value, chars: &[char], span: Span) -> Result<Key, YamlError> {
    let source = || {
        let range = span.start.index()..span.end.index();
        chars
            .get(range)
            .unwrap_or_default()
            .iter()
            .take(64)
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

/// What the parser says, with the cause of what people cannot guess.
fn refused(error: &ScanError) -> Stop {
    let (mark, info) = (error.marker(), error.info());
    let message = if info.contains("invalid Unicode character escape") {
        "an escape such as \\ud83d\\ude00 is half a character each to Penguin; write the character \
         itself, or \\U0001F600"
    } else {
        info
    };
    let error = YamlError::at(mark.line(), mark.col() + 1, message);
    if info.contains("indentation") || info.contains("comments must be separated") {
        Stop::Layout(error)
    } else {
        Stop::Grammar(error)
    }
}

fn error(span: Span, message: &str) -> YamlError {
    YamlError::at(span.start.line(), span.start.col() + 1, message)
}
