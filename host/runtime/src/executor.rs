//! Running instances: a fresh store for each call, under every budget.
//!
//! Most calls are over in microseconds, less than it takes to wake another thread. So a built-in
//! instance begins on the thread of its caller; one that is still at work at the first tick goes on
//! to threads of its own. Other instances begin on threads apart: between two ticks a single
//! instruction, such as filling 256 MiB, can take long.
//!
//! Invariant 3: every call has a fresh instance.

use std::future::poll_fn;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use futures_util::FutureExt;
use rookery_contract::Error;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use wasmtime::component::ResourceTable;
use wasmtime::{Store, UpdateDeadline};

use crate::engine::TickingEngine;
use crate::failure::{CpuSpent, Reason, Stop};
use crate::host::bindings::{ToolDefinition, ToolInspectorPre};
use crate::host::{Caller, Progress, Services, State, ToolLog};
use crate::limits::{HOST_CALL_BYTES, Limits, MemoryLimiter, RESOURCES, SharedMemory};
use crate::meter::{Meter, Metered};
use crate::outcome::{ProgressSink, Usage};
use crate::seats::{CALLS, Origin, Share};
use crate::threads::Threads;
use crate::wasi::{self, Output};

/// How long a call waits for a seat.
const QUEUE: Duration = Duration::from_secs(30);
/// Large answers of one origin that are looked at at the same time: each is held several times over
/// meanwhile, and every thread that did it keeps some of that.
const LARGE: usize = 1;

/// Runs instances.
pub(crate) struct Executor {
    engine: TickingEngine,
    services: Arc<Services>,
    threads: Threads,
    /// What all instances together may use, but built-in ones.
    memory: Arc<SharedMemory>,
    large_built_in: Semaphore,
    large_added: Semaphore,
}

/// What an instance is asked.
pub(crate) enum Ask {
    /// `tools.describe`
    Describe,
    /// `tools.call`
    Call {
        /// The tool.
        name: String,
        /// JSON text.
        arguments: String,
    },
}

/// What an instance answered.
pub(crate) enum Answer {
    /// To [`Ask::Describe`].
    Tools(Vec<ToolDefinition>),
    /// To [`Ask::Call`].
    Output(Result<String, Error>),
}

/// One call: who asks, and within which bounds.
pub(crate) struct Job<'a> {
    /// For the log.
    pub(crate) name: &'a str,
    pub(crate) pre: ToolInspectorPre<State>,
    pub(crate) caller: Caller,
    pub(crate) limits: &'a Limits,
    pub(crate) origin: Origin,
    pub(crate) share: &'a Share,
    pub(crate) cancel: CancellationToken,
    pub(crate) progress: ProgressSink,
}

impl Executor {
    pub(crate) fn new(
        engine: &TickingEngine,
        services: Services,
        threads: Threads,
        memory: SharedMemory,
    ) -> Self {
        Self {
            engine: engine.clone(),
            services: Arc::new(services),
            threads,
            memory: Arc::new(memory),
            large_built_in: Semaphore::new(LARGE),
            large_added: Semaphore::new(LARGE),
        }
    }

    /// The threads for work on behalf of instances of this origin.
    pub(crate) fn threads(&self, origin: Origin) -> Option<&Handle> {
        self.threads.of(origin)
    }

    /// Do work on large data that instances of this origin gave or get, on their threads. `None` if
    /// it panicked.
    pub(crate) async fn on_large<T: Send + 'static>(
        &self,
        origin: Origin,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        let turn = match origin {
            Origin::BuiltIn => &self.large_built_in,
            Origin::Added => &self.large_added,
        };
        let _turn = turn.acquire().await.ok()?;
        let work = self.threads(origin)?.spawn_blocking(work);
        work.await
            .inspect_err(|defect| tracing::error!(%defect, "work on large data failed"))
            .ok()
    }

    /// Ask an instance on the calling thread, which must not be one of an asynchronous runtime.
    pub(crate) fn ask_blocking(&self, job: Job<'_>, ask: Ask) -> (Result<Answer, Stop>, Usage) {
        match self.threads(job.origin) {
            Some(threads) => threads.block_on(self.ask(job, ask)),
            None => (Err(Reason::HostDefect.into()), Usage::default()),
        }
    }

    /// Ask an instance. Dropping the future, or cancelling, ends the instance at its next tick; its
    /// host calls are told at once.
    pub(crate) async fn ask(&self, job: Job<'_>, ask: Ask) -> (Result<Answer, Stop>, Usage) {
        let stopped = |reason: Reason| (Err(reason.into()), Usage::default());
        let Some(_call) = job.share.call() else {
            return stopped(Reason::TooManyCalls(CALLS));
        };
        let seat = tokio::select! {
            seat = tokio::time::timeout(QUEUE, job.share.seat()) => seat,
            () = job.cancel.cancelled() => return stopped(Reason::Cancelled),
        };
        let Ok(Ok(seat)) = seat else {
            return stopped(Reason::NoSeat(QUEUE));
        };

        let meter = Arc::new(Meter::default());
        let (stdout, stderr) = (
            Output::new(job.limits.log_bytes),
            Output::new(job.limits.log_bytes),
        );
        let state = State {
            services: Arc::clone(&self.services),
            wasi: wasi::context(&stdout, &stderr),
            table: table(),
            caller: job.caller,
            memory: MemoryLimiter::new(
                job.limits.memory_bytes,
                (job.origin == Origin::Added).then(|| Arc::clone(&self.memory)),
                Arc::clone(&meter),
            ),
            limits: job.limits.clone(),
            meter: Arc::clone(&meter),
            log: ToolLog::new(job.name, job.limits.log_bytes),
            progress: Progress::new(job.progress),
            share: job.share.clone(),
            seat: Some(seat),
        };
        let instance = Metered::new(
            Arc::clone(&meter),
            run(self.engine.clone(), job.pre, state, ask),
        );
        let instance = Box::pin(AssertUnwindSafe(instance).catch_unwind());
        let ended = tokio::select! {
            biased;
            () = job.cancel.cancelled() => Err(Reason::Cancelled),
            ended = self.run(instance, job.origin, &meter) => ended.ok_or(Reason::HostDefect),
            () = meter.wall.exhausted(job.limits.wall) => Err(Reason::WallBudget(job.limits.wall)),
        };
        let answer = match ended {
            Ok(Ok(Ok(answer))) => Ok(answer),
            Ok(Ok(Err(error))) => Err(Reason::of(&error, &meter, job.limits, &self.memory)),
            Ok(Err(_)) => {
                tracing::error!(tool = job.name, "a call panicked in the host");
                Err(Reason::HostDefect)
            }
            Err(stopped) => Err(stopped),
        };
        log_output(job.name, "stdout", &stdout);
        log_output(job.name, "stderr", &stderr);
        (
            answer.map_err(|reason| Stop {
                stderr: stderr.text(),
                runs: meter.runs(),
                ..reason.into()
            }),
            meter.usage(),
        )
    }

    /// Run an instance to its end, where its origin has it. `None` if there is no thread for it, or
    /// it was dropped there.
    async fn run<T: Send + 'static>(
        &self,
        mut instance: Pin<Box<impl Future<Output = T> + Send + 'static>>,
        origin: Origin,
        meter: &Meter,
    ) -> Option<T> {
        if origin == Origin::BuiltIn {
            let here = poll_fn(|context| match instance.as_mut().poll(context) {
                Poll::Ready(answer) => Poll::Ready(Some(answer)),
                Poll::Pending if meter.was_ticked() => Poll::Ready(None),
                Poll::Pending => Poll::Pending,
            });
            if let Some(answer) = here.await {
                return Some(answer);
            }
        }
        // A set aborts its task when it is dropped, which is what a dropped call must do.
        let mut task = JoinSet::new();
        task.spawn_on(instance, self.threads(origin)?);
        task.join_next().await?.ok()
    }
}

/// The instance's side of a call.
async fn run(
    engine: TickingEngine,
    pre: ToolInspectorPre<State>,
    state: State,
    ask: Ask,
) -> wasmtime::Result<Answer> {
    let _ticking = engine.tick();
    let budget = state.limits.cpu;
    let mut store = Store::new(engine.engine(), state);
    store.limiter(|state| &mut state.memory);
    store.set_hostcall_fuel(HOST_CALL_BYTES);
    store.set_epoch_deadline(1);
    store.epoch_deadline_callback(move |store| {
        store.data().meter.tick();
        if store.data().meter.cpu_now() > budget {
            return Err(CpuSpent.into());
        }
        Ok(UpdateDeadline::Yield(1))
    });
    let component = pre.instantiate_async(&mut store).await?;
    let tools = component.rookery_plugin_tools();
    Ok(match ask {
        Ask::Describe => Answer::Tools(tools.call_describe(&mut store).await?),
        Ask::Call { name, arguments } => {
            let output = tools.call_call(&mut store, &name, &arguments).await?;
            Answer::Output(output.map_err(Error::from))
        }
    })
}

fn table() -> ResourceTable {
    let mut table = ResourceTable::new();
    table.set_max_capacity(RESOURCES);
    table
}

fn log_output(tool: &str, stream: &str, output: &Output) {
    if tracing::enabled!(target: "rookery::tool", tracing::Level::DEBUG) {
        for line in output.text().lines() {
            let line = crate::text::clean(line, 2000);
            tracing::debug!(target: "rookery::tool", %tool, stream, "{line}");
        }
    }
}
