//! Clients in a strict mode send every property, and something empty for what they leave out;
//! others send text for everything.

use std::fs;
use std::path::Path;

use anyhow::Result;
use rookery_tests::{Session, places};
use serde_json::{Value, json};

async fn router(root: &Path) -> Result<Session> {
    fs::copy(places::demo_rootfs(), root.join("rootfs.tar.gz"))?;
    let client = Session::new(root).await?;
    let made = json!({"rootfs": "rootfs.tar.gz", "output": "router"});
    client.ok("init_project", made).await?;
    let results = root.join("router/results/0");
    fs::create_dir_all(&results)?;
    fs::write(results.join("console.log"), "httpd: board not found\n")?;
    Ok(client)
}

#[tokio::test]
async fn what_is_empty_without_meaning_counts_as_left_out() -> Result<()> {
    let root = tempfile::tempdir()?;
    let client = router(root.path()).await?;
    for nothing in [Value::Null, json!(""), json!({}), json!([])] {
        for (tool, arguments) in [
            (
                "console",
                json!({"project_dir": "router", "results_dir": nothing, "max_lines": nothing}),
            ),
            (
                "netbinds",
                json!({"project_dir": "router", "results_dir": nothing, "state": nothing}),
            ),
            (
                "missing_files",
                json!({
                    "project_dir": "router",
                    "results_dir": nothing,
                    "procname": nothing,
                    "limit": nothing
                }),
            ),
            (
                "set_env",
                json!({"project_dir": "router", "key": "a", "value": "b", "dry_run": nothing}),
            ),
            (
                "reset_patch",
                json!({"project_dir": "router", "to_revision": nothing, "dry_run": true}),
            ),
            (
                "add_pseudofile",
                json!({
                    "project_dir": "router",
                    "path": "/dev/x",
                    "read": nothing,
                    "write": nothing,
                    "ioctl": nothing
                }),
            ),
        ] {
            let answer = client.call(tool, arguments.clone()).await?;
            assert!(!answer.is_error, "{tool}({arguments}): {}", answer.text);
        }
    }
    let lines = client
        .ok("console", json!({"project_dir": "router", "pattern": ""}))
        .await?;
    assert_eq!(lines["total"], 1);
    client.close().await
}

#[tokio::test]
async fn an_object_with_every_field_means_those_that_say_something() -> Result<()> {
    let root = tempfile::tempdir()?;
    let client = router(root.path()).await?;
    let read = json!({"model": "const_buf", "val": "ready", "vals": null, "filename": ""});
    let file = json!({
        "project_dir": "router",
        "dry_run": "false",
        "path": "/dev/panel",
        "read": read,
        "write": "",
        "ioctl": {}
    });
    client.ok("add_pseudofile", file).await?;
    let spec = json!({
        "type": "symlink",
        "contents": "",
        "mode": "",
        "host_path": "",
        "target": "/bin/sh",
        "devtype": "",
        "major": 0,
        "minor": 0,
        "from": "",
        "file_offset": null,
        "hex_bytes": ""
    });
    let link = json!({"project_dir": "router", "path": "/bin/ash2", "spec": spec});
    client.ok("add_static_file", link).await?;
    let patch = client
        .ok("show_patch", json!({"project_dir": "router"}))
        .await?;
    let patch = &patch["patch"];
    assert_eq!(
        patch["pseudofiles"]["/dev/panel"],
        json!({"read": {"model": "const_buf", "val": "ready"}})
    );
    assert_eq!(patch["static_files"]["/bin/ash2"]["target"], "/bin/sh");
    client.close().await
}

#[tokio::test]
async fn a_scalar_of_another_type_is_taken_where_nothing_can_be_misread() -> Result<()> {
    let root = tempfile::tempdir()?;
    let client = router(root.path()).await?;
    let number = json!({"project_dir": "router", "key": "sxid", "value": 8, "dry_run": "true"});
    let tried = client.ok("set_env", number.clone()).await?;
    assert_eq!(tried["dry_run"], true, "{tried}");
    client
        .ok(
            "set_env",
            json!({"project_dir": "router", "key": "sxid", "value": 8}),
        )
        .await?;
    let patch = client
        .ok("show_patch", json!({"project_dir": "router"}))
        .await?;
    assert_eq!(patch["patch"]["env"]["sxid"], "8");
    for unclear in [json!(8.0), json!(true), json!(1.5)] {
        let text = client
            .error(
                "set_env",
                json!({"project_dir": "router", "key": "sxid", "value": unclear}),
            )
            .await?;
        assert!(text.contains("must be a string"), "{text}");
    }
    client.close().await
}
