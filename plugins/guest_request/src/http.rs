//! HTTP/1.1: one request, and what came back.

use rookery_plugin::text::escape;
use rookery_plugin::{Result, invalid};

/// Headers of an answer that are shown, and how much of each.
const HEADERS: usize = 20;
const HEADER_BYTES: usize = 200;

/// The bytes of a request.
pub fn request(
    method: &str,
    path: &str,
    host: &str,
    headers: &[String],
    body: &[u8],
) -> Result<Vec<u8>> {
    if method.is_empty() || !method.bytes().all(|b| b.is_ascii_alphabetic() || b == b'-') {
        return Err(invalid(format!(
            "method is {method:?}; GET or POST, for example"
        )));
    }
    if path.starts_with("https:") {
        return Err(invalid(
            "https is not possible here: fetch the endpoint that run_wait lists with a client of \
             your own. Of HTTP, give the path alone, such as \"/\"",
        ));
    }
    if !path.starts_with('/') || path.bytes().any(|b| b <= b' ' || b == 0x7f) {
        return Err(invalid(format!(
            "path is {path:?}; it begins with / and has no spaces (%20) and no control characters"
        )));
    }
    let mut lines = vec![format!("{method} {path} HTTP/1.1")];
    let has = |name: &str| {
        headers.iter().any(|header| {
            header
                .split_once(':')
                .is_some_and(|(own, _)| own.trim().eq_ignore_ascii_case(name))
        })
    };
    let length = body.len().to_string();
    let own = [
        ("Host", host, true),
        ("User-Agent", "rookery", true),
        ("Accept", "*/*", true),
        ("Accept-Encoding", "identity", true),
        ("Connection", "close", true),
        (
            "Content-Length",
            &length,
            !body.is_empty() || method != "GET",
        ),
    ];
    for (name, value, needed) in own {
        if needed && !has(name) {
            lines.push(format!("{name}: {value}"));
        }
    }
    for header in headers {
        if !header.contains(':') || header.contains(['\r', '\n', '\0']) {
            return Err(invalid(format!(
                "{header:?} is not a header; write \"Name: value\" on one line"
            )));
        }
        lines.push(header.clone());
    }
    let mut bytes = (lines.join("\r\n") + "\r\n\r\n").into_bytes();
    bytes.extend_from_slice(body);
    Ok(bytes)
}

/// An answer.
#[derive(Debug, PartialEq, Eq)]
pub struct Response {
    pub status: u16,
    /// Escaped.
    pub headers: Vec<String>,
    pub body: Vec<u8>,
}

/// The answer in `bytes`, if it is one of HTTP.
pub fn response(bytes: &[u8]) -> Option<Response> {
    if !bytes.starts_with(b"HTTP/") {
        return None;
    }
    let (end, body) = [&b"\r\n\r\n"[..], b"\n\n"]
        .iter()
        .filter_map(|gap| {
            let at = bytes.windows(gap.len()).position(|window| window == *gap)?;
            Some((at, at + gap.len()))
        })
        .min()
        .unwrap_or((bytes.len(), bytes.len()));
    let mut lines = bytes.get(..end)?.split(|b| *b == b'\n').map(trimmed);
    let status = lines.next()?.split(|b| *b == b' ').nth(1)?;
    let status = std::str::from_utf8(status).ok()?.parse().ok()?;
    let lines: Vec<&[u8]> = lines.filter(|line| !line.is_empty()).collect();
    let chunked = lines.iter().any(|line| {
        let line = line.to_ascii_lowercase();
        line.starts_with(b"transfer-encoding:") && line.ends_with(b"chunked")
    });
    let body = bytes.get(body..).unwrap_or_default();
    Some(Response {
        status,
        headers: lines.iter().take(HEADERS).map(|line| shown(line)).collect(),
        body: if chunked {
            dechunked(body)
        } else {
            body.to_vec()
        },
    })
}

fn trimmed(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

fn shown(line: &[u8]) -> String {
    escape(line.get(..HEADER_BYTES).unwrap_or(line))
}

/// The chunks of a body, as far as they came.
fn dechunked(mut rest: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    while let Some(end) = rest.iter().position(|b| *b == b'\n') {
        let size = String::from_utf8_lossy(trimmed(&rest[..end])).into_owned();
        let size = size.split(';').next().unwrap_or_default().trim();
        let Some(size) = usize::from_str_radix(size, 16)
            .ok()
            .filter(|size| *size > 0)
        else {
            break;
        };
        rest = &rest[end + 1..];
        let chunk = rest.get(..size).unwrap_or(rest);
        body.extend_from_slice(chunk);
        rest = &rest[chunk.len()..];
        rest = rest.strip_prefix(b"\r").unwrap_or(rest);
        rest = rest.strip_prefix(b"\n").unwrap_or(rest);
    }
    body
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(headers: &[&str], body: &str) -> String {
        let headers: Vec<_> = headers.iter().map(|header| (*header).to_owned()).collect();
        let bytes = request("POST", "/a?b", "127.0.0.1", &headers, body.as_bytes()).unwrap();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn a_request_has_what_servers_need_and_own_headers_take_precedence() {
        let text = sent(&["host: router", "X-A: 1"], "k=v");
        assert!(text.starts_with("POST /a?b HTTP/1.1\r\n"), "{text}");
        assert!(
            text.ends_with("\r\nhost: router\r\nX-A: 1\r\n\r\nk=v"),
            "{text}"
        );
        assert!(
            text.contains("\r\nContent-Length: 3\r\n") && !text.contains("Host:"),
            "{text}"
        );
    }

    #[test]
    fn a_request_is_one_request() {
        let refused = |method: &str, path: &str, header: &str| {
            let headers = [header.to_owned()];
            request(method, path, "h", &headers, b"")
                .unwrap_err()
                .to_string()
        };
        assert!(refused("GET", "https://x/", "A: b").contains("https is not possible"));
        assert!(refused("GET /x", "/", "A: b").contains("method"));
        assert!(refused("GET", "/a b", "A: b").contains("%20"));
        assert!(refused("GET", "/\r\nX:", "A: b").contains("control"));
        assert!(refused("GET", "/", "A: b\r\nC: d").contains("one line"));
    }

    #[test]
    fn an_answer_is_taken_apart() {
        let answer = response(b"HTTP/1.0 302 Found\r\nLocation: /login\r\n\r\n<p>").unwrap();
        assert_eq!((answer.status, answer.body.as_slice()), (302, &b"<p>"[..]));
        assert_eq!(answer.headers, ["Location: /login"]);
        assert_eq!(response(b"HTTP/1.1 200 OK\nA: b\n\nx").unwrap().body, b"x");
        assert_eq!(response(b"HTTP/1.1 200 OK").unwrap().body, b"");
        assert_eq!(response(b"SSH-2.0-dropbear\r\n"), None);
        assert_eq!(response(b"HTTP/1.1 oops\r\n\r\n"), None);
    }

    #[test]
    fn chunks_are_joined_as_far_as_they_came() {
        let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        for (body, whole) in [
            ("3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n", "abcde"),
            ("5\r\nab", "ab"),
            ("ffffffffffffffff\r\nab", "ab"),
            ("zz\r\nab", ""),
            ("3\r\nabc", "abc"),
        ] {
            let answer = response(format!("{head}{body}").as_bytes()).unwrap();
            assert_eq!(answer.body, whole.as_bytes(), "{body:?}");
        }
    }
}
