//! Values as Python prints them.

use std::fmt::{self, Write};

use minijinja::value::{Tuple, Value as Item, ValueKind};
use minijinja::{Error, ErrorKind, Output, State};

/// Containers in containers; deeper ones are no configuration.
const MAX_DEPTH: usize = 50;
/// Bytes of a value made a string.
const MAX_TEXT: usize = 1 << 20;

/// What `{{ value }}` prints.
pub fn print(out: &mut Output, _: &mut State, value: &Item) -> Result<(), Error> {
    write(out, value)
}

/// The filter of this name.
pub fn string(value: &Item) -> Result<String, Error> {
    let mut out = Bounded::new(MAX_TEXT);
    write(&mut out, value)?;
    Ok(out.text)
}

/// How long `repr(value)` is, unless it is longer than this.
pub fn length(value: &Item, limit: usize) -> Option<usize> {
    let mut out = Bounded::new(limit);
    show(&mut out, value, 0).ok().map(|()| out.text.len())
}

/// Text of a limited length.
struct Bounded {
    text: String,
    limit: usize,
}

impl Bounded {
    fn new(limit: usize) -> Self {
        Self {
            text: String::new(),
            limit,
        }
    }
}

impl Write for Bounded {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if self.text.len() + text.len() > self.limit {
            return Err(fmt::Error);
        }
        self.text.push_str(text);
        Ok(())
    }
}

fn write(out: &mut impl Write, value: &Item) -> Result<(), Error> {
    match value.as_str() {
        Some(text) => out.write_str(text),
        None => show(out, value, 0),
    }
    .map_err(|_| Error::new(ErrorKind::OutOfFuel, "too much text, or nested too deeply"))
}

/// `repr(value)`
fn show(out: &mut impl Write, value: &Item, depth: usize) -> fmt::Result {
    if depth > MAX_DEPTH {
        return Err(fmt::Error);
    }
    let is_tuple = value.downcast_object_ref::<Tuple>().is_some();
    match value.kind() {
        ValueKind::String => quoted(out, value.as_str().unwrap_or_default()),
        ValueKind::Number if !value.is_integer() => {
            float(out, f64::try_from(value.clone()).unwrap_or(f64::NAN))
        }
        ValueKind::Seq => {
            out.write_char(if is_tuple { '(' } else { '[' })?;
            let mut count = 0;
            for item in value.try_iter().map_err(|_| fmt::Error)? {
                out.write_str(if count > 0 { ", " } else { "" })?;
                show(out, &item, depth + 1)?;
                count += 1;
            }
            out.write_str(match (is_tuple, count) {
                (true, 1) => ",)",
                (true, _) => ")",
                (false, _) => "]",
            })
        }
        ValueKind::Map => {
            out.write_char('{')?;
            for (index, key) in value.try_iter().map_err(|_| fmt::Error)?.enumerate() {
                out.write_str(if index > 0 { ", " } else { "" })?;
                show(out, &key, depth + 1)?;
                out.write_str(": ")?;
                show(out, &value.get_item(&key).unwrap_or_default(), depth + 1)?;
            }
            out.write_char('}')
        }
        _ => write!(out, "{value}"),
    }
}

/// Single quotes, unless only these would need a backslash.
fn quoted(out: &mut impl Write, text: &str) -> fmt::Result {
    let quote = if text.contains('\'') && !text.contains('"') {
        '"'
    } else {
        '\''
    };
    out.write_char(quote)?;
    for c in text.chars() {
        match c {
            '\n' => out.write_str("\\n")?,
            '\r' => out.write_str("\\r")?,
            '\t' => out.write_str("\\t")?,
            '\\' => out.write_str("\\\\")?,
            c if c == quote => write!(out, "\\{c}")?,
            '\0'..='\u{1f}' | '\u{7f}'..='\u{a0}' | '\u{ad}' => {
                write!(out, "\\x{:02x}", u32::from(c))?;
            }
            c => out.write_char(c)?,
        }
    }
    out.write_char(quote)
}

/// Like Rust's shortest notation, but with a sign and two digits in the exponent.
fn float(out: &mut impl Write, number: f64) -> fmt::Result {
    if number.is_nan() {
        return out.write_str("nan");
    }
    let text = format!("{number:?}");
    match text.split_once('e') {
        None => out.write_str(&text),
        Some((mantissa, exponent)) => {
            let (sign, digits) = exponent
                .strip_prefix('-')
                .map_or(('+', exponent), |digits| ('-', digits));
            write!(out, "{mantissa}e{sign}{digits:0>2}")
        }
    }
}
