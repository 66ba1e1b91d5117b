//! One component in a runtime of its own: outside the installed set, within policy and budgets.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, bail};
use rookery_project::Roots;
use rookery_runtime::{Failure, FailureKind, ProgressSink, Runtime, StandIn, Success, Usage};
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use tracing::subscriber::{NoSubscriber, with_default};

use crate::places::PluginOptions;

/// The component, admitted.
pub(super) struct One {
    runtime: Runtime,
    /// The names of its tools.
    pub(super) tools: Vec<String>,
}

impl One {
    /// Admit the component in `file` for projects below `roots`, with the installed tools beside it
    /// if it calls others. `stand_in` answers in the place of runs and of these.
    pub(super) fn admit(
        file: &Path,
        options: &PluginOptions,
        roots: Roots,
        stand_in: Option<Arc<dyn StandIn>>,
    ) -> anyhow::Result<Self> {
        let policy = options.policy().read()?;
        let dirs = options.dirs(&policy)?;
        let mut config = options.config(roots, policy)?;
        let is_alone = stand_in.is_some();
        config.stand_in = stand_in;
        let runtime = Runtime::new(config)?;
        let report = runtime.check(&[], &[file.to_owned()]);
        if let Some(rejected) = report.rejected.first() {
            bail!("{} is refused: {}", file.display(), rejected.reason);
        }
        let mut imports = report.plugins.iter().flat_map(|plugin| &plugin.imports);
        if !is_alone && imports.any(|import| import == "toolbox") {
            // What it may call. A tool that has the name of one of its own is not among them.
            runtime.load(&dirs);
        }
        let tools = report
            .plugins
            .iter()
            .flat_map(|plugin| plugin.tools.clone());
        Ok(Self {
            tools: tools.collect(),
            runtime,
        })
    }

    /// The tool that is meant: the one that is named, or the only one.
    pub(super) fn tool(&self, named: Option<&str>) -> anyhow::Result<String> {
        match (named, self.tools.as_slice()) {
            (Some(tool), _) => Ok(tool.to_owned()),
            (None, [tool]) => Ok(tool.clone()),
            (None, _) => bail!("say which `tool` is called: {}", self.tools.join(", ")),
        }
    }

    /// What a tool says of itself.
    pub(super) fn definition(&self, tool: &str) -> Option<Value> {
        let tools = self.runtime.tools();
        tools.get(tool).map(|tool| tool.definition.clone())
    }

    /// Call a tool as a server would.
    pub(super) fn call(
        &self,
        tool: &str,
        arguments: Value,
        cancel: CancellationToken,
        progress: ProgressSink,
    ) -> anyhow::Result<Result<Success, Failure>> {
        let waiting = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("cannot start the runtime")?;
        let arguments = Arc::new(arguments);
        let call = async {
            let violations = self.runtime.check_arguments(tool, &arguments).await;
            if !violations.is_empty() {
                return Err(Failure {
                    kind: FailureKind::InvalidArgument,
                    message: violations.join("; "),
                    usage: Usage::default(),
                });
            }
            self.runtime.call(tool, &arguments, cancel, progress).await
        };
        // A failure is reported, and may be what is expected: it is not logged too.
        Ok(with_default(NoSubscriber::new(), || waiting.block_on(call)))
    }
}

/// What a call used of its budgets, in words.
pub(super) fn used(usage: &Usage) -> String {
    let Usage {
        cpu_ms,
        wall_ms,
        memory_bytes,
        host_calls,
        output_bytes,
    } = usage;
    format!(
        "{wall_ms} ms, {cpu_ms} ms of CPU, {} KiB of memory, {host_calls} host calls, \
         {output_bytes} bytes",
        memory_bytes.div_ceil(1024)
    )
}
