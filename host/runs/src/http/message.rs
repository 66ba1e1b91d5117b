//! An answer of HTTP/1, as it comes.

use std::io::Read;

use httparse::Status;
use rookery_project::{Error, Result};

use super::connection::failed;

/// Most bytes of a head.
const MAX_HEAD: usize = 64 << 10;
/// Most headers.
const MAX_HEADERS: usize = 128;
/// Most bytes of the line before a chunk.
const MAX_CHUNK_LINE: usize = 256;
/// Heads of answers before the answer (`100 Continue`).
const MAX_EARLY: usize = 8;

/// A whole answer, of which the body may be cut.
pub(super) struct Message {
    pub(super) status: u16,
    /// Names in lower case.
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
    pub(super) truncated: bool,
}

/// How long a body is.
enum Length {
    Known(u64),
    Chunks,
    /// Up to the end of the connection.
    Open,
}

impl Message {
    /// Read an answer, and at most so many bytes of its body.
    pub(super) fn read(from: &mut impl Read, without_body: bool, max_bytes: usize) -> Result<Self> {
        let mut input = Input {
            from,
            buffer: Vec::new(),
        };
        let mut message = input.head()?;
        for _ in 0..MAX_EARLY {
            if !(100..200).contains(&message.status) || message.status == 101 {
                break;
            }
            message = input.head()?;
        }
        let is_empty = without_body || matches!(message.status, 101 | 204 | 304);
        if !is_empty {
            let length = message.length();
            (message.body, message.truncated) = input.body(&length, max_bytes)?;
        }
        Ok(message)
    }

    /// Where it leads.
    pub(super) fn location(&self) -> Option<String> {
        self.header("location").map(str::to_owned)
    }

    fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        headers.find_map(|(of, value)| (of == name).then_some(value.as_str()))
    }

    fn length(&self) -> Length {
        let chunked = self.header("transfer-encoding");
        if chunked.is_some_and(|coding| coding.to_ascii_lowercase().contains("chunked")) {
            return Length::Chunks;
        }
        let length = self.header("content-length");
        let length = length.and_then(|length| length.trim().parse().ok());
        length.map_or(Length::Open, Length::Known)
    }
}

/// What comes, and what of it was not used yet.
struct Input<'a, R> {
    from: &'a mut R,
    buffer: Vec<u8>,
}

impl<R: Read> Input<'_, R> {
    /// Wait for more; `false` at the end. One that leaves without the ends of its protocol has
    /// left nevertheless.
    fn more(&mut self) -> Result<bool> {
        let mut chunk = [0; 16 << 10];
        match self.from.read(&mut chunk) {
            Ok(0) => Ok(false),
            Ok(count) => {
                self.buffer.extend(chunk.iter().take(count));
                Ok(true)
            }
            Err(error)
                if matches!(
                    error.kind(),
                    std::io::ErrorKind::UnexpectedEof | std::io::ErrorKind::ConnectionReset
                ) =>
            {
                Ok(false)
            }
            Err(error) => Err(failed("read the answer", &error)),
        }
    }

    fn head(&mut self) -> Result<Message> {
        loop {
            let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
            let mut response = httparse::Response::new(&mut headers);
            let mut config = httparse::ParserConfig::default();
            // As browsers do: these are servers of devices.
            config
                .allow_spaces_after_header_name_in_responses(true)
                .allow_obsolete_multiline_headers_in_responses(true)
                .allow_multiple_spaces_in_response_status_delimiters(true)
                .ignore_invalid_headers_in_responses(true);
            let not_http = |why: &str| Error::Backend(format!("the answer is not HTTP: {why}"));
            match config.parse_response(&mut response, &self.buffer) {
                Ok(Status::Complete(length)) => {
                    let named = response.headers.iter().map(|header| {
                        let value = String::from_utf8_lossy(header.value).into_owned();
                        (header.name.to_ascii_lowercase(), value)
                    });
                    let message = Message {
                        status: response.code.unwrap_or_default(),
                        headers: named.collect(),
                        body: Vec::new(),
                        truncated: false,
                    };
                    self.buffer.drain(..length);
                    return Ok(message);
                }
                Ok(Status::Partial) if self.buffer.len() > MAX_HEAD => {
                    return Err(Error::Limit(format!(
                        "the answer's headers have more than {MAX_HEAD} bytes"
                    )));
                }
                Ok(Status::Partial) => {}
                Err(error) => return Err(not_http(&error.to_string())),
            }
            if !self.more()? {
                return Err(not_http(if self.buffer.is_empty() {
                    "the service closed the connection without a byte"
                } else {
                    "it ends before its headers do"
                }));
            }
        }
    }

    /// The body, and whether more of it was there.
    fn body(&mut self, length: &Length, max_bytes: usize) -> Result<(Vec<u8>, bool)> {
        match length {
            Length::Known(length) => {
                let mut body = Vec::new();
                let (all, cut) = self.part(*length, max_bytes, &mut body)?;
                Ok((body, cut || !all))
            }
            Length::Open => {
                let mut body = Vec::new();
                let (_, cut) = self.part(u64::MAX, max_bytes, &mut body)?;
                Ok((body, cut))
            }
            Length::Chunks => self.chunks(max_bytes),
        }
    }

    /// Move so many bytes to `body`, which has at most `max_bytes`. Gives whether all came, and
    /// whether it was cut.
    fn part(&mut self, length: u64, max_bytes: usize, body: &mut Vec<u8>) -> Result<(bool, bool)> {
        let mut left = length;
        while left > 0 {
            if self.buffer.is_empty() && !self.more()? {
                return Ok((false, false));
            }
            let here = usize::try_from(left)
                .unwrap_or(usize::MAX)
                .min(self.buffer.len());
            let taken = here.min(max_bytes - body.len());
            body.extend(self.buffer.iter().take(taken));
            if taken < here {
                return Ok((false, true));
            }
            self.buffer.drain(..here);
            left -= here as u64;
        }
        Ok((true, false))
    }

    fn chunks(&mut self, max_bytes: usize) -> Result<(Vec<u8>, bool)> {
        let mut body = Vec::new();
        loop {
            let (start, length) = match httparse::parse_chunk_size(&self.buffer) {
                Ok(Status::Complete(found)) => found,
                Ok(Status::Partial) if self.buffer.len() < MAX_CHUNK_LINE => {
                    if self.more()? {
                        continue;
                    }
                    return Ok((body, true));
                }
                _ => {
                    return Err(Error::Backend(
                        "the answer's chunks are malformed".to_owned(),
                    ));
                }
            };
            self.buffer.drain(..start);
            if length == 0 {
                return Ok((body, false));
            }
            let (all, cut) = self.part(length, max_bytes, &mut body)?;
            if cut || !all {
                return Ok((body, true));
            }
            // The end of the chunk's line.
            while self.buffer.len() < 2 {
                if !self.more()? {
                    return Ok((body, true));
                }
            }
            let end = if self.buffer.starts_with(b"\r\n") {
                2
            } else {
                1
            };
            self.buffer.drain(..end);
        }
    }
}
