//! `config-mutation`: change a project's configuration.
//!
//! The project crate writes a change whole or not at all, so a trap or a cancellation right after
//! it leaves a project that loads.

use super::{HostResult, State, parse_object};
use crate::host::bindings::config_mutation;

impl config_mutation::Host for State {
    async fn apply(
        &mut self,
        project: String,
        fragment: String,
        options: String,
    ) -> HostResult<String> {
        self.json("config-mutation.apply", move |host, _| {
            let fragment = parse_object("fragment", &fragment)?;
            let options = parse_object("options", &options)?;
            host.roots.project(&project)?.apply(fragment, &options)
        })
        .await
    }

    async fn remove(
        &mut self,
        project: String,
        path: String,
        options: String,
    ) -> HostResult<String> {
        self.json("config-mutation.remove", move |host, _| {
            let options = parse_object("options", &options)?;
            host.roots.project(&project)?.remove(&path, &options)
        })
        .await
    }

    async fn reset(&mut self, project: String, options: String) -> HostResult<String> {
        self.json("config-mutation.reset", move |host, _| {
            let options = parse_object("options", &options)?;
            host.roots.project(&project)?.reset(&options)
        })
        .await
    }
}
