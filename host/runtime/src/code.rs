//! The compiled code of one component: from the cache when it is first needed, compiled where the cache has none.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::OnceCell;
use wasmtime::Engine;
use wasmtime::component::Component;

use crate::admission;
use crate::bindings::ToolFullPre;
use crate::cache::Cache;
use crate::host::State;
use crate::interface::Interface;
use crate::linker::Linkers;

/// What compiling and linking needs.
pub(crate) struct Machine {
    pub(crate) engine: Engine,
    pub(crate) linkers: Linkers,
    pub(crate) cache: Cache,
}

/// One component, ready to be instantiated once it was needed.
pub(crate) struct Code {
    file: PathBuf,
    digest: String,
    grants: BTreeSet<Interface>,
    linked: OnceCell<ToolFullPre<State>>,
}

impl Code {
    pub(crate) fn new(file: &Path, digest: &str, grants: &BTreeSet<Interface>) -> Self {
        Self {
            file: file.to_owned(),
            digest: digest.to_owned(),
            grants: grants.clone(),
            linked: OnceCell::new(),
        }
    }

    /// Compile and link `bytes`, this component, and keep the code.
    pub(crate) fn compile(
        &self,
        machine: &Machine,
        bytes: &[u8],
    ) -> Result<ToolFullPre<State>, String> {
        let component = self.component(machine, || Ok(bytes.into()))?;
        let linked = self.link(machine, &component)?;
        // Somebody else may have been faster; the result is the same.
        let _ = self.linked.set(linked.clone());
        Ok(linked)
    }

    /// The linked code. The first caller loads it; the others wait for that.
    pub(crate) async fn linked(
        self: &Arc<Self>,
        machine: &Arc<Machine>,
    ) -> Result<ToolFullPre<State>, String> {
        let linked = self.linked.get_or_try_init(async || {
            let (code, machine) = (Arc::clone(self), Arc::clone(machine));
            tokio::task::spawn_blocking(move || code.load(&machine))
                .await
                .map_err(|defect| format!("loading it failed: {defect}"))?
        });
        linked.await.cloned()
    }

    fn load(&self, machine: &Machine) -> Result<ToolFullPre<State>, String> {
        let component = self.component(machine, || {
            Ok(admission::read_again(&self.file, &self.digest)?.into())
        })?;
        self.link(machine, &component)
    }

    fn component<'a>(
        &self,
        machine: &Machine,
        bytes: impl FnOnce() -> Result<Cow<'a, [u8]>, String>,
    ) -> Result<Component, String> {
        if let Some(component) = machine.cache.code(&machine.engine, &self.digest) {
            return Ok(component);
        }
        let component = Component::new(&machine.engine, bytes()?)
            .map_err(|error| format!("it cannot be compiled: {error:#}"))?;
        machine
            .cache
            .keep_code(&machine.engine, &self.digest, &component);
        Ok(component)
    }

    fn link(&self, machine: &Machine, component: &Component) -> Result<ToolFullPre<State>, String> {
        machine
            .linkers
            .link(component, &self.grants)
            .map_err(|error| admission::does_not_link(&error))
    }
}
