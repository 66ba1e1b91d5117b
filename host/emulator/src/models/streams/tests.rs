//! What a guest finds at its end of a stream, and what it cannot do to the other.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};

use rookery_runs::plan::{Pseudofile, Read, Write};
use rustix::event::{PollFd, PollFlags};

use super::*;
use crate::kernel::passing::send_with_fd;
use crate::models::model::Model;

const PATH: &str = "/dev/x";

/// The streams of one model.
fn streams(file: &Pseudofile) -> (Arc<Streams>, Arc<Entry>) {
    let entry = Arc::new(Entry::new(PATH.into(), Model::new(file, None)));
    let tree = Arc::new(Tree::new(std::slice::from_ref(&entry)));
    let streams = Streams::start(tree, Arc::new(Log::default())).unwrap();
    (streams, entry)
}

fn bytes(text: &[u8]) -> Pseudofile {
    Pseudofile {
        read: Read::Bytes(text.into()),
        ..Pseudofile::default()
    }
}

fn waits(poll: Poll) -> Pseudofile {
    Pseudofile {
        poll,
        ..bytes(b"event")
    }
}

fn is_ready(file: &File, wanted: PollFlags, within_ms: i64) -> bool {
    let within = Timespec {
        tv_sec: within_ms / 1000,
        tv_nsec: within_ms % 1000 * 1_000_000,
    };
    let mut polled = [PollFd::new(file, wanted)];
    let any = rustix::event::poll(&mut polled, Some(&within)).unwrap();
    any == 1 && polled[0].revents().intersects(wanted)
}

fn open(streams: &Streams, flags: i32) -> File {
    streams.open(PATH, flags).unwrap().into()
}

#[test]
fn what_a_stream_holds_comes_whole_and_then_its_end() {
    let long: Vec<u8> = (0..200_000_u32).map(|at| at.to_le_bytes()[0]).collect();
    let (streams, _) = streams(&bytes(&long));
    let mut file = open(&streams, libc::O_RDONLY);
    let mut read = Vec::new();
    file.read_to_end(&mut read).unwrap();
    assert!(read == long, "{} bytes", read.len());
    assert_eq!(open(&streams, libc::O_RDWR).read(&mut [0; 3]).unwrap(), 3);
}

#[test]
fn a_cycle_never_ends_and_holds_little_ahead() {
    let (streams, _) = streams(&Pseudofile {
        read: Read::Cycle(b"abc".to_vec()),
        ..Pseudofile::default()
    });
    let mut file = open(&streams, libc::O_RDONLY);
    let mut read = vec![0; 300_000];
    file.read_exact(&mut read).unwrap();
    assert!(read.chunks(3).all(|chunk| chunk == b"abc"));
    let held = rustix::io::ioctl_fionread(&file).unwrap();
    assert!(held <= 4 * AHEAD as u64, "{held} bytes ahead");
}

#[test]
fn one_that_is_never_ready_waits_and_takes_what_is_written() {
    let (streams, _) = streams(&waits(Poll::Never));
    let mut file = open(&streams, libc::O_RDWR | libc::O_NONBLOCK);
    assert!(!is_ready(&file, PollFlags::IN, 50));
    let refused = file.read(&mut [0; 9]).unwrap_err();
    assert_eq!(refused.kind(), io::ErrorKind::WouldBlock);
    file.write_all(b"on").unwrap();
}

#[test]
fn a_tick_gives_what_is_held_once_more_but_only_when_it_was_read() {
    let (streams, entry) = streams(&waits(Poll::Periodic(1)));
    let mut file = open(&streams, libc::O_RDONLY);
    assert!(!is_ready(&file, PollFlags::IN, 20));
    for _ in 0..3 {
        streams.tick(&entry);
        streams.tick(&entry);
        assert!(is_ready(&file, PollFlags::IN, 0));
        let mut read = [0; 64];
        let length = file.read(&mut read).unwrap();
        assert_eq!(&read[..length], b"event");
        assert!(!is_ready(&file, PollFlags::IN, 0));
    }
}

#[test]
fn who_waits_for_a_model_is_told_when_it_becomes_another() {
    let (streams, entry) = streams(&waits(Poll::Never));
    let mut file = open(&streams, libc::O_RDONLY);
    *entry.model() = Model::new(&bytes(b"now"), None);
    streams.change(&entry);
    let mut read = String::new();
    file.read_to_string(&mut read).unwrap();
    assert_eq!(read, "now");
}

#[test]
fn all_that_was_written_before_a_question_is_told_with_who_wrote_it() {
    let (streams, _) = streams(&Pseudofile {
        write: Write::Record,
        ..Pseudofile::default()
    });
    let mut file = open(&streams, libc::O_WRONLY);
    file.write_all(b"hello").unwrap();
    drop(file);
    streams.settle();
    let [sent] = crate::models::sent::read(&streams.sent.answer())
        .try_into()
        .unwrap();
    assert_eq!(
        (sent.path.as_str(), sent.pid, sent.written.payload),
        (PATH, std::process::id(), b"hello".to_vec())
    );
}

#[test]
fn a_flood_of_writes_is_taken_and_does_not_keep_others_waiting() {
    let (streams, _) = streams(&bytes(b"x"));
    let mut flood = open(&streams, libc::O_WRONLY);
    let writer = std::thread::spawn(move || flood.write_all(&vec![7; 8 << 20]));
    for _ in 0..100 {
        let mut read = [0; 9];
        let length = open(&streams, libc::O_RDWR).read(&mut read).unwrap();
        assert_eq!(length, 1);
    }
    writer.join().unwrap().unwrap();
}

#[test]
fn a_reader_of_what_never_ends_does_not_keep_others_waiting() {
    let (streams, _) = streams(&Pseudofile {
        read: Read::Cycle(b"abc".to_vec()),
        ..Pseudofile::default()
    });
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            let mut file = open(&streams, libc::O_RDONLY);
            let stop = &stop;
            scope.spawn(move || {
                let mut buffer = vec![0; 64 << 10];
                while !stop.load(Ordering::Relaxed) {
                    file.read_exact(&mut buffer).unwrap();
                }
            });
        }
        let is_served = |_: &i32| {
            streams.settle();
            let other = streams.open(PATH, libc::O_RDWR).map(File::from);
            other.is_ok_and(|mut other| other.read_exact(&mut [0; 2]).is_ok())
        };
        let served = (0..100).filter(is_served).count();
        stop.store(true, Ordering::Relaxed);
        assert_eq!(served, 100);
    });
}

#[test]
fn a_guest_that_closes_one_direction_keeps_the_other() {
    let (streams, _) = streams(&Pseudofile {
        read: Read::Cycle(b"a".to_vec()),
        ..Pseudofile::default()
    });
    let mut half = open(&streams, libc::O_RDWR);
    rustix::net::shutdown(&half, Shutdown::Write).unwrap();
    let mut read = vec![0; 100_000];
    half.read_exact(&mut read).unwrap();
    let mut other = open(&streams, libc::O_RDWR);
    rustix::net::shutdown(&other, Shutdown::Read).unwrap();
    other.write_all(&vec![1; 100_000]).unwrap();
    drop((half, other));
    ends(&streams, 2);
}

/// Wait until so many more are known to have ended.
fn ends(streams: &Streams, wanted: usize) {
    let mut ended = Vec::new();
    let begin = std::time::Instant::now();
    while ended.len() < wanted && begin.elapsed() < Duration::from_secs(20) {
        ended.extend(streams.ended());
        std::thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(ended.len(), wanted);
}

#[test]
fn descriptors_that_a_guest_sends_along_are_not_kept() {
    let (streams, _) = streams(&bytes(b""));
    let file = OwnedFd::from(open(&streams, libc::O_RDWR));
    let (mut reader, writer) = io::pipe().unwrap();
    for _ in 0..100 {
        send_with_fd(&file, b"x", Some(std::os::fd::AsFd::as_fd(&writer))).unwrap();
    }
    drop(writer);
    streams.settle();
    // It ends when nobody has the other end any more.
    assert_eq!(reader.read(&mut [0; 1]).unwrap(), 0);
}

#[test]
fn streams_are_bounded_and_those_that_ended_make_room() {
    let (streams, _) = streams(&bytes(b"x"));
    let mut open = Vec::new();
    let errno = loop {
        match streams.open(PATH, libc::O_RDWR) {
            Ok(file) => open.push(file),
            Err(errno) => break errno,
        }
    };
    assert_eq!(errno, Errno::MFILE);
    let count = open.len();
    assert!(count as u64 <= STREAMS_MAX, "{count}");
    drop(open);
    ends(&streams, count);
    assert!(streams.open(PATH, libc::O_RDWR).is_ok());
    assert_eq!(streams.open("/dev", 0).err(), Some(Errno::NOENT));
}
