//! One `tools/call`: from its arguments to its reply. Whatever the tool does, the client gets
//! exactly one answer.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt;
use rmcp::model::{CallToolRequestParams, CallToolResult};
use rmcp::service::RequestContext;
use rmcp::{ErrorData, RoleServer};
use serde_json::Value;

use crate::handler::Server;
use crate::progress::Progress;
use crate::reply;
use crate::source::ToolSource;
use crate::toolbox::Toolbox;

/// Bytes of an answer from which on another thread shapes it: that takes longer than waking one.
const LARGE: u64 = 16 << 10;

impl<S: ToolSource> Server<S> {
    /// An unknown tool is a protocol error; everything else that can go wrong is a result that the
    /// model reads, also that a tool is not served because the operator decided so.
    pub(crate) async fn call(
        &self,
        request: CallToolRequestParams,
        context: &RequestContext<RoleServer>,
    ) -> Result<CallToolResult, ErrorData> {
        let name = request.name.as_ref();
        let Toolbox {
            tools, catalogue, ..
        } = self.loading.for_call(name).await;
        let arguments = Arc::new(Value::Object(request.arguments.unwrap_or_default()));
        let Some(entry) = catalogue.get(name) else {
            let unknown = || ErrorData::invalid_params(catalogue.unknown(name), None);
            let refused = tools.refused(name, &arguments).ok_or_else(unknown)?;
            return Ok(reply::failure(&refused, String::new));
        };
        let violations = tools.check_arguments(name, &arguments).await;
        if !violations.is_empty() {
            tools.misunderstood(name, &arguments);
            return Ok(reply::error(&entry.usage.explain(name, &violations)));
        }

        let (progress, sink) = Progress::start(&context.peer, context.meta.get_progress_token());
        let cancel = self.stop.child_token();
        let call =
            AssertUnwindSafe(tools.call(name, &arguments, cancel.clone(), sink)).catch_unwind();
        tokio::pin!(call);
        let outcome = tokio::select! {
            biased;
            () = context.ct.cancelled() => {
                cancel.cancel();
                call.await // The tool's own way to end; its answer is dropped.
            }
            outcome = &mut call => outcome,
        };
        progress.finish().await;

        Ok(match outcome {
            Ok(Ok(success)) if success.usage.output_bytes < LARGE => {
                reply::success(name, success, entry.output)
            }
            Ok(Ok(success)) => {
                let (tool, output) = (name.to_owned(), entry.output);
                let shape = move || reply::success(&tool, success, output);
                let shaped = tools.threads().spawn_blocking(shape).await;
                shaped.unwrap_or_else(|_| reply::panic(name))
            }
            Ok(Err(failure)) => reply::failure(&failure, || entry.usage.example(name)),
            Err(_) => reply::panic(name),
        })
    }
}
