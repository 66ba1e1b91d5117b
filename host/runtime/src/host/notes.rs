//! `notes`: what a component keeps of a project between its calls.

use rookery_contract::options::{self, NoteOptions};

use super::{HostResult, State, parse};
use crate::host::bindings::notes;

impl notes::Host for State {
    async fn read(&mut self, project: String, name: String) -> HostResult<String> {
        let plugin = self.caller.plugin.clone();
        self.json("notes.read", move |host, _| {
            host.roots.project(&project)?.read_note(&plugin, &name)
        })
        .await
    }

    async fn write(
        &mut self,
        project: String,
        name: String,
        note: String,
        options: String,
    ) -> HostResult<String> {
        let plugin = self.caller.plugin.clone();
        self.json("notes.write", move |host, _| {
            let note = parse("note", &note)?;
            let options: NoteOptions = options::parse("options", &options)?;
            let project = host.roots.project(&project)?;
            project.write_note(&plugin, &name, note, &options)
        })
        .await
    }
}
