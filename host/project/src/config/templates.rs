//! Templates in configuration strings, rendered as Penguin does but in a box.
//!
//! A configuration is hostile input: a template may read variables, test them and loop over them, within a budget of steps and of
//! output. What could build large values (assignments, macros, most filters) is refused.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::io::{self, Write};

use minijinja::syntax::SyntaxConfig;
use minijinja::value::ValueKind;
use minijinja::{Environment, UndefinedBehavior, Value as Item};

use super::schema::ARCHITECTURES;
use super::value::{Key, Value};

/// Stands for the version of the kernel, which is known only after the merge.
const KERNEL_VERSION: &str = "__ROOKERY_KERNEL_VERSION_7e1d__";
const OPENERS: [&str; 3] = ["{{", "{%", "{#"];
const STEPS: u64 = 20_000;
const MAX_OUTPUT: usize = 16 << 20;
/// Operators that make a value larger than its operands.
const MAX_GROWTH: usize = 8;

/// The variables that a template sees.
pub type Context = BTreeMap<String, Item>;

/// Renders the templates of one load.
pub struct Renderer {
    environment: Environment<'static>,
    output: Cell<usize>,
}

impl Default for Renderer {
    fn default() -> Self {
        let mut environment = Environment::empty();
        if let Ok(syntax) = SyntaxConfig::builder().keep_trailing_newline(true).build() {
            environment.set_syntax(syntax);
        }
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_fuel(Some(STEPS));
        // As Python prints them.
        environment.set_formatter(|out, _, value| match value.kind() {
            ValueKind::Bool => Ok(out.write_str(if value.is_true() { "True" } else { "False" })?),
            ValueKind::None => Ok(out.write_str("None")?),
            _ => Ok(write!(out, "{value}")?),
        });
        environment.add_filter("upper", minijinja::filters::upper);
        environment.add_filter("lower", minijinja::filters::lower);
        environment.add_filter("trim", minijinja::filters::trim);
        environment.add_filter("default", minijinja::filters::default);
        environment.add_filter("length", minijinja::filters::length);
        environment.add_filter("int", minijinja::filters::int);
        environment.add_test("defined", minijinja::tests::is_defined);
        environment.add_test("undefined", minijinja::tests::is_undefined);
        Self {
            environment,
            output: Cell::new(0),
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
    /// The variables of a file: those of the main file, its own `core` and architecture, then its own `vars` in order.
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
                let canonical = canonical_arch(arch).unwrap_or(arch);
                context.insert("arch".to_owned(), Item::from(canonical));
                context.insert(
                    "arch_dir".to_owned(),
                    Item::from(if canonical == "powerpc64le" {
                        "powerpc64"
                    } else {
                        canonical
                    }),
                );
                context.insert("dylib_dir".to_owned(), Item::from(dylib_dir(canonical)));
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
        Ok(match value {
            Value::Str(text) => Value::Str(self.string(text, context)?),
            Value::List(items) => {
                let render = |(index, value)| {
                    self.render(value, context)
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
                            self.render(value, context)
                                .map_err(|error| below(error, name))?,
                        ))
                    })
                    .collect::<Result<_, _>>()?,
            ),
            other => other,
        })
    }

    fn string(&self, text: String, context: &Context) -> Result<String, TemplateError> {
        if !is_template(&text) {
            return Ok(text);
        }
        // Python's template engine makes line ends one kind.
        let source = text.replace("\r\n", "\n").replace('\r', "\n");
        let fail = |message: String| TemplateError {
            path: Vec::new(),
            message,
        };
        refuse_growth(&source).map_err(&fail)?;
        let mut out = Bounded {
            text: Vec::new(),
            left: MAX_OUTPUT.saturating_sub(self.output.get()),
        };
        let template = self
            .environment
            .template_from_str(&source)
            .map_err(|error| fail(describe(&error)))?;
        let variables = Item::from_object(context.clone());
        template
            .render_captured_to(variables, &mut out)
            .map_err(|error| fail(describe(&error)))?;
        self.output.set(self.output.get() + out.text.len());
        String::from_utf8(out.text)
            .map_err(|_| fail("renders to something that is not text".to_owned()))
    }
}

fn below(mut error: TemplateError, step: String) -> TemplateError {
    error.path.insert(0, step);
    error
}

fn describe(error: &minijinja::Error) -> String {
    let detail = error
        .detail()
        .map(|detail| format!(": {}", detail.escape_debug()))
        .unwrap_or_default();
    format!(
        "template error ({}{detail}); text with {{{{, {{% or {{# in it is a template to Penguin",
        error.kind()
    )
}

/// Whether Penguin would render this string.
pub fn is_template(text: &str) -> bool {
    OPENERS.iter().any(|opener| text.contains(opener))
}

/// Put the version of the kernel where a template asked for it.
pub fn resolve_kernel_version(value: &mut Value, version: &str) {
    match value {
        Value::Str(text) if text.contains(KERNEL_VERSION) => {
            *text = text.replace(KERNEL_VERSION, version);
        }
        Value::List(items) => items
            .iter_mut()
            .for_each(|value| resolve_kernel_version(value, version)),
        Value::Map(map) => {
            map.values_mut()
                .for_each(|value| resolve_kernel_version(value, version));
            if map
                .keys()
                .any(|key| matches!(key, Key::Str(text) if text.contains(KERNEL_VERSION)))
            {
                *map = std::mem::take(map)
                    .into_iter()
                    .map(|(key, value)| {
                        (Key::Str(key.text().replace(KERNEL_VERSION, version)), value)
                    })
                    .collect();
            }
        }
        _ => {}
    }
}

/// The string that Penguin renders to `text`: openers become expressions that print them.
pub fn neutralise(text: &str) -> String {
    if !is_template(text) {
        return text.to_owned();
    }
    let mut out = String::with_capacity(text.len() + 16);
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        if let Some(opener) = OPENERS.iter().find(|opener| rest.starts_with(**opener)) {
            out.extend(["{{ '", opener, "' }}"]);
            rest = rest.get(opener.len()..).unwrap_or_default();
        } else {
            // A carriage return would be made a line feed once the string is a template.
            if c == '\r' {
                out += "{{ '\\r' }}";
            } else {
                out.push(c);
            }
            rest = rest.get(c.len_utf8()..).unwrap_or_default();
        }
    }
    out
}

/// What [`neutralise`] was given, or the string itself where it holds a template that a person wrote.
pub fn restore(text: &str) -> String {
    if !is_template(text) {
        return text.to_owned();
    }
    let mut plain = text.replace("{{ '\\r' }}", "\r");
    for opener in OPENERS {
        plain = plain.replace(&format!("{{{{ '{opener}' }}}}"), opener);
    }
    if neutralise(&plain) == text {
        plain
    } else {
        text.to_owned()
    }
}

/// Apply a change of strings to a whole tree, keys included.
pub fn map_strings(value: Value, change: fn(&str) -> String) -> Value {
    match value {
        Value::Str(text) => Value::Str(change(&text)),
        Value::List(items) => Value::List(
            items
                .into_iter()
                .map(|value| map_strings(value, change))
                .collect(),
        ),
        Value::Map(map) => Value::Map(
            map.into_iter()
                .map(|(key, value)| {
                    let key = if let Key::Str(text) = &key {
                        Key::Str(change(text))
                    } else {
                        key
                    };
                    (key, map_strings(value, change))
                })
                .collect(),
        ),
        other => other,
    }
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
                .map(|(key, value)| (key.text(), item(value)))
                .collect::<Context>(),
        ),
    }
}

/// Penguin's name of an architecture given by any of its names.
pub fn canonical_arch(name: &str) -> Option<&'static str> {
    ARCHITECTURES
        .iter()
        .find(|(canonical, aliases, _)| *canonical == name || aliases.contains(&name))
        .map(|(canonical, ..)| *canonical)
}

fn dylib_dir(canonical: &str) -> &str {
    match canonical {
        "aarch64" => "arm64",
        "powerpc" => "ppc",
        "powerpc64" => "ppc64",
        "powerpc64le" => "ppc64el",
        "loongarch64" => "loongarch",
        other => other,
    }
}

/// Refuse statements and operators by which a short template makes a huge value.
fn refuse_growth(source: &str) -> Result<(), String> {
    let mut growth = 0;
    let mut rest = source;
    while let Some((start, opener)) = OPENERS
        .iter()
        .filter_map(|opener| Some((rest.find(opener)?, *opener)))
        .min()
    {
        rest = rest.get(start + 2..).unwrap_or_default();
        let closer = match opener {
            "{#" => {
                rest = rest.split_once("#}").map_or("", |(_, after)| after);
                continue;
            }
            "{%" => "%}",
            _ => "}}",
        };
        if opener == "{%" {
            let word: String = rest
                .trim_start_matches(['-', '+'])
                .trim_start()
                .chars()
                .take_while(char::is_ascii_alphabetic)
                .collect();
            if ![
                "if", "elif", "else", "endif", "for", "endfor", "raw", "endraw", "",
            ]
            .contains(&word.as_str())
            {
                return Err(format!(
                    "template statement '{word}' is not supported; use if, for and expressions"
                ));
            }
        }
        let mut quote = None;
        let mut chars = rest.char_indices();
        let mut end = rest.len();
        while let Some((index, c)) = chars.next() {
            match (quote, c) {
                (Some(_), '\\') => drop(chars.next()),
                (Some(open), c) if c == open => quote = None,
                (None, '\'' | '"') => quote = Some(c),
                (None, '~' | '+' | '*') => growth += 1,
                (None, _)
                    if rest
                        .get(index..)
                        .is_some_and(|rest| rest.starts_with(closer)) =>
                {
                    end = index + 2;
                    break;
                }
                _ => {}
            }
        }
        rest = rest.get(end..).unwrap_or_default();
    }
    if growth > MAX_GROWTH {
        Err(format!("more than {MAX_GROWTH} operators in one template"))
    } else {
        Ok(())
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn render(text: &str) -> Result<String, TemplateError> {
        let renderer = Renderer::default();
        let file = Value::from_json(
            &serde_json::json!({"core": {"arch": "intel64", "mem": "1G", "kvm": true}, "vars": {"n": 5, "m": "{{ n }}!"}}),
        );
        let context = renderer.context(&file, None).unwrap();
        renderer.string(text.to_owned(), &context)
    }

    #[test]
    fn variables_are_those_that_penguin_has() {
        assert_eq!(
            render("{{ arch }} {{ core.arch }} {{ core.mem }} {{ core.kvm }} {{ m }}\n").unwrap(),
            "x86_64 intel64 1G True 5!\n"
        );
        assert_eq!(
            render("{% if n == 5 %}a{% else %}b{% endif %}").unwrap(),
            "a"
        );
        assert!(render("{{ nope }}").is_err());
        assert!(render("echo ${#x}").is_err());
        assert!(render("${%}").is_err());
    }

    #[test]
    fn neutralised_text_renders_to_itself() {
        for text in [
            "{{7*7}}",
            "${#x}",
            "{%",
            "{{{",
            "{{{%#",
            "}}{{}}",
            "{{ '{{' }}",
            "a\r\nb{#\r",
            "{{ '\\r' }}",
            "{",
            "{ {",
            "plain\r",
        ] {
            assert_eq!(
                render(&neutralise(text)).unwrap(),
                text,
                "{}",
                neutralise(text)
            );
            assert_eq!(restore(&neutralise(text)), text);
        }
        assert_eq!(restore("{{ arch }}"), "{{ arch }}");
    }

    #[test]
    fn a_hostile_template_costs_little() {
        assert!(render("{% for a in core %}{% for b in core %}{% for c in core %}x{% endfor %}{% endfor %}{% endfor %}").is_ok());
        assert!(
            render(&("{% for a in m %}".repeat(40) + "x" + &"{% endfor %}".repeat(40))).is_err()
        );
        assert!(render("{% set a = 'x' * 1000000 %}{{ a }}").is_err());
        assert!(render("{{ 'x' * 100000000 * 100000000 }}").is_err());
        assert!(render(&format!("{{{{ 'x' {} }}}}", "~ m".repeat(50))).is_err());
    }
}
