//! `firmware`: the root filesystem as data.

use std::sync::Arc;

use rookery_contract::options;
use wasmtime::component::Resource;

use super::{HostResult, RootFilesystem, State};
use crate::host::bindings::firmware;

impl firmware::Host for State {
    async fn open(&mut self, project: String) -> HostResult<Resource<RootFilesystem>> {
        let opened = self
            .blocking("firmware.open", move |host, cancel| {
                host.roots.project(&project)?.firmware(cancel)
            })
            .await?;
        Ok(self.table.push(RootFilesystem(Arc::new(opened)))?)
    }
}

impl firmware::HostRootFilesystem for State {
    async fn list_directory(
        &mut self,
        this: Resource<RootFilesystem>,
        path: String,
        options: String,
    ) -> HostResult<String> {
        let firmware = self.root_filesystem(&this)?;
        self.json("root-filesystem.list-directory", move |_, _| {
            firmware.list_directory(&path, &options::parse("options", &options)?)
        })
        .await
    }

    async fn stat(&mut self, this: Resource<RootFilesystem>, path: String) -> HostResult<String> {
        let firmware = self.root_filesystem(&this)?;
        self.json("root-filesystem.stat", move |_, _| firmware.stat(&path))
            .await
    }

    async fn read(
        &mut self,
        this: Resource<RootFilesystem>,
        path: String,
        offset: u64,
        length: u32,
    ) -> HostResult<Vec<u8>> {
        let firmware = self.root_filesystem(&this)?;
        self.blocking("root-filesystem.read", move |_, _| {
            firmware.read(&path, offset, length)
        })
        .await
    }

    async fn search(
        &mut self,
        this: Resource<RootFilesystem>,
        pattern: String,
        options: String,
    ) -> HostResult<String> {
        let firmware = self.root_filesystem(&this)?;
        self.json("root-filesystem.search", move |_, cancel| {
            firmware.search(&pattern, &options::parse("options", &options)?, cancel)
        })
        .await
    }

    async fn init_candidates(&mut self, this: Resource<RootFilesystem>) -> HostResult<String> {
        let firmware = self.root_filesystem(&this)?;
        self.json("root-filesystem.init-candidates", move |_, _| {
            firmware.init_candidates()
        })
        .await
    }

    async fn drop(&mut self, this: Resource<RootFilesystem>) -> wasmtime::Result<()> {
        self.table.delete(this)?;
        Ok(())
    }
}
