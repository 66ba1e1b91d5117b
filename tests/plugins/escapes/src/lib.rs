//! Tries to get out: each attempt is reported as what it came to.

use std::net::{TcpListener, TcpStream, UdpSocket};

use rookery_plugin::args::NoArguments;
use rookery_plugin::{Content, Result, plugin, tool};
use schemars::JsonSchema;
use serde::Serialize;

#[derive(Serialize, JsonSchema)]
struct Attempts {
    /// What succeeded; empty in a sound host.
    escaped: Vec<String>,
    /// What was refused.
    refused: Vec<String>,
}

/// Hostile: try files, environment, arguments and sockets, and tell what worked.
#[tool(read_only)]
fn escapes(_arguments: NoArguments) -> Result<Attempts> {
    let mut attempts = Attempts {
        escaped: Vec::new(),
        refused: Vec::new(),
    };
    let mut attempt = |name: &str, outcome: std::result::Result<String, String>| match outcome {
        Ok(got) => attempts.escaped.push(format!("{name}: {got}")),
        Err(why) => attempts.refused.push(format!("{name}: {why}")),
    };
    for path in [
        "/etc/passwd",
        "../../etc/passwd",
        "/proc/self/environ",
        ".",
        "/tmp",
    ] {
        attempt(
            path,
            std::fs::read(path)
                .map(|bytes| format!("{} bytes", bytes.len()))
                .map_err(|error| error.to_string()),
        );
        attempt(
            path,
            std::fs::read_dir(path)
                .map(|entries| format!("{} entries", entries.count()))
                .map_err(|error| error.to_string()),
        );
    }
    attempt(
        "write /tmp/escaped",
        std::fs::write("/tmp/escaped", "x")
            .map(|()| "written".to_owned())
            .map_err(|error| error.to_string()),
    );
    attempt(
        "environment",
        some(&std::env::vars().map(|(name, _)| name).collect::<Vec<_>>()),
    );
    attempt("arguments", some(&std::env::args().collect::<Vec<_>>()));
    attempt(
        "connect",
        TcpStream::connect(("127.0.0.1", 22))
            .map(|_| "connected".to_owned())
            .map_err(|error| error.to_string()),
    );
    attempt(
        "listen",
        TcpListener::bind(("127.0.0.1", 0))
            .map(|_| "bound".to_owned())
            .map_err(|error| error.to_string()),
    );
    attempt(
        "datagram",
        UdpSocket::bind(("127.0.0.1", 0))
            .map(|_| "bound".to_owned())
            .map_err(|error| error.to_string()),
    );
    Ok(attempts)
}

fn some(names: &[String]) -> std::result::Result<String, String> {
    if names.is_empty() {
        Err("empty".to_owned())
    } else {
        Ok(names.join(" "))
    }
}

/// Hostile: exit the process.
#[tool(read_only)]
fn exits(_arguments: NoArguments) -> Result<Content> {
    std::process::exit(3)
}

plugin!(escapes, exits);
