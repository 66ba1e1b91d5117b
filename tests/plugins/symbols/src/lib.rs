//! Looks into a program of the firmware: for what the host makes of it.

use rookery_plugin::{Binaries, Result, StringOptions, SymbolOptions, plugin, shapes, tool};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Deserialize, JsonSchema)]
struct Args {
    /// The project directory
    project_dir: String,
    /// The program, as a path of the guest's
    path: String,
    /// What names and strings have to match
    #[serde(default)]
    pattern: String,
}

#[derive(Serialize, JsonSchema)]
struct Looked {
    symbols: shapes::Symbols,
    strings: shapes::Strings,
}

/// Give the symbols and the strings of a program, a few of each.
#[tool(read_only, example(project_dir = "fw", path = "/bin/busybox"))]
fn symbols(host: &impl Binaries, args: Args) -> Result<Looked> {
    let symbols = SymbolOptions {
        pattern: args.pattern.clone(),
        limit: 5,
        ..SymbolOptions::default()
    };
    let strings = StringOptions {
        pattern: args.pattern.clone(),
        limit: 5,
        ..StringOptions::default()
    };
    Ok(Looked {
        symbols: host.symbols(&args.project_dir, &args.path, &symbols)?,
        strings: host.strings(&args.project_dir, &args.path, &strings)?,
    })
}

plugin!(symbols);

#[cfg(test)]
mod tests {
    use rookery_plugin::testing::{FakeHost, call, check};
    use serde_json::json;

    use super::*;

    #[test]
    fn what_the_host_gives_is_handed_on() {
        check::<symbols>();
        let host = FakeHost::new()
            .answer("binaries.symbols", json!({ "path": "/bin/x", "total": 1 }))
            .answer("binaries.strings", json!({ "path": "/bin/x", "total": 2 }));
        let looked = call::<symbols>(&host, json!({ "project_dir": "fw", "path": "/bin/x" }));
        let looked = looked.unwrap();
        assert_eq!(
            (&looked["symbols"]["total"], &looked["strings"]["total"]),
            (&json!(1), &json!(2))
        );
        assert_eq!(host.calls("binaries.symbols")[0]["options"]["limit"], 5);
    }
}
