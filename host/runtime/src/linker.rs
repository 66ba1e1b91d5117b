//! Linking: a component sees the interfaces that it was granted; the others are absent.
//!
//! Invariant 2: what is not granted is not linked here.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use wasmtime::Engine;
use wasmtime::component::{Component, Linker};

use crate::admission::CONTRACT;
use crate::host::bindings::ToolPre;
use crate::host::{self, State};
use crate::interface::Interface;

/// One linker for each set of grants, made when it is first needed.
pub(crate) struct Linkers {
    engine: Engine,
    by_grants: Mutex<BTreeMap<BTreeSet<Interface>, Linker<State>>>,
}

impl Linkers {
    pub(crate) fn new(engine: &Engine) -> Self {
        Self {
            engine: engine.clone(),
            by_grants: Mutex::default(),
        }
    }

    /// Link a component with what it was granted.
    pub(crate) fn link(
        &self,
        component: &Component,
        grants: &BTreeSet<Interface>,
    ) -> wasmtime::Result<ToolPre<State>> {
        let linker = {
            let mut by_grants = self
                .by_grants
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            match by_grants.get(grants) {
                Some(linker) => linker.clone(),
                None => by_grants
                    .entry(grants.clone())
                    .or_insert(self.build(grants)?)
                    .clone(),
            }
        };
        ToolPre::new(linker.instantiate_pre(component)?)
    }

    fn build(&self, grants: &BTreeSet<Interface>) -> wasmtime::Result<Linker<State>> {
        let mut linker = Linker::new(&self.engine);
        wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
        for interface in grants {
            host::link(&mut linker, *interface)?;
        }
        Ok(linker)
    }
}

/// What is said of a component that cannot be linked.
pub(crate) fn does_not_link(error: &wasmtime::Error) -> String {
    let why = crate::text::clean(&format!("{error:#}"), 600);
    let needed = needed(&why).filter(|version| *version != CONTRACT);
    let needed = needed.map_or_else(String::new, |version| {
        format!(
            ". It was built against version {version} of the contract, and this host has \
             {CONTRACT}: use a newer release of Rookery, or build it against this one's `wit/`"
        )
    });
    format!("it does not fit this host's version of the contract: {why}{needed}")
}

/// The version of the contract that an interface in wasmtime's words has.
fn needed(why: &str) -> Option<&str> {
    let (_, ours) = why.split_once("rookery:plugin/")?;
    let (_, version) = ours.split_once('@')?;
    let end = version.find(|c: char| !c.is_ascii_digit() && c != '.');
    let version = version.get(..end.unwrap_or(version.len()))?;
    Some(version.trim_end_matches('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_component_of_a_later_contract_is_refused_with_both_versions() {
        let error = wasmtime::Error::msg(
            "component imports instance `rookery:plugin/notes@0.1.9`, but a matching \
             implementation was not found in the linker",
        );
        let said = does_not_link(&error);
        assert!(
            said.contains("built against version 0.1.9") && said.contains(CONTRACT),
            "{said}"
        );
    }
}
