//! `results`: what a run left behind.

use std::sync::Arc;

use rookery_contract::options;
use wasmtime::component::Resource;

use super::{HostResult, RunResults, State, parse};
use crate::host::bindings::results;

impl results::Host for State {
    async fn runs(&mut self, project: String, options: String) -> HostResult<String> {
        self.json("results.runs", move |host, cancel| {
            host.roots
                .runs(&project, &options::parse("options", &options)?, cancel)
        })
        .await
    }

    async fn open(
        &mut self,
        project: Option<String>,
        results_dir: Option<String>,
    ) -> HostResult<Resource<RunResults>> {
        let opened = self
            .blocking("results.open", move |host, _| {
                host.roots
                    .results(project.as_deref(), results_dir.as_deref())
            })
            .await?;
        Ok(self.table.push(RunResults(Arc::new(opened)))?)
    }
}

impl results::HostRunResults for State {
    async fn status(&mut self, this: Resource<RunResults>) -> HostResult<String> {
        let results = self.run_results(&this)?;
        self.json("run-results.status", move |_, _| results.status())
            .await
    }

    async fn read_yaml(&mut self, this: Resource<RunResults>, file: String) -> HostResult<String> {
        let results = self.run_results(&this)?;
        self.blocking("run-results.read-yaml", move |_, _| {
            results.read_yaml_as_json(&file)
        })
        .await
    }

    async fn read_csv(
        &mut self,
        this: Resource<RunResults>,
        file: String,
        options: String,
    ) -> HostResult<String> {
        let results = self.run_results(&this)?;
        self.json("run-results.read-csv", move |_, cancel| {
            results.read_csv(&file, &options::parse("options", &options)?, cancel)
        })
        .await
    }

    async fn search(
        &mut self,
        this: Resource<RunResults>,
        file: String,
        pattern: String,
        options: String,
    ) -> HostResult<String> {
        let results = self.run_results(&this)?;
        self.json("run-results.search", move |_, cancel| {
            results.search(
                &file,
                &pattern,
                &options::parse("options", &options)?,
                cancel,
            )
        })
        .await
    }

    async fn read_text(
        &mut self,
        this: Resource<RunResults>,
        file: String,
        offset: i64,
        length: u32,
    ) -> HostResult<String> {
        let results = self.run_results(&this)?;
        self.json("run-results.read-text", move |_, _| {
            results.read_text(&file, offset, length)
        })
        .await
    }

    async fn query(
        &mut self,
        this: Resource<RunResults>,
        sql: String,
        params: String,
        options: String,
    ) -> HostResult<String> {
        let results = self.run_results(&this)?;
        self.json("run-results.query", move |_, cancel| {
            results.query(
                &sql,
                &parse("params", &params)?,
                &options::parse("options", &options)?,
                cancel,
            )
        })
        .await
    }

    async fn drop(&mut self, this: Resource<RunResults>) -> wasmtime::Result<()> {
        self.table.delete(this)?;
        Ok(())
    }
}
