//! Promises about tool calls, over in-memory pipes.

use crate::support::Client;
use serde_json::{Value, json};

fn text(reply: &Value) -> &str {
    reply["result"]["content"][0]["text"]
        .as_str()
        .unwrap_or_default()
}

#[tokio::test]
async fn a_success_is_structured_content_and_the_same_text() {
    let mut client = Client::initialized("2025-11-25").await;
    let reply = client.call("echo", json!({"message": "hi"})).await;
    assert_eq!(
        reply["result"]["structuredContent"],
        json!({"message": "hi", "length": 2})
    );
    assert_eq!(
        text(&reply),
        reply["result"]["structuredContent"].to_string()
    );
    assert!(reply["result"]["_meta"]["rookery/usage"].is_object());
}

#[tokio::test]
async fn wrong_arguments_are_a_result_with_every_violation_and_a_literal_call() {
    let mut client = Client::initialized("2025-11-25").await;
    let reply = client.call("slow", json!({"steps": 0, "stesp": 1})).await;
    assert_eq!(reply["result"]["isError"], true);
    assert_eq!(
        text(&reply).matches("\n- ").count(),
        3,
        "two violations and one argument: {}",
        text(&reply)
    );
    assert!(text(&reply).ends_with("Example: slow({\"steps\":3})"));
}

#[tokio::test]
async fn an_unknown_tool_is_a_protocol_error_that_names_the_others() {
    let mut client = Client::initialized("2025-11-25").await;
    let reply = client.call(&"x\u{1b}".repeat(10_000), json!({})).await;
    assert_eq!(reply["error"]["code"], -32602);
    let message = reply["error"]["message"].as_str().unwrap_or_default();
    assert!(message.contains("echo, fail") && message.len() < 2000 && !message.contains('\u{1b}'));
}

#[tokio::test]
async fn a_panic_ends_one_call() {
    let mut client = Client::initialized("2025-11-25").await;
    let reply = client.call("panic", json!({})).await;
    assert_eq!(reply["result"]["isError"], true);
    assert_eq!(
        client.call("echo", json!({"message": ""})).await["result"]["structuredContent"]["length"],
        0
    );
}

#[tokio::test]
async fn hostile_text_arrives_visible() {
    let mut client = Client::initialized("2025-11-25").await;
    let reply = client.call("hostile", json!({})).await.to_string();
    assert!(
        !reply.contains(['\u{1b}', '\u{7}', '\u{202e}', '\u{200b}']) && !reply.contains("\\u001b"),
        "{reply}"
    );
}

#[tokio::test]
async fn a_reply_stays_below_a_mebibyte() {
    let mut client = Client::initialized("2025-11-25").await;
    for bytes in [400_000, 600_000, 3_000_000] {
        let reply = client.call("big", json!({"bytes": bytes})).await;
        assert!(reply.to_string().len() <= rookery_server::MAX_REPLY);
        assert_eq!(reply["result"]["isError"] == true, bytes > 500_000);
    }
}

#[tokio::test]
async fn progress_increases_is_merged_and_ends_before_the_reply() {
    let mut client = Client::initialized("2025-11-25").await;
    let params = json!({"name": "flood", "arguments": {}, "_meta": {"progressToken": "t"}});
    client
        .send(
            json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params})
                .to_string(),
        )
        .await;
    let mut shown = Vec::new();
    loop {
        let message = client.receive().await;
        if message["id"] == 1 {
            break;
        }
        assert_eq!(message["params"]["progressToken"], "t");
        shown.push(message["params"]["progress"].as_f64().expect("a number"));
    }
    assert!(
        !shown.is_empty() && shown.len() < 200 && shown.is_sorted_by(|a, b| a < b),
        "{shown:?}"
    );
    assert!(client.hears_nothing().await);
}

#[tokio::test]
async fn a_cancelled_call_gets_no_answer_and_others_go_on() {
    let mut client = Client::initialized("2025-11-25").await;
    let params = json!({"name": "slow", "arguments": {"steps": 300}});
    client
        .send(
            json!({"jsonrpc": "2.0", "id": 9, "method": "tools/call", "params": params})
                .to_string(),
        )
        .await;
    client
        .send(r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":9}}"#)
        .await;
    assert!(client.hears_nothing().await);
    assert_eq!(
        client.call("echo", json!({"message": "x"})).await["id"],
        "call"
    );
}

#[tokio::test]
async fn lists_take_no_cursor_and_methods_say_what_is_wrong_with_their_parameters() {
    let mut client = Client::initialized("2025-11-25").await;
    for (method, params, code) in [
        ("tools/list", json!({"cursor": "x"}), -32602),
        ("resources/list", json!({"cursor": "x"}), -32602),
        ("tools/call", json!({}), -32602),
        (
            "tools/call",
            json!({"name": "echo", "arguments": "x"}),
            -32602,
        ),
        ("resources/read", json!({"uri": "rookery://nope"}), -32002),
        ("prompts/get", json!({"name": "rehost_firmware"}), -32602),
        ("no/such", json!({}), -32601),
    ] {
        assert_eq!(
            client.request(json!(1), method, params).await["error"]["code"],
            code,
            "{method}"
        );
    }
}

#[tokio::test]
async fn tools_that_answer_with_content_are_passed_through() {
    let mut client = Client::initialized("2025-11-25").await;
    let reply = client.call("test_image_content", json!({})).await;
    assert_eq!(reply["result"]["content"][0]["mimeType"], "image/png");
    assert!(reply["result"].get("structuredContent").is_none());
}
