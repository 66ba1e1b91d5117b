//! Promises of a server whose tools take long to load.

use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use rookery_server::{GRACE, Loaded, Rest, ServeError};
use serde_json::{Value, json};

use crate::support::{Client, initialize, modern_meta};
use crate::tools::Fixtures;

#[tokio::test]
async fn the_client_is_greeted_before_the_tools_are_there_and_the_list_waits_for_them() {
    let (go, wait) = mpsc::channel();
    let mut client = Client::with_tools(move || {
        wait.recv().expect("the test says when");
        Ok(Fixtures::new().into())
    });
    let reply = client
        .request(json!(0), "initialize", initialize("2025-11-25"))
        .await;
    assert_eq!(reply["result"]["serverInfo"]["name"], "rookery");
    client.end_handshake().await;
    client
        .send(r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#)
        .await;
    let pong = client.request(json!(2), "ping", json!({})).await;
    assert_eq!(pong["id"], 2, "the list is not there yet: {pong}");
    go.send(()).expect("it waits");
    let list = client.receive().await;
    assert_eq!(list["id"], 1);
    assert_ne!(list["result"]["tools"], json!([]));
}

#[tokio::test]
async fn what_was_asked_before_the_end_of_the_input_is_answered_however_long_loading_takes() {
    let mut client = Client::with_tools(|| {
        thread::sleep(GRACE + Duration::from_millis(200));
        Ok(Fixtures::new().into())
    });
    client
        .request(json!(0), "initialize", initialize("2025-11-25"))
        .await;
    client
        .send(r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{"message":"late"}}}"#)
        .await;
    client.close_input();
    let reply = client.receive().await;
    assert_eq!(reply["result"]["structuredContent"]["message"], "late");
    client.ended().await.expect("no error");
}

/// A server with all tools but `slow`, which comes when the test says so.
fn without_slow() -> (mpsc::Sender<()>, Client) {
    let (go, wait) = mpsc::channel();
    let client = Client::with_tools(move || {
        let tools = Arc::new(Fixtures::new().without("slow"));
        let late = Arc::clone(&tools);
        let rest: Rest = Box::new(move |changed| {
            wait.recv().expect("the test says when");
            late.add("slow");
            changed();
        });
        Ok(Loaded {
            tools,
            rest: Some(rest),
            watch: None,
        })
    });
    (go, client)
}

fn has_slow(list: &Value) -> bool {
    let tools = list["result"]["tools"].as_array();
    tools.is_some_and(|tools| tools.iter().any(|tool| tool["name"] == "slow"))
}

#[tokio::test]
async fn the_first_list_does_not_wait_for_a_late_tool_and_the_client_is_told_of_it() {
    let (go, mut client) = without_slow();
    let hello = client
        .request(json!(0), "initialize", initialize("2025-11-25"))
        .await;
    assert_eq!(
        hello["result"]["capabilities"]["tools"]["listChanged"],
        true
    );
    client.end_handshake().await;
    let list = client.request(json!(1), "tools/list", json!({})).await;
    assert!(!has_slow(&list) && list["result"]["tools"] != json!([]));
    go.send(()).expect("it waits");
    let changed = client.receive().await;
    assert_eq!(changed["method"], "notifications/tools/list_changed");
    let list = client.request(json!(2), "tools/list", json!({})).await;
    assert!(has_slow(&list), "{list}");
}

/// A client that has said hello, what gives the tool `echo` another description, and what tells
/// that it has it.
async fn with_changing_echo() -> (mpsc::Sender<&'static str>, mpsc::Receiver<()>, Client) {
    let (go, wait) = mpsc::channel::<&str>();
    let (done, is_done) = mpsc::channel();
    let mut client = Client::with_tools(move || {
        let tools = Arc::new(Fixtures::new());
        let watched = Arc::clone(&tools);
        let watch: Rest = Box::new(move |changed| {
            for description in wait {
                watched.describe("echo", description);
                changed();
                let _ = done.send(());
            }
        });
        Ok(Loaded {
            tools,
            rest: None,
            watch: Some(watch),
        })
    });
    client
        .request(json!(0), "initialize", initialize("2025-11-25"))
        .await;
    (go, is_done, client)
}

#[tokio::test]
async fn a_change_between_the_first_list_and_the_end_of_the_handshake_is_told() {
    let (go, is_done, mut client) = with_changing_echo().await;
    client.request(json!(1), "tools/list", json!({})).await;
    go.send("Another echo.").expect("it waits");
    is_done.recv().expect("it tells");
    client.end_handshake().await;
    let changed = client.receive().await;
    assert_eq!(changed["method"], "notifications/tools/list_changed");
}

#[tokio::test]
async fn a_client_is_told_of_an_exchanged_tool_once_and_of_none_that_stayed_the_same() {
    let (go, _is_done, mut client) = with_changing_echo().await;
    client.end_handshake().await;
    let list = client.request(json!(1), "tools/list", json!({})).await;
    assert_ne!(list["result"]["tools"], json!([]));
    go.send("Another echo.").expect("it waits");
    let changed = client.receive().await;
    assert_eq!(changed["method"], "notifications/tools/list_changed");
    let list = client.request(json!(2), "tools/list", json!({})).await;
    assert!(list.to_string().contains("Another echo."), "{list}");
    go.send("Another echo.").expect("it waits");
    assert!(client.hears_nothing().await);
}

#[tokio::test]
async fn a_call_waits_for_a_tool_that_is_not_there_yet() {
    let (go, mut client) = without_slow();
    client
        .request(json!(0), "initialize", initialize("2025-11-25"))
        .await;
    client
        .send(r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"slow","arguments":{"steps":1}}}"#)
        .await;
    let pong = client.request(json!(2), "ping", json!({})).await;
    assert_eq!(pong["id"], 2, "the call waits: {pong}");
    go.send(()).expect("it waits");
    let reply = client.receive().await;
    assert_eq!(
        reply["result"]["structuredContent"]["steps_done"], 1,
        "{reply}"
    );
}

#[tokio::test]
async fn without_a_handshake_a_client_is_told_of_late_tools_where_it_listens() {
    let (go, mut client) = without_slow();
    let listen = json!({"_meta": modern_meta(), "notifications": {"toolsListChanged": true}});
    let started = client
        .request(json!(7), "subscriptions/listen", listen)
        .await;
    assert_eq!(
        started["method"], "notifications/subscriptions/acknowledged",
        "{started}"
    );
    go.send(()).expect("it waits");
    let changed = client.receive().await;
    assert_eq!(
        changed["method"], "notifications/tools/list_changed",
        "{changed}"
    );
    assert_eq!(
        changed["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"],
        7
    );
}

#[tokio::test]
async fn tools_that_cannot_be_loaded_end_the_server_with_an_error() {
    let client = Client::with_tools(|| Err("no threads".into()));
    let error = client.ended().await.expect_err("there are no tools");
    assert_eq!(error.to_string(), "the tools cannot be loaded: no threads");
    let client = Client::with_tools(|| panic!("a defect"));
    assert!(matches!(client.ended().await, Err(ServeError::Load(_))));
}
