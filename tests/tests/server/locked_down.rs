//! Places where little is allowed: a lock, the read-only mode, toolsets, one file that says all of
//! it, and a record of who decided what. Nothing that an agent does makes any of that wider.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, ensure};
use rookery_tests::session::Options;
use rookery_tests::wire::Wire;
use rookery_tests::{Session, liar, places};
use serde_json::{Value, json};

/// A directory with projects, and one that is the operator's: no root holds it.
struct Place {
    root: tempfile::TempDir,
    desk: tempfile::TempDir,
}

impl Place {
    fn new() -> Result<Self> {
        Ok(Self {
            root: tempfile::tempdir()?,
            desk: tempfile::tempdir()?,
        })
    }

    fn desk(&self, name: &str) -> PathBuf {
        self.desk.path().join(name)
    }

    fn write(&self, name: &str, text: &str) -> Result<PathBuf> {
        let file = self.desk(name);
        std::fs::write(&file, text)?;
        Ok(file)
    }

    /// A directory of plugins with these files from `dist`.
    fn plugins(&self, files: &[&str]) -> Result<PathBuf> {
        let dir = self.desk("plugins");
        std::fs::create_dir(&dir)?;
        for file in files {
            let name = Path::new(file).file_name().unwrap_or_default();
            std::fs::copy(places::dist().join(file), dir.join(name))?;
        }
        Ok(dir)
    }

    fn options(&self, arguments: &[&str]) -> Options {
        let mut options = Options::new(self.root.path());
        options.arguments = arguments.iter().map(ToString::to_string).collect();
        options
    }

    async fn serve(&self, arguments: &[&str]) -> Result<Session> {
        Session::with(&self.options(arguments)).await
    }

    /// What is in the audit.
    fn audit(&self) -> Result<Vec<Value>> {
        let text = std::fs::read_to_string(self.desk("audit"))?;
        Ok(text
            .lines()
            .map(serde_json::from_str)
            .collect::<Result<_, _>>()?)
    }

    fn demo(&self) -> Result<()> {
        let copy = self.root.path().join("rootfs.tar.gz");
        std::fs::copy(places::demo_rootfs(), copy)?;
        Ok(())
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap_or_default()
}

fn rookery(arguments: &[&str]) -> Result<(bool, String)> {
    let output = Command::new(places::dist().join("rookery"))
        .args(arguments)
        .env_remove("ROOKERY_POLICY")
        .output()?;
    let said = [output.stdout, output.stderr].concat();
    Ok((output.status.success(), String::from_utf8(said)?))
}

/// Every file below `dir` with its bytes.
fn tree(dir: &Path) -> Result<BTreeSet<(PathBuf, Vec<u8>)>> {
    let mut all = BTreeSet::new();
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        if path.is_dir() {
            all.extend(tree(&path)?);
        } else {
            all.insert((path.clone(), std::fs::read(&path)?));
        }
    }
    Ok(all)
}

#[tokio::test]
async fn a_locked_server_refuses_what_was_changed_added_or_removed_by_name() -> Result<()> {
    let place = Place::new()?;
    let plugins = place.plugins(&[
        "plugins/missing_env.wasm",
        "plugins/console.wasm",
        "plugins/netbinds.wasm",
    ])?;
    let lock = place.desk("lock");
    let cache = places::dist().join("cache");
    let (locked, said) = rookery(&[
        "plugins",
        "lock",
        "--lock",
        text(&lock),
        "--plugins",
        text(&plugins),
        "--cache-dir",
        text(&cache),
    ])?;
    ensure!(locked && said.starts_with("locked 3 plugins in "), "{said}");

    let mut options = place.options(&["--locked", "--lock", text(&lock)]);
    options.plugins = vec![plugins.clone()];
    let client = Session::with(&options).await?;
    assert_eq!(
        client.tools().await?,
        ["console", "missing_env", "netbinds"]
    );
    client.close().await?;

    // Sound components, so that nothing but the lock can be against them.
    let dist = places::dist();
    std::fs::copy(
        dist.join("plugins/health.wasm"),
        plugins.join("console.wasm"),
    )?;
    std::fs::copy(
        dist.join("test-plugins/echo.wasm"),
        plugins.join("echo.wasm"),
    )?;
    std::fs::remove_file(plugins.join("netbinds.wasm"))?;
    let client = Session::with(&options).await?;
    assert_eq!(client.tools().await?, ["missing_env"]);
    for (tool, words) in [
        ("console", "`console` was changed"),
        ("echo", "`echo` was added"),
        ("netbinds", "`netbinds` is missing"),
    ] {
        client.logs(words).await?;
        let refused = client.error(tool, json!({})).await?;
        assert!(
            refused.contains(words) && refused.contains("`rookery plugins lock`"),
            "{refused}"
        );
    }
    client.close().await?;

    let (_, said) = rookery(&[
        "plugins",
        "lock",
        "--lock",
        text(&lock),
        "--plugins",
        text(&plugins),
        "--cache-dir",
        text(&cache),
    ])?;
    for change in ["changed console", "added echo", "gone netbinds"] {
        assert!(said.contains(change), "{said}");
    }
    Ok(())
}

#[tokio::test]
async fn a_locked_server_takes_its_rules_from_nowhere_below_a_root() -> Result<()> {
    let place = Place::new()?;
    let inside = place.root.path().join("lock");
    let cache = places::dist().join("cache");
    for lock in [&inside, &place.desk("lock")] {
        let arguments = [
            "plugins",
            "lock",
            "--lock",
            text(lock),
            "--cache-dir",
            text(&cache),
        ];
        assert!(rookery(&arguments)?.0);
    }
    let policy = place.root.path().join("policy.toml");
    std::fs::write(&policy, "")?;
    let audit = place.root.path().join("audit");
    let lock = place.desk("lock");
    for (what, arguments) in [
        ("the lock", vec!["--lock", text(&inside)]),
        (
            "the policy",
            vec!["--lock", text(&lock), "--policy", text(&policy)],
        ),
        (
            "the audit",
            vec!["--lock", text(&lock), "--audit", text(&audit)],
        ),
        (
            "the plugin directory",
            vec!["--lock", text(&lock), "--plugins", text(place.root.path())],
        ),
    ] {
        let serve = ["serve", "--locked", "--root", text(place.root.path())];
        let (started, said) = rookery(&[&serve[..], &arguments].concat())?;
        assert!(!started && said.contains(&format!("{what} ")), "{said}");
        assert!(said.contains("lies below a root"), "{said}");
    }
    assert!(!audit.exists());
    // And without a lock there is nothing that it could serve.
    let (started, said) = rookery(&[
        "serve",
        "--locked",
        "--root",
        text(place.root.path()),
        "--lock",
        text(&place.desk("none")),
    ])?;
    assert!(
        !started && said.contains("`rookery plugins lock` writes one"),
        "{said}"
    );
    Ok(())
}

#[tokio::test]
async fn a_read_only_server_lists_nothing_that_changes_and_refuses_a_call_of_it() -> Result<()> {
    let place = Place::new()?;
    place.demo()?;
    let client = place.serve(&[]).await?;
    let project = json!({"rootfs": "rootfs.tar.gz", "output": "router"});
    client.ok("init_project", project).await?;
    let all = client.definitions().await?;
    client.close().await?;

    let before = tree(place.root.path())?;
    let audit = place.desk("audit");
    let client = place
        .serve(&["--read-only", "--audit", text(&audit)])
        .await?;
    let listed: BTreeSet<_> = client.tools().await?.into_iter().collect();
    assert!(listed.contains("health") && listed.contains("run_wait"));
    for (tool, definition) in &all {
        let reads = definition["annotations"]["readOnlyHint"] == true;
        assert_eq!(listed.contains(tool), reads, "{tool}");
        if !reads {
            let arguments = json!({"project_dir": "router", "key": "a", "value": "b"});
            let refused = client.error(tool, arguments).await?;
            assert!(
                refused.contains("read-only") && refused.contains("read_only = false"),
                "{tool}: {refused}"
            );
        }
    }
    client
        .ok("show_patch", json!({"project_dir": "router"}))
        .await?;
    client.close().await?;
    assert_eq!(
        tree(place.root.path())?,
        before,
        "nothing below the root has changed"
    );
    let lines = place.audit()?;
    let refused = |line: &&Value| line["event"] == "call" && line["outcome"] == "denied";
    let refused: Vec<_> = lines.iter().filter(refused).collect();
    assert_eq!(refused.len(), all.len() - listed.len());
    assert!(refused.iter().all(|line| line["rule"] == "serve.read_only"));
    Ok(())
}

#[tokio::test]
async fn only_the_tools_of_the_chosen_sets_are_served() -> Result<()> {
    let place = Place::new()?;
    let sets = "[toolsets]\nmine = ['run', 'helth']\n[serve]\ntoolsets = ['look']\n";
    let policy = place.write("policy.toml", sets)?;
    let client = place.serve(&["--policy", text(&policy)]).await?;
    assert_eq!(client.tools().await?, ["read_firmware", "read_results"]);
    client.logs("did you mean health?").await?;
    let refused = client.error("run", json!({"project_dir": "x"})).await?;
    assert!(
        refused.contains(r#"toolsets = ["look", "mine"]"#),
        "{refused}"
    );
    client.close().await?;
    // The command line counts where both say something.
    let client = place
        .serve(&["--policy", text(&policy), "--toolsets", "mine,project"])
        .await?;
    assert_eq!(client.tools().await?, ["init_project", "run"]);
    client.close().await?;
    let serve = ["serve", "--root", text(place.root.path())];
    let (started, said) = rookery(&[&serve[..], &["--toolsets", "diagnos"]].concat())?;
    assert!(
        !started && said.contains("change, diagnose, look"),
        "{said}"
    );
    Ok(())
}

#[tokio::test]
async fn one_file_says_all_that_the_command_line_could() -> Result<()> {
    let place = Place::new()?;
    place.demo()?;
    let plugins = places::dist().join("plugins");
    let policy = format!(
        "[serve]\nroots = [{:?}]\nplugins = [{plugins:?}]\nports = '80=45080'\n\
         guest_memory_mib = 512\naudit = 'audit'\nlock = 'lock'\ntoolsets = ['project']\n",
        place.root.path()
    );
    let policy = place.write("policy.toml", &policy)?;
    let cache = places::dist().join("cache");
    let files = ["--policy", text(&policy), "--cache-dir", text(&cache)];
    let (locked, said) = rookery(&[&["plugins", "lock"], &files[..]].concat())?;
    ensure!(locked && place.desk("lock").exists(), "{said}");
    let mut command = Command::new(places::dist().join("rookery"));
    command
        .arg("serve")
        .args(files)
        .arg("--state-dir")
        .arg(place.desk("state"));
    let mut wire = Wire::start(command)?;
    wire.greet()?;
    let listed = wire.request("tools/list", &json!({}))?;
    let names: Vec<_> = listed["tools"].as_array().into_iter().flatten().collect();
    assert_eq!(names.len(), 1);
    assert_eq!(names[0]["name"], "init_project");
    wire.call(
        "init_project",
        &json!({"rootfs": "rootfs.tar.gz", "output": "router"}),
    )?;
    drop(wire);
    let lines = place.audit()?;
    assert_eq!(lines[0]["event"], "start");
    assert_eq!(lines[0]["locked"], true);
    assert_eq!(lines[0]["toolsets"], json!(["project"]));
    assert_eq!(lines[0]["policy"].as_str().map(str::len), Some(64));
    Ok(())
}

#[tokio::test]
async fn every_decision_is_recorded_with_the_rule_that_made_it() -> Result<()> {
    let place = Place::new()?;
    std::fs::create_dir(place.desk("odd"))?;
    liar::write(b'm', &place.desk("odd/mine.wasm"))?; // its tool is called `health_v2`
    std::fs::copy(
        places::dist().join("plugins/set_env.wasm"),
        place.desk("odd/set_env.wasm"),
    )?;
    std::fs::copy(
        places::dist().join("plugins/guest_cmd.wasm"),
        place.desk("odd/guest_cmd.wasm"),
    )?;
    let granted = "[plugin.set_env]\ngrant = ['config-mutation']\n";
    let policy = place.write("policy.toml", granted)?;
    let audit = place.write("audit", "{\"kept\": true}\n")?;
    let mut options = place.options(&["--policy", text(&policy)]);
    options.plugins = vec![place.desk("odd")];
    options.fill_cache()?;
    options
        .arguments
        .extend(["--audit".to_owned(), text(&audit).to_owned()]);
    let client = Session::with(&options).await?;
    assert_eq!(client.tools().await?, ["set_env"]);
    let set = json!({"project_dir": "/nowhere/secret", "key": "a", "value": "b"});
    client.error("set_env", set).await?;
    client.error("set_env", json!({"project_dir": 5})).await?;
    assert!(client.call("no_such_tool", json!({})).await.is_err());
    client.error("guest_cmd", json!({})).await?;
    client.close().await?;

    let lines = place.audit()?;
    assert_eq!(lines[0], json!({"kept": true}), "what was there stays");
    let find = |wanted: &[(&str, &str)]| {
        let has = |line: &&Value| wanted.iter().all(|(key, value)| line[*key] == *value);
        let found = lines.iter().find(has);
        found.ok_or_else(|| anyhow::anyhow!("{wanted:?} is not in {lines:#?}"))
    };
    let rules = &find(&[("decision", "granted"), ("plugin", "set_env")])?["rules"];
    assert_eq!(rules["config-mutation"], "[plugin.\"set_env\"] grant");
    assert!(
        rules.as_object().is_some_and(|rules| rules.len() > 1),
        "{rules}"
    );
    find(&[
        ("decision", "refused"),
        ("plugin", "guest_cmd"),
        ("rule", "[plugin.\"guest_cmd\"] grant"),
    ])?;
    find(&[
        ("decision", "refused"),
        ("plugin", "mine"),
        ("rule", "[plugin.\"mine\"] lookalikes"),
    ])?;
    // A refusal of the host, within a call that was granted.
    let reason = &find(&[("decision", "refused"), ("tool", "set_env")])?["reason"];
    assert!(
        reason
            .as_str()
            .is_some_and(|why| why.contains("outside the roots"))
    );
    let calls = lines.iter().filter(|line| line["event"] == "call");
    let calls: Vec<_> = calls
        .map(|line| (&line["tool"], &line["outcome"]))
        .collect();
    let (set_env, no_such) = (json!("set_env"), json!("no_such_tool"));
    let guest_cmd = json!("guest_cmd");
    assert_eq!(
        calls,
        [
            (&set_env, &json!("denied")),
            (&set_env, &json!("invalid-argument")),
            (&no_such, &json!("unknown-tool")),
            (&guest_cmd, &json!("denied")),
        ]
    );
    Ok(())
}

#[tokio::test]
async fn a_refusal_quotes_the_line_that_changes_it() -> Result<()> {
    let place = Place::new()?;
    let other = tempfile::tempdir()?;
    let other = other.path().canonicalize()?;
    std::fs::copy(places::demo_rootfs(), other.join("rootfs.tar.gz"))?;
    let make = json!({"rootfs": other.join("rootfs.tar.gz"), "output": other.join("router")});
    let client = place.serve(&[]).await?;
    let refused = client.error("init_project", make.clone()).await?;
    let (_, line) = refused.split_once("[serve]: ").unwrap_or_default();
    client.close().await?;
    // What was asked for was a file; the operator allows its directory.
    let line = line.replace("/rootfs.tar.gz", "");
    let policy = place.write("policy.toml", &format!("[serve]\n{line}\n"))?;
    let mut command = Command::new(places::dist().join("rookery"));
    command.args(["serve", "--policy", text(&policy), "--state-dir"]);
    command
        .arg(place.desk("state"))
        .arg("--cache-dir")
        .arg(places::dist().join("cache"));
    let mut wire = Wire::start(command)?;
    wire.greet()?;
    wire.call("init_project", &make)?;
    Ok(())
}

#[tokio::test]
async fn nothing_that_an_agent_does_widens_what_was_granted() -> Result<()> {
    let place = Place::new()?;
    place.demo()?;
    let policy = place.write(
        "policy.toml",
        "[serve]\ntoolsets = ['project', 'change', 'look']\n",
    )?;
    // Even where the operator keeps the rules below a root.
    let inside = place.root.path().join("plugins");
    std::fs::create_dir(&inside)?;
    let mut options = place.options(&["--policy", text(&policy)]);
    options.plugins.push(inside.clone());
    let client = Session::with(&options).await?;
    let make = |output: &str| json!({"rootfs": "rootfs.tar.gz", "output": output});
    client.ok("init_project", make("router")).await?;
    // A project is not a component, and takes the place of no file.
    client.ok("init_project", make("plugins/evil.wasm")).await?;
    client.error("init_project", make(text(&policy))).await?;
    for (key, value) in [
        ("serve.read_only", json!(false)),
        ("core.policy", json!("/tmp/policy.toml")),
        ("plugin.set_env.grant", json!(["live"])),
    ] {
        let set = json!({"project_dir": "router", "key": key, "value": value});
        let _ = client.call("set_config", set).await?;
    }
    client
        .error("run", json!({"project_dir": "router"}))
        .await?;
    // Not even the operator's own change, until the next start.
    std::fs::write(&policy, "")?;
    client
        .error("run", json!({"project_dir": "router"}))
        .await?;
    client.close().await?;
    std::fs::write(
        &policy,
        "[serve]\ntoolsets = ['project', 'change', 'look']\n",
    )?;
    let client = Session::with(&options).await?;
    client
        .error("run", json!({"project_dir": "router"}))
        .await?;
    client.logs("evil.wasm: it is not a regular file").await?;
    client.close().await
}
