//! `guest_request`

mod http;
mod shown;

use data_encoding::BASE64;
use rookery_plugin::args::GuestTarget;
use rookery_plugin::shapes::Reached;
use rookery_plugin::text::escape;
use rookery_plugin::{Error, Live, Next, Payload, ReachOptions, Result, invalid, plugin, tool};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::shown::Shown;

/// After its first byte, a service is done once nothing more came for this long.
const HTTP_IDLE_MS: u32 = 3000;
const RAW_IDLE_MS: u32 = 1000;
/// Of an HTTP answer, before the body is cut.
const HTTP_BYTES: u32 = 256 << 10;

#[derive(Deserialize, JsonSchema)]
struct Args {
    #[serde(flatten)]
    target: GuestTarget,
    /// Port in the guest
    #[serde(default = "http_port")]
    #[schemars(range(min = 1))]
    port: u16,
    /// For https fetch the endpoint that `run_wait` lists
    #[serde(default)]
    kind: Kind,
    /// Of HTTP
    #[serde(default = "root")]
    #[schemars(length(min = 1))]
    path: String,
    /// Of HTTP
    #[serde(default = "get")]
    #[schemars(length(min = 1))]
    method: String,
    /// Each "Name: value"
    #[serde(default)]
    headers: Vec<String>,
    /// Of HTTP, or the text that tcp or udp sends
    #[serde(default)]
    body: String,
    /// Or bytes
    #[schemars(length(min = 1))]
    body_base64: Option<String>,
    /// Address inside the guest
    #[serde(default = "localhost")]
    #[schemars(length(min = 1))]
    host: String,
    /// Seconds to wait
    #[serde(default = "usual_timeout")]
    #[schemars(range(min = 1, max = 25))]
    timeout_s: u32,
    /// Of the answer's body
    #[serde(default = "usual_bytes")]
    #[schemars(range(min = 1, max = 32768))]
    max_bytes: u32,
}

#[derive(Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Kind {
    #[default]
    Http,
    Tcp,
    Udp,
}

fn http_port() -> u16 {
    80
}
fn root() -> String {
    "/".to_owned()
}
fn get() -> String {
    "GET".to_owned()
}
fn localhost() -> String {
    "127.0.0.1".to_owned()
}
fn usual_timeout() -> u32 {
    5
}
fn usual_bytes() -> u32 {
    1024
}

#[derive(Default, Serialize, JsonSchema)]
struct Reply {
    run_id: String,
    connected: bool,
    /// Penguin's bridge connects by itself: false if nothing came from the guest.
    #[serde(skip_serializing_if = "Option::is_none")]
    guest_answered: Option<bool>,
    /// Of HTTP.
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    headers: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<String>,
    /// What the guest sent, or the beginning of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<String>,
    /// Instead of the body, where that is not text.
    #[serde(skip_serializing_if = "Option::is_none")]
    body_base64: Option<String>,
    /// That came, of the body.
    body_bytes: usize,
    truncated: bool,
    /// Why nothing more came.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<Next>,
}

/// Ask a service of the running guest by HTTP or with raw bytes, at any of its ports. Gives
/// `status`, `title` and the beginning of the body: the guest's text.
#[tool(
    destructive,
    open_world,
    title = "Ask a service of the guest",
    example(project_dir = "fw", path = "/cgi-bin/luci"),
    example(run_id = "run-7f3a", port = 23, kind = "tcp")
)]
fn guest_request(host: &impl Live, args: Args) -> Result<Reply> {
    let body = match &args.body_base64 {
        None => args.body.clone().into_bytes(),
        Some(base64) if args.body.is_empty() => {
            BASE64.decode(base64.as_bytes()).map_err(|why| {
                invalid(format!(
                    "body_base64 is not base64 ({why}); use the standard alphabet with padding"
                ))
            })?
        }
        Some(_) => return Err(invalid("give one of body and body_base64")),
    };
    let is_http = args.kind == Kind::Http;
    let send = if is_http {
        http::request(&args.method, &args.path, &args.host, &args.headers, &body)?
    } else {
        body
    };
    let run_id = args.target.find(host)?;
    let request = ReachOptions {
        proto: Some(if args.kind == Kind::Udp { "udp" } else { "tcp" }.to_owned()),
        host: Some(args.host.clone()),
        send: Some(Payload::Base64 {
            base64: BASE64.encode(&send),
        }),
        timeout_ms: Some(args.timeout_s * 1000),
        idle_ms: Some(if is_http { HTTP_IDLE_MS } else { RAW_IDLE_MS }),
        max_bytes: Some(if is_http { HTTP_BYTES } else { args.max_bytes }),
    };
    let reached = match host.reach(&run_id, args.port, &request) {
        // A port that refuses at once is an answer, too.
        Err(Error::NotFound(why)) => Reached {
            error: Some(why),
            ..Reached::default()
        },
        reached => reached?,
    };
    answered(run_id, &args, reached)
}

fn answered(run_id: String, args: &Args, reached: Reached) -> Result<Reply> {
    let bytes = match (&reached.received.base64, reached.received.text) {
        (Some(base64), _) => BASE64.decode(base64.as_bytes()).map_err(|why| {
            Error::Internal(format!("the host's answer holds malformed base64: {why}"))
        })?,
        (None, text) => text.unwrap_or_default().into_bytes(),
    };
    // A datagram is refused after it was sent.
    let refused = args.kind == Kind::Udp && reached.error.is_some();
    let by_bridge = reached.guest_answered == Some(false) && args.kind != Kind::Udp;
    let note = match note(args, reached.connected && !refused, &bytes) {
        Some(_) if by_bridge && reached.connected => Some(BRIDGE),
        note => note,
    };
    let mut answer = Reply {
        connected: reached.connected,
        guest_answered: reached.guest_answered,
        error: reached.error.map(|error| escape(error.as_bytes())),
        truncated: reached.truncated,
        note,
        next: (!reached.connected)
            .then(|| Next::call("run_wait", json!({ "run_id": run_id, "wait_s": 0 }))),
        run_id,
        ..Reply::default()
    };
    let response = (args.kind == Kind::Http)
        .then(|| http::response(&bytes))
        .flatten();
    let body = match response {
        Some(response) => {
            answer.status = Some(response.status);
            answer.headers = response.headers;
            answer.title = shown::title(&response.body);
            response.body
        }
        None => bytes,
    };
    let shown = Shown::new(&body, args.max_bytes as usize);
    answer.body_bytes = body.len();
    answer.truncated |= shown.cut;
    answer.body = shown.text;
    answer.body_base64 = shown.base64;
    Ok(answer)
}

/// Of a connection that the guest need not have taken.
const BRIDGE: &str = "Penguin's bridge took the connection, not the guest: netbinds says what \
                      listens there";

/// What the answer means where that is not plain.
fn note(args: &Args, connected: bool, bytes: &[u8]) -> Option<&'static str> {
    const TLS: &str = "the service speaks TLS, which this tool cannot: fetch the port's endpoint, \
                       which run_wait lists, with a client of your own";
    if !connected {
        return Some("nothing listens there now: run_wait lists the endpoints of the run");
    }
    if bytes.is_empty() {
        return Some(match args.kind {
            Kind::Udp => "no answer; without one, UDP does not tell whether anybody listens",
            _ => "it accepted the connection and sent nothing",
        });
    }
    if args.kind != Kind::Http {
        return None;
    }
    // An alert of TLS; or a server that has seen what it was sent.
    let is_alert = bytes.starts_with(&[0x15, 0x03]);
    let complains = bytes
        .windows(25)
        .any(|text| text == b"HTTP request was sent to ");
    if is_alert || complains {
        return Some(TLS);
    }
    (!bytes.starts_with(b"HTTP/")).then_some("the answer is not HTTP; kind \"tcp\" sends raw bytes")
}

plugin!(guest_request);

#[cfg(test)]
mod tests;
