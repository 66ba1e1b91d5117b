//! The result of a call as an MCP result: what the model reads.
//!
//! A success carries its JSON twice, as `structuredContent` and as the same text, because clients
//! show the model one or the other. A failure carries text only: some clients would show the
//! structured part instead of the message.

use rmcp::model::{CallToolResult, ContentBlock, JsonObject, MetaObject};
use rookery_runtime::{Failure, FailureKind, Success, Usage};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::content;
use crate::escape::{make_visible, visible};

/// Largest reply, in bytes on the wire. Clients drop the connection at 10 MiB and the model's limit
/// is far below this one.
pub const MAX_REPLY: usize = 1 << 20;
/// Longest message of a failure, in bytes.
const MAX_MESSAGE: usize = 8 << 10;
/// Room for the envelope of a reply.
const ENVELOPE: usize = 2 << 10;

/// What a tool's output is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output {
    /// A JSON object for `structuredContent`.
    Structured,
    /// A whole `CallToolResult`, for tools that answer with images, audio or resources.
    Content,
}

/// The reply to a call that succeeded.
pub fn success(tool: &str, success: Success, output: Output) -> CallToolResult {
    let Success {
        output: mut value,
        usage,
    } = success;
    make_visible(&mut value);
    let text = value.to_string();
    let size = match output {
        Output::Structured => text.len() + escaped_len(&text),
        Output::Content => text.len(),
    };
    if size + ENVELOPE > MAX_REPLY {
        return with_usage(too_large(tool, size), &usage);
    }
    let result = match output {
        Output::Structured => {
            let mut result = CallToolResult::default();
            result.content = vec![ContentBlock::text(text)];
            result.structured_content = Some(value);
            result
        }
        Output::Content => match own_content(value) {
            Ok(result) => result,
            Err(cause) => {
                tracing::warn!(tool, %cause, "an answer was not passed on");
                let mut result = error(&format!(
                    "Tool `{tool}` answered with content that is not passed on: {cause}. This is \
                     a defect of the tool."
                ));
                result.meta.get_or_insert_default().insert(
                    "rookery/failure".to_owned(),
                    json!(FailureKind::MalformedOutput),
                );
                result
            }
        },
    };
    with_usage(result, &usage)
}

/// The content that a tool wrote itself, if it may be passed on.
fn own_content(value: Value) -> Result<CallToolResult, String> {
    content::check(&value)?;
    let mut result = CallToolResult::deserialize(value).map_err(|error| error.to_string())?;
    result.result_type = CallToolResult::default().result_type;
    Ok(result)
}

/// The reply to a call that failed, with an example of one that is right where the arguments are to
/// blame.
pub fn failure(failure: &Failure, example: impl FnOnce() -> String) -> CallToolResult {
    let example = if failure.kind == FailureKind::InvalidArgument {
        example()
    } else {
        String::new()
    };
    let message = format!("{}{example}", failure.message);
    let mut result = with_usage(error(&message), &failure.usage);
    result
        .meta
        .get_or_insert_default()
        .insert("rookery/failure".to_owned(), json!(failure.kind));
    result
}

/// The reply to a call that took the server's own code down with it.
pub fn panic(tool: &str) -> CallToolResult {
    error(&format!(
        "Internal error while calling `{tool}`: the server's log has the details. The server and \
         the other tools keep working; calling `{tool}` the same way will probably fail again."
    ))
}

/// A reply that the model reads as a failure.
pub fn error(message: &str) -> CallToolResult {
    let mut message = visible(message).into_owned();
    if message.len() > MAX_MESSAGE {
        message.truncate(message.floor_char_boundary(MAX_MESSAGE));
        message.push('…');
    }
    CallToolResult::error(vec![ContentBlock::text(message)])
}

fn too_large(tool: &str, size: usize) -> CallToolResult {
    error(&format!(
        "The answer of `{tool}` has {} KiB, and at most {} KiB are sent. Ask for less: a smaller \
         limit, a narrower pattern or filter, or one item at a time.",
        size >> 10,
        MAX_REPLY >> 10
    ))
}

fn with_usage(mut result: CallToolResult, usage: &Usage) -> CallToolResult {
    let meta: &mut JsonObject = result.meta.get_or_insert_with(MetaObject::default);
    meta.insert("rookery/usage".to_owned(), json!(usage));
    result
}

/// Bytes that `json`, itself compact JSON, has as a JSON string.
fn escaped_len(json: &str) -> usize {
    json.len()
        + json
            .bytes()
            .filter(|byte| matches!(byte, b'"' | b'\\'))
            .count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn succeed(output: Value, kind: Output) -> Value {
        json!(success(
            "t",
            Success {
                output,
                usage: Usage::default()
            },
            kind
        ))
    }

    #[test]
    fn structured_content_and_text_are_the_same_json() {
        let reply = succeed(
            json!({"lines": ["a\u{1b}[31m"], "total": 1}),
            Output::Structured,
        );
        assert_eq!(
            reply["structuredContent"],
            json!({"lines": ["a\\u{1b}[31m"], "total": 1})
        );
        assert_eq!(
            reply["content"][0]["text"],
            reply["structuredContent"].to_string()
        );
        assert_eq!(reply["_meta"]["rookery/usage"]["cpu_ms"], 0);
        assert_eq!(reply["isError"], Value::Null);
    }

    #[test]
    fn an_answer_of_more_than_a_mebibyte_becomes_advice() {
        for (len, fits) in [(MAX_REPLY / 2 - ENVELOPE, true), (MAX_REPLY / 2, false)] {
            let reply = succeed(json!({ "text": "x".repeat(len) }), Output::Structured);
            assert_eq!(reply["isError"] != true, fits);
            assert!(reply.to_string().len() <= MAX_REPLY);
        }
        let quotes = succeed(
            json!({ "text": "\"".repeat(MAX_REPLY / 5) }),
            Output::Structured,
        );
        assert!(
            quotes.to_string().len() <= MAX_REPLY,
            "quotes are escaped twice"
        );
    }

    #[test]
    fn a_failure_is_text_only() {
        let failure = Failure {
            kind: FailureKind::Trap,
            message: "x\u{7}".repeat(9000),
            usage: Usage::default(),
        };
        let reply = json!(super::failure(&failure, || unreachable!(
            "it was no argument"
        )));
        assert_eq!(reply["isError"], true);
        assert!(reply.get("structuredContent").is_none());
        assert_eq!(reply["_meta"]["rookery/failure"], "trap");
        assert!(
            reply["content"][0]["text"]
                .as_str()
                .is_some_and(|text| text.len() < MAX_MESSAGE + 8 && !text.contains('\u{7}'))
        );
    }

    #[test]
    fn a_failure_by_its_arguments_ends_with_a_call_that_is_right() {
        let failure = Failure {
            kind: FailureKind::InvalidArgument,
            message: "`sql` is empty.".to_owned(),
            usage: Usage::default(),
        };
        let reply = json!(super::failure(&failure, || "\nExample: t({})".to_owned()));
        assert_eq!(
            reply["content"][0]["text"],
            "`sql` is empty.\nExample: t({})"
        );
    }

    #[test]
    fn content_is_passed_through_or_named_as_malformed() {
        let meta = json!({"content": [], "_meta": {"anthropic/alwaysLoad": true}});
        let reply = succeed(meta, Output::Content);
        assert_eq!(reply["isError"], true);
        assert_eq!(reply["_meta"]["rookery/failure"], "malformed-output");
        assert!(reply["_meta"].get("anthropic/alwaysLoad").is_none());
        let image =
            json!({"content": [{"type": "image", "data": "AAAA", "mimeType": "image/png"}]});
        assert_eq!(
            succeed(image.clone(), Output::Content)["content"],
            image["content"]
        );
        assert_eq!(
            succeed(json!({"content": 5}), Output::Content)["isError"],
            true
        );
    }
}
