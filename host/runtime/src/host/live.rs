//! `live`: reach into a running guest.

use super::{HostResult, State, parse_object};
use crate::host::bindings::live;

impl live::Host for State {
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
                .command(&run, &argv, &parse_object("options", &options)?, cancel)
        })
        .await
    }

    async fn reach(&mut self, run: String, port: u16, request: String) -> HostResult<String> {
        self.json("live.reach", move |host, cancel| {
            host.runs
                .reach(&run, port, &parse_object("request", &request)?, cancel)
        })
        .await
    }

    async fn hook(&mut self, run: String, request: String) -> HostResult<String> {
        self.json("live.hook", move |host, _| {
            host.runs.hook(&run, &parse_object("request", &request)?)
        })
        .await
    }

    async fn snapshot(&mut self, run: String, request: String) -> HostResult<String> {
        self.json("live.snapshot", move |host, _| {
            host.runs
                .snapshot(&run, &parse_object("request", &request)?)
        })
        .await
    }
}
