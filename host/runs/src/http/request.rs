//! A request, and what becomes of it where an answer leads elsewhere.

use std::net::IpAddr;

use rookery_contract::options::{HttpOptions, Payload};
use rookery_project::{Error, Result};
use url::{Host, Position, Url};

use crate::control::wire;

/// Most bytes of a request's body.
const MAX_BODY: usize = 1 << 20;
/// Most bytes of its headers.
const MAX_HEADERS: usize = 32 << 10;
/// Set by the host: what they say is how the two sides keep in step.
const OURS: [&str; 6] = [
    "connection",
    "content-length",
    "expect",
    "te",
    "transfer-encoding",
    "upgrade",
];

/// A request that can be sent.
#[derive(Clone)]
pub(super) struct Request {
    url: Url,
    method: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Request {
    /// What is asked for, and the address of the guest that every connection leads to.
    pub(super) fn read(options: &HttpOptions) -> Result<(Self, IpAddr)> {
        let url = Url::parse(&options.url)
            .map_err(|error| wrong(format!("url is not a URL ({error}): {EXAMPLE}")))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(wrong(format!(
                "url begins with http:// or https://: {EXAMPLE}"
            )));
        }
        let address = match url.host() {
            Some(Host::Ipv4(address)) => address.into(),
            Some(Host::Ipv6(address)) => address.into(),
            Some(Host::Domain("localhost")) => std::net::Ipv4Addr::LOCALHOST.into(),
            _ => {
                return Err(wrong(format!(
                    "the host of url is an address inside the guest: {EXAMPLE}; a header `Host` \
                     may say a name"
                )));
            }
        };
        let method = options.method.as_deref().unwrap_or("GET");
        if !is_token(method) || method.eq_ignore_ascii_case("CONNECT") {
            return Err(wrong("method is not one of HTTP's, such as GET".to_owned()));
        }
        let headers: Vec<_> = options.headers.clone().into_iter().collect();
        headers_are_sound(&headers)?;
        let body = match &options.body {
            None => Vec::new(),
            Some(Payload::Text(text)) => text.clone().into_bytes(),
            Some(Payload::Base64 { base64 }) => wire::bytes(base64)?,
        };
        if body.len() > MAX_BODY {
            return Err(Error::Limit(format!(
                "body holds {} bytes; at most {MAX_BODY} are allowed",
                body.len()
            )));
        }
        let request = Self {
            url,
            method: method.to_ascii_uppercase(),
            headers,
            body,
        };
        Ok((request, address))
    }

    pub(super) fn url(&self) -> &Url {
        &self.url
    }

    pub(super) fn is_secret(&self) -> bool {
        self.url.scheme() == "https"
    }

    pub(super) fn host(&self) -> &str {
        self.url.host_str().unwrap_or_default()
    }

    pub(super) fn port(&self) -> u16 {
        self.url.port_or_known_default().unwrap_or(80)
    }

    /// Whether an answer to it has headers alone.
    pub(super) fn has_no_answer_body(&self) -> bool {
        self.method == "HEAD"
    }

    /// Everything before the body.
    pub(super) fn head(&self) -> Vec<u8> {
        let given = |name: &str| {
            let mut headers = self.headers.iter();
            headers.any(|(given, _)| given.eq_ignore_ascii_case(name))
        };
        let path = &self.url[Position::BeforePath..Position::AfterQuery];
        let mut head = format!("{} {path} HTTP/1.1\r\n", self.method);
        let mut line = |name: &str, value: &str| {
            for part in [name, ": ", value, "\r\n"] {
                head.push_str(part);
            }
        };
        if !given("host") {
            line("Host", &self.url[Position::BeforeHost..Position::AfterPort]);
        }
        if !given("user-agent") {
            line("User-Agent", "rookery");
        }
        if !given("accept") {
            line("Accept", "*/*");
        }
        for (name, value) in &self.headers {
            line(name, value);
        }
        if !self.body.is_empty() || matches!(self.method.as_str(), "POST" | "PUT" | "PATCH") {
            line("Content-Length", &self.body.len().to_string());
        }
        line("Connection", "close");
        head.push_str("\r\n");
        head.into_bytes()
    }

    pub(super) fn body(&self) -> &[u8] {
        &self.body
    }

    /// What is asked next after an answer of this status, or why nothing is.
    pub(super) fn redirected(&self, status: u16, location: &str) -> Result<Self, String> {
        let unfit = "it leads to what is not a URL of HTTP";
        let url = self.url.join(location).map_err(|_| unfit.to_owned())?;
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
            return Err(unfit.to_owned());
        }
        let mut next = Self {
            url,
            ..self.clone()
        };
        // The name in the URL counts from here on.
        next.headers
            .retain(|(name, _)| !name.eq_ignore_ascii_case("host"));
        let is_post = self.method == "POST";
        if (status == 303 && self.method != "HEAD") || (matches!(status, 301 | 302) && is_post) {
            "GET".clone_into(&mut next.method);
            next.body.clear();
            next.headers
                .retain(|(name, _)| !name.eq_ignore_ascii_case("content-type"));
        }
        Ok(next)
    }
}

const EXAMPLE: &str = "for example http://127.0.0.1:80/";

fn wrong(why: String) -> Error {
    Error::InvalidArgument(why)
}

fn is_token(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.len() <= 100 && text.bytes().all(allowed)
}

fn headers_are_sound(headers: &[(String, String)]) -> Result<()> {
    let bytes: usize = headers
        .iter()
        .map(|(name, value)| name.len() + value.len())
        .sum();
    if bytes > MAX_HEADERS {
        return Err(Error::Limit(format!(
            "the headers have {bytes} bytes; at most {MAX_HEADERS} are allowed"
        )));
    }
    for (name, value) in headers {
        if !is_token(name) || value.chars().any(|c| c.is_control() && c != '\t') {
            return Err(wrong(format!(
                "{name:?} is not a header: a name has no spaces, and a value is one line"
            )));
        }
        if OURS.iter().any(|ours| name.eq_ignore_ascii_case(ours)) {
            return Err(wrong(format!("the header {name:?} is the host's to set")));
        }
    }
    Ok(())
}
