//! Promises of a server whose tools take long to load.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use rookery_server::{GRACE, ServeError};
use serde_json::json;

use crate::support::{Client, initialize};
use crate::tools::Fixtures;

#[tokio::test]
async fn the_client_is_greeted_before_the_tools_are_there_and_the_list_waits_for_them() {
    let (go, wait) = mpsc::channel();
    let mut client = Client::with_tools(move || {
        wait.recv().expect("the test says when");
        Ok(Fixtures::new())
    });
    let reply = client
        .request(json!(0), "initialize", initialize("2025-11-25"))
        .await;
    assert_eq!(reply["result"]["serverInfo"]["name"], "rookery");
    client
        .send(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#)
        .await;
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
        Ok(Fixtures::new())
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

#[tokio::test]
async fn tools_that_cannot_be_loaded_end_the_server_with_an_error() {
    let client = Client::with_tools(|| Err("no threads".into()));
    let error = client.ended().await.expect_err("there are no tools");
    assert_eq!(error.to_string(), "the tools cannot be loaded: no threads");
    let client = Client::with_tools(|| panic!("a defect"));
    assert!(matches!(client.ended().await, Err(ServeError::Load(_))));
}
