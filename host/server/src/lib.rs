//! The MCP side: transport, catalogue, result shaping. Knows rmcp; knows no wasmtime.
//!
//! [`serve`] speaks MCP over two byte streams until the client closes its side; [`serve_stdio`]
//! does so on this process's stdin and stdout. Tools come from a [`ToolSource`], which is a
//! [`rookery_runtime::Runtime`] everywhere but in tests.

mod advertise;
mod arguments;
mod call;
mod catalogue;
mod content;
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
mod toolbox;
mod transport;
mod wire;

use std::pin::pin;
use std::time::Duration;

use rmcp::ServiceExt;
use rmcp::service::ServerInitializeError;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;

pub use arguments::Usage;
pub use catalogue::listed;
pub use escape::{make_visible, visible};
pub use reply::MAX_REPLY;
pub use source::{Loaded, Rest, ToolSource};
pub use toolbox::LoadError;
pub use transport::{GRACE, MAX_LINE};
#[doc(hidden)]
pub use wire::read_line;

use handler::Server;
use toolbox::Loading;
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
    Loop(tokio::task::JoinError),
    /// There are no tools to serve.
    #[error("the tools cannot be loaded: {0}")]
    Load(LoadError),
}

/// Serve MCP on this process's stdin and stdout, until the client closes its side or `ended` is.
/// `load` gives the tools and may take its time: the client is greeted meanwhile, and told when
/// more come. `version` is what clients are told.
///
/// Returns at most 1.5 s after the client closed its side and the tools were loaded, and 0.5 s
/// after `ended`. Blocking reads may be left behind (a terminal), so shut the runtime down without
/// waiting for them.
pub async fn serve_stdio<S: ToolSource>(
    load: impl FnOnce() -> Result<Loaded<S>, LoadError> + Send + 'static,
    version: &str,
    ended: impl Future<Output = ()>,
) -> Result<(), ServeError> {
    let (reader, writer) = stdio::open();
    serve(load, version, reader, writer, ended).await
}

/// Serve MCP on two byte streams until `reader` ends, or `ended`: then calls end at once, and
/// nothing more is written.
pub async fn serve<S: ToolSource>(
    load: impl FnOnce() -> Result<Loaded<S>, LoadError> + Send + 'static,
    version: &str,
    reader: impl AsyncRead + Send + Unpin + 'static,
    writer: impl AsyncWrite + Send + Unpin + 'static,
    ended: impl Future<Output = ()>,
) -> Result<(), ServeError> {
    let stop = CancellationToken::new();
    let _stop_on_return = stop.clone().drop_guard();
    let wound_down = async {
        ended.await;
        stop.cancel();
        tokio::time::sleep(WIND_DOWN).await;
    };
    let (loading, loaded) = Loading::start(load);
    let answerable = loading.clone();
    let transport = LineTransport::new(reader, writer, stop.clone(), async move {
        answerable.for_list().await;
    });
    let serving = async {
        let service = match Server::new(loading, version, stop.clone())
            .serve(transport)
            .await
        {
            Ok(service) => service,
            Err(ServerInitializeError::ConnectionClosed(_)) => return Ok(()),
            Err(error) => return Err(ServeError::Handshake(Box::new(error))),
        };
        let mut waiting = pin!(service.waiting());
        tokio::select! {
            reason = &mut waiting => reason.map(drop).map_err(ServeError::Loop),
            () = stop.cancelled() => match tokio::time::timeout(WIND_DOWN, waiting).await {
                Ok(reason) => reason.map(drop).map_err(ServeError::Loop),
                Err(_) => Ok(()),
            },
        }
    };
    tokio::select! {
        result = serving => result,
        Err(error) = loaded => Err(ServeError::Load(error)),
        () = wound_down => Ok(()),
    }
}
