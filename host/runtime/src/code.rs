//! The compiled code of one component: from the cache when it is first needed, compiled where the
//! cache has none.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::OnceCell;
use wasmtime::Engine;
use wasmtime::component::Component;

use crate::cache::Cache;
use crate::compiler::{CompileLimits, Compiler, Uncompiled};
use crate::component_file;
use crate::host::bindings::ToolPre;
use crate::host::{Caller, State};
use crate::interface::Interface;
use crate::linker;
use crate::linker::Linkers;

/// What compiling and linking needs.
pub(crate) struct Machine {
    pub(crate) engine: Engine,
    pub(crate) linkers: Linkers,
    pub(crate) cache: Cache,
    pub(crate) compiler: Compiler,
}

/// One component, ready to be instantiated once it was needed.
pub(crate) struct Code {
    file: PathBuf,
    digest: String,
    grants: BTreeSet<Interface>,
    limits: CompileLimits,
    /// The file was read at this start, and has the digest.
    is_read: bool,
    linked: OnceCell<ToolPre<State>>,
}

impl Code {
    pub(crate) fn new(
        file: &Path,
        digest: &str,
        grants: &BTreeSet<Interface>,
        limits: CompileLimits,
        is_read: bool,
    ) -> Self {
        Self {
            file: file.to_owned(),
            digest: digest.to_owned(),
            grants: grants.clone(),
            limits,
            is_read,
            linked: OnceCell::new(),
        }
    }

    /// Whose code it is, for what the host does on its behalf.
    pub(crate) fn caller(&self) -> Caller {
        Caller {
            plugin: component_file::name(&self.file),
            may_change: self.grants.contains(&Interface::ConfigMutation),
        }
    }

    /// What it was granted, be it imported or not.
    pub(crate) fn grants(&self) -> &BTreeSet<Interface> {
        &self.grants
    }

    /// Of compiling it.
    pub(crate) fn limits(&self) -> CompileLimits {
        self.limits
    }

    /// Compile and link `bytes`, this component, and keep the code.
    pub(crate) fn compile(
        &self,
        machine: &Machine,
        bytes: &[u8],
    ) -> Result<ToolPre<State>, Uncompiled> {
        let component = match machine.cache.code(&machine.engine, &self.digest) {
            Some(component) => component,
            None => self.make(machine, bytes)?,
        };
        let linked = self.link(machine, &component).map_err(Uncompiled::Unfit)?;
        // Somebody else may have been faster; the result is the same.
        let _ = self.linked.set(linked.clone());
        Ok(linked)
    }

    /// The linked code. The first caller loads it; the others wait for that.
    pub(crate) async fn linked(
        self: &Arc<Self>,
        machine: &Arc<Machine>,
    ) -> Result<ToolPre<State>, String> {
        let linked = self.linked.get_or_try_init(async || {
            let (code, machine) = (Arc::clone(self), Arc::clone(machine));
            tokio::task::spawn_blocking(move || code.load(&machine))
                .await
                .map_err(|defect| format!("loading it failed: {defect}"))?
        });
        linked.await.cloned()
    }

    /// Link the code now: when a call needs it, its file may be another one's.
    pub(crate) fn make_ready(&self, machine: &Machine) -> Result<(), String> {
        if !self.linked.initialized() {
            // Somebody else may have been faster; the result is the same.
            let _ = self.linked.set(self.load(machine)?);
        }
        Ok(())
    }

    fn load(&self, machine: &Machine) -> Result<ToolPre<State>, String> {
        if !self.is_read {
            component_file::read_again(&self.file, &self.digest)?;
        }
        if let Some(component) = machine.cache.code(&machine.engine, &self.digest) {
            return self.link(machine, &component);
        }
        let bytes = component_file::read_again(&self.file, &self.digest)?;
        let made = self.make(machine, &bytes);
        let component = made.map_err(|uncompiled| uncompiled.to_string())?;
        self.link(machine, &component)
    }

    fn make(&self, machine: &Machine, bytes: &[u8]) -> Result<Component, Uncompiled> {
        let code = machine.compiler.compile(bytes, self.limits)?;
        machine
            .cache
            .keep_code(&machine.engine, &self.digest, &code)
            .map_err(|error| Uncompiled::Unfit(format!("its code cannot be loaded: {error:#}")))
    }

    fn link(&self, machine: &Machine, component: &Component) -> Result<ToolPre<State>, String> {
        machine
            .linkers
            .link(component, &self.grants)
            .map_err(|error| linker::does_not_link(&error))
    }
}
