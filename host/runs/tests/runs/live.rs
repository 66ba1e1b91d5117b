//! Requests to a running guest, and their refusal.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use rookery_contract::options::{self, CommandOptions, HttpOptions, ReachOptions};
use rookery_harness::{Trial, trials};
use rookery_project::{Cancel, Error};
use rookery_runs::live::LiveRequest;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::world::World;

pub fn tests() -> Vec<Trial> {
    trials![
        commands_and_ports_are_reached_through_the_supervisor,
        a_web_service_is_asked_over_connections_that_the_supervisor_hands_over,
        wrong_requests_are_refused_before_they_are_sent,
        what_the_backend_lacks_is_said_in_words,
        only_plugins_that_the_operator_names_are_changed,
        a_silent_or_garbled_peer_does_no_harm,
        a_request_to_an_ended_run_is_unavailable,
        the_run_of_a_project_is_found_while_it_goes_on,
    ]
}

fn the_run_of_a_project_is_found_while_it_goes_on() {
    let world = World::new();
    let registry = world.registry();
    let running = || registry.running(&world.project());
    let missing = |answer| match answer {
        Err(Error::Unavailable(missing)) => missing,
        other => panic!("{other:?}"),
    };
    let how = missing(running()).how_to_enable;
    assert!(how.starts_with("Call run {\"project_dir\":"), "{how}");
    let run_id = world.start(&[]).unwrap();
    assert_eq!(running().as_ref(), Ok(&run_id));
    json!(registry.stop(&run_id).unwrap());
    missing(running());
}

fn a_web_service_is_asked_over_connections_that_the_supervisor_hands_over() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for (stream, answer) in listener.incoming().zip([
            "HTTP/1.1 302 Found\r\nLocation: /next\r\nContent-Length: 0\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
        ]) {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 1000]);
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    let world = World::new();
    let run_id = world.start(&[]).unwrap();
    let (registry, none) = (world.registry(), Cancel::default());
    let ask = |port: u16| {
        let url = format!("http://127.0.0.1:{port}/");
        registry.http(&run_id, &HttpOptions::get(&url), &none)
    };
    let answer = ask(port).unwrap();
    assert_eq!((answer.status, answer.redirects.len()), (200, 1));
    assert_eq!(answer.body.text.as_deref(), Some("hi"));
    assert!(matches!(ask(1), Err(Error::NotFound(_))));
    json!(registry.stop(&run_id).unwrap());
    assert!(matches!(ask(port), Err(Error::Unavailable(_))));
}

/// Options as a tool gives them.
fn given<T: DeserializeOwned>(options: &Value) -> T {
    options::parse("options", &options.to_string()).unwrap()
}

fn commands_and_ports_are_reached_through_the_supervisor() {
    let world = World::new();
    let run_id = world.start(&[]).unwrap();
    let registry = world.registry();
    let none = Cancel::default();
    let argv = ["ps".to_owned(), "ü\n\"".to_owned()];
    let answer = registry
        .command(
            &run_id,
            &argv,
            &given(&json!({ "timeout_ms": 2000 })),
            &none,
        )
        .unwrap();
    assert_eq!(answer.stdout, "ps ü\n\"");
    let answer = registry
        .reach(
            &run_id,
            80,
            &given(&json!({ "send": { "base64": "AAEC" } })),
            &none,
        )
        .unwrap();
    assert_eq!(
        json!(answer.received),
        json!({ "text": "\u{0}\u{1}\u{2}", "bytes": 3 })
    );
    assert_eq!(
        registry.reach(&run_id, 1, &ReachOptions::default(), &none),
        Err(Error::NotFound("nothing listens there".into()))
    );
    let dropped = registry.command(
        &run_id,
        &["never".to_owned()],
        &CommandOptions::default(),
        &none,
    );
    assert!(matches!(dropped, Err(Error::Backend(_))), "{dropped:?}");
    json!(registry.stop(&run_id).unwrap());
}

fn wrong_requests_are_refused_before_they_are_sent() {
    let world = World::new();
    let run_id = world.start(&[]).unwrap();
    let registry = world.registry();
    let none = Cancel::default();
    for (port, request) in [
        (0, json!({})),
        (80, json!({ "proto": "icmp" })),
        (80, json!({ "host": "example.org" })),
        (80, json!({ "send": 5 })),
        (80, json!({ "send": { "base64": "?" } })),
        (80, json!({ "timeout_ms": 0 })),
        (80, json!({ "sned": "x" })),
    ] {
        let answer = options::parse("request", &request.to_string())
            .and_then(|request| registry.reach(&run_id, port, &request, &none));
        assert!(
            matches!(answer, Err(Error::InvalidArgument(_))),
            "{request} {answer:?}"
        );
    }
    for argv in [vec![], vec![String::new()], vec!["a\0b".to_owned()]] {
        let answer = registry.command(&run_id, &argv, &CommandOptions::default(), &none);
        assert!(
            matches!(answer, Err(Error::InvalidArgument(_))),
            "{argv:?} {answer:?}"
        );
    }
    json!(registry.stop(&run_id).unwrap());
}

fn what_the_backend_lacks_is_said_in_words() {
    let world = World::new();
    let run_id = world.start(&[]).unwrap();
    let registry = world.registry();
    let capabilities = json!(registry.capabilities(&run_id).unwrap());
    assert_eq!(
        (&capabilities["command"], &capabilities["reach"]),
        (&json!(true), &json!(true))
    );
    assert_eq!(
        (&capabilities["hook"], &capabilities["snapshot"]),
        (&json!(false), &json!(false))
    );
    assert!(
        capabilities["why"]["hook"]
            .as_str()
            .unwrap()
            .contains("scripted"),
        "{capabilities}"
    );
    let none = Cancel::default();
    for request in [LiveRequest::Hooks, LiveRequest::Snapshots] {
        let answer = registry.live::<Value>(&run_id, request, &none);
        assert!(matches!(answer, Err(Error::Unavailable(_))), "{answer:?}");
    }
    json!(registry.stop(&run_id).unwrap());
}

fn only_plugins_that_the_operator_names_are_changed() {
    let world = World::new();
    let run_id = world.start(&[]).unwrap();
    let registry = world.registry();
    let none = Cancel::default();
    let allowed = ["crashes".to_owned()].into();
    let ask = |op: &str, name: &str| {
        let request = given(&json!({ "op": op, "name": name }));
        registry.control_plugin(&run_id, request, &allowed, &none)
    };
    for op in ["load", "enable", "disable"] {
        let Err(Error::Denied(why)) = ask(op, "rw_logger") else {
            panic!("{op} was allowed")
        };
        let line = r#"[penguin] in the policy would: plugins = ["crashes", "rw_logger"]"#;
        assert!(why.contains(line), "{why}");
    }
    for path in ["/tmp/x.py", "../x", "", "a.b"] {
        let answer = ask("load", path);
        assert!(
            matches!(answer, Err(Error::InvalidArgument(_))),
            "{path} {answer:?}"
        );
    }
    // The backend of these tests has no such plugins, and is asked only after that.
    assert!(matches!(ask("load", "crashes"), Err(Error::Unavailable(_))));
    json!(registry.stop(&run_id).unwrap());
}

fn a_silent_or_garbled_peer_does_no_harm() {
    let world = World::new();
    let run_id = world.start(&[]).unwrap();
    let socket = world.run_dir(&run_id).join("control.sock");
    let _silent: Vec<_> = (0..5)
        .map(|_| UnixStream::connect(&socket).unwrap())
        .collect();
    let mut garbled = UnixStream::connect(&socket).unwrap();
    garbled.write_all(b"{\"ask\": \"explode\"}\n").unwrap();
    let mut answer = String::new();
    garbled.read_to_string(&mut answer).unwrap();
    assert!(answer.contains("invalid-argument"), "{answer}");
    let mut endless = UnixStream::connect(&socket).unwrap();
    while endless.write_all(&[b'x'; 8192]).is_ok() {}
    let answer = world.registry().command(
        &run_id,
        &["ps".to_owned()],
        &CommandOptions::default(),
        &Cancel::default(),
    );
    assert_eq!(answer.unwrap().stdout, "ps");
    json!(world.registry().stop(&run_id).unwrap());
}

fn a_request_to_an_ended_run_is_unavailable() {
    let world = World::new();
    let status = world.run(&[("end", "done")]);
    let run_id = status["run_id"].as_str().unwrap();
    let started = Instant::now();
    let answer = world.registry().command(
        run_id,
        &["ps".to_owned()],
        &CommandOptions::default(),
        &Cancel::default(),
    );
    match answer {
        Err(Error::Unavailable(missing)) => assert!(
            missing
                .how_to_enable
                .starts_with("Call run {\"project_dir\":"),
            "{missing:?}"
        ),
        other => panic!("{other:?}"),
    }
    assert!(started.elapsed() < Duration::from_secs(1));
    assert_eq!(
        json!(world.registry().capabilities(run_id).unwrap())["command"],
        false
    );
}
