//! Stand-ins for what Penguin serves of a running guest: the bridges of its plugin `vpn`,
//! guesthopper and its remote control.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::Result;
use serde_json::{Value, json};

/// Everything for the run that writes to `out`, whose guest has a web server at port 80: served as
/// long as this process lives.
pub fn serve_all(out: &Path) -> Result<()> {
    let write = |name: &str, text: &str| std::fs::write(out.join(name), text);
    let socket = out.join("vsocket");
    serve_commands(UnixListener::bind(&socket)?);
    serve_remote_control(UnixListener::bind(out.join("remotectrl.sock"))?);
    let port = bridge(b"HTTP/1.0 200 OK\r\n\r\nhi")?;
    write(
        "runtime.yaml",
        &format!(
            "guest_cmd: true\nvpn_enabled: true\nvsock_uds_path: {}\n",
            socket.display()
        ),
    )?;
    write("guest_ip", "127.0.0.1")?;
    write("core_plugins.yaml", "remotectrl: {enabled: true}\n")?;
    write(
        "vpn_bridges.csv",
        &format!(
            "procname,ipvn,domain,guest_ip,guest_port,host_port\nhttpd,ipv4,tcp,0.0.0.0,80,{port}\n"
        ),
    )?;
    write(
        "netbinds.csv",
        "procname,ipvn,domain,guest_ip,guest_port,pid,time,state,closed_time\n\
         httpd,4,tcp,0.0.0.0,80,7,2.0,listening,\n",
    )?;
    Ok(())
}

/// A bridge as of Penguin's plugin `vpn`, which takes every connection; its guest says this.
pub fn bridge(says: &'static [u8]) -> Result<u16> {
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
pub fn serve_commands(listener: UnixListener) {
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
pub fn serve_remote_control(listener: UnixListener) {
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
