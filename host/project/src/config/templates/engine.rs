//! The template engine as Jinja2 has it: what it knows, what it lacks, and the bounds on one
//! template.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::thread;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Value as Item, ValueKind};
use minijinja::{Environment, Error, ErrorKind, State, UndefinedBehavior};
use minijinja_contrib::pycompat;

use super::{measure, python};

/// The variables that a template sees.
pub type Context = BTreeMap<String, Item>;

/// Steps of one template; 64 bytes that it makes count as one, so this bounds its memory too.
const STEPS: u64 = 20_000;
/// Room for a value that is nested as deep as [`STEPS`] allow; only what is used of it is taken.
const STACK: usize = 128 << 20;
/// Bytes of a method's text times bytes of its arguments: what the result can be long, and the work
/// it can take.
const MAX_PRODUCT: usize = 1 << 24;
/// Digits of a width in a format string.
const MAX_DIGITS: usize = 4;
/// What the engine knows and Jinja2 does not; a project must not be accepted for it.
const FOREIGN_FILTERS: [&str; 5] = ["bool", "chain", "lines", "split", "zip"];
const FOREIGN_TESTS: [&str; 4] = ["endingwith", "int", "safe", "startingwith"];

pub fn environment() -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_syntax(syntax());
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_fuel(Some(STEPS));
    environment.set_formatter(python::print);
    environment.set_unknown_method_callback(method);
    for name in FOREIGN_FILTERS {
        environment.remove_filter(name);
    }
    for name in FOREIGN_TESTS {
        environment.remove_test(name);
    }
    // Its time grows with the cube of a value's depth, which nothing bounds.
    environment.remove_filter("pprint");
    environment.remove_global("debug");
    environment.add_filter("string", python::string);
    environment.add_function(measure::MEASURED, measure::measured);
    environment
}

fn syntax() -> SyntaxConfig {
    let syntax = SyntaxConfig::builder().keep_trailing_newline(true).build();
    syntax.unwrap_or_default()
}

/// The text of a template, of at most `room` bytes, and the steps it took.
pub fn render(
    environment: &Environment<'_>,
    source: &str,
    context: &Context,
    room: usize,
) -> Result<(String, u64), String> {
    let render = || render_here(environment, source, context, room);
    if !source.contains("{%") {
        return render();
    }
    // Statements can nest a value as deep as they take steps, and it is printed and dropped
    // recursively.
    thread::scope(|scope| {
        let deep = thread::Builder::new().stack_size(STACK);
        let thread = deep
            .spawn_scoped(scope, render)
            .map_err(|error| format!("no thread to render a template in: {error}"))?;
        thread
            .join()
            .unwrap_or_else(|_| Err("the template engine failed on this template".to_owned()))
    })
}

fn render_here(
    environment: &Environment<'_>,
    source: &str,
    context: &Context,
    room: usize,
) -> Result<(String, u64), String> {
    let mut out = Bounded {
        text: Vec::new(),
        left: room,
    };
    let source = measure::rewrite(source, syntax()).map_err(|error| describe(&error))?;
    let template = environment
        .template_from_str(&source)
        .map_err(|error| describe(&error))?;
    let steps = template
        .render_captured_to(Item::from_object(context.clone()), &mut out)
        .map_err(|error| describe(&error))?
        .state()
        .fuel_levels()
        .map_or(0, |(used, _)| used);
    let text = String::from_utf8(out.text)
        .map_err(|_| "renders to something that is not text".to_owned())?;
    Ok((text, steps))
}

fn describe(error: &Error) -> String {
    let detail = error
        .detail()
        .map(|detail| format!(": {}", detail.escape_debug()))
        .unwrap_or_default();
    let advice = match error.kind() {
        ErrorKind::UnknownFilter
        | ErrorKind::UnknownTest
        | ErrorKind::UnknownFunction
        | ErrorKind::UnknownMethod
        | ErrorKind::OutOfFuel
        | ErrorKind::InvalidOperation
        | ErrorKind::WriteFailure => {
            "Rookery does not render this, though Penguin may; write it in a simpler way"
        }
        _ => "text with {{, {% or {# in it is a template to Penguin",
    };
    format!("template error ({}{detail}); {advice}", error.kind())
}

/// A method of Python, unless its result could be large.
fn method(state: &mut State, value: &Item, name: &str, args: &[Item]) -> Result<Item, Error> {
    if let (ValueKind::String, Some(text)) = (value.kind(), value.as_str()) {
        // These filters refuse what is too large before they make it.
        match (name, args) {
            ("join", [items]) => {
                return state.apply_filter("join", &[items.clone(), value.clone()]);
            }
            ("replace", [_, _, ..]) => {
                let all: Vec<_> = std::iter::once(value).chain(args).cloned().collect();
                return state.apply_filter("replace", &all);
            }
            _ => {}
        }
        let room = MAX_PRODUCT / text.len().max(1);
        let fits = args
            .iter()
            .try_fold(room, |room, arg| {
                python::length(arg, room).map(|length| room - length)
            })
            .is_some();
        if !fits || name == "format" && asks_for_width(text) {
            return Err(Error::new(
                ErrorKind::OutOfFuel,
                format!("{name}() of so much text"),
            ));
        }
    }
    pycompat::unknown_method_callback(state, value, name, args)
}

/// Whether a format string pads to a large width, or to one that an argument gives.
fn asks_for_width(format: &str) -> bool {
    let (mut digits, mut in_spec) = (0, false);
    format.chars().any(|c| {
        digits = if c.is_ascii_digit() { digits + 1 } else { 0 };
        let nested = in_spec && c == '{';
        in_spec = c == ':' || in_spec && c != '}';
        nested || digits > MAX_DIGITS
    })
}

struct Bounded {
    text: Vec<u8>,
    left: usize,
}

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.left = self
            .left
            .checked_sub(bytes.len())
            .ok_or_else(|| io::Error::other("templates render to too much text"))?;
        self.text.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
