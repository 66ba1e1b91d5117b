//! Bad input gets a clear error that says what to do, and nothing is lost.

use std::fs;
use std::path::Path;

use anyhow::Result;
use rookery_tests::{Session, places};
use serde_json::{Value, json};

async fn router(root: &Path) -> Result<Session> {
    fs::copy(places::demo_rootfs(), root.join("rootfs.tar.gz"))?;
    let client = Session::new(root).await?;
    client
        .ok(
            "init_project",
            json!({"rootfs": "rootfs.tar.gz", "output": "router"}),
        )
        .await?;
    Ok(client)
}

#[tokio::test]
async fn wrong_arguments_are_all_named_with_a_correct_call() -> Result<()> {
    let root = tempfile::tempdir()?;
    let client = router(root.path()).await?;
    let text = client
        .error("set_env", json!({"project": "router", "key": 5}))
        .await?;
    for hint in ["project", "project_dir", "key", "value", "set_env"] {
        assert!(text.contains(hint), "{hint} is not mentioned: {text}");
    }
    client.close().await
}

#[tokio::test]
async fn a_project_outside_the_roots_is_refused_by_every_way_in() -> Result<()> {
    let (root, outside) = (tempfile::tempdir()?, tempfile::tempdir()?);
    let client = router(root.path()).await?;
    fs::write(outside.path().join("config.yaml"), "core: {version: 2}\n")?;
    std::os::unix::fs::symlink(outside.path(), root.path().join("link"))?;
    for dir in [
        outside.path().to_str().unwrap_or_default(),
        "link",
        "../",
        "router/../../etc",
        "/etc",
    ] {
        for tool in ["show_patch", "health", "run"] {
            let text = client.error(tool, json!({"project_dir": dir})).await?;
            assert!(!text.contains("panicked"), "{tool} {dir}: {text}");
        }
    }
    assert!(!outside.path().join("patch_90_mcp.yaml").exists());
    client.close().await
}

#[tokio::test]
async fn a_change_that_would_brick_the_project_is_refused_and_nothing_is_written() -> Result<()> {
    let root = tempfile::tempdir()?;
    let client = router(root.path()).await?;
    client
        .ok(
            "set_env",
            json!({"project_dir": "router", "key": "kept", "value": "yes"}),
        )
        .await?;
    let before = fs::read(root.path().join("router/patch_90_mcp.yaml"))?;
    let bad: [(&str, Value); 6] = [
        (
            "set_env",
            json!({"project_dir": "router", "key": "two words", "value": "x"}),
        ),
        (
            "add_netdev",
            json!({"project_dir": "router", "name": "a-name-that-is-far-too-long"}),
        ),
        (
            "block_signal",
            json!({"project_dir": "router", "signum": 900}),
        ),
        (
            "add_pseudofile",
            json!({"project_dir": "router", "path": "/dev/x", "read": {"model": "no_such_model"}}),
        ),
        (
            "add_static_file",
            json!({
                "project_dir": "router",
                "path": "/../../x",
                "spec": {"type": "inline_file", "contents": ""}
            }),
        ),
        (
            "add_static_file",
            json!({"project_dir": "router", "path": "/x", "spec": {"type": "file"}}),
        ),
    ];
    for (tool, arguments) in bad {
        client.error(tool, arguments).await?;
        assert_eq!(
            fs::read(root.path().join("router/patch_90_mcp.yaml"))?,
            before,
            "{tool} wrote something"
        );
    }
    client.close().await
}

#[tokio::test]
async fn odd_strings_survive_a_change_and_the_project_still_loads() -> Result<()> {
    let root = tempfile::tempdir()?;
    let client = router(root.path()).await?;
    let odd = [
        "on",
        "08",
        "0755",
        "0o755",
        "1e3",
        "~",
        "null",
        "2001-01-01",
        "12:30",
        "{{7*7}}",
        "${#x}",
        "🦀",
        "a\nb",
        "{% raw %}",
        "yes",
        "",
    ];
    for (i, value) in odd.iter().enumerate() {
        client
            .ok(
                "set_nvram",
                json!({"project_dir": "router", "key": format!("k{i}"), "value": value}),
            )
            .await?;
    }
    let patch = client
        .ok("show_patch", json!({"project_dir": "router"}))
        .await?;
    for (i, value) in odd.iter().enumerate() {
        assert_eq!(patch["patch"]["nvram"][format!("k{i}")], **value, "{patch}");
    }

    // A client never sees a raw control character, so this one is looked for in the file: escaped,
    // since YAML takes no raw one.
    let bell = json!({"project_dir": "router", "key": "bell", "value": "\u{7}"});
    client.ok("set_nvram", bell).await?;
    let yaml = fs::read_to_string(root.path().join("router/patch_90_mcp.yaml"))?;
    assert!(
        yaml.contains("\"\\x07\"") || yaml.contains("\"\\a\""),
        "{yaml}"
    );
    client.close().await
}

#[tokio::test]
async fn a_patch_edited_by_hand_into_nonsense_is_named_and_kept() -> Result<()> {
    let root = tempfile::tempdir()?;
    let client = router(root.path()).await?;
    let file = root.path().join("router/patch_90_mcp.yaml");
    fs::write(&file, "env: [unclosed")?;
    let text = client
        .error(
            "set_env",
            json!({"project_dir": "router", "key": "a", "value": "b"}),
        )
        .await?;
    assert!(text.contains("patch_90_mcp.yaml"), "{text}");
    assert_eq!(fs::read_to_string(&file)?, "env: [unclosed");
    client.close().await
}

#[tokio::test]
async fn hostile_archives_make_no_project_and_touch_nothing_outside() -> Result<()> {
    let root = tempfile::tempdir()?;
    let client = Session::new(root.path()).await?;
    fs::write(root.path().join("junk.tar.gz"), "no archive")?;
    fs::write(root.path().join("empty.tar"), [0; 1024])?;
    for (archive, what) in [
        ("junk.tar.gz", "not an archive"),
        ("empty.tar", "empty"),
        ("missing.tar.gz", "missing"),
        ("/etc/passwd", "outside"),
    ] {
        client
            .error("init_project", json!({"rootfs": archive, "output": "out"}))
            .await?;
        assert!(
            !root.path().join("out").exists(),
            "an archive that is {what} left a project"
        );
    }
    let mut left: Vec<_> = fs::read_dir(root.path())?
        .flatten()
        .map(|entry| entry.file_name())
        .filter(|name| name != ".home") // the server's own state
        .collect();
    left.sort();
    assert_eq!(left, ["empty.tar", "junk.tar.gz"]);
    client.close().await
}

#[tokio::test]
async fn a_result_directory_of_junk_is_an_answer() -> Result<()> {
    let root = tempfile::tempdir()?;
    let client = router(root.path()).await?;
    let results = root.path().join("router/results/0");
    fs::create_dir_all(&results)?;
    fs::write(results.join("health_final.yaml"), "{{{{ : not yaml")?;
    fs::write(results.join("netbinds.csv"), b"\xff\xfe,,,\n\"")?;
    fs::write(
        results.join("plugins.db"),
        "SQLite format 3\0 and then nothing",
    )?;
    fs::write(results.join("console.log"), [0xff; 4096])?;
    std::os::unix::fs::symlink("/etc/passwd", results.join("env_missing.yaml"))?;
    for tool in [
        "health",
        "missing_env",
        "pseudofile_failures",
        "netbinds",
        "console",
        "missing_files",
    ] {
        let answer = client.call(tool, json!({"project_dir": "router"})).await?;
        let all = format!("{}{}", answer.text, answer.value);
        assert!(
            !all.contains("panicked") && !all.contains("root:x:0"),
            "{tool}: {all}"
        );
    }
    client.close().await
}
