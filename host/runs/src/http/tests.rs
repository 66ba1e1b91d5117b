//! Servers on this machine answer in the place of a guest's.

use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use rookery_contract::options::Payload;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::*;

/// Of a router that nobody has, and in no use anywhere else.
const CERTIFICATE: &[u8] = include_bytes!("testdata/certificate.der");
const KEY: &[u8] = include_bytes!("testdata/key.der");

/// A server that gives these answers to one connection each, and what it was asked.
struct Server {
    port: u16,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Server {
    fn start(answers: Vec<Vec<u8>>, secret: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked: Arc<Mutex<Vec<String>>> = Arc::default();
        let heard = Arc::clone(&asked);
        std::thread::spawn(move || {
            for answer in answers {
                let (stream, _) = listener.accept().unwrap();
                let hear = |said: String| heard.lock().unwrap().push(said);
                if secret {
                    let provider = Arc::new(rustls::crypto::ring::default_provider());
                    let config = ServerConfig::builder_with_provider(provider)
                        .with_safe_default_protocol_versions()
                        .unwrap()
                        .with_no_client_auth()
                        .with_single_cert(
                            vec![CertificateDer::from(CERTIFICATE)],
                            PrivatePkcs8KeyDer::from(KEY).into(),
                        )
                        .unwrap();
                    let server = ServerConnection::new(Arc::new(config)).unwrap();
                    serve(StreamOwned::new(server, stream), &answer, hear);
                } else {
                    serve(stream, &answer, hear);
                }
            }
        });
        Self { port, asked }
    }

    fn url(&self, scheme: &str, path: &str) -> String {
        format!("{scheme}://127.0.0.1:{}{path}", self.port)
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

/// Read a head, and as much of a body as it says; then answer.
fn serve(mut stream: impl Read + Write, answer: &[u8], hear: impl FnOnce(String)) {
    let mut said = Vec::new();
    let mut byte = [0];
    let length = |said: &[u8]| {
        let text = String::from_utf8_lossy(said).to_lowercase();
        let (headers, body) = text.split_once("\r\n\r\n")?;
        let length = headers.split("content-length: ").nth(1).unwrap_or("0");
        let length: usize = length.split("\r\n").next()?.parse().ok()?;
        Some(body.len() >= length)
    };
    while length(&said) != Some(true) && stream.read(&mut byte).is_ok_and(|count| count > 0) {
        said.push(byte[0]);
    }
    hear(String::from_utf8_lossy(&said).into_owned());
    let _ = stream.write_all(answer);
    let _ = stream.flush();
}

/// Ask, wherever on this machine the address of the guest and its port are.
fn ask(options: &HttpOptions) -> Result<HttpAnswer> {
    let bounds = Bounds {
        timeout: Duration::from_millis(options.timeout_ms.unwrap_or(5000).into()),
        max_bytes: options.max_bytes.unwrap_or(1000) as usize,
    };
    request(options, bounds, &Cancel::default(), |address, port, _| {
        assert!(address.is_loopback());
        TcpStream::connect((address, port)).map_err(|error| Error::NotFound(error.to_string()))
    })
}

fn text(answer: &HttpAnswer) -> &str {
    answer.body.text.as_deref().unwrap_or_default()
}

#[test]
fn a_page_is_given_with_its_headers_whichever_way_its_length_is_said() {
    for body in [
        &b"Content-Length: 5\r\n\r\nhello and more"[..],
        b"Transfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\n\r\n",
        b"\r\nhello",
    ] {
        let head = &b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nServer: x\r\n"[..];
        let server = Server::start(vec![[head, body].concat()], false);
        let answer = ask(&HttpOptions::get(&server.url("http", "/a?b=c#d"))).unwrap();
        assert_eq!((answer.status, text(&answer)), (200, "hello"));
        assert_eq!(answer.header("server"), Some("x"));
        assert!(!answer.truncated && answer.tls.is_none());
        let asked = &server.asked()[0];
        assert!(
            asked.starts_with("GET /a?b=c HTTP/1.1\r\nHost: 127.0.0.1:"),
            "{asked}"
        );
    }
}

#[test]
fn a_certificate_signed_by_itself_is_taken_and_told() {
    let page = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi".to_vec();
    let server = Server::start(vec![page], true);
    let answer = ask(&HttpOptions::get(&server.url("https", "/"))).unwrap();
    assert_eq!(text(&answer), "hi");
    let tls = answer.tls.unwrap();
    assert_eq!(tls.version, "TLS 1.3");
    assert_eq!(tls.subject.as_deref(), Some("CN=router"));
    assert_eq!(tls.issuer, tls.subject);
    // As `openssl x509 -fingerprint -sha256` says it.
    assert!(tls.sha256.starts_with("dc729182fec2413651") && tls.sha256.len() == 64);
}

#[test]
fn a_redirect_leads_to_the_same_address_whatever_name_it_has() {
    let page = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi".to_vec();
    let secret = Server::start(vec![page], true);
    let location = format!("https://router.example.com:{}/login", secret.port);
    let head = format!("HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n");
    let open = Server::start(vec![head.into_bytes()], false);
    let options = HttpOptions {
        method: Some("post".to_owned()),
        headers: [("Cookie".to_owned(), "a=b".to_owned())].into(),
        body: Some(Payload::Text("user=x".to_owned())),
        ..HttpOptions::get(&open.url("http", "/"))
    };
    let answer = ask(&options).unwrap();
    assert_eq!(
        (answer.url.as_str(), text(&answer)),
        (location.as_str(), "hi")
    );
    assert_eq!(
        (answer.redirects[0].status, &answer.redirects[0].location),
        (302, &location)
    );
    assert!(
        open.asked()[0].ends_with("\r\n\r\nuser=x"),
        "{:?}",
        open.asked()
    );
    let asked = &secret.asked()[0];
    assert!(
        asked.starts_with("GET /login HTTP/1.1\r\nHost: router.example.com:"),
        "{asked}"
    );
    assert!(
        asked.contains("Cookie: a=b\r\n") && !asked.contains("Content-Length"),
        "{asked}"
    );
}

#[test]
fn redirects_end_and_the_answer_says_why() {
    let round = || b"HTTP/1.1 301 Moved\r\nLocation: /again\r\nContent-Length: 0\r\n\r\n".to_vec();
    let server = Server::start(vec![round(), round(), round()], false);
    let options = HttpOptions {
        redirects: Some(2),
        ..HttpOptions::get(&server.url("http", "/"))
    };
    let answer = ask(&options).unwrap();
    assert_eq!((answer.status, answer.redirects.len()), (301, 2));
    assert_eq!(
        answer.unfollowed.as_deref(),
        Some("2 redirects were followed before")
    );

    let elsewhere =
        b"HTTP/1.1 302 Found\r\nLocation: ftp://x/\r\nContent-Length: 0\r\n\r\n".to_vec();
    let server = Server::start(vec![elsewhere], false);
    let answer = ask(&HttpOptions::get(&server.url("http", "/"))).unwrap();
    assert!(answer.unfollowed.unwrap().contains("not a URL of HTTP"));
}

#[test]
fn what_is_too_much_is_cut_and_what_is_broken_is_an_error() {
    let flood = [&b"HTTP/1.1 200 OK\r\n\r\n"[..], &vec![b'x'; 100_000]].concat();
    let server = Server::start(vec![flood], false);
    let answer = ask(&HttpOptions::get(&server.url("http", "/"))).unwrap();
    assert_eq!((answer.truncated, answer.body.bytes), (true, 1000));

    let endless = [&b"HTTP/1.1 200 OK\r\nA: "[..], &vec![b'x'; 100_000]].concat();
    for (answer, why) in [
        (b"SSH-2.0-dropbear\r\n".to_vec(), "not HTTP"),
        (Vec::new(), "without a byte"),
        (b"HTTP/1.1 200".to_vec(), "before its headers do"),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n".to_vec(),
            "malformed",
        ),
        (endless, "more than 65536 bytes"),
    ] {
        let server = Server::start(vec![answer], false);
        let error = ask(&HttpOptions::get(&server.url("http", "/"))).unwrap_err();
        assert!(error.to_string().contains(why), "{why}: {error}");
    }
}

#[test]
fn a_service_that_speaks_no_tls_or_only_old_tls_is_told_apart() {
    // An alert of TLS 1.0, `protocol_version`, as old servers send it.
    let old = vec![0x15, 3, 1, 0, 2, 2, 70];
    for (answer, why) in [
        (old, "before TLS 1.2"),
        (
            b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec(),
            "does not speak TLS",
        ),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut hello = [0; 64];
            let _ = stream.read(&mut hello);
            let _ = stream.write_all(&answer);
            let mut rest = Vec::new();
            let _ = stream.read_to_end(&mut rest);
        });
        let error = ask(&HttpOptions::get(&format!("https://127.0.0.1:{port}/"))).unwrap_err();
        assert!(error.to_string().contains(why), "{why}: {error}");
    }
}

#[test]
fn a_service_that_never_answers_ends_at_the_deadline() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    for scheme in ["http", "https"] {
        let options = HttpOptions {
            timeout_ms: Some(300),
            ..HttpOptions::get(&format!("{scheme}://127.0.0.1:{port}/"))
        };
        let begun = Instant::now();
        let error = ask(&options).unwrap_err();
        assert!(
            matches!(&error, Error::Limit(why) if why.contains("timeout_ms")),
            "{error:?}"
        );
        assert!(begun.elapsed() < Duration::from_secs(4));
    }
}

#[test]
fn a_request_that_could_say_something_else_is_refused_before_it_is_sent() {
    let with = |name: &str, value: &str| HttpOptions {
        headers: [(name.to_owned(), value.to_owned())].into(),
        ..HttpOptions::get("http://127.0.0.1/")
    };
    let method = |method: &str| HttpOptions {
        method: Some(method.to_owned()),
        ..HttpOptions::get("http://127.0.0.1/")
    };
    for (options, why) in [
        (HttpOptions::get("/only/a/path"), "not a URL"),
        (HttpOptions::get("ftp://127.0.0.1/"), "begins with http://"),
        (
            HttpOptions::get("http://example.com/"),
            "address inside the guest",
        ),
        (with("a b", "c"), "is not a header"),
        (with("A", "b\r\nC: d"), "is not a header"),
        (with("content-length", "9"), "the host's to set"),
        (method("GET / HTTP/1.1\r\nX:"), "not one of HTTP's"),
        (method("CONNECT"), "not one of HTTP's"),
    ] {
        let error = ask(&options).unwrap_err();
        assert!(error.to_string().contains(why), "{why}: {error}");
    }
}

proptest::proptest! {
    #[test]
    fn no_answer_is_more_than_an_error_or_a_bounded_message(bytes: Vec<u8>, cut in 0_usize..3) {
        let start = [
            &b""[..],
            b"HTTP/1.1 200 OK\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        ][cut];
        let bytes = [start, &bytes].concat();
        if let Ok(message) = Message::read(&mut bytes.as_slice(), false, 10) {
            proptest::prop_assert!(message.body.len() <= 10);
        }
    }
}
