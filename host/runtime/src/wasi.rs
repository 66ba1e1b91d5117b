//! What an instance sees of WASI: clocks and randomness. No environment, no arguments, no files;
//! sockets are there and refuse.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::io::AsyncWrite;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};
use wasmtime_wasi::{WasiCtx, WasiCtxBuilder};

use crate::limits::RANDOM_BYTES;

/// Bytes that an instance may write in one piece.
const WRITE_BYTES: usize = 64 << 10;

/// The WASI of one call.
pub(crate) fn context(stdout: &Output, stderr: &Output) -> WasiCtx {
    WasiCtxBuilder::new()
        .stdout(stdout.clone())
        .stderr(stderr.clone())
        .allow_tcp(false)
        .allow_udp(false)
        .allow_ip_name_lookup(false)
        .socket_addr_check(|_, _| Box::pin(std::future::ready(false)))
        .max_random_size(RANDOM_BYTES)
        .build()
}

/// What an instance wrote to stdout or stderr: its head and its tail.
///
/// It accepts everything: a Rust instance panics when stderr refuses a line. It is shared, so it
/// outlives a dropped store.
#[derive(Clone)]
pub(crate) struct Output(Arc<Mutex<Kept>>);

struct Kept {
    /// Of head and of tail, each.
    capacity: usize,
    head: Vec<u8>,
    tail: std::collections::VecDeque<u8>,
    dropped: u64,
}

impl Output {
    /// Keep at most `bytes`.
    pub(crate) fn new(bytes: usize) -> Self {
        Self(Arc::new(Mutex::new(Kept {
            capacity: bytes / 2,
            head: Vec::new(),
            tail: std::collections::VecDeque::new(),
            dropped: 0,
        })))
    }

    fn write(&self, bytes: &[u8]) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (head, rest) = bytes.split_at(bytes.len().min(kept.capacity - kept.head.len()));
        kept.head.extend_from_slice(head);
        // Of one long piece only its end can stay.
        let skipped = rest.len().saturating_sub(kept.capacity);
        let overflow = (kept.tail.len() + rest.len() - skipped).saturating_sub(kept.capacity);
        kept.tail.drain(..overflow);
        kept.tail.extend(rest.iter().skip(skipped));
        kept.dropped += (skipped + overflow) as u64;
    }

    /// What was kept, with a note where something is missing.
    pub(crate) fn text(&self) -> String {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let tail: Vec<u8> = kept.tail.iter().copied().collect();
        let (head, tail) = (
            String::from_utf8_lossy(&kept.head),
            String::from_utf8_lossy(&tail),
        );
        if kept.dropped == 0 {
            format!("{head}{tail}")
        } else {
            format!("{head}\n[{} bytes left out]\n{tail}", kept.dropped)
        }
    }
}

impl IsTerminal for Output {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Output {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for Output {
    async fn ready(&mut self) {}
}

impl OutputStream for Output {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        Self::write(self, &bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(WRITE_BYTES)
    }
}

impl AsyncWrite for Output {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Self::write(&self, bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_keeps_its_head_and_its_tail() {
        let output = Output::new(8);
        output.write(b"ab");
        assert_eq!(output.text(), "ab");
        output.write(b"cdefghij");
        output.write(b"k");
        assert_eq!(output.text(), "abcd\n[3 bytes left out]\nhijk");
        output.write(&[b'x'; 1000]);
        assert_eq!(output.text(), "abcd\n[1003 bytes left out]\nxxxx");
    }

    #[test]
    fn a_capacity_of_nothing_keeps_nothing() {
        let output = Output::new(0);
        output.write(b"abc");
        assert_eq!(output.text(), "\n[3 bytes left out]\n");
    }
}
