//! One line of input: what it says, or why it is refused and to whom.

use rmcp::model::{ClientJsonRpcMessage, ClientRequest, JsonRpcMessage};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::escape::excerpt;
use crate::message_id::{IdScanner, is_id};

const PARSE_ERROR: i32 = -32700;
const INVALID_REQUEST: i32 = -32600;
const INVALID_PARAMS: i32 = -32602;

/// Why a message is refused. Always meant for a sender who waits for an answer.
#[derive(Debug, PartialEq)]
pub struct Rejection {
    id: Option<Value>,
    code: i32,
    message: String,
}

impl Rejection {
    /// A message that is too long to be read.
    pub fn oversized(id: Value, limit: usize) -> Self {
        Self::new(
            Some(id),
            INVALID_REQUEST,
            format!("The message is longer than {limit} bytes, the most that this server reads."),
        )
    }

    fn new(id: Option<Value>, code: i32, message: String) -> Self {
        Self { id, code, message }
    }

    /// What is wrong, for the log.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The JSON-RPC error object. Without `id` where none could be read: MCP has no `null` id.
    pub fn into_reply(self) -> Value {
        let mut reply = json!({"jsonrpc": "2.0"});
        if let Some(id) = self.id {
            reply["id"] = id;
        }
        reply["error"] = json!({"code": self.code, "message": self.message});
        reply
    }
}

/// Read a line as the transport does; for `tests/fuzz`.
pub fn read_line(line: &[u8]) {
    for batches in [false, true] {
        for rejection in parse(line, batches).into_iter().filter_map(Result::err) {
            rejection.into_reply();
        }
    }
    let mut scanner = IdScanner::default();
    scanner.feed(line);
    if let Some(id) = scanner.finish() {
        Rejection::oversized(id, line.len()).into_reply();
    }
}

/// The messages of one line: none for a blank or unanswerable one, several for a batch where
/// `batches` are allowed.
pub fn parse(line: &[u8], batches: bool) -> Vec<Result<ClientJsonRpcMessage, Rejection>> {
    let line = line
        .strip_prefix(b"\xEF\xBB\xBF")
        .unwrap_or(line)
        .trim_ascii();
    if line.is_empty() {
        return Vec::new();
    }
    let error = match serde_json::from_slice::<ClientJsonRpcMessage>(line) {
        Ok(message) => return vec![well_shaped(message)],
        Err(error) => error,
    };
    match serde_json::from_slice::<Value>(line) {
        // Invalid UTF-8 and lone surrogates end here too.
        Err(error) => {
            let id = IdScanner::find(line);
            id.map(|id| {
                Err(Rejection::new(
                    Some(id),
                    PARSE_ERROR,
                    format!("Parse error: {error}"),
                ))
            })
            .into_iter()
            .collect()
        }
        Ok(Value::Array(items)) if batches && !items.is_empty() => {
            items.iter().filter_map(parse_item).collect()
        }
        Ok(Value::Array(_)) => {
            let message = "Invalid request: batches exist in protocol version 2025-03-26 only. \
                           Send one message a line.";
            vec![Err(Rejection::new(
                None,
                INVALID_REQUEST,
                message.to_owned(),
            ))]
        }
        Ok(value) => match ClientJsonRpcMessage::deserialize(&value) {
            // The text says something twice, and readers differ on which one counts.
            Ok(_) => Some(reject(&value, INVALID_REQUEST, &error)),
            Err(_) => malformed(&value, &error),
        }
        .map(Err)
        .into_iter()
        .collect(),
    }
}

fn parse_item(item: &Value) -> Option<Result<ClientJsonRpcMessage, Rejection>> {
    match ClientJsonRpcMessage::deserialize(item) {
        Ok(message) => Some(well_shaped(message)),
        Err(error) => malformed(item, &error).map(Err),
    }
}

/// An `initialize` that lacks something is no request of an unknown kind.
fn well_shaped(message: ClientJsonRpcMessage) -> Result<ClientJsonRpcMessage, Rejection> {
    match &message {
        JsonRpcMessage::Request(request) if is_initialize(&request.request) => Err(Rejection::new(
            Some(json!(request.id)),
            INVALID_PARAMS,
            "Invalid params for initialize: it needs `protocolVersion`, `capabilities` and \
                 `clientInfo` with `name` and `version`."
                .to_owned(),
        )),
        _ => Ok(message),
    }
}

/// Well-formed JSON that is no message. `None` where nobody waits for an answer: a notification or
/// a response.
fn malformed(value: &Value, error: &serde_json::Error) -> Option<Rejection> {
    let is_response = value.get("result").is_some() || value.get("error").is_some();
    match (value.get("method"), value.get("id")) {
        (Some(_), None) => None,
        (None, _) if is_response => None,
        (Some(Value::String(_)), Some(id)) if value["jsonrpc"] == "2.0" && is_id(id) => {
            Some(reject(value, INVALID_PARAMS, error))
        }
        _ => Some(reject(value, INVALID_REQUEST, error)),
    }
}

/// One that is malformed: a sound one is of another kind.
fn is_initialize(request: &ClientRequest) -> bool {
    matches!(request, ClientRequest::CustomRequest(custom) if custom.method == "initialize")
}

fn reject(value: &Value, code: i32, error: &serde_json::Error) -> Rejection {
    let id = value.get("id").filter(|id| is_id(id)).cloned();
    let what = match value.get("method").and_then(Value::as_str) {
        Some(method) => format!("Invalid request `{}`", excerpt(method, 60)),
        None => "Invalid request".to_owned(),
    };
    Rejection::new(
        id,
        code,
        format!("{what}: {}", excerpt(&error.to_string(), 300)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn only(line: &str) -> Option<Value> {
        let mut messages = parse(line.as_bytes(), false);
        assert!(messages.len() <= 1, "{line}");
        messages.pop().map(|message| match message {
            Ok(_) => json!("ok"),
            Err(rejection) => {
                let reply = rejection.into_reply();
                json!([reply.get("id"), reply["error"]["code"]])
            }
        })
    }

    #[test]
    fn whoever_waits_for_an_answer_gets_one_and_nobody_else() {
        for (line, expected) in [
            ("", None),
            ("  \r", None),
            (
                "\u{feff}{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/list\"}\r\n",
                Some(json!("ok")),
            ),
            ("hello", None),
            (
                r#"{"jsonrpc":"2.0","id":1,"method":"x""#,
                Some(json!([1, PARSE_ERROR])),
            ),
            (
                r#"{"jsonrpc":"2.0","id":"a","method":"tools/list","params":{"cursor":"\ud800"}}"#,
                Some(json!(["a", PARSE_ERROR])),
            ),
            (
                r#"{"jsonrpc":"2.0","id":2,"method":"tools/list","params":[1]}"#,
                Some(json!([2, INVALID_PARAMS])),
            ),
            (
                r#"{"jsonrpc":"2.0","id":6,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{}}}"#,
                Some(json!([6, INVALID_PARAMS])),
            ),
            (
                r#"{"jsonrpc":"1.0","id":3,"method":"tools/list"}"#,
                Some(json!([3, INVALID_REQUEST])),
            ),
            (
                r#"{"jsonrpc":"2.0","id":1.5,"method":"tools/list"}"#,
                Some(json!([null, INVALID_REQUEST])),
            ),
            (
                r#"{"jsonrpc":"2.0","id":1,"id":4,"method":"tools/list"}"#,
                Some(json!([4, INVALID_REQUEST])),
            ),
            (
                r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":[1]}"#,
                None,
            ),
            (r#"{"id":5,"result":7}"#, None),
            ("42", Some(json!([null, INVALID_REQUEST]))),
            ("[]", Some(json!([null, INVALID_REQUEST]))),
            (
                r#"[{"jsonrpc":"2.0","id":1,"method":"ping"}]"#,
                Some(json!([null, INVALID_REQUEST])),
            ),
        ] {
            assert_eq!(only(line), expected, "{line}");
        }
    }

    #[test]
    fn a_batch_is_split_where_the_version_has_batches() {
        let batch = br#"[{"jsonrpc":"2.0","id":1,"method":"ping"},{"jsonrpc":"2.0","id":2},{"jsonrpc":"2.0","method":1},{"jsonrpc":"2.0","id":3,"method":"ping"}]"#;
        let messages: Vec<bool> = parse(batch, true).iter().map(Result::is_ok).collect();
        assert_eq!(messages, [true, false, true]);
    }

    proptest! {
        #[test]
        fn any_line_is_survived(line: Vec<u8>) {
            parse(&line, true);
        }

        #[test]
        fn a_broken_request_is_answered_with_its_id(
            id: i64,
            cut in 1usize..30,
            junk in "[^\"\\\\{}\\[\\]]{0,20}",
        ) {
            let line = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":"echo"}}}}"#);
            let end = line.len() - cut.min(line.len());
            let broken = format!("{}{junk}\u{1}", line.get(..end).unwrap_or_default());
            if end > 40 + id.to_string().len() {
                prop_assert_eq!(only(&broken), Some(json!([id, PARSE_ERROR])));
            }
        }
    }
}
