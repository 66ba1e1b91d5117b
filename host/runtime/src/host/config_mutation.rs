//! `config-mutation`: change a project's configuration.
//!
//! The project crate writes a change whole or not at all, so a trap or a cancellation right after
//! it leaves a project that loads.

use rookery_contract::options::{self, ApplyOptions, RemoveOptions, ResetOptions, SetOptions};
use rookery_project::{Changed, Result};
use serde_json::Value;

use super::{HostResult, State, parse, to_json};
use crate::host::bindings::config_mutation;

impl config_mutation::Host for State {
    async fn apply(
        &mut self,
        project: String,
        fragment: String,
        options: String,
    ) -> HostResult<String> {
        self.blocking("config-mutation.apply", move |host, cancel| {
            let fragment = Value::Object(options::parse("fragment", &fragment)?);
            let options: ApplyOptions = options::parse("options", &options)?;
            let project = host.roots.project(&project)?;
            let change = match &options.run {
                None => project.apply(&fragment, &options),
                Some(run) => host
                    .runs
                    .remodel(run, &project, &fragment, &options, cancel),
            };
            told(&change?)
        })
        .await
    }

    async fn set(
        &mut self,
        project: String,
        path: String,
        value: String,
        options: String,
    ) -> HostResult<String> {
        self.blocking("config-mutation.set", move |host, _| {
            let value = parse("value", &value)?;
            let options: SetOptions = options::parse("options", &options)?;
            told(&host.roots.project(&project)?.set(&path, &value, &options)?)
        })
        .await
    }

    async fn remove(
        &mut self,
        project: String,
        path: String,
        options: String,
    ) -> HostResult<String> {
        self.blocking("config-mutation.remove", move |host, _| {
            let options: RemoveOptions = options::parse("options", &options)?;
            told(&host.roots.project(&project)?.remove(&path, &options)?)
        })
        .await
    }

    async fn reset(&mut self, project: String, options: String) -> HostResult<String> {
        self.blocking("config-mutation.reset", move |host, _| {
            let options: ResetOptions = options::parse("options", &options)?;
            told(&host.roots.project(&project)?.reset(&options)?)
        })
        .await
    }
}

fn told(changed: &Changed) -> Result<String> {
    to_json(&changed.told())
}
