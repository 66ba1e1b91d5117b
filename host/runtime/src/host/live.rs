//! `live`: reach into a running guest.

use rookery_contract::options;
use serde_json::{Map, Value};

use super::{HostResult, State};
use crate::host::bindings::live;

impl live::Host for State {
    async fn running(&mut self, project: String) -> HostResult<String> {
        self.blocking("live.running", move |host, _| {
            host.runs.running(&host.roots.project(&project)?)
        })
        .await
    }

    async fn capabilities(&mut self, run: String) -> HostResult<String> {
        self.json("live.capabilities", move |host, _| {
            host.runs.capabilities(&run)
        })
        .await
    }

    async fn command(
        &mut self,
        run: String,
        argv: Vec<String>,
        options: String,
    ) -> HostResult<String> {
        self.json("live.command", move |host, cancel| {
            host.runs
                .command(&run, &argv, &options::parse("options", &options)?, cancel)
        })
        .await
    }

    async fn reach(&mut self, run: String, port: u16, request: String) -> HostResult<String> {
        self.json("live.reach", move |host, cancel| {
            host.runs
                .reach(&run, port, &options::parse("request", &request)?, cancel)
        })
        .await
    }

    async fn hook(&mut self, run: String, request: String) -> HostResult<String> {
        self.json("live.hook", move |host, _| {
            options::parse::<Map<String, Value>>("request", &request)?;
            host.runs.hook(&run)
        })
        .await
    }

    async fn snapshot(&mut self, run: String, request: String) -> HostResult<String> {
        self.json("live.snapshot", move |host, _| {
            options::parse::<Map<String, Value>>("request", &request)?;
            host.runs.snapshot(&run)
        })
        .await
    }
}
