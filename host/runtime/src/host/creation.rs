//! `creation`: make a new project.

use rookery_contract::options::{self, InitOptions};
use rookery_runs::penguin;

use super::{HostResult, State};
use crate::host::bindings::creation;
use crate::meter::WallClock;

impl creation::Host for State {
    async fn init_project(
        &mut self,
        rootfs: String,
        output: String,
        options: String,
    ) -> HostResult<String> {
        // It ends by the bounds on archives: a large one takes longer than a tool may take to
        // think.
        let _paused = WallClock::pause(&self.meter);
        self.json("creation.init-project", move |host, cancel| {
            let options: InitOptions = options::parse("options", &options)?;
            penguin::make_project(&host.roots, &rootfs, &output, options.with, cancel)
        })
        .await
    }
}
