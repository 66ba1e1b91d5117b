//! The MCP side: transport, catalogue, result shaping. Knows rmcp; knows no wasmtime.
//!
//! [`serve`] speaks MCP over two byte streams until the client closes its side; [`serve_stdio`] does so on this process's stdin and
//! stdout. Tools come from a [`ToolSource`], which is a [`rookery_runtime::Runtime`] everywhere but in tests.

mod arguments;
mod call;
mod catalogue;
mod escape;
mod handler;
mod instructions;
mod message_id;
mod progress;
mod prompts;
mod reply;
mod resources;
mod source;
mod stdio;
mod transport;
mod wire;

use std::time::Duration;

use rmcp::ServiceExt;
use rmcp::service::ServerInitializeError;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;

pub use escape::visible;
pub use reply::MAX_REPLY;
pub use source::ToolSource;
pub use transport::{GRACE, MAX_LINE};

use handler::Server;
use transport::LineTransport;

/// How long tools get to end by themselves once the client is gone.
const WIND_DOWN: Duration = Duration::from_millis(250);

/// Why the server ended before its client did.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The handshake could not be finished.
    #[error("the handshake with the client failed: {0}")]
    Handshake(Box<ServerInitializeError>),
    /// A defect in the protocol loop.
    #[error("the protocol loop failed: {0}")]
    Loop(#[from] tokio::task::JoinError),
}

/// Serve MCP on this process's stdin and stdout. `version` is what clients are told.
///
/// Returns at most 1.5 s after the client closed its side. Blocking reads may be left behind (a terminal), so shut the runtime down
/// without waiting for them.
pub async fn serve_stdio(tools: impl ToolSource, version: &str) -> Result<(), ServeError> {
    let (reader, writer) = stdio::open();
    serve(tools, version, reader, writer).await
}

/// Serve MCP on two byte streams until `reader` ends.
pub async fn serve(
    tools: impl ToolSource,
    version: &str,
    reader: impl AsyncRead + Send + Unpin + 'static,
    writer: impl AsyncWrite + Send + Unpin + 'static,
) -> Result<(), ServeError> {
    let stop = CancellationToken::new();
    let _stop_on_return = stop.clone().drop_guard();
    let transport = LineTransport::new(reader, writer, stop.clone());
    let service = match Server::new(tools, version, stop.clone())
        .serve(transport)
        .await
    {
        Ok(service) => service,
        Err(ServerInitializeError::ConnectionClosed(_)) => return Ok(()),
        Err(error) => return Err(ServeError::Handshake(Box::new(error))),
    };
    let ended = service.waiting();
    tokio::pin!(ended);
    tokio::select! {
        reason = &mut ended => reason?,
        () = stop.cancelled() => match tokio::time::timeout(WIND_DOWN, &mut ended).await {
            Ok(reason) => reason?,
            Err(_) => return Ok(()),
        },
    };
    Ok(())
}
