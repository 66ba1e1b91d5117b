//! Live control of guests by a client over stdio: of one that Penguin runs, with stand-ins for its
//! wrapper, its engine and its sockets, and of one of the embedded emulator, which is real. Penguin
//! itself is not run here.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use rookery_tests::wire::Wire;
use rookery_tests::{penguin, places, processes};
use serde_json::{Value, json};

/// Writes what Penguin writes of its run, and goes on until it is interrupted.
const WRAPPER: &str = r#"#!/bin/sh
while [ $# -gt 0 ]; do [ "$1" = --output ] && OUT=$2; shift; done
mkdir -p "$OUT"; cp "$STAND_IN"/files/* "$OUT/"; echo "$OUT" > "$STAND_IN/out.new"
mv "$STAND_IN/out.new" "$STAND_IN/out"
until [ -e "$STAND_IN/interrupted" ]; do sleep 0.1; done
touch "$OUT/.ran"; echo '{"binds": []}' > "$OUT/summary.json"
"#;

/// Its container is this machine.
const ENGINE: &str = r#"#!/bin/sh
echo "$1 $2 $3" >> "$STAND_IN/engine"
case $1 in
  kill) touch "$STAND_IN/interrupted" ;;
  exec) shift 3; exec "$@" ;;
esac
exit 0
"#;

struct Penguin {
    home: tempfile::TempDir,
}

impl Penguin {
    /// A machine with a stand-in for Penguin, whose guest has a service behind the bridge.
    fn new(policy: &str) -> Result<Self> {
        let penguin = Self {
            home: tempfile::tempdir()?,
        };
        for (name, script) in [("penguin", WRAPPER), ("docker", ENGINE)] {
            let path = penguin.path("bin").join(name);
            fs::create_dir_all(penguin.path("bin"))?;
            fs::write(&path, script)?;
            fs::set_permissions(path, fs::Permissions::from_mode(0o755))?;
        }
        let project = penguin.path("router");
        fs::create_dir_all(project.join("base"))?;
        fs::copy(places::demo_rootfs(), project.join("base/fs.tar.gz"))?;
        let config = "core: {version: 2, arch: armel, guest_cmd: true}\n\
                      env: {igloo_init: /sbin/init}\n\
                      pseudofiles: {}\nnvram: {}\nlib_inject: {}\nstatic_files: {}\n\
                      plugins: {remotectrl: {}}\n";
        fs::write(project.join("config.yaml"), config)?;
        fs::write(penguin.path("policy.toml"), policy)?;

        let files = penguin.path("files");
        fs::create_dir(&files)?;
        let socket = penguin.path("vsocket");
        penguin::serve_commands(UnixListener::bind(&socket)?);
        let runtime = format!(
            "guest_cmd: true\nvpn_enabled: true\nvsock_uds_path: {}\n",
            socket.display()
        );
        fs::write(files.join("runtime.yaml"), runtime)?;
        fs::write(files.join("guest_ip"), "127.0.0.1")?;
        fs::write(
            files.join("core_plugins.yaml"),
            "remotectrl: {enabled: true}\n",
        )?;
        let snapshots = "core: {snapshot: {save_at: manual, tag: warm}}\n";
        fs::write(files.join("core_config.yaml"), snapshots)?;
        let (answers, closes) = (
            penguin::bridge(b"HTTP/1.0 200 OK\r\n\r\nhi")?,
            penguin::bridge(b"")?,
        );
        let bridges = format!(
            "procname,ipvn,domain,guest_ip,guest_port,host_port\n\
             httpd,ipv4,tcp,0.0.0.0,80,{answers}\nhttpd,ipv4,tcp,0.0.0.0,81,{closes}\n"
        );
        fs::write(files.join("vpn_bridges.csv"), bridges)?;
        Ok(penguin)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// A client of a server on this machine.
    fn client(&self) -> Result<Wire> {
        let dist = places::dist();
        let mut command = Command::new(dist.join("rookery"));
        command
            .args(["serve", "--root"])
            .arg(self.home.path())
            .arg("--cache-dir")
            .arg(dist.join("cache"))
            .arg("--plugins")
            .arg(dist.join("plugins"))
            .arg("--policy")
            .arg(self.path("policy.toml"))
            .env("STAND_IN", self.home.path())
            .env("HOME", self.home.path())
            .env(
                "PATH",
                format!("{}:/usr/bin:/bin", self.path("bin").display()),
            )
            .stderr(Stdio::null());
        let mut client = Wire::start(command)?;
        client.greet()?;
        Ok(client)
    }

    /// A client, and the id of a run that is up, with its remote control.
    fn running(&self) -> Result<(Wire, String)> {
        let mut client = self.client()?;
        let run = json!({
            "project_dir": self.path("router"), "backend": "penguin", "wait_s": 0, "timeout": 120
        });
        let run = client.call("run", &run)?;
        let up = processes::eventually(Duration::from_mins(1), || self.path("out").exists());
        ensure!(up, "the stand-in was not started: {run}");
        let out = fs::read_to_string(self.path("out"))?;
        let socket = Path::new(out.trim()).join("remotectrl.sock");
        penguin::serve_remote_control(UnixListener::bind(socket)?);
        let run_id = run["run_id"].as_str().context("a run id")?.to_owned();
        Ok((client, run_id))
    }
}

/// What a call that must fail says.
fn refusal(client: &mut Wire, tool: &str, arguments: &Value) -> Result<String> {
    let params = json!({"name": tool, "arguments": arguments});
    let result = client.request("tools/call", &params)?;
    ensure!(
        result["isError"] == true,
        "{tool} was not refused: {result}"
    );
    Ok(result["content"].to_string())
}

async fn a_guest_of_penguin_executes_commands_and_answers_at_its_ports() -> Result<()> {
    let penguin = Penguin::new("")?;
    let (mut client, run_id) = penguin.running()?;
    let line = "echo out; echo err >&2; exit 3";
    let ran = client.call("guest_cmd", &json!({"run_id": run_id, "command": line}))?;
    assert_eq!(
        (&ran["exit_code"], &ran["stdout"], &ran["stderr"]),
        (&json!(3), &json!("out\n"), &json!("err\n"))
    );
    let engine = fs::read_to_string(penguin.path("engine"))?;
    assert!(engine.contains("exec -i rookery-"), "{engine}");
    let page = client.call("guest_request", &json!({"run_id": run_id, "timeout_s": 2}))?;
    assert_eq!(
        (&page["status"], &page["guest_answered"]),
        (&json!(200), &json!(true))
    );
    let closed = json!({"run_id": run_id, "port": 81, "timeout_s": 2});
    let closed = client.call("guest_request", &closed)?;
    assert_eq!(closed["guest_answered"], false, "{closed}");
    assert!(
        closed["note"].to_string().contains("not the guest"),
        "{closed}"
    );
    let none = client.call("guest_request", &json!({"run_id": run_id, "port": 8080}))?;
    assert!(
        none["error"].to_string().contains("bridges to 80, 81"),
        "{none}"
    );
    // A stop does not wait for a command.
    let endless = json!({"name": "guest_cmd", "arguments": {
        "run_id": run_id, "command": "sleep 20", "timeout_s": 25
    }});
    client.send(&json!({
        "jsonrpc": "2.0", "id": 9000, "method": "tools/call", "params": endless
    }))?;
    let stopped = client.call("run_stop", &json!({"run_id": run_id}))?;
    assert_ne!(stopped["status"], "failed", "{stopped}");
    let ended = client.call("run_wait", &json!({"run_id": run_id, "wait_s": 30}))?;
    assert_eq!(ended["status"], "stopped", "{ended}");
    Ok(())
}

async fn a_guest_of_penguin_is_hooked_saved_and_its_plugins_are_the_operators() -> Result<()> {
    let penguin = Penguin::new("[penguin]\nplugins = [\"crashes\"]\n")?;
    let (mut client, run_id) = penguin.running()?;
    let hook =
        |action: &str| json!({"run_id": run_id, "op": "add", "at": "sys_read", "action": action});
    let hooked = client.call("guest_hook", &hook("print %fd, %s"))?;
    assert_eq!(hooked["hook_id"], 1, "{hooked}");
    let refused = refusal(&mut client, "guest_hook", &hook("break"))?;
    assert!(refused.contains("stands still"), "{refused}");
    let out = fs::read_to_string(penguin.path("out"))?;
    let log = Path::new(out.trim()).join("rookery_hook_1.log");
    fs::write(log, "syscall:sys_read(3(/etc/x), \"\u{1b}\")\n")?;
    let read = json!({"run_id": run_id, "op": "read", "hook_id": 1});
    let read = client.call("guest_hook", &read)?;
    assert_eq!(read["text"], "syscall:sys_read(3(/etc/x), \"\\u{1b}\")\n");
    let listed = client.call("guest_hook", &json!({"run_id": run_id, "op": "list"}))?;
    assert_eq!(listed["hooks"][0]["target"], "sys_read", "{listed}");

    let change = |name: &str| json!({"run_id": run_id, "op": "load", "name": name});
    let refused = refusal(&mut client, "penguin_plugin", &change("rw_logger"))?;
    let line = ": plugins = [\"crashes\", \"rw_logger\"]";
    assert!(refused.replace('\\', "").contains(line), "{refused}");
    client.call("penguin_plugin", &change("crashes"))?;
    let path = refusal(&mut client, "penguin_plugin", &change("/tmp/x.py"))?;
    assert!(path.contains("not the name of a plugin"), "{path}");

    let snapshot = |op: &str| json!({"run_id": run_id, "op": op});
    let early = refusal(&mut client, "guest_snapshot", &snapshot("load"))?;
    assert!(early.contains("new overlay"), "{early}");
    let saved = client.call("guest_snapshot", &snapshot("save"))?;
    assert_eq!(saved["tag"], "warm", "{saved}");
    let listed = client.call("guest_snapshot", &snapshot("list"))?;
    assert_eq!(
        listed["snapshots"],
        json!([{"tag": "warm", "loadable": true}])
    );
    client.call("run_stop", &json!({"run_id": run_id}))?;
    client.call("run_wait", &json!({"run_id": run_id, "wait_s": 30}))?;
    Ok(())
}

async fn a_tool_that_no_backend_here_can_serve_is_not_listed() -> Result<()> {
    let names = |list: &Value| -> Vec<String> {
        let tools = list["tools"].as_array().into_iter().flatten();
        tools
            .filter_map(|tool| tool["name"].as_str().map(str::to_owned))
            .collect()
    };
    let penguin = Penguin::new("")?;
    let listed = penguin.client()?.request("tools/list", &json!({}))?;
    let with = names(&listed);
    assert!(!listed.to_string().contains("rookery/needs"));
    for tool in ["guest_hook", "penguin_plugin", "guest_snapshot"] {
        assert!(with.iter().any(|name| name == tool), "{with:?}");
    }
    fs::remove_file(penguin.path("bin/penguin"))?;
    let without = names(&penguin.client()?.request("tools/list", &json!({}))?);
    assert!(
        without.iter().any(|name| name == "guest_hook"),
        "{without:?}"
    );
    for tool in ["penguin_plugin", "guest_snapshot"] {
        assert!(!without.iter().any(|name| name == tool), "{without:?}");
    }
    Ok(())
}

/// All of them.
pub fn trials() -> Vec<rookery_tests::Trial> {
    rookery_tests::trials![
        a_guest_of_penguin_executes_commands_and_answers_at_its_ports,
        a_guest_of_penguin_is_hooked_saved_and_its_plugins_are_the_operators,
        a_tool_that_no_backend_here_can_serve_is_not_listed,
    ]
}
