//! The page as text. Whatever stands in it goes through [`write`], so that no text of a guest can
//! be markup, steer what is around it, or hide.

use std::borrow::Cow;

use data_encoding::BASE64;
use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Serde, ValueKind};
use minijinja::{AutoEscape, Environment, Output, State, Value, context, escape_formatter};
use rookery_project::{Error, Result, is_hidden};
use serde::Serialize;
use sha2::{Digest as _, Sha256};

const STYLE: &str = include_str!("../templates/style.css");
/// All parts of the page; a name that ends with `.html` is escaped by the engine.
const TEMPLATES: &[(&str, &str)] = &[
    ("page.html", include_str!("../templates/page.html")),
    ("blockers.html", include_str!("../templates/blockers.html")),
    ("compared.html", include_str!("../templates/compared.html")),
    ("console.html", include_str!("../templates/console.html")),
    ("devices.html", include_str!("../templates/devices.html")),
    ("patch.html", include_str!("../templates/patch.html")),
    ("services.html", include_str!("../templates/services.html")),
    ("timeline.html", include_str!("../templates/timeline.html")),
    ("tree.html", include_str!("../templates/tree.html")),
];

/// Render the page.
pub fn render(page: &impl Serialize) -> Result<String> {
    let mut environment = Environment::new();
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    environment.set_formatter(write);
    let mut syntax = SyntaxConfig::builder();
    let syntax = syntax.trim_blocks(true).lstrip_blocks(true).build();
    environment.set_syntax(syntax.map_err(defect)?);
    for (name, source) in TEMPLATES {
        environment.add_template(name, source).map_err(defect)?;
    }
    let page = Value::from(Serde(page));
    let style = Value::from_safe_string(STYLE.to_owned());
    // Nothing is loaded, no script runs, and no style but this one counts.
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{}'; base-uri 'none'; form-action 'none'",
        BASE64.encode(&Sha256::digest(STYLE))
    );
    let template = environment.get_template("page.html").map_err(defect)?;
    template
        .render(context! { page, style, policy })
        .map_err(defect)
}

/// Write a value: text with every hidden character written out, and then escaped.
fn write(
    out: &mut Output<'_>,
    state: &mut State<'_, '_>,
    value: &Value,
) -> std::result::Result<(), minijinja::Error> {
    if value.kind() == ValueKind::String
        && !value.is_safe()
        && let Some(text) = value.as_str()
        && let Cow::Owned(text) = visible(text)
    {
        return escape_formatter(out, state, &Value::from(text));
    }
    escape_formatter(out, state, value)
}

/// Text whose hidden characters are written out as `\u{…}`; it may have several lines.
fn visible(text: &str) -> Cow<'_, str> {
    let hides = |c: char| is_hidden(c) && !matches!(c, '\n' | '\t');
    if !text.contains(hides) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if hides(c) {
            shown.extend(c.escape_unicode());
        } else {
            shown.push(c);
        }
    }
    Cow::Owned(shown)
}

#[expect(clippy::needless_pass_by_value, reason = "it is given to map_err")]
fn defect(error: minijinja::Error) -> Error {
    Error::Internal(format!("the page cannot be made: {error:#}"))
}
