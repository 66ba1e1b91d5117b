//! `live`: reach into a running guest.

use rookery_contract::{options, shapes};
use rookery_runs::live::LiveRequest;

use super::stand_in::stand_in;
use super::{HostResult, State};
use crate::host::bindings::live;

impl live::Host for State {
    async fn running(&mut self, project: String) -> HostResult<String> {
        stand_in!(self, "live.running", project);
        self.blocking("live.running", move |host, _| {
            host.runs.running(&host.roots.project(&project)?)
        })
        .await
    }

    async fn capabilities(&mut self, run: String) -> HostResult<String> {
        stand_in!(self, "live.capabilities", run);
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
        stand_in!(self, "live.command", run, argv, options);
        self.json_of_guest("live.command", move |host, cancel| {
            host.runs
                .command(&run, &argv, &options::parse("options", &options)?, cancel)
        })
        .await
    }

    async fn reach(&mut self, run: String, port: u16, request: String) -> HostResult<String> {
        stand_in!(self, "live.reach", run, port, request);
        self.json_of_guest("live.reach", move |host, cancel| {
            host.runs
                .reach(&run, port, &options::parse("request", &request)?, cancel)
        })
        .await
    }

    async fn hook(&mut self, run: String, request: String) -> HostResult<String> {
        stand_in!(self, "live.hook", run, request);
        self.json_of_guest("live.hook", move |host, cancel| {
            let request = LiveRequest::Hook(options::parse("request", &request)?);
            host.runs.live::<shapes::Hooked>(&run, request, cancel)
        })
        .await
    }

    async fn hooks(&mut self, run: String) -> HostResult<String> {
        stand_in!(self, "live.hooks", run);
        self.json("live.hooks", move |host, cancel| {
            host.runs
                .live::<shapes::Hooks>(&run, LiveRequest::Hooks, cancel)
        })
        .await
    }

    async fn unhook(&mut self, run: String, options: String) -> HostResult<String> {
        stand_in!(self, "live.unhook", run, options);
        self.json("live.unhook", move |host, cancel| {
            let request = LiveRequest::Unhook(options::parse("options", &options)?);
            host.runs.live::<shapes::Unhooked>(&run, request, cancel)
        })
        .await
    }

    async fn hook_output(&mut self, run: String, options: String) -> HostResult<String> {
        stand_in!(self, "live.hook-output", run, options);
        self.json_of_guest("live.hook-output", move |host, cancel| {
            let request = LiveRequest::HookOutput(options::parse("options", &options)?);
            host.runs.live::<shapes::HookOutput>(&run, request, cancel)
        })
        .await
    }

    async fn control_plugin(&mut self, run: String, request: String) -> HostResult<String> {
        stand_in!(self, "live.control-plugin", run, request);
        self.json_of_guest("live.control-plugin", move |host, cancel| {
            let request = options::parse("request", &request)?;
            host.runs
                .control_plugin(&run, request, &host.penguin_plugins, cancel)
        })
        .await
    }

    async fn snapshot(&mut self, run: String, request: String) -> HostResult<String> {
        stand_in!(self, "live.snapshot", run, request);
        self.json_of_guest("live.snapshot", move |host, cancel| {
            let request = LiveRequest::Snapshot(options::parse("request", &request)?);
            host.runs.live::<shapes::Snapshotted>(&run, request, cancel)
        })
        .await
    }

    async fn snapshots(&mut self, run: String) -> HostResult<String> {
        stand_in!(self, "live.snapshots", run);
        self.json("live.snapshots", move |host, cancel| {
            host.runs
                .live::<shapes::Snapshots>(&run, LiveRequest::Snapshots, cancel)
        })
        .await
    }
}
