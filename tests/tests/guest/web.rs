//! Web services of a guest that tools ask over HTTP and TLS, with redirects.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rookery_tests::firmware::tool;
use rookery_tests::session::Options;
use rookery_tests::{Session, Skip, doctor};
use serde_json::{Value, json};

/// This machine's own program is the guest's web server. Pages of `-HTTP` are whole answers.
const SERVER: &str = "/usr/bin/openssl";
const INIT: &str = "#!/bin/sh\ncd /www\n\
                    exec /usr/bin/openssl s_server -quiet -accept 443 \
                    -cert /etc/cert.pem -key /etc/key.pem -HTTP\n";
const PAGES: [(&str, &str); 2] = [
    (
        "start",
        "HTTP/1.1 302 Found\r\nLocation: https://router.lan/page\r\nContent-Length: 0\r\n\r\n",
    ),
    (
        "page",
        "HTTP/1.1 200 OK\r\nServer: ours\r\n\r\n<title>It lives</title>",
    ),
];

/// A program of this machine and what it is linked with, at the same places below `root`.
fn install(program: &str, root: &Path) -> Result<()> {
    let linked = Command::new("ldd").arg(program).output()?;
    ensure!(linked.status.success(), "{linked:?}");
    let linked = String::from_utf8(linked.stdout)?;
    let files = linked
        .split_whitespace()
        .filter(|word| word.starts_with('/'));
    for file in files.chain([program]) {
        let to = root.join(file.trim_start_matches('/'));
        std::fs::create_dir_all(to.parent().context("a directory")?)?;
        std::fs::copy(file, to).with_context(|| file.to_owned())?;
    }
    Ok(())
}

/// An archive of a firmware that serves [`PAGES`] over TLS.
fn firmware(dir: &Path) -> Result<()> {
    let root = dir.join("tree");
    for folder in ["bin", "sbin", "etc", "dev", "proc", "sys", "tmp", "www"] {
        std::fs::create_dir_all(root.join(folder))?;
    }
    install(SERVER, &root)?;
    install("/bin/sh", &root)?;
    for (name, page) in PAGES {
        std::fs::write(root.join("www").join(name), page)?;
    }
    let init = root.join("sbin/init");
    std::fs::write(&init, INIT)?;
    std::fs::set_permissions(init, std::fs::Permissions::from_mode(0o755))?;
    let (key, certificate) = (root.join("etc/key.pem"), root.join("etc/cert.pem"));
    let (key, certificate) = (key.to_str().context("UTF-8")?, certificate.to_str());
    let new = [
        "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1",
    ];
    let of = ["-subj", "/CN=router", "-keyout", key, "-out"];
    let out = [certificate.context("UTF-8")?];
    tool(SERVER, &[&new[..], &of, &out].concat(), dir)?;
    tool("tar", &["czf", "rootfs.tar.gz", "-C", "tree", "."], dir)
}

async fn a_guest_is_asked_over_tls_and_its_redirects_stay_in_it() -> Result<()> {
    doctor::needs_emulator()?;
    if !Path::new(SERVER).exists() {
        return Err(Skip::missing(format!("there is no {SERVER}")).into());
    }
    let root = tempfile::tempdir()?;
    firmware(root.path())?;
    let policy = root.path().join("policy.toml");
    std::fs::write(&policy, "[plugin.asks]\ngrant = ['http']\n")?;
    let mut options = Options::new(root.path()).with_test_plugins();
    let policy = policy.to_str().context("UTF-8")?;
    options.arguments = ["--policy", policy].map(str::to_owned).into();
    options.fill_cache()?;
    let client = Session::with(&options).await?;
    let make = json!({ "rootfs": "rootfs.tar.gz", "output": "router" });
    client.ok("init_project", make).await?;
    let run = json!({ "project_dir": "router", "timeout": 120, "wait_s": 0 });
    let run = client.ok("run", run).await?;
    let run_id = run["run_id"].as_str().context("a run id")?;
    let ask = |url: &str| client.call("asks", json!({ "run_id": run_id, "url": url }));

    let begun = Instant::now();
    let answer = loop {
        let answer = ask("https://127.0.0.1/start").await?;
        if !answer.is_error {
            break answer.value;
        }
        ensure!(begun.elapsed() < Duration::from_mins(1), "{}", answer.text);
        tokio::time::sleep(Duration::from_millis(250)).await;
    };
    let got = |path: &str| answer.pointer(path).cloned().unwrap_or(Value::Null);
    assert_eq!(got("/url"), "https://router.lan/page", "{answer}");
    assert_eq!(
        (got("/status"), got("/redirects/0/status")),
        (json!(200), json!(302))
    );
    assert_eq!(got("/body/text"), "<title>It lives</title>");
    assert_eq!(got("/tls/subject"), "CN=router");
    assert_eq!(got("/tls/sha256").as_str().map(str::len), Some(64));

    let closed = ask("http://127.0.0.1/").await?;
    assert!(closed.text.contains("nothing answers"), "{}", closed.text);
    let plain = ask("http://127.0.0.1:443/page").await?;
    assert!(plain.is_error, "{}", plain.text);
    client.ok("run_stop", json!({ "run_id": run_id })).await?;
    client.close().await
}

/// All of them.
pub fn trials() -> Vec<rookery_tests::Trial> {
    rookery_tests::trials![a_guest_is_asked_over_tls_and_its_redirects_stay_in_it]
}
