//! A component that does on request what a hostile or broken tool does: its one tool `probe` takes
//! `{"do": "…", …}`.
//!
//! It is written against the bare contract, without the SDK, so that it tests the runtime and
//! nothing else.

mod bindings {
    #![allow(unsafe_code, missing_docs, clippy::pedantic, reason = "generated code")]
    wit_bindgen::generate!({ path: "../../../wit", world: "tool-full" });
    export!(Probe);
    pub(crate) use super::Probe;
}
mod host;

use std::hint::black_box;

use bindings::exports::rookery::plugin::tools::{Guest, ToolDefinition};
use bindings::rookery::plugin::{log, types::Error, types::Unavailable};
use serde_json::{Value, json};

pub(crate) struct Probe;

/// How `describe` behaves. A test overwrites it in the built component, with a word of the same
/// length.
static DESCRIBE: &str = "describe:sound";

impl Guest for Probe {
    fn describe() -> Vec<ToolDefinition> {
        match black_box(DESCRIBE) {
            "describe:loops" => drop(spin()),
            "describe:panic" => panic!("describe does not want to"),
            "describe:hosts" => drop(bindings::rookery::plugin::config::effective("/")),
            "describe:named" => return vec![definition("Not Legal")],
            "describe:sound" => {}
            // So that many plugins can be made of one.
            other => return vec![definition(&other.replace("describe:", "probe_"))],
        }
        vec![definition("probe")]
    }

    fn call(name: String, arguments: String) -> Result<String, Error> {
        let arguments: Value = serde_json::from_str(&arguments)
            .map_err(|error| Error::InvalidArgument(error.to_string()))?;
        let text = |key: &str| {
            arguments
                .get(key)
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned()
        };
        let number = |key: &str| {
            arguments
                .get(key)
                .and_then(Value::as_u64)
                .unwrap_or_default()
        };
        let said = match text("do").as_str() {
            "echo" => text("text"),
            "name" => name,
            "arguments" => arguments.to_string(),
            "loop" => spin(),
            "panic" => panic!("bad thing {}", number("n")),
            "recurse" => recurse(number("n") | 1).to_string(),
            "allocate" => allocate(),
            "reserve" => format!(
                "{:?}",
                Vec::<u8>::new()
                    .try_reserve_exact(usize::try_from(number("n")).unwrap_or(usize::MAX))
                    .is_ok()
            ),
            "sleep" => {
                std::thread::sleep(std::time::Duration::from_millis(number("n")));
                "slept".to_owned()
            }
            "exit" => std::process::exit(3),
            "stderr" => {
                (0..number("n")).for_each(|n| eprintln!("line {n} of a flood"));
                "flooded".to_owned()
            }
            "stderr_then_panic" => {
                (0..number("n")).for_each(|n| eprintln!("line {n} of a flood"));
                panic!("after the flood");
            }
            "log" => {
                (0..number("n"))
                    .for_each(|n| log::write(log::Level::Info, &format!("line {n} \u{1b}[2J")));
                "logged".to_owned()
            }
            "progress" => {
                (0..number("n")).for_each(|_| log::progress(f64::NAN, "half\u{202e}way"));
                "reported".to_owned()
            }
            "read_file" => format!(
                "{:?}",
                std::fs::read(text("text")).map_err(|error| error.kind())
            ),
            "connect" => format!(
                "{:?}",
                std::net::TcpStream::connect(text("text"))
                    .map(drop)
                    .map_err(|error| error.kind())
            ),
            "environment" => format!("{} {}", std::env::vars().count(), std::env::args().count()),
            "not_json" => return Ok("{".to_owned()),
            "not_an_object" => return Ok("[]".to_owned()),
            "other_shape" => return Ok(json!({"said": 7}).to_string()),
            "nulls" => return Ok(json!({"said": "x", "note": null}).to_string()),
            "big" => "x".repeat(usize::try_from(number("n")).unwrap_or(0)),
            "fail" => return Err(failure(&text("text"))),
            "host" => host::call(&text("text"), &arguments)?,
            "leak" => {
                host::leak(&text("project"), number("n"))?;
                "leaked".to_owned()
            }
            "host_calls" => {
                for _ in 0..number("n") {
                    let _ =
                        host::call("emulation.status", &json!({"run": "none", "options": "{}"}));
                }
                "called".to_owned()
            }
            other => {
                return Err(Error::InvalidArgument(format!(
                    "`do` is {other:?}, which the probe does not know"
                )));
            }
        };
        Ok(json!({"said": said}).to_string())
    }
}

fn definition(name: &str) -> ToolDefinition {
    let definition = json!({
        "title": "Probe",
        "description": "Do to the runtime what the arguments say.",
        "inputSchema": {
            "type": "object",
            "required": ["do"],
            "properties": {
                "do": {"type": "string", "description": "What to do."},
                "text": {"type": ["string", "null"], "description": "A text for it."},
                "n": {
                    "type": ["integer", "null"],
                    "format": "uint64",
                    "minimum": 0,
                    "description": "A number for it."
                },
                "project": {"type": "string", "description": "A project for `host`."},
                "run": {"type": "string", "description": "A run for `host`."},
                "options": {"type": "string", "description": "JSON text for `host`."}
            }
        },
        "outputSchema": {
            "type": "object",
            "required": ["said"],
            "properties": {
                "said": {"type": "string", "description": "What came of it."},
                "note": {"type": ["string", "null"], "description": "Anything else."}
            }
        },
        "annotations": {
            "readOnlyHint": true,
            "destructiveHint": true,
            "idempotentHint": false,
            "openWorldHint": false
        },
        "examples": [{"do": "echo", "text": "hello"}]
    });
    ToolDefinition {
        name: name.to_owned(),
        definition: definition.to_string(),
    }
}

fn spin() -> String {
    let mut n = 0_u64;
    loop {
        n = black_box(n.wrapping_add(1));
    }
}

#[expect(unconditional_recursion, reason = "that is the point")]
fn recurse(n: u64) -> u64 {
    let frame = black_box([n; 64]);
    recurse(n + 1) + frame.iter().sum::<u64>()
}

fn allocate() -> String {
    let mut kept: Vec<Vec<u8>> = Vec::new();
    loop {
        kept.push(black_box(vec![1; 8 << 20]));
    }
}

fn failure(case: &str) -> Error {
    let text = "words of the tool \u{1b}[31m".to_owned();
    match case {
        "not-found" => Error::NotFound(text),
        "unavailable" => Error::Unavailable(Unavailable {
            what: "plugins.db".into(),
            why: "no logger".into(),
            how_to_enable: "Turn it on.".into(),
        }),
        "conflict" => Error::Conflict(text),
        "denied" => Error::Denied(text),
        "limit" => Error::Limit(text),
        "cancelled" => Error::Cancelled,
        "backend" => Error::Backend(text),
        "internal" => Error::Internal(text),
        "other" => Error::Other(("acme-7".into(), text)),
        _ => Error::InvalidArgument(text),
    }
}
