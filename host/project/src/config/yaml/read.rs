//! From YAML text to a [`Value`], with the refusals that Penguin's loader has and bounds on what hostile text can cost.

use std::collections::HashMap;
use std::fmt;
use std::ops::Range;

use saphyr_parser::{Event, Parser, ScalarStyle, Span, Tag};
use serde_json::Value as Json;

use super::super::value::{Key, Map, Value};
use super::scalar::{resolve_core, resolve_result};
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

/// Text of a file: UTF-8, with line ends made `\n` as Python's text mode does.
pub fn decode(bytes: &[u8]) -> Result<String, YamlError> {
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let before = bytes.get(..error.valid_up_to()).unwrap_or_default();
        let line = before.split(|b| *b == b'\n').count();
        let column = before.rsplit(|b| *b == b'\n').next().map_or(0, <[u8]>::len) + 1;
        YamlError {
            line,
            column,
            message: "not UTF-8 text; save the file as UTF-8".to_owned(),
        }
    })?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    Ok(if text.contains('\r') {
        text.replace("\r\n", "\n").replace('\r', "\n")
    } else {
        text.to_owned()
    })
}

/// Read one configuration document: YAML 1.2 core schema, no duplicate keys, no second document, no tags but the core ones
/// and `!!binary`. An empty document is [`Value::Null`].
pub fn parse(text: &str) -> Result<Value, YamlError> {
    check_characters(text)?;
    let mut reader = Reader::new(text, Schema::Core);
    reader.run()?;
    check_tabs(text, &reader)?;
    reader.finish()
}

/// Read a result file that Penguin's Python wrote.
///
/// Names that YAML versions disagree on stay the text that they are in the file (`08`, `0o17`), keys too. Of keys given
/// twice the last counts; foreign tags are ignored.
pub fn parse_result(text: &str) -> Result<Json> {
    let mut reader = Reader::new(text, Schema::Result);
    let value = reader.run().and_then(|()| reader.finish());
    value
        .map(|value| value.to_json())
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

    fn finish(&mut self) -> Result<Value, YamlError> {
        Ok(self.root.take().unwrap_or(Value::Null))
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
            return Err(error(span, "the document grows too large when its aliases are expanded"));
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

/// Characters that Penguin's reader refuses unless they are escaped in a double-quoted string.
fn check_characters(text: &str) -> Result<(), YamlError> {
    let printable = |c: char| matches!(c, '\t' | '\n' | ' '..='~' | '\u{85}' | '\u{a0}'..='\u{fffd}' | '\u{10000}'..);
    for (number, line) in text.split('\n').enumerate() {
        if let Some((column, c)) = line.chars().enumerate().find(|(_, c)| !printable(*c)) {
            let message = format!(
                "control character U+{:04X}; write it as an escape in a double-quoted string",
                u32::from(c)
            );
            return Err(YamlError {
                line: number + 1,
                column: column + 1,
                message,
            });
        }
    }
    Ok(())
}

/// Penguin's scanner knows tabs only within quoted strings, block text and comments; YAML 1.2 allows them in more places.
fn check_tabs(text: &str, reader: &Reader<'_>) -> Result<(), YamlError> {
    if !reader.has_tabs {
        return Ok(());
    }
    let mut scalars = reader.scalars.iter().peekable();
    let (mut line, mut column, mut comment, mut blank_before) = (1, 1, false, true);
    for (index, c) in text.chars().enumerate() {
        while scalars.next_if(|(range, _)| range.end <= index).is_some() {}
        let scalar = scalars.peek().filter(|(range, _)| range.contains(&index));
        match c {
            '\t' if !comment && !scalar.is_some_and(|(_, tabs)| *tabs) => {
                return Err(YamlError {
                    line,
                    column,
                    message: "a tab; indent and separate with spaces".to_owned(),
                });
            }
            '#' if blank_before && scalar.is_none() => comment = true,
            '\n' => {
                (line, column, comment, blank_before) = (line + 1, 1, false, true);
                continue;
            }
            _ => {}
        }
        blank_before = c == ' ' || c == '\t';
        column += 1;
    }
    Ok(())
}

fn base64(text: &str) -> Option<Vec<u8>> {
    let compact: Vec<u8> = text.bytes().filter(|b| !b.is_ascii_whitespace()).collect();
    data_encoding::BASE64.decode(&compact).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(text: &str) -> String {
        parse(text).unwrap_err().to_string()
    }

    #[test]
    fn what_penguins_loader_refuses_is_refused_with_its_place() {
        assert!(
            message("env:\n  A: x\n  A: y\n")
                .starts_with("line 3, column 6: key \"A\" is given twice"),
            "{}",
            message("env:\n  A: x\n  A: y\n")
        );
        assert!(message("A: x\n---\nB: y\n").contains("second document"));
        for tabbed in [
            "env:\n\tA: x\n",
            "{\n\t\"env\": {}\n}",
            "a:\tb\n",
            "a: b\t\n",
            "a: b\tc\n",
            "a: b\n\t\nc: d\n",
            "a: b\t# c\n",
        ] {
            assert!(parse(tabbed).is_err(), "{tabbed:?}");
        }
        for tabbed in [
            "a: \"b\tc\"\n",
            "a: 'b\tc'\n",
            "a: |\n  b\tc\n  \td\nb: 1\n",
            "a: b # c\td\n",
            "#\tx\na: b\n",
            "a: >\n  x\ty\n",
        ] {
            assert!(parse(tabbed).is_ok(), "{tabbed:?} {:?}", parse(tabbed));
        }
        assert!(message("env: {A: !!python/object/apply:os.system ['id']}").contains("tag"));
        assert!(message("a: \u{7}").contains("U+0007"));
        assert!(parse("env: {a: b").is_err());
        assert!(parse("a: *nope").is_err());
        assert!(parse("? [a]\n: b").is_err());
        assert!(decode(b"a: \xff").is_err());
    }

    #[test]
    fn anchors_work_and_their_bombs_do_not() {
        let value = parse("a: &m {x: 1}\nb: *m\nc: {<<: *m}\n").unwrap();
        assert_eq!(value.get("b").unwrap().get("x"), Some(&Value::Int(1)));
        assert!(
            value.get("c").unwrap().get("<<").is_some(),
            "a merge key is a plain key in YAML 1.2"
        );
        let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..20 {
            let previous = format!("*a{}, ", level - 1).repeat(10);
            bomb += &format!("a{level}: &a{level} [{previous}]\n");
        }
        assert!(message(&bomb).contains("aliases"));
        let deep = message(&format!("{}{}", "[".repeat(1000), "]".repeat(1000)));
        assert!(
            deep.contains("deeper") || deep.contains("recursion"),
            "{deep}"
        );
    }

    #[test]
    fn tags_of_the_core_schema_and_binary_are_understood() {
        let value = parse("a: !!str 5\nb: !!binary aGk=\nc: !!int \"7\"\n0x10: d\n").unwrap();
        assert_eq!(value.get("a"), Some(&Value::from("5")));
        assert_eq!(value.get("b"), Some(&Value::Bytes(b"hi".to_vec())));
        assert_eq!(value.get("c"), Some(&Value::Int(7)));
        assert!(value.as_map().unwrap().contains_key(&Key::Int(16)));
    }

    #[test]
    fn the_place_of_a_path_is_found() {
        let text = "env:\n  A: x\nlist:\n  - a\n  - {b: c}\n";
        assert_eq!(locate(text, &["env".into(), "A".into()]), Some((2, 6)));
        assert_eq!(
            locate(text, &["list".into(), "1".into(), "b".into()]),
            Some((5, 9))
        );
        assert_eq!(locate(text, &["nope".into()]), None);
    }

    #[test]
    fn result_files_keep_ambiguous_names_as_text() {
        let names = parse_result("- 0o17\n- SX_DEBUG\n- 'yes'\n- 08\n").unwrap();
        assert_eq!(names, serde_json::json!(["0o17", "SX_DEBUG", "yes", "08"]));
        let crashes = parse_result("crashes:\n- proc: dsad\n  pid: 412\n  time: 15.212\n  pc: '0x13'\n  mode: 0o644\n08: {}\n").unwrap();
        assert_eq!(
            crashes,
            serde_json::json!({"crashes": [{"proc": "dsad", "pid": 412, "time": 15.212, "pc": "0x13", "mode": 420}], "08": {}})
        );
        assert_eq!(parse_result("").unwrap(), serde_json::Value::Null);
        assert!(parse_result("a: [").is_err());
    }
}
