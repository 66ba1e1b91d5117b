//! Gives back what it gets: for benchmarks, where the call itself is what counts.

use rookery_plugin::{Result, plugin, tool};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Deserialize, JsonSchema)]
struct Args {
    /// Text to give back
    message: String,
}

#[derive(Serialize, JsonSchema)]
struct Echo {
    message: String,
}

/// Give back the message, to test a connection.
#[tool(read_only, idempotent, example(message = "hello"))]
fn echo(args: Args) -> Result<Echo> {
    Ok(Echo {
        message: args.message,
    })
}

plugin!(echo);

#[cfg(test)]
mod tests {
    use rookery_plugin::testing::{FakeHost, call, check};
    use serde_json::json;

    use super::*;

    #[test]
    fn the_message_comes_back() {
        check::<echo>();
        assert_eq!(
            call::<echo>(&FakeHost::new(), json!({ "message": "ä\u{0}" })).unwrap(),
            json!({ "message": "ä\u{0}" })
        );
    }
}
