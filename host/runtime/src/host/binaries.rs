//! `binaries`: look into programs and libraries of the firmware.

use rookery_contract::options;

use super::{HostResult, State};
use crate::host::bindings::binaries;

impl binaries::Host for State {
    async fn symbols(
        &mut self,
        project: String,
        path: String,
        options: String,
    ) -> HostResult<String> {
        self.json("binaries.symbols", move |host, cancel| {
            let firmware = host.roots.project(&project)?.firmware(cancel)?;
            firmware.symbols(&path, &options::parse("options", &options)?, cancel)
        })
        .await
    }

    async fn strings(
        &mut self,
        project: String,
        path: String,
        options: String,
    ) -> HostResult<String> {
        self.json("binaries.strings", move |host, cancel| {
            let firmware = host.roots.project(&project)?.firmware(cancel)?;
            firmware.strings(&path, &options::parse("options", &options)?, cancel)
        })
        .await
    }
}
