//! The tools and their catalogue, loaded while the handshake goes on: compiling tools for the first time takes seconds, and a client
//! must not wait for that to be greeted.

use std::error::Error;
use std::sync::Arc;

use tokio::sync::SetOnce;
use tokio::task::spawn_blocking;

use crate::catalogue::Catalogue;
use crate::source::ToolSource;

/// Tools that were loaded.
pub struct Toolbox<S> {
    pub tools: S,
    pub catalogue: Catalogue,
}

/// Why tools could not be loaded.
pub type LoadError = Box<dyn Error + Send + Sync>;

/// Tools that are being loaded, or were.
pub struct Loading<S>(Arc<SetOnce<Toolbox<S>>>);

impl<S> Clone for Loading<S> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<S: ToolSource> Loading<S> {
    /// Load on a thread of its own. If the second value is an error, there will never be tools.
    pub fn start(
        load: impl FnOnce() -> Result<S, LoadError> + Send + 'static,
    ) -> (Self, impl Future<Output = Result<(), LoadError>>) {
        let loading = Self(Arc::new(SetOnce::new()));
        let handle = spawn_blocking({
            let loading = loading.clone();
            move || {
                let tools = load()?;
                let catalogue = Catalogue::new(tools.tools());
                // Nobody else sets it.
                let _ = loading.0.set(Toolbox { tools, catalogue });
                Ok(())
            }
        });
        (loading, async { handle.await.map_err(LoadError::from)? })
    }

    /// The tools, once they are there.
    pub async fn toolbox(&self) -> &Toolbox<S> {
        self.0.wait().await
    }
}
