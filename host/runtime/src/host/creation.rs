//! `creation`: make a new project.

use super::{HostResult, State, parse_object};
use crate::bindings::creation;

impl creation::Host for State {
    async fn init_project(
        &mut self,
        rootfs: String,
        output: String,
        options: String,
    ) -> HostResult<String> {
        self.json("creation.init-project", move |host, cancel| {
            parse_object("options", &options)?;
            host.roots.create(&rootfs, &output, cancel)
        })
        .await
    }
}
