//! What a guest finds beyond its own network: nothing, unless its project asks for it, and nobody
//! outside unless the operator's policy allows that, too.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{IpAddr, Shutdown, TcpListener, UdpSocket};
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result, ensure};
use rookery_tests::session::Options;
use rookery_tests::{Session, Skip, doctor, firmware, places};
use serde_json::{Value, json};
use tempfile::TempDir;

const HELLO: &str = "the host says hello";

/// A server on the host that says [`HELLO`], and where it is reached.
fn server() -> Result<String> {
    // Nothing is sent: the kernel only says by which address it would be.
    let asking = UdpSocket::bind("0.0.0.0:0")?;
    let own = asking
        .connect("198.51.100.1:9")
        .and_then(|()| asking.local_addr());
    let own = own.map_err(|_| Skip::elsewhere("this machine has no network".to_owned()))?;
    ensure!(
        matches!(own.ip(), IpAddr::V4(ip) if !ip.is_loopback()),
        "{own}"
    );
    let listener = TcpListener::bind("0.0.0.0:0")?;
    let at = format!("{}:{}", own.ip(), listener.local_addr()?.port());
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let mut client = client?;
            let asked = BufReader::new(client.try_clone()?).lines();
            // To its end: a connection that is closed before is reset.
            asked.map_while(Result::ok).find(String::is_empty);
            client.write_all(format!("HTTP/1.0 200 OK\r\n\r\n{HELLO}\n").as_bytes())?;
            client.shutdown(Shutdown::Write)?;
            let _ = client.read(&mut [0]);
        }
        std::io::Result::Ok(())
    });
    Ok(at)
}

/// Boot a project with these settings under a policy; gives its console and its notes.
async fn boot(script: &str, settings: &[(&str, Value)], policy: &str) -> Result<(String, String)> {
    let root = tempfile::tempdir()?;
    let script = format!("{script}\necho the end; sleep 60");
    let tree = firmware::with_start(root.path(), "fw", &script)?;
    firmware::pack(&tree, "fw")?;
    boot_archive(root, settings, policy).await
}

/// As [`boot`], of the archive `fw.tar.gz` in a directory.
async fn boot_archive(
    root: TempDir,
    settings: &[(&str, Value)],
    policy: &str,
) -> Result<(String, String)> {
    let desk = tempfile::tempdir()?;
    let file = desk.path().join("policy.toml");
    std::fs::write(&file, policy)?;
    let mut options = Options::new(root.path());
    options.arguments = vec!["--policy".into(), file.to_string_lossy().into_owned()];
    let client = Session::with(&options).await?;
    let make = json!({ "rootfs": "fw.tar.gz", "output": "router" });
    client.ok("init_project", make).await?;
    for (path, value) in settings {
        let set = json!({ "project_dir": "router", "path": path, "value": value });
        client.ok("set_config", set).await?;
    }
    let run = json!({
        "project_dir": "router", "timeout": 60, "until": "console", "console": "^the end",
    });
    let run = client.ok("run", run).await?;
    let run_id = run["run_id"].as_str().context("a run")?;
    client.ok("run_stop", json!({ "run_id": run_id })).await?;
    let read = |file: &str| {
        let results: &Path = root.path();
        std::fs::read_to_string(results.join("router/results/latest").join(file))
    };
    let console = read("console.log")?.replace('\r', "");
    let run: Value = serde_json::from_str(&read("rookery_run.json")?)?;
    client.close().await?;
    ensure!(console.contains("the end"), "{console}\n{run:#}");
    Ok((console, run["notes"].to_string()))
}

const ALLOWED: &str = "[serve]\nway_out = true\n";

async fn a_guest_gets_out_only_where_its_project_asks_and_the_policy_allows() -> Result<()> {
    doctor::needs_emulator()?;
    let server = server()?;
    // By the gateway's address, some such networks lead to the host's loopback interface.
    let (host, port) = server.rsplit_once(':').context("a port")?;
    // The end of a connection does not always come through Debian 12's passt.
    let script = format!(
        "for at in {host} 10.0.2.2; do echo asking $at\n\
         printf 'GET / HTTP/1.0\\r\\n\\r\\n' | busybox nc -w 5 $at {port} & sleep 5\n\
         kill $! 2>/dev/null; done"
    );
    let asked = [("network.external", json!({}))];
    let (console, notes) = boot(&script, &asked, ALLOWED).await?;
    let (outside, loopback) = console.split_once("asking 10.0.2.2").context("both")?;
    assert!(outside.contains(HELLO), "{console}\n{notes}");
    assert!(!loopback.contains(HELLO), "{console}");
    assert!(!notes.contains("network.external"), "{notes}");

    let (console, notes) = boot(&script, &asked, "").await?;
    assert!(!console.contains(HELLO), "{console}");
    assert!(notes.contains("way_out = true"), "{notes}");

    let (console, notes) = boot(&script, &[], ALLOWED).await?;
    assert!(!console.contains(HELLO), "{console}");
    assert!(!notes.contains("way_out"), "{notes}");
    Ok(())
}

async fn firmware_that_waits_for_a_name_gets_one_from_a_model() -> Result<()> {
    doctor::needs_emulator()?;
    let script = "echo nameserver 9.9.9.9 >/etc/resolv.conf\n\
                  busybox nslookup update.vendor.example";
    let settings = [("plugins.interfaces.dns", json!("192.0.2.77"))];
    let (console, notes) = boot(script, &settings, "").await?;
    assert!(console.contains("192.0.2.77"), "{console}\n{notes}");
    Ok(())
}

/// The busybox of a firmware, told by a name where the time is.
async fn a_firmwares_time_client_sets_the_guests_clock_and_not_the_hosts() -> Result<()> {
    doctor::needs_emulator()?;
    let firmware = places::shared("fw/openwrt-19.07-aarch64-musl.rootfs.tar.gz")?;
    let root = tempfile::tempdir()?;
    std::fs::copy(firmware, root.path().join("fw.tar.gz"))?;
    let script = "#!/bin/sh\nexec >/dev/console 2>&1\nb=/bin/busybox\n\
                  echo nameserver 9.9.9.9 >/tmp/resolv.conf\n\
                  $b ntpd -n -q -p pool.ntp.example; echo status $?\n$b date -u +%Y; echo the end\n\
                  $b sleep 60\n";
    let start = json!({ "type": "inline_file", "contents": script, "mode": "0755" });
    let settings = [
        ("static_files", json!({ "/etc/try": start })),
        ("env.igloo_init", json!("/etc/try")),
        ("plugins.interfaces.dns", json!("192.0.2.77")),
        ("plugins.interfaces.ntp", json!(1_700_000_000)),
    ];
    let (clock, counter) = (SystemTime::now(), Instant::now());
    let (console, notes) = boot_archive(root, &settings, "").await?;
    assert!(console.contains("status 0\n2023\n"), "{console}\n{notes}");
    let passed = clock.elapsed()?.abs_diff(counter.elapsed());
    assert!(passed < Duration::from_mins(1), "{passed:?}");
    Ok(())
}

/// All of them.
pub fn trials() -> Vec<rookery_tests::Trial> {
    rookery_tests::trials![
        a_guest_gets_out_only_where_its_project_asks_and_the_policy_allows,
        firmware_that_waits_for_a_name_gets_one_from_a_model,
        a_firmwares_time_client_sets_the_guests_clock_and_not_the_hosts,
    ]
}
