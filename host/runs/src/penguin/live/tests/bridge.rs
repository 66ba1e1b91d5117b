//! A stand-in for the bridge of Penguin's plugin `vpn`, which takes a connection before the guest.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::time::Duration;

use rookery_contract::shapes::Reached;
use rookery_project::{Error, Result};

use super::files;
use crate::live::ReachRequest;
use crate::penguin::live::bridge::reach;

/// A bridge to the guest's port 80 that does this with a connection.
fn bridged(guest: impl Fn(TcpStream) + Send + 'static) -> tempfile::TempDir {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            guest(stream);
        }
    });
    with_rows(&format!(
        "httpd,ipv4,tcp,0.0.0.0,80,1\nhttpd,ipv4,tcp,0.0.0.0,80,{port}\n"
    ))
}

fn with_rows(rows: &str) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let files = files(directory.path(), "vpn_enabled: true\n");
    let text = format!("procname,ipvn,domain,guest_ip,guest_port,host_port\n{rows}");
    std::fs::write(files.results_dir.join("vpn_bridges.csv"), text).unwrap();
    std::fs::write(files.results_dir.join("guest_ip"), "127.0.0.1").unwrap();
    directory
}

fn ask(directory: &tempfile::TempDir, proto: &str, host: &str, port: u16) -> Result<Reached> {
    let files = crate::penguin::live::RunFiles {
        project_dir: directory.path().to_owned(),
        results_dir: directory.path().join("results/0"),
    };
    let request = ReachRequest {
        proto: proto.into(),
        host: host.into(),
        port,
        send: b"GET / HTTP/1.0\r\n\r\n".to_vec(),
        timeout: Duration::from_millis(600),
        idle: Some(Duration::from_millis(300)),
        max_bytes: 100,
    };
    reach(&files, &request)
}

#[test]
fn only_bytes_from_the_other_side_are_an_answer_of_the_guest() {
    let answers = bridged(|mut stream| {
        let _ = stream.read(&mut [0; 100]);
        let _ = stream.write_all(b"HTTP/1.0 200 OK\r\n\r\nhi");
    });
    let reached = ask(&answers, "tcp", "127.0.0.1", 80).unwrap();
    assert_eq!(
        (reached.connected, reached.guest_answered),
        (true, Some(true))
    );
    assert_eq!(
        reached.received.text.as_deref(),
        Some("HTTP/1.0 200 OK\r\n\r\nhi")
    );
    assert_eq!(reached.error, None);

    let closes = bridged(drop);
    let reached = ask(&closes, "tcp", "127.0.0.1", 80).unwrap();
    assert_eq!(reached.guest_answered, Some(false));
    assert!(reached.error.unwrap().contains("nobody listens there"));

    let silent = bridged(|stream| {
        std::thread::sleep(Duration::from_secs(5));
        drop(stream);
    });
    let reached = ask(&silent, "tcp", "127.0.0.1", 80).unwrap();
    assert_eq!(
        (reached.connected, reached.guest_answered),
        (true, Some(false))
    );
    assert!(
        reached
            .error
            .unwrap()
            .contains("nothing came from the guest")
    );
}

#[test]
fn a_flood_is_cut_and_bytes_that_are_not_text_are_kept() {
    let flood = bridged(|mut stream| while stream.write_all(&[0xff; 4096]).is_ok() {});
    let reached = ask(&flood, "tcp", "127.0.0.1", 80).unwrap();
    assert!(reached.truncated && reached.received.base64.is_some());
    assert_eq!(reached.received.bytes, 100);
}

#[test]
fn the_bridge_is_the_one_for_the_address_that_is_asked() {
    let service = |says: &'static [u8]| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let _ = stream.write_all(says);
            }
        });
        port
    };
    let (any, own) = (service(b"any"), service(b"own"));
    let two = with_rows(&format!(
        "a,ipv4,tcp,192.168.140.1,80,{own}\na,ipv4,tcp,0.0.0.0,80,{any}\n"
    ));
    let said = |host: &str| ask(&two, "tcp", host, 80).unwrap().received.text.unwrap();
    assert_eq!(
        (said("127.0.0.1"), said("192.168.140.1")),
        ("any".into(), "own".into())
    );
    let Err(Error::NotFound(why)) = ask(&two, "tcp", "127.0.0.1", 8080) else {
        panic!("no bridge leads there")
    };
    assert!(
        why.contains("port 8080") && why.contains("bridges to 80"),
        "{why}"
    );
}

#[test]
fn a_datagram_is_answered_or_tells_nothing() {
    let guest = UdpSocket::bind("127.0.0.1:0").unwrap();
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = |socket: &UdpSocket| socket.local_addr().unwrap().port();
    let rows = with_rows(&format!(
        "a,ipv4,udp,0.0.0.0,161,{}\na,ipv4,udp,0.0.0.0,7,{}\n",
        port(&guest),
        port(&silent)
    ));
    std::thread::spawn(move || {
        let (_, from) = guest.recv_from(&mut [0; 100]).unwrap();
        guest.send_to(b"pong", from).unwrap();
    });
    let reached = ask(&rows, "udp", "127.0.0.1", 161).unwrap();
    assert_eq!(reached.received.text.as_deref(), Some("pong"));
    assert_eq!(reached.guest_answered, Some(true));
    let reached = ask(&rows, "udp", "127.0.0.1", 7).unwrap();
    assert_eq!((reached.guest_answered, reached.error), (Some(false), None));
}

#[test]
fn without_the_bridge_the_call_that_switches_it_on_is_named() {
    let directory = tempfile::tempdir().unwrap();
    files(directory.path(), "vpn_enabled: false\n");
    let Err(Error::Unavailable(off)) = ask(&directory, "tcp", "127.0.0.1", 80) else {
        panic!("there is no bridge")
    };
    assert!(
        off.how_to_enable.contains("\"plugins.vpn.enabled\""),
        "{off:?}"
    );
}
