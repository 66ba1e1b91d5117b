//! Penguin's remote control: a socket in the result directory, one JSON object each way. It answers
//! once the requester has closed its side for writing, and never before.

use std::io::{Read as _, Write as _};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use rookery_project::{Error, Result, quoted};
use serde_json::{Value, json};

use super::files::RunFiles;
use super::qmp;

const SOCKET: &str = "remotectrl.sock";
const PLUGIN: &str = "plugins.remotectrl.enabled";
/// Requests are answered one after the other, by the emulator itself.
const ANSWERS_WITHIN: Duration = Duration::from_secs(10);
const LONGEST: usize = 1 << 20;
/// Of what it says is wrong.
const SAID: usize = 300;

/// Ask, and give the reply of a request that succeeded.
pub(super) fn ask(files: &RunFiles, request: &Value) -> Result<Value> {
    let stream = files
        .connect(SOCKET)
        .map_err(|why| not_there(files, &why))?;
    let reply = exchange(stream, request).map_err(|why| {
        Error::Backend(format!(
            "Penguin's remote control: {why}{}",
            qmp::state(files)
        ))
    })?;
    if reply["status"] == "success" {
        return Ok(reply);
    }
    let said = reply["message"].as_str().unwrap_or("it did not say why");
    Err(Error::Backend(format!(
        "Penguin's remote control refused it: {}",
        quoted(said.as_bytes(), SAID)
    )))
}

fn exchange(mut stream: UnixStream, request: &Value) -> std::result::Result<Value, String> {
    let deadline = Instant::now() + ANSWERS_WITHIN;
    let failed = |error: std::io::Error| error.to_string();
    stream
        .set_write_timeout(Some(ANSWERS_WITHIN))
        .map_err(failed)?;
    stream
        .write_all(request.to_string().as_bytes())
        .map_err(failed)?;
    stream.shutdown(Shutdown::Write).map_err(failed)?;
    let mut reply = Vec::new();
    let mut chunk = [0; 16 << 10];
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err("no answer within 10 s; its emulator may be busy or stand still".into());
        }
        stream.set_read_timeout(Some(left)).map_err(failed)?;
        match stream.read(&mut chunk) {
            Ok(0) => break,
            Ok(count) => reply.extend(chunk.iter().take(count)),
            Err(error) if is_passing(&error) => {}
            Err(error) => return Err(error.to_string()),
        }
        if reply.len() > LONGEST {
            return Err("an answer of more than 1 MiB".into());
        }
    }
    if reply.is_empty() {
        return Err("it closed the connection without an answer".into());
    }
    serde_json::from_slice(&reply).map_err(|error| format!("its answer is not JSON: {error}"))
}

fn is_passing(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{Interrupted, TimedOut, WouldBlock};
    matches!(error.kind(), Interrupted | TimedOut | WouldBlock)
}

fn not_there(files: &RunFiles, error: &std::io::Error) -> Error {
    let what = "remote control of this run";
    match error.kind() {
        std::io::ErrorKind::NotFound if files.is_configured("remotectrl") => Error::unavailable(
            what,
            "Penguin has not opened its socket yet",
            "Wait until the guest has booted: call run_wait, then this again",
        ),
        std::io::ErrorKind::NotFound => Error::unavailable(
            what,
            "its configuration does not switch on Penguin's plugin remotectrl",
            files.switch_on(PLUGIN, &json!(true)),
        ),
        _ => Error::unavailable(
            what,
            format!("{SOCKET} of its results cannot be connected with: {error}"),
            "Penguin may be ending: look at the run with run_wait",
        ),
    }
}
