//! Live control of guests by a client over stdio: of one that Penguin runs, with stand-ins for its
//! wrapper, its engine and its sockets, and of one of the embedded emulator, which is real. Penguin
//! itself is not run here.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use rookery_tests::wire::Wire;
use rookery_tests::{Session, doctor, places, processes};
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
        serve_commands(UnixListener::bind(&socket)?);
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
        let (answers, closes) = (bridge(b"HTTP/1.0 200 OK\r\n\r\nhi")?, bridge(b"")?);
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
        serve_remote_control(UnixListener::bind(socket)?);
        let run_id = run["run_id"].as_str().context("a run id")?.to_owned();
        Ok((client, run_id))
    }
}

/// A bridge as of Penguin's plugin `vpn`, which takes every connection; its guest says this.
fn bridge(says: &'static [u8]) -> Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let port = listener.local_addr()?.port();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            if !says.is_empty() {
                let _ = stream.read(&mut [0; 1024]);
            }
            let _ = stream.write_all(says);
        }
    });
    Ok(port)
}

/// Guesthopper, whose guest is this machine's shell.
fn serve_commands(listener: UnixListener) {
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || answer_command(&stream));
        }
    });
}

fn answer_command(stream: &UnixStream) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let mut writer = stream;
    writer.write_all(b"OK 12341234\n").ok()?;
    let mut command = vec![0; 64 << 10];
    let length = reader.read(&mut command).ok()?;
    let mut shell = Command::new("sh")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    shell.stdin.take()?.write_all(command.get(..length)?).ok()?;
    let output = shell.wait_with_output().ok()?;
    let answer = json!({
        "stdout": String::from_utf8(output.stdout).ok()?, "stderr": "", "exit_code": 0
    });
    writer.write_all(answer.to_string().as_bytes()).ok()
}

/// Penguin's remote control: a reply once the other side is closed.
fn serve_remote_control(listener: UnixListener) {
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut request = String::new();
            let _ = stream.read_to_string(&mut request);
            let request: Value = serde_json::from_str(&request).unwrap_or_default();
            let reply = match request["type"].as_str().unwrap_or_default() {
                "syscall" | "uprobe" => json!({"status": "success", "id": 1}),
                "list" => json!({"status": "success", "hooks": [
                    {"id": 1, "type": "syscall", "action": request["action"], "logfile": null}
                ]}),
                "bogus" => json!({"status": "error", "message": "Unknown command: bogus"}),
                _ => json!({"status": "success", "message": "done"}),
            };
            let _ = stream.write_all(reply.to_string().as_bytes());
        }
    });
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

async fn calls_in_the_embedded_guest_are_printed_and_what_is_not_seen_is_named() -> Result<()> {
    doctor::needs_emulator()?;
    let root = tempfile::tempdir()?;
    fs::copy(places::demo_rootfs(), root.path().join("rootfs.tar.gz"))?;
    let client = Session::new(root.path()).await?;
    let make = json!({"rootfs": "rootfs.tar.gz", "output": "router"});
    client.ok("init_project", make).await?;
    let run = json!({"project_dir": "router", "timeout": 120, "wait_s": 1});
    let run = client.ok("run", run).await?;
    let run_id = run["run_id"].as_str().context("a run id")?.to_owned();
    let hook = |more: Value| {
        let mut arguments = json!({"run_id": run_id});
        if let (Value::Object(all), Value::Object(more)) = (&mut arguments, more) {
            all.extend(more);
        }
        arguments
    };
    let add = hook(json!({
        "op": "add", "at": "sys_openat", "action": "print %fd, %s, %x", "process": "cat"
    }));
    let hook_id = client.ok("guest_hook", add).await?["hook_id"].clone();
    let line = "cat /etc/passwd /no/such; ls /";
    client
        .ok("guest_cmd", json!({"run_id": run_id, "command": line}))
        .await?;
    let read = hook(json!({"op": "read", "hook_id": hook_id}));
    let read = client.ok("guest_hook", read).await?;
    let text = read["text"].as_str().unwrap_or_default();
    assert!(
        text.contains("sys_openat(-100(/), \"/no/such\", "),
        "{text}"
    );
    assert!(text.lines().all(|line| line.starts_with("cat:")), "{text}");

    let listed = client.ok("guest_hook", hook(json!({"op": "list"}))).await?;
    assert_eq!(listed["hooks"][0]["target"], "sys_openat", "{listed}");
    assert_eq!(listed["ways"][2]["offered"], false, "{listed}");
    for (at, why) in [
        ("sys_mprotect", "unseen"),
        ("sys_read", "only some of its calls"),
        ("/lib/libc.so.0:strlen", "uprobe"),
    ] {
        let add = hook(json!({"op": "add", "at": at, "action": "print %d"}));
        let refused = client.error("guest_hook", add).await?;
        assert!(refused.contains(why), "{at}: {refused}");
    }
    let remove = hook(json!({"op": "remove", "hook_id": hook_id}));
    assert_eq!(
        client.ok("guest_hook", remove).await?["removed"],
        json!([hook_id])
    );
    client.ok("run_stop", json!({"run_id": run_id})).await?;
    client.close().await
}

/// All of them.
pub fn trials() -> Vec<rookery_tests::Trial> {
    rookery_tests::trials![
        a_guest_of_penguin_executes_commands_and_answers_at_its_ports,
        a_guest_of_penguin_is_hooked_saved_and_its_plugins_are_the_operators,
        a_tool_that_no_backend_here_can_serve_is_not_listed,
        calls_in_the_embedded_guest_are_printed_and_what_is_not_seen_is_named,
    ]
}
