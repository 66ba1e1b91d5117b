//! Running instances: a fresh store for each call, under every budget.
//!
//! Most calls are over in microseconds, less than it takes to wake another thread. So a built-in
//! instance begins on the thread of its caller; one that is still at work at the first tick goes on
//! to threads of its own. Other instances begin on threads apart: between two ticks a single
//! instruction, such as filling 256 MiB, can take long.
//!
//! Invariant 3: every call has a fresh instance.

use std::any::Any;
use std::future::poll_fn;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use futures_util::FutureExt;
use rookery_contract::Error;
use tokio::runtime::Handle;
use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use wasmtime::component::ResourceTable;
use wasmtime::{Store, UpdateDeadline};

use crate::engine::TickingEngine;
use crate::failure::{CpuSpent, Reason, Stop};
use crate::host::bindings::{ToolDefinition, ToolPre};
use crate::host::{Caller, Left, Progress, Services, State, ToolLog, Toolbox};
use crate::limits::{HOST_CALL_BYTES, Limits, MemoryLimiter, RESOURCES, SharedMemory};
use crate::meter::{Meter, Metered};
use crate::outcome::{ProgressSink, Usage};
use crate::seats::{CALLS, Chair, NESTS, Origin, Share};
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
    /// Of calls that call other tools, whose instances have a place beside those with a seat.
    nests: Arc<Semaphore>,
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
    pub(crate) pre: ToolPre<State>,
    pub(crate) caller: Caller,
    pub(crate) limits: &'a Limits,
    pub(crate) origin: Origin,
    /// Where it may call other tools.
    pub(crate) toolbox: Option<Arc<dyn Toolbox>>,
}

/// How a call that no instance makes gets its turn, and what ends it.
pub(crate) struct Turn<'a> {
    pub(crate) share: &'a Share,
    pub(crate) cancel: CancellationToken,
    pub(crate) progress: ProgressSink,
}

/// What an instance came to: what it answered, an error of wasmtime's, or a panic of the host's.
type Ended = Result<wasmtime::Result<Answer>, Box<dyn Any + Send>>;

/// An instance at work, and what is left when it is gone.
struct Started {
    instance: Pin<Box<dyn Future<Output = Ended> + Send>>,
    stdout: Output,
    stderr: Output,
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
            nests: Arc::new(Semaphore::new(NESTS)),
        }
    }

    /// The threads for work on behalf of instances of this origin.
    pub(crate) fn threads(&self, origin: Origin) -> Option<&Handle> {
        self.threads.of(origin)
    }

    /// Wait for room for the instances that one call has beside its own: to be held by all of them.
    pub(crate) async fn nest(&self) -> Result<OwnedSemaphorePermit, AcquireError> {
        Arc::clone(&self.nests).acquire_owned().await
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
    pub(crate) fn ask_blocking(
        &self,
        job: Job<'_>,
        turn: Turn<'_>,
        ask: Ask,
    ) -> (Result<Answer, Stop>, Usage) {
        match self.threads(job.origin) {
            Some(threads) => threads.block_on(self.ask(job, turn, ask)),
            None => (Err(Reason::HostDefect.into()), Usage::default()),
        }
    }

    /// Ask an instance. Dropping the future, or cancelling, ends the instance at its next tick; its
    /// host calls are told at once.
    pub(crate) async fn ask(
        &self,
        job: Job<'_>,
        turn: Turn<'_>,
        ask: Ask,
    ) -> (Result<Answer, Stop>, Usage) {
        let stopped = |reason: Reason| (Err(reason.into()), Usage::default());
        let Some(_call) = turn.share.call() else {
            return stopped(Reason::TooManyCalls(CALLS));
        };
        let seat = tokio::select! {
            seat = tokio::time::timeout(QUEUE, turn.share.seat()) => seat,
            () = turn.cancel.cancelled() => return stopped(Reason::Cancelled),
        };
        let Ok(Ok(seat)) = seat else {
            return stopped(Reason::NoSeat(QUEUE));
        };
        let (name, limits, origin) = (job.name, job.limits, job.origin);
        let own = Left {
            limits: limits.clone(),
            meter: Arc::default(),
            memory_held: 0,
            shares_memory: origin == Origin::Added,
            chair: Arc::new(Chair::new(turn.share.clone(), seat)),
            log: ToolLog::new(name, limits.log_bytes),
            progress: turn.progress,
        };
        let meter = Arc::clone(&own.meter);
        let started = self.start(job, own, ask);
        let ended = tokio::select! {
            biased;
            () = turn.cancel.cancelled() => Err(Reason::Cancelled),
            ended = self.run(started.instance, origin, &meter) => ended.ok_or(Reason::HostDefect),
            () = meter.wall.exhausted(limits.wall) => Err(Reason::WallBudget(limits.wall)),
        };
        let output = (&started.stdout, &started.stderr);
        self.settled(name, limits, &meter, ended, output)
    }

    /// Ask an instance on behalf of another, with what that has left: on its seat and its thread,
    /// so that nothing is waited for which the caller has. Dropping the future ends the instance.
    pub(crate) async fn ask_within(
        &self,
        job: Job<'_>,
        left: Left,
        ask: Ask,
    ) -> (Result<Answer, Stop>, Usage) {
        let (name, limits) = (job.name, job.limits);
        let meter = Arc::new(Meter::within(left.meter, left.memory_held));
        let left = Left {
            log: left.log.of_called(name),
            meter: Arc::clone(&meter),
            memory_held: 0,
            ..left
        };
        let started = self.start(job, left, ask);
        let ended = tokio::select! {
            biased;
            ended = started.instance => Ok(ended),
            () = meter.wall.exhausted(limits.wall) => Err(Reason::WallBudget(limits.wall)),
        };
        let output = (&started.stdout, &started.stderr);
        self.settled(name, limits, &meter, ended, output)
    }

    /// An instance that begins when it is first polled, with the meter, the seat and the log of
    /// `within`.
    fn start(&self, job: Job<'_>, within: Left, ask: Ask) -> Started {
        let meter = within.meter;
        let (stdout, stderr) = (
            Output::new(job.limits.log_bytes),
            Output::new(job.limits.log_bytes),
        );
        let shares_memory = within.shares_memory || job.origin == Origin::Added;
        let state = State {
            services: Arc::clone(&self.services),
            wasi: wasi::context(&stdout, &stderr),
            table: table(),
            caller: job.caller,
            memory: MemoryLimiter::new(
                job.limits.memory_bytes,
                shares_memory.then(|| Arc::clone(&self.memory)),
                Arc::clone(&meter),
            ),
            limits: job.limits.clone(),
            meter: Arc::clone(&meter),
            log: within.log,
            progress: Progress::new(within.progress),
            chair: within.chair,
            toolbox: job.toolbox,
        };
        let instance = Metered::new(
            Arc::clone(&meter),
            run(self.engine.clone(), job.pre, state, ask),
        );
        Started {
            instance: Box::pin(AssertUnwindSafe(instance).catch_unwind()),
            stdout,
            stderr,
        }
    }

    /// What came of an instance that has ended, or was stopped.
    fn settled(
        &self,
        name: &str,
        limits: &Limits,
        meter: &Meter,
        ended: Result<Ended, Reason>,
        (stdout, stderr): (&Output, &Output),
    ) -> (Result<Answer, Stop>, Usage) {
        let answer = match ended {
            Ok(Ok(Ok(answer))) => Ok(answer),
            Ok(Ok(Err(error))) => Err(Reason::of(&error, meter, limits, &self.memory)),
            Ok(Err(_)) => {
                tracing::error!(tool = name, "a call panicked in the host");
                Err(Reason::HostDefect)
            }
            Err(stopped) => Err(stopped),
        };
        log_output(name, "stdout", stdout);
        log_output(name, "stderr", stderr);
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
        mut instance: Pin<Box<dyn Future<Output = T> + Send>>,
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
    pre: ToolPre<State>,
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
