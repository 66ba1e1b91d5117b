//! `http.request`: HTTP/1.1 to a service of the guest, over a connection that the run's supervisor
//! makes in the guest's network.
//!
//! What comes back is whatever somebody made: the protocols are followed by libraries, every length
//! is bounded, and nothing of an answer decides to which address the next connection leads.

mod connection;
mod message;
mod request;
mod tls;

use std::io::{Read, Write};
use std::net::{IpAddr, TcpStream};
use std::time::{Duration, Instant};

use rookery_contract::options::HttpOptions;
use rookery_contract::shapes::{HttpAnswer, HttpHeader, HttpRedirect, TlsPeer};
use rookery_project::{Cancel, Error, Result};
use url::Url;

use self::connection::Connection;
use self::message::Message;
use self::request::Request;

/// Longest place that a redirect leads to, in an answer.
const LOCATION_CHARS: usize = 2000;

/// The bounds of a request, with its redirects.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    pub(crate) timeout: Duration,
    pub(crate) max_bytes: usize,
}

/// Send a request and follow its redirects, over the connections that `connect` makes to an address
/// of the guest and a port, within what is left of the time.
pub(crate) fn request(
    options: &HttpOptions,
    bounds: Bounds,
    cancel: &Cancel,
    connect: impl Fn(IpAddr, u16, Duration) -> Result<TcpStream>,
) -> Result<HttpAnswer> {
    let deadline = Instant::now() + bounds.timeout;
    let (mut request, address) = Request::read(options)?;
    let mut redirects = Vec::new();
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let stream = connect(address, request.port(), left)?;
        let connection = Connection::new(stream, deadline, cancel.clone())?;
        let (message, tls) = asked(&request, connection, bounds.max_bytes)?;
        let leads = message.location().filter(|_| is_redirect(message.status));
        let followed = match leads {
            None => Ok(None),
            Some(_) if redirects.len() >= options.redirects() as usize => Err(format!(
                "{} redirects were followed before",
                redirects.len()
            )),
            Some(location) => request.redirected(message.status, &location).map(Some),
        };
        match followed {
            Ok(Some(next)) => {
                let location = message.location().unwrap_or_default();
                redirects.push(HttpRedirect {
                    status: message.status,
                    location: location.chars().take(LOCATION_CHARS).collect(),
                });
                request = next;
            }
            Ok(None) => return Ok(answer(request.url(), message, redirects, None, tls)),
            Err(why) => return Ok(answer(request.url(), message, redirects, Some(why), tls)),
        }
    }
}

/// What came of one request.
fn asked(
    request: &Request,
    connection: Connection,
    max_bytes: usize,
) -> Result<(Message, Option<TlsPeer>)> {
    if request.is_secret() {
        let mut secret = tls::start(connection, request.host())?;
        let message = exchange(request, &mut secret, max_bytes)?;
        let peer = tls::peer(&secret.conn);
        Ok((message, Some(peer)))
    } else {
        let mut connection = connection;
        Ok((exchange(request, &mut connection, max_bytes)?, None))
    }
}

fn exchange(
    request: &Request,
    connection: &mut (impl Read + Write),
    max_bytes: usize,
) -> Result<Message> {
    let sent = connection.write_all(&request.head());
    let sent = sent.and_then(|()| connection.write_all(request.body()));
    // One that answers without reading all of the request has answered nevertheless.
    let sent = sent.and_then(|()| connection.flush());
    let message = Message::read(connection, request.has_no_answer_body(), max_bytes);
    match (sent, message) {
        (Err(error), Err(Error::Backend(_))) => Err(connection::failed("send the request", &error)),
        (_, message) => message,
    }
}

fn is_redirect(status: u16) -> bool {
    matches!(status, 301 | 302 | 303 | 307 | 308)
}

fn answer(
    url: &Url,
    message: Message,
    redirects: Vec<HttpRedirect>,
    unfollowed: Option<String>,
    tls: Option<TlsPeer>,
) -> HttpAnswer {
    let header = |(name, value)| HttpHeader { name, value };
    HttpAnswer {
        url: url.to_string(),
        status: message.status,
        headers: message.headers.into_iter().map(header).collect(),
        body: crate::live::received(&message.body),
        truncated: message.truncated,
        redirects,
        unfollowed,
        tls,
    }
}

/// Read the answer of a web service; for `tests/fuzz`.
pub fn read_http_answer(mut bytes: &[u8]) {
    const MOST: usize = 4096;
    let _ = Message::read(&mut bytes, false, MOST);
}

#[cfg(test)]
mod tests;
