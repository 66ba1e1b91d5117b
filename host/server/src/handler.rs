//! The MCP methods, for both eras of the protocol: with a handshake (2024-11-05 to 2025-11-25) and
//! without (2026-07-28).

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rmcp::model::{
    CacheScope, CallToolRequestParams, CallToolResponse, CompleteRequestParams, CompleteResult,
    CustomRequest, CustomResult, DiscoverResult, ErrorCode, GetPromptRequestParams,
    GetPromptResponse, Implementation, ListPromptsResult, ListResourceTemplatesResult,
    ListResourcesResult, ListToolsResult, MetaObject, PaginatedRequestParams, ProtocolVersion,
    ReadResourceRequestParams, ReadResourceResponse, Reference, ServerCapabilities, ServerConfig,
    SubscriptionFilter,
};
use rmcp::service::{NotificationContext, RequestContext, SubscriptionContext};
use rmcp::{ErrorData, RoleServer, ServerHandler};
use serde_json::json;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::escape::excerpt;
use crate::instructions::INSTRUCTIONS;
use crate::source::ToolSource;
use crate::toolbox::{Loading, Toolbox};
use crate::{prompts, resources};

/// How long a client may keep a list or a document: they change with the server's version and its
/// plugins only.
const TTL_MS: u64 = 300_000;
/// Clients ask for the whole list each time that it changes, so that it changes for them only so
/// often.
const BETWEEN_CHANGES: Duration = Duration::from_millis(500);

/// Methods that this server has. A request for one of them that ends up as a custom request had
/// parameters that did not parse.
const METHODS: &[&str] = &[
    "initialize",
    "server/discover",
    "tools/list",
    "tools/call",
    "resources/list",
    "resources/templates/list",
    "resources/read",
    "prompts/list",
    "prompts/get",
    "completion/complete",
    "subscriptions/listen",
];

/// Serves the tools of a [`ToolSource`].
pub struct Server<S> {
    pub(crate) loading: Loading<S>,
    /// Fires when the client is gone: all calls end.
    pub(crate) stop: CancellationToken,
    config: ServerConfig,
    /// The revision of the last list that the client was given; 0 where it was given none.
    listed: watch::Sender<usize>,
    /// The revision of the list when a client last asked to be told of others.
    subscribed: Arc<AtomicUsize>,
    /// `_meta` of results in the era without a handshake.
    identity: MetaObject,
}

impl<S: ToolSource> Server<S> {
    /// `version` is what clients are told; `stop` ends all calls.
    pub fn new(loading: Loading<S>, version: &str, stop: CancellationToken) -> Self {
        let capabilities = ServerCapabilities::builder()
            .enable_tools()
            .enable_tool_list_changed()
            .enable_resources()
            .enable_prompts()
            .enable_completions()
            .build();
        let implementation = Implementation::new("rookery", version)
            .with_title("Rookery")
            .with_description("AI-led firmware rehosting with sandboxed tools");
        let mut identity = MetaObject::new();
        identity.insert(
            "io.modelcontextprotocol/serverInfo".to_owned(),
            json!(implementation),
        );
        let config = ServerConfig::new(capabilities)
            .with_server_info(implementation)
            .with_protocol_version(ProtocolVersion::LATEST_WITH_INITIALIZE)
            .with_instructions(INSTRUCTIONS);
        Self {
            loading,
            stop,
            config,
            listed: watch::Sender::default(),
            subscribed: Arc::default(),
            identity,
        }
    }

    /// Adds the server's identity to the `_meta` of a result, where the request's era wants it.
    pub(crate) fn identify(
        &self,
        context: &RequestContext<RoleServer>,
        meta: &mut Option<MetaObject>,
    ) {
        if is_modern(context) {
            meta.get_or_insert_default().extend(self.identity.clone());
        }
    }
}

/// Whether the request belongs to the era without a handshake.
fn is_modern(context: &RequestContext<RoleServer>) -> bool {
    context
        .protocol_version()
        .is_some_and(|version| version >= ProtocolVersion::V_2026_07_28)
}

/// Lists are short and sent whole, so there is no cursor to give back.
fn check_cursor(request: Option<PaginatedRequestParams>) -> Result<(), ErrorData> {
    match request.and_then(|request| request.cursor) {
        None => Ok(()),
        Some(cursor) => {
            let message = format!(
                "Invalid cursor: {}. This list has one page; ask without a cursor.",
                excerpt(&cursor, 80)
            );
            Err(ErrorData::invalid_params(message, None))
        }
    }
}

/// A list method of one page.
macro_rules! list {
    ($self:ident, $request:ident, $context:ident, $Result:ident, $items:expr) => {{
        check_cursor($request)?;
        let mut result = $Result::with_all_items($items)
            .with_ttl_ms(TTL_MS)
            .with_cache_scope(CacheScope::Public);
        $self.identify(&$context, &mut result.meta);
        Ok(result)
    }};
}

impl<S: ToolSource> ServerHandler for Server<S> {
    fn get_info(&self) -> ServerConfig {
        self.config.clone()
    }

    async fn discover(&self, _: RequestContext<RoleServer>) -> Result<DiscoverResult, ErrorData> {
        let mut result = DiscoverResult::from_server_info(
            self.supported_protocol_versions().into_owned(),
            self.config.clone(),
        );
        result.ttl_ms = TTL_MS;
        result.cache_scope = CacheScope::Public;
        Ok(result)
    }

    async fn list_tools(
        &self,
        request: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let Toolbox {
            catalogue,
            revision,
            complete,
            watched,
            ..
        } = self.loading.for_list().await;
        self.listed.send_replace(revision);
        let list: Result<_, ErrorData> =
            list!(self, request, context, ListToolsResult, catalogue.list());
        // A list that may change at any time is not worth keeping.
        let lasts = complete && !watched;
        list.map(|list| if lasts { list } else { list.with_ttl_ms(0) })
    }

    /// Before the era without a handshake a client need not ask to be told.
    async fn on_initialized(&self, context: NotificationContext<RoleServer>) {
        let (loading, stop) = (self.loading.clone(), self.stop.clone());
        let mut listed = self.listed.subscribe();
        tokio::spawn(stop.run_until_cancelled_owned(async move {
            let mut told = 0;
            loop {
                let now = loading.revision_now();
                // Who has no list yet, or has this one, need not ask for it again. Who is given an
                // older one, because tools change meanwhile, is told.
                let has = *listed.borrow_and_update();
                if has != 0 && has != now && told != now {
                    if context.peer.notify_tool_list_changed().await.is_err() {
                        return;
                    }
                    told = now;
                    tokio::time::sleep(BETWEEN_CHANGES).await;
                }
                tokio::select! {
                    _ = loading.changed(now) => {}
                    given = listed.changed() => match given {
                        Ok(()) => told = 0,
                        Err(_) => return,
                    },
                }
            }
        }));
    }

    fn accepted_subscription_filter(
        &self,
        requested: &SubscriptionFilter,
    ) -> Option<SubscriptionFilter> {
        // Before it is acknowledged: from then on the client relies on being told.
        let now = self.loading.revision_now();
        self.subscribed.store(now, Ordering::Relaxed);
        Some(requested.clone())
    }

    async fn listen(&self, context: SubscriptionContext) -> Result<(), ErrorData> {
        // Where there was none yet, the first is news: the one that is there now may be later.
        let mut seen = self.subscribed.load(Ordering::Relaxed);
        loop {
            tokio::select! {
                () = context.cancelled() => return Ok(()),
                () = self.stop.cancelled() => return Ok(()),
                now = self.loading.changed(seen) => seen = now,
            }
            // A client that does not want to be told of tools waits for nothing.
            let _ = context.sink().notify_tool_list_changed().await;
            tokio::time::sleep(BETWEEN_CHANGES).await;
        }
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let mut result = self.call(request, &context).await?;
        self.identify(&context, &mut result.meta);
        Ok(result.into())
    }

    async fn list_resources(
        &self,
        request: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        list!(
            self,
            request,
            context,
            ListResourcesResult,
            resources::list()
        )
    }

    async fn list_resource_templates(
        &self,
        request: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        list!(
            self,
            request,
            context,
            ListResourceTemplatesResult,
            resources::templates()
        )
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        let Some(result) = resources::read(&request.uri) else {
            let message = format!(
                "Resource not found: {}. Use resources/list.",
                excerpt(&request.uri, 200)
            );
            return Err(ErrorData::resource_not_found(
                message,
                Some(json!({"uri": request.uri})),
            ));
        };
        let mut result = result
            .with_ttl_ms(TTL_MS)
            .with_cache_scope(CacheScope::Public);
        self.identify(&context, &mut result.meta);
        Ok(result.into())
    }

    async fn list_prompts(
        &self,
        request: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListPromptsResult, ErrorData> {
        list!(self, request, context, ListPromptsResult, prompts::list())
    }

    async fn get_prompt(
        &self,
        request: GetPromptRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<GetPromptResponse, ErrorData> {
        let mut result = prompts::get(&request.name, request.arguments.as_ref())
            .map_err(|message| ErrorData::invalid_params(message, None))?;
        self.identify(&context, &mut result.meta);
        Ok(result.into())
    }

    async fn complete(
        &self,
        request: CompleteRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CompleteResult, ErrorData> {
        let argument = &request.argument;
        let suggestions = match &request.r#ref {
            Reference::Prompt(prompt) => prompts::complete(&prompt.name, &argument.name),
            Reference::Resource(template) => {
                resources::complete(&template.uri, &argument.name, &argument.value)
            }
            _ => None,
        };
        // A menu asks on every key: where there is nothing to suggest, that is the answer.
        let mut result = CompleteResult::new(suggestions.unwrap_or_default());
        self.identify(&context, &mut result.meta);
        Ok(result)
    }

    async fn on_custom_request(
        &self,
        request: CustomRequest,
        context: RequestContext<RoleServer>,
    ) -> Result<CustomResult, ErrorData> {
        let method = excerpt(&request.method, 80);
        let removed = request.method == "initialize" && is_modern(&context);
        Err(if METHODS.contains(&request.method.as_str()) && !removed {
            let params = request.params.map_or_else(
                || "none".to_owned(),
                |params| excerpt(&params.to_string(), 200),
            );
            ErrorData::invalid_params(format!("Invalid params for {method}: {params}"), None)
        } else {
            ErrorData::new(
                ErrorCode::METHOD_NOT_FOUND,
                format!("Method not found: {method}"),
                None,
            )
        })
    }
}
