//! `config`: read a project's configuration.

use super::{HostResult, State};
use crate::host::bindings::config;

impl config::Host for State {
    async fn effective(&mut self, project: String) -> HostResult<String> {
        self.json("config.effective", move |host, _| {
            host.roots.project(&project)?.effective()
        })
        .await
    }

    async fn lookup(&mut self, project: String, path: String) -> HostResult<String> {
        self.json("config.lookup", move |host, _| {
            host.roots.project(&project)?.lookup(&path)
        })
        .await
    }

    async fn patch(&mut self, project: String) -> HostResult<String> {
        self.json("config.patch", move |host, _| {
            host.roots.project(&project)?.patch()
        })
        .await
    }
}
