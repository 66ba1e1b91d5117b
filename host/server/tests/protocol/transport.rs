//! Promises of the transport, over in-memory pipes.

use std::time::Duration;

use crate::support::{Client, initialize, modern_meta};
use proptest::prelude::*;
use serde_json::json;

const PING: &str = r#"{"jsonrpc":"2.0","id":"ping","method":"ping"}"#;

fn ping(id: u32) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"ping"}}"#)
}

#[tokio::test]
async fn what_comes_before_the_handshake_does_not_end_the_server() {
    let mut client = Client::new();
    for early in [
        "garbage",
        "",
        r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#,
        r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":0}}"#,
        r#"{"jsonrpc":"2.0","id":4,"result":{}}"#,
    ] {
        client.send(early).await;
    }
    let unsupported = json!({
        "_meta": {
            "io.modelcontextprotocol/protocolVersion": "2099-01-01",
            "io.modelcontextprotocol/clientCapabilities": {}
        }
    });
    let refused = client.request(json!(1), "tools/list", unsupported).await;
    assert_eq!(refused["error"]["code"], -32022);
    client
        .send(r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}"#)
        .await;
    let reply = client
        .request(json!(2), "initialize", initialize("2025-06-18"))
        .await;
    assert_eq!(reply["result"]["serverInfo"]["name"], "rookery");
}

#[tokio::test]
async fn every_version_is_echoed() {
    for version in ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"] {
        Client::initialized(version).await.close().await;
    }
}

#[tokio::test]
async fn a_request_without_handshake_is_served_and_signed() {
    let mut client = Client::new();
    let reply = client
        .request(json!(1), "tools/list", json!({"_meta": modern_meta()}))
        .await;
    assert_eq!(reply["result"]["resultType"], "complete");
    assert_eq!(
        reply["result"]["_meta"]["io.modelcontextprotocol/serverInfo"]["name"],
        "rookery"
    );
    assert_eq!(reply["result"]["cacheScope"], "public");
}

#[tokio::test]
async fn an_oversized_request_is_answered_and_the_next_one_served() {
    let mut client = Client::initialized("2025-11-25").await;
    client
        .send_raw(br#"{"jsonrpc":"2.0","params":{"x":""#)
        .await;
    for _ in 0..5 {
        client.send_raw(&vec![b'x'; 1 << 20]).await;
    }
    client.send(r#""},"id":77,"method":"tools/call"}"#).await;
    let reply = client.receive().await;
    assert_eq!(
        (&reply["id"], &reply["error"]["code"]),
        (&json!(77), &json!(-32600))
    );
    client.send(PING).await;
    assert_eq!(client.receive().await["id"], "ping");
}

#[tokio::test]
async fn a_line_may_come_in_pieces_and_lines_in_one_piece() {
    let mut client = Client::initialized("2025-11-25").await;
    for byte in PING.as_bytes() {
        client.send_raw(&[*byte]).await;
    }
    client.send_raw(b"\r\n").await;
    assert_eq!(client.receive().await["id"], "ping");
    client
        .send_raw(format!("{}\n{}\n", ping(1), ping(2)).as_bytes())
        .await;
    assert_eq!(client.receive_ids(2).await, [1, 2]);
}

#[tokio::test]
async fn batches_exist_in_one_version_only() {
    let batch = format!("[{},{}]", ping(1), ping(2));
    let mut client = Client::initialized("2025-03-26").await;
    client.send(&batch).await;
    assert_eq!(client.receive_ids(2).await, [1, 2]);

    let mut client = Client::initialized("2025-06-18").await;
    client.send(&batch).await;
    assert_eq!(client.receive().await["error"]["code"], -32600);
    assert!(client.hears_nothing().await);
}

#[tokio::test]
async fn a_last_line_without_its_end_is_served() {
    let mut client = Client::initialized("2025-11-25").await;
    client.send_raw(PING.as_bytes()).await;
    assert_eq!(
        client.close().await,
        [json!({"jsonrpc": "2.0", "id": "ping", "result": {}})]
    );
}

#[tokio::test]
async fn the_end_of_the_input_ends_the_server_whatever_is_in_flight() {
    for tool in ["slow", "deaf"] {
        let mut client = Client::initialized("2025-11-25").await;
        let params = json!({"name": tool, "arguments": {}, "_meta": {"progressToken": 1}});
        client
            .send(
                json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params})
                    .to_string(),
            )
            .await;
        let rest = client.close().await; // Fails if it takes longer than clients wait.
        assert!(
            rest.iter()
                .all(|message| message["id"] != 1 || tool == "slow"),
            "{rest:?}"
        );
    }
}

#[tokio::test]
async fn a_client_that_does_not_read_loses_nothing() {
    let mut client = Client::initialized("2025-11-25").await;
    for id in 0..200 {
        let request = json!({
            "jsonrpc": "2.0",
            "id": id,
            "method": "tools/call",
            "params": {"name": "big", "arguments": {"bytes": 100_000}}
        });
        client.send(request.to_string()).await;
    }
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(client.receive_ids(200).await.into_iter().eq(0..200));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn any_lines_are_survived(lines in prop::collection::vec(prop_oneof![
        prop::collection::vec(any::<u8>(), 0..60),
        r#"\{("jsonrpc":"2.0",)?("id":[0-9]{1,3},)?"method":"(tools/call|tools/list|initialize|ping|x)"(,"params":(\{\}|\[\]|3|\{"name":"echo"\}|\{"cursor":0\}))?\}"#.prop_map(String::into_bytes),
    ], 0..12)) {
        tokio::runtime::Runtime::new()?.block_on(async {
            let mut client = Client::initialized("2025-03-26").await;
            for line in lines {
                client.send(line).await;
            }
            client.send(PING).await;
            while client.receive().await["id"] != "ping" {}
        });
    }
}
