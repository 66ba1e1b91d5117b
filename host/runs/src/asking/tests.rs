//! Services of every kind, friendly and hostile, and what is made of them.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread::JoinHandle;

use rookery_contract::shapes::AnswerKind;
use rustix::event::{PollFd, Timespec};

use super::*;

const LIMIT: Duration = Duration::from_secs(8);

/// Ask a service, with a loop as any other; gives the answer and how long it took.
fn ask(at: SocketAddr, limit: Duration) -> (ServiceAnswer, Duration) {
    let mut questions = Questions::default();
    let began = Instant::now();
    questions.ask(7, at, limit);
    loop {
        if let Some((number, answer)) = questions.advance().pop() {
            assert_eq!(number, 7);
            assert_eq!(questions.due(), None);
            return (answer, began.elapsed());
        }
        let due = questions.due().expect("a question is on its way");
        let left = due.saturating_duration_since(Instant::now());
        let timeout = Timespec::try_from(left).unwrap();
        let mut fds: Vec<_> = questions
            .sockets()
            .map(|(fd, flags)| PollFd::from_borrowed_fd(fd, flags))
            .collect();
        rustix::event::poll(&mut fds, Some(&timeout)).unwrap();
    }
}

/// A service that serves one client at a time, and ends after so many.
fn service(
    clients: usize,
    mut serve: impl FnMut(&mut TcpStream) + Send + 'static,
) -> (SocketAddr, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = listener.local_addr().unwrap();
    let thread = std::thread::spawn(move || {
        for _ in 0..clients {
            let (mut client, _) = listener.accept().unwrap();
            client.set_read_timeout(Some(LIMIT)).unwrap();
            serve(&mut client);
        }
    });
    (at, thread)
}

fn request(client: &mut TcpStream) -> Vec<u8> {
    let mut buffer = [0; 4096];
    let length = client.read(&mut buffer).unwrap();
    buffer[..length].to_vec()
}

#[test]
fn a_page_is_an_answer_and_its_service_is_left_in_peace() {
    let (at, served) = service(1, |client| {
        assert!(request(client).starts_with(b"GET / HTTP/1.0\r\n"));
        let body = vec![b'x'; 300_000];
        let head = b"HTTP/1.0 200 OK\r\nServer: GoAhead\r\n\r\n<title>Router</title>";
        // A reset while it writes would be an error here.
        client.write_all(head).unwrap();
        client.write_all(&body).unwrap();
    });
    let (answer, _) = ask(at, LIMIT);
    assert_eq!((answer.kind, answer.status), (AnswerKind::Http, Some(200)));
    assert_eq!(answer.title.as_deref(), Some("Router"));
    assert_eq!(answer.bytes, 300_000 + 21);
    served.join().unwrap();
}

#[test]
fn a_service_that_keeps_its_connection_open_is_not_waited_for() {
    let (at, served) = service(1, |client| {
        request(client);
        let response = b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\nno";
        client.write_all(response).unwrap();
        assert_eq!(request(client), b"", "the client says that it leaves");
    });
    let (answer, took) = ask(at, LIMIT);
    assert_eq!((answer.status, answer.bytes), (Some(401), 2));
    assert!(took < Duration::from_secs(4), "{took:?}");
    served.join().unwrap();
}

#[test]
fn a_banner_is_taken_without_asking() {
    let (at, served) = service(1, |client| {
        client.write_all(b"220 FTP ready\r\n").unwrap();
        assert_eq!(request(client), b"", "nothing is sent to it");
    });
    let (answer, _) = ask(at, LIMIT);
    assert_eq!(answer.kind, AnswerKind::Banner);
    assert_eq!(answer.banner.as_deref(), Some("220 FTP ready"));
    served.join().unwrap();
}

#[test]
fn a_service_that_closes_on_a_plain_request_is_asked_for_tls() {
    let mut clients = 0;
    let (at, served) = service(2, move |client| {
        clients += 1;
        let said = request(client);
        if clients == 1 {
            assert!(said.starts_with(b"GET "));
        } else {
            assert_eq!(said[..3], [0x16, 3, 1]);
            client.write_all(&[0x15, 3, 3, 0, 2, 2, 40]).unwrap();
        }
    });
    let (answer, _) = ask(at, LIMIT);
    assert_eq!(answer.kind, AnswerKind::Tls);
    served.join().unwrap();
}

#[test]
fn silence_closing_and_refusal_are_told_apart() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (answer, took) = ask(listener.local_addr().unwrap(), LIMIT);
    assert_eq!(answer.kind, AnswerKind::Silent);
    assert!(
        !answer.is_answer() && took < Duration::from_secs(5),
        "{took:?}"
    );
    let at = listener.local_addr().unwrap();
    drop(listener);
    assert_eq!(ask(at, LIMIT).0.kind, AnswerKind::Refused);
    let (at, served) = service(2, |client| drop(request(client)));
    assert_eq!(ask(at, LIMIT).0.kind, AnswerKind::Closed);
    served.join().unwrap();
}

#[test]
fn a_slow_drip_and_an_endless_body_end_in_time() {
    let (at, _) = service(1, |client| {
        request(client);
        let _ = client.write_all(b"HTTP/1.0 200 OK\r\n");
        while client.write_all(b"X").is_ok() {
            std::thread::sleep(Duration::from_millis(50));
        }
    });
    let (answer, took) = ask(at, LIMIT);
    assert_eq!((answer.kind, answer.status), (AnswerKind::Http, Some(200)));
    assert!(took < Duration::from_secs(7), "{took:?}");
    let (at, _) = service(1, |client| {
        request(client);
        let _ = client.write_all(b"HTTP/1.0 200 OK\r\n\r\n");
        while client.write_all(&[b'x'; 4096]).is_ok() {}
    });
    let (answer, took) = ask(at, LIMIT);
    assert!(answer.bytes <= (1 << 20) + (16 << 10), "{answer:?}");
    assert!(took < Duration::from_secs(7), "{took:?}");
    // At the end of a run there is less time than a service takes.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = listener.local_addr().unwrap();
    let (answer, took) = ask(at, Duration::from_millis(700));
    assert_eq!(answer.kind, AnswerKind::Silent);
    assert!(took < Duration::from_secs(2), "{took:?}");
}

#[test]
fn more_services_than_are_asked_at_once_are_all_asked() {
    let listeners: Vec<_> = (0..AT_ONCE + 8)
        .map(|_| TcpListener::bind("127.0.0.1:0").unwrap())
        .collect();
    let mut questions = Questions::default();
    for (number, listener) in (0..).zip(&listeners) {
        let at = listener.local_addr().unwrap();
        questions.ask(number, at, Duration::from_millis(100));
    }
    let mut answers = Vec::new();
    while questions.due().is_some() {
        answers.extend(questions.advance());
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(answers.len(), listeners.len());
}
