//! The process that reads an image, as its starter sees it.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::process::Child;
use std::time::{Duration, Instant};

use rookery_confined::{Ended, Limits};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::{READ_IMAGE, READ_SYMBOLS};

/// This program, also after its file was replaced.
const OWN: &str = "/proc/self/exe";
/// What reading an image may take of memory: all inodes, and the ends of small files.
pub const MEMORY_BYTES: u64 = 1 << 30;
/// What it may take of the processor: this, and a second for each MiB. Unpacking xz takes 0.1 s.
const CPU: Duration = Duration::from_secs(30);
const MAX_CPU: Duration = Duration::from_mins(15);
/// What reading the symbols of a file of 64 MiB may take.
const SYMBOLS_MEMORY: u64 = 256 << 20;
const SYMBOLS_CPU: Duration = Duration::from_secs(5);
/// It may take so many times its processor time on a machine that has other things to do.
const PATIENCE: u32 = 6;
/// How often it is asked whether somebody still wants the answer.
const ASKED: Duration = Duration::from_millis(100);
/// How long it may stay after its last word.
const GRACE: Duration = Duration::from_secs(5);
/// The most bytes that it says on stderr.
const MAX_SAID: u64 = 16 << 10;

/// What a process makes of a file: of an image a tar stream. The process ends with it.
pub struct Reading {
    child: Child,
    limits: Limits,
    deadline: Instant,
    /// Whether nobody wants the answer any more.
    cancelled: Box<dyn Fn() -> bool>,
    ended: bool,
}

/// Why an image was not read to its end.
#[derive(Debug, PartialEq, Eq)]
pub enum Unread {
    /// The image is to blame.
    Refused(String),
    /// Reading it needs more than this.
    TooMuch(String),
    /// The process could not be had.
    Host(String),
}

impl Reading {
    /// Start to read `image`, a file of `bytes`, from where it stands, with at most `memory_bytes`
    /// of memory. The program must call [`read_image`](crate::read_image) when its first argument
    /// is [`READ_IMAGE`].
    pub fn start(
        image: File,
        bytes: u64,
        memory_bytes: u64,
        cancelled: impl Fn() -> bool + 'static,
    ) -> io::Result<Self> {
        let cpu = (CPU + Duration::from_secs(bytes >> 20)).min(MAX_CPU);
        let limits = Limits { memory_bytes, cpu };
        Self::of(READ_IMAGE, image, limits, cancelled)
    }

    /// Start to read the symbols of `file`, an ELF file. The program must call
    /// [`read_symbols`](crate::read_symbols) when its first argument is [`READ_SYMBOLS`].
    pub fn start_symbols(file: File, cancelled: impl Fn() -> bool + 'static) -> io::Result<Self> {
        let limits = Limits {
            memory_bytes: SYMBOLS_MEMORY,
            cpu: SYMBOLS_CPU,
        };
        Self::of(READ_SYMBOLS, file, limits, cancelled)
    }

    fn of(
        process: &str,
        stdin: File,
        limits: Limits,
        cancelled: impl Fn() -> bool + 'static,
    ) -> io::Result<Self> {
        let child = rookery_confined::command(OWN.as_ref(), process, limits)
            .stdin(stdin)
            .spawn()?;
        Ok(Self {
            child,
            limits,
            deadline: Instant::now() + limits.cpu * PATIENCE,
            cancelled: Box::new(cancelled),
            ended: false,
        })
    }

    /// Whether the stream came to its end, be it early.
    pub fn has_ended(&self) -> bool {
        self.ended
    }

    /// What the process says at its end: what the reader of the image should know.
    pub fn end(&mut self) -> Result<Vec<String>, Unread> {
        let host = |error: io::Error| Unread::Host(error.to_string());
        let mut said = Vec::new();
        if let Some(errors) = self.child.stderr.take() {
            let _ = self.patiently(errors).take(MAX_SAID).read_to_end(&mut said);
        }
        let said = String::from_utf8_lossy(&said).trim().to_owned();
        // One that was taken over may stay, with all its pipes closed.
        let gone = Instant::now() + GRACE;
        while Instant::now() < gone && self.child.try_wait().map_err(host)?.is_none() {
            std::thread::sleep(Duration::from_millis(1));
        }
        let _ = self.child.kill();
        let status = self.child.wait().map_err(host)?;
        if status.success() {
            return Ok(said.lines().map(str::to_owned).collect());
        }
        Err(match rookery_confined::ended(status, &said, self.limits) {
            Ended::Refused(why) => Unread::Refused(why),
            Ended::TooMuch(what) => Unread::TooMuch(what),
            Ended::Crashed(how) => Unread::Refused(format!(
                "reading it crashed ({how}); extract it with `unblob`, and use the directory \
                 instead"
            )),
        })
    }

    fn patiently<R>(&self, pipe: R) -> Patiently<'_, R> {
        Patiently {
            pipe,
            deadline: self.deadline,
            cancelled: &self.cancelled,
        }
    }
}

impl Read for Reading {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(output) = self.child.stdout.take() else {
            return Ok(0);
        };
        let mut patiently = self.patiently(output);
        let n = patiently.read(buffer);
        self.child.stdout = Some(patiently.pipe);
        self.ended |= matches!(n, Ok(0)) && !buffer.is_empty();
        n
    }
}

/// A pipe that is read until a deadline, or until nobody wants it any more.
struct Patiently<'a, R> {
    pipe: R,
    deadline: Instant,
    cancelled: &'a dyn Fn() -> bool,
}

impl<R: Read + AsFd> Read for Patiently<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let wait = Timespec::try_from(ASKED).map_err(io::Error::other)?;
        loop {
            if (self.cancelled)() {
                return Err(io::Error::other("it is not wanted any more"));
            }
            if Instant::now() > self.deadline {
                return Err(io::Error::other("the machine is too busy to read it"));
            }
            let mut ready = [PollFd::new(&self.pipe, PollFlags::IN)];
            match poll(&mut ready, Some(&wait)) {
                Ok(0) | Err(rustix::io::Errno::INTR) => {}
                Ok(_) => return self.pipe.read(buffer),
                Err(error) => return Err(error.into()),
            }
        }
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
