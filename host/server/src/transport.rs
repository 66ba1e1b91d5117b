//! MCP messages over a pair of byte streams, one line of JSON each.
//!
//! rmcp's own transport ends the server on a notification before `initialize`, leaves malformed
//! requests unanswered and waits five seconds after the end of the input. This one stands in front
//! of rmcp and lets only well-formed messages through. What it promises:
//! * a request whose id can be read is answered, whatever else is wrong with it; a notification
//!   never is;
//! * memory is bounded: by [`MAX_LINE`] for what comes in, and reading pauses while [`MAX_UNSENT`]
//!   bytes wait to go out;
//! * [`GRACE`] after the end of the input, or after requests can be answered at all if that is
//!   later, the `stop` token fires, and from then on nothing is written.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::future::Either;
use rmcp::RoleServer;
use rmcp::model::{
    ClientJsonRpcMessage, ClientRequest, ContentBlock, GetMeta, InitializeResult, JsonRpcMessage,
    ProtocolVersion, ServerResult,
};
use rmcp::service::{RxJsonRpcMessage, TxJsonRpcMessage};
use rmcp::transport::Transport;
use serde::Serialize;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::sync::{Mutex, Notify};
use tokio::task::{JoinHandle, spawn_blocking};
use tokio_util::sync::CancellationToken;

use crate::message_id::IdScanner;
use crate::wire::{Rejection, parse};

/// Longest line that is read, in bytes. A static file or a patch fits many times over.
pub const MAX_LINE: usize = 4 << 20;
/// Bytes of replies that may wait for a client that does not read, before requests are no longer
/// read.
pub const MAX_UNSENT: usize = 16 << 20;
/// Bytes of a message from which on it is read and written on another thread: that takes longer
/// than waking one, and holds up others.
const LONG: usize = 32 << 10;
/// How long calls may still answer after the client closed its side. Clients kill the server after
/// two seconds.
pub const GRACE: Duration = Duration::from_secs(1);

/// A hardened line transport. See the module.
pub struct LineTransport<R, W> {
    reader: BufReader<R>,
    line: Line,
    /// The messages of a long line, being read from it on another thread.
    parsing: Option<JoinHandle<Messages>>,
    /// Messages that were not handed over yet.
    pending: VecDeque<ClientJsonRpcMessage>,
    out: Arc<Outgoing<W>>,
    /// Ends when requests can be answered.
    answerable: Option<Answerable>,
    /// Whether rmcp has left its handshake and takes notifications.
    open: bool,
}

type Messages = Vec<Result<ClientJsonRpcMessage, Rejection>>;
type Answerable = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The line that is being read.
#[derive(Default)]
struct Line {
    bytes: Vec<u8>,
    /// Reads on where `bytes` had to be given up.
    oversized: Option<IdScanner>,
}

struct Outgoing<W> {
    writer: Mutex<Option<W>>,
    /// Held by who writes a long line, so that a short one has at most one of them before it.
    long: Mutex<()>,
    unsent: AtomicUsize,
    sent: Notify,
    stop: CancellationToken,
    /// Whether the version that was negotiated has batches.
    batches: AtomicBool,
}

impl<R, W> LineTransport<R, W>
where
    R: AsyncRead + Send + Unpin,
    W: AsyncWrite + Send + Unpin + 'static,
{
    /// `stop` fires [`GRACE`] after both `reader` and `answerable` have ended, or at once when
    /// `writer` fails.
    pub fn new(
        reader: R,
        writer: W,
        stop: CancellationToken,
        answerable: impl Future<Output = ()> + Send + 'static,
    ) -> Self {
        let out = Outgoing {
            writer: Mutex::new(Some(writer)),
            long: Mutex::new(()),
            unsent: AtomicUsize::new(0),
            sent: Notify::new(),
            stop,
            batches: AtomicBool::new(false),
        };
        Self {
            reader: BufReader::with_capacity(64 << 10, reader),
            line: Line::default(),
            parsing: None,
            pending: VecDeque::new(),
            out: Arc::new(out),
            answerable: Some(Box::pin(answerable)),
            open: false,
        }
    }

    /// Read up to the end of a line, or `None` at the end of the input. Dropping the future loses
    /// nothing.
    async fn next_line(&mut self) -> Option<Line> {
        loop {
            let chunk = match self.reader.fill_buf().await {
                Ok(chunk) => chunk,
                Err(error) => {
                    tracing::warn!(%error, "cannot read from the client");
                    &[]
                }
            };
            if chunk.is_empty() {
                // A last line without a line end is taken as it is: `printf … | rookery serve`.
                let line = std::mem::take(&mut self.line);
                return (!line.bytes.is_empty()).then_some(line);
            }
            let end = chunk.iter().position(|byte| *byte == b'\n');
            let taken = end.map_or(chunk.len(), |end| end + 1);
            self.line.push(chunk.get(..taken).unwrap_or(chunk));
            self.reader.consume(taken);
            if end.is_some() {
                return Some(std::mem::take(&mut self.line));
            }
        }
    }

    fn take_line(&mut self, line: Line) {
        if let Some(scanner) = line.oversized {
            tracing::warn!("dropped a message of more than {MAX_LINE} bytes");
            if let Some(id) = scanner.finish() {
                self.reject(Rejection::oversized(id, MAX_LINE));
            }
            return;
        }
        let batches = self.out.batches.load(Ordering::Relaxed);
        if line.bytes.len() < LONG {
            self.take_messages(parse(&line.bytes, batches));
        } else {
            self.parsing = Some(spawn_blocking(move || parse(&line.bytes, batches)));
        }
    }

    fn take_messages(&mut self, messages: Messages) {
        for message in messages {
            match message {
                Ok(message) if self.admits(&message) => self.pending.push_back(message),
                Ok(_) => tracing::info!(
                    "ignored a notification or response that came before the handshake"
                ),
                Err(rejection) => self.reject(rejection),
            }
        }
    }

    /// During the handshake rmcp gives up on anything but a request, so nothing else may reach it.
    fn admits(&mut self, message: &ClientJsonRpcMessage) -> bool {
        let JsonRpcMessage::Request(request) = message else {
            return self.open;
        };
        self.open |= match &request.request {
            ClientRequest::InitializeRequest(_) => true,
            ClientRequest::PingRequest(_) | ClientRequest::DiscoverRequest(_) => false,
            request => {
                let meta = request.get_meta();
                meta.missing_required_keys(&ProtocolVersion::V_2026_07_28)
                    .is_empty()
                    && meta
                        .protocol_version()
                        .is_some_and(|version| ProtocolVersion::KNOWN_VERSIONS.contains(&version))
            }
        };
        true
    }

    fn reject(&self, rejection: Rejection) {
        tracing::info!(error = %rejection.message(), "rejected a message");
        let line = self.out.line(&rejection.into_reply());
        tokio::spawn(Arc::clone(&self.out).send(line));
    }

    fn input_ended(&mut self) {
        let stop = self.out.stop.clone();
        let answerable = self.answerable.take();
        tokio::spawn(async move {
            if let Some(answerable) = answerable {
                answerable.await;
            }
            tokio::time::sleep(GRACE).await;
            stop.cancel();
        });
    }
}

impl Line {
    fn push(&mut self, chunk: &[u8]) {
        if let Some(scanner) = &mut self.oversized {
            scanner.feed(chunk);
        } else if self.bytes.len() + chunk.len() > MAX_LINE {
            let mut scanner = IdScanner::default();
            scanner.feed(&self.bytes);
            scanner.feed(chunk);
            self.oversized = Some(scanner);
            self.bytes = Vec::new();
        } else {
            self.bytes.extend_from_slice(chunk);
        }
    }
}

impl<W: AsyncWrite + Send + Unpin + 'static> Outgoing<W> {
    /// Serialises at once, or on another thread if it is long, so that a message that waits is not
    /// held as a tree. The line is then to be [sent](Self::send).
    fn line(&self, message: &impl Serialize) -> serde_json::Result<Vec<u8>> {
        let mut line = serde_json::to_vec(message)?;
        line.push(b'\n');
        self.unsent.fetch_add(line.len(), Ordering::Relaxed);
        Ok(line)
    }

    async fn send(self: Arc<Self>, line: serde_json::Result<Vec<u8>>) -> io::Result<()> {
        let line = line?;
        let result = self.write(&line).await;
        self.unsent.fetch_sub(line.len(), Ordering::Relaxed);
        self.sent.notify_waiters();
        if result.is_err() {
            self.stop.cancel(); // The client is gone: nobody will read an answer.
        }
        result
    }

    async fn write(&self, line: &[u8]) -> io::Result<()> {
        let _turn = match line.len() {
            ..LONG => None,
            LONG.. => Some(self.long.lock().await),
        };
        let mut writer = self.writer.lock().await;
        match writer.as_mut() {
            Some(writer) if !self.stop.is_cancelled() => {
                writer.write_all(line).await?;
                writer.flush().await
            }
            _ => Ok(()),
        }
    }

    /// Wait until the client has read enough of what was sent.
    async fn has_room(&self) {
        while self.unsent.load(Ordering::Relaxed) > MAX_UNSENT && !self.stop.is_cancelled() {
            let sent = self.sent.notified();
            if self.unsent.load(Ordering::Relaxed) > MAX_UNSENT {
                sent.await;
            }
        }
    }
}

impl<R, W> Transport<RoleServer> for LineTransport<R, W>
where
    R: AsyncRead + Send + Unpin,
    W: AsyncWrite + Send + Unpin + 'static,
{
    type Error = io::Error;

    fn send(
        &mut self,
        message: TxJsonRpcMessage<RoleServer>,
    ) -> impl Future<Output = io::Result<()>> + Send + 'static {
        if let JsonRpcMessage::Response(response) = &message
            && let ServerResult::InitializeResult(InitializeResult {
                protocol_version, ..
            }) = &response.result
        {
            // Batches came with this version and left with the next.
            self.out.batches.store(
                *protocol_version == ProtocolVersion::V_2025_03_26,
                Ordering::Relaxed,
            );
        }
        let out = Arc::clone(&self.out);
        if is_long(&message) {
            let line = spawn_blocking({
                let out = Arc::clone(&out);
                move || out.line(&message)
            });
            Either::Left(async move { out.send(line.await.map_err(io::Error::other)?).await })
        } else {
            let line = out.line(&message);
            Either::Right(out.send(line))
        }
    }

    async fn receive(&mut self) -> Option<RxJsonRpcMessage<RoleServer>> {
        loop {
            if let Some(parsing) = &mut self.parsing {
                let messages = parsing.await.unwrap_or_default();
                self.parsing = None;
                self.take_messages(messages);
            }
            if let Some(message) = self.pending.pop_front() {
                return Some(message);
            }
            self.out.has_room().await;
            let stop = self.out.stop.clone();
            let line = tokio::select! {
                line = self.next_line() => line,
                () = stop.cancelled() => return None,
            };
            let Some(line) = line else {
                self.input_ended();
                return None;
            };
            self.take_line(line);
        }
    }

    async fn close(&mut self) -> io::Result<()> {
        let writer = self.out.writer.lock().await.take();
        drop(writer);
        Ok(())
    }
}

/// Whether writing a message takes longer than waking another thread.
fn is_long(message: &TxJsonRpcMessage<RoleServer>) -> bool {
    let JsonRpcMessage::Response(response) = message else {
        return false;
    };
    let ServerResult::CallToolResult(result) = &response.result else {
        return false;
    };
    let texts = result.content.iter().filter_map(ContentBlock::as_text);
    let other = texts.clone().count() < result.content.len();
    other || texts.map(|text| text.text.len()).sum::<usize>() >= LONG
}

#[cfg(test)]
mod tests {
    use super::*;

    fn push_all(chunks: &[&[u8]]) -> Line {
        let mut line = Line::default();
        for chunk in chunks {
            line.push(chunk);
        }
        line
    }

    #[test]
    fn a_line_is_kept_up_to_the_limit_and_then_only_its_id() {
        let body = vec![b'x'; MAX_LINE];
        assert_eq!(push_all(&[&body]).bytes.len(), MAX_LINE);
        let long = push_all(&[br#"{"id":41,"params":""#, &body, b"\",", &body]);
        assert_eq!(long.bytes.capacity(), 0);
        assert_eq!(
            long.oversized.and_then(IdScanner::finish),
            Some(serde_json::json!(41))
        );
    }
}
