//! The tools and their catalogue, loaded while the handshake goes on: compiling tools for the first
//! time takes seconds, and a client must not wait for that to be greeted, nor to be told of those
//! that are there.

use std::error::Error;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep_until};

use crate::catalogue::Catalogue;
use crate::source::{Loaded, ToolSource};

/// How long the first list waits for tools that are not there yet. Many clients never ask for
/// another.
const LIST: Duration = Duration::from_secs(1);
/// How long a call waits for a tool that is not there yet.
const CALL: Duration = Duration::from_secs(30);

/// Tools that were loaded.
pub struct Toolbox<S> {
    pub tools: Arc<S>,
    pub catalogue: Arc<Catalogue>,
    /// Of the list of tools: another number wherever clients see another list. The first is 1.
    pub revision: usize,
    /// Whether no more will come, but for what is exchanged.
    pub complete: bool,
    /// Whether tools may be exchanged later.
    pub watched: bool,
}

impl<S> Clone for Toolbox<S> {
    fn clone(&self) -> Self {
        Self {
            tools: Arc::clone(&self.tools),
            catalogue: Arc::clone(&self.catalogue),
            revision: self.revision,
            complete: self.complete,
            watched: self.watched,
        }
    }
}

/// Why tools could not be loaded.
pub type LoadError = Box<dyn Error + Send + Sync>;

/// Tools that are being loaded, or were.
pub struct Loading<S> {
    /// `None` until there are any.
    state: watch::Receiver<Option<Toolbox<S>>>,
    begun: Instant,
}

impl<S> Clone for Loading<S> {
    fn clone(&self) -> Self {
        Self {
            state: self.state.clone(),
            begun: self.begun,
        }
    }
}

impl<S: ToolSource> Loading<S> {
    /// Load on a thread of its own. If the second value is an error, there will never be tools.
    pub fn start(
        load: impl FnOnce() -> Result<Loaded<S>, LoadError> + Send + 'static,
    ) -> (Self, impl Future<Output = Result<(), LoadError>>) {
        let (sender, state) = watch::channel(None);
        let handle = spawn_blocking(move || {
            let Loaded { tools, rest, watch } = load()?;
            let watched = watch.is_some();
            let publish = |complete| {
                let catalogue = Arc::new(Catalogue::new(tools.tools()));
                sender.send_modify(|state: &mut Option<Toolbox<S>>| {
                    let revision = state.as_ref().map_or(1, |before| {
                        let same = before.catalogue.looks_like(&catalogue);
                        before.revision + usize::from(!same)
                    });
                    *state = Some(Toolbox {
                        tools: Arc::clone(&tools),
                        catalogue,
                        revision,
                        complete,
                        watched,
                    });
                });
            };
            publish(rest.is_none());
            if let Some(rest) = rest {
                // What is there goes on whatever happens to the rest.
                going_on("the loading of plugins", || rest(&|| publish(false)));
                publish(true);
            }
            if let Some(watch) = watch {
                going_on("the watch of plugins", || watch(&|| publish(true)));
            }
            Ok(())
        });
        let loading = Self {
            state,
            begun: Instant::now(),
        };
        (loading, async { handle.await.map_err(LoadError::from)? })
    }

    /// The tools as soon as there are some, and when `enough` of them are there or at `deadline`.
    async fn when(&self, deadline: Instant, enough: impl Fn(&Toolbox<S>) -> bool) -> Toolbox<S> {
        let mut state = self.state.clone();
        let found = |state: &Option<Toolbox<S>>| state.as_ref().is_some_and(&enough);
        // Before the first tools there is no deadline: they take as long as they take, and without
        // them there is nothing to say.
        let some = self.some().await;
        tokio::select! {
            biased;
            _ = state.wait_for(found) => {}
            () = sleep_until(deadline) => {}
        }
        self.state.borrow().clone().unwrap_or(some)
    }

    async fn some(&self) -> Toolbox<S> {
        let mut state = self.state.clone();
        let some = state.wait_for(Option::is_some).await;
        let some = some.ok().and_then(|state| state.clone());
        match some {
            Some(toolbox) => toolbox,
            // Loading failed, which ends the server: whoever asked is not answered.
            None => std::future::pending().await,
        }
    }

    /// All tools, or those that there are after a while.
    pub async fn for_list(&self) -> Toolbox<S> {
        self.when(self.begun + LIST, |toolbox| toolbox.complete)
            .await
    }

    /// The tools for a call of `name`: with it, if it comes soon.
    pub async fn for_call(&self, name: &str) -> Toolbox<S> {
        let deadline = self.begun + CALL;
        self.when(deadline, |toolbox| {
            toolbox.complete || toolbox.catalogue.get(name).is_some()
        })
        .await
    }

    /// Ends when there is another list of tools than that of the revision `seen`, and gives its
    /// own; never, if there will be none.
    pub async fn changed(&self, seen: usize) -> usize {
        let mut state = self.state.clone();
        let revision = |state: &Option<Toolbox<S>>| {
            let toolbox = state.as_ref();
            toolbox.map_or(seen, |toolbox| toolbox.revision)
        };
        let changed = state.wait_for(|state| revision(state) != seen).await;
        let changed = changed.map(|state| revision(&state)).ok();
        match changed {
            Some(revision) => revision,
            None => std::future::pending().await,
        }
    }

    /// The revision of the list now; 0 where there is none yet.
    pub fn revision_now(&self) -> usize {
        let state = self.state.borrow();
        state.as_ref().map_or(0, |toolbox| toolbox.revision)
    }
}

/// Do work whose defects must not end the server.
fn going_on(what: &str, work: impl FnOnce()) {
    if catch_unwind(AssertUnwindSafe(work)).is_err() {
        tracing::error!("a defect ended {what} early; the tools that are there are served");
    }
}
