//! What was admitted: the tools by their names, and what a call of each needs.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use crate::admission::Admitted;
use crate::checks::Schema;
use crate::code::Code;
use crate::interface::Interface;
use crate::limits::Limits;
use crate::seats::{Origin, Seats, Share};
use crate::{Plugin, Tool, text};

/// All tools.
#[derive(Clone, Default)]
pub(crate) struct Registry {
    tools: BTreeMap<String, Arc<Tool>>,
    entries: BTreeMap<String, Arc<Entry>>,
}

/// What a call of one tool needs.
pub(crate) struct Entry {
    pub(crate) tool: Arc<Tool>,
    pub(crate) code: Arc<Code>,
    pub(crate) limits: Limits,
    pub(crate) origin: Origin,
    pub(crate) share: Share,
    pub(crate) input: Schema,
    pub(crate) output: Schema,
}

impl Registry {
    pub(crate) fn tools(&self) -> &BTreeMap<String, Arc<Tool>> {
        &self.tools
    }

    pub(crate) fn entry(&self, tool: &str) -> Option<&Arc<Entry>> {
        self.entries.get(tool)
    }

    /// The tool that `name`, which is none, most likely means.
    pub(crate) fn nearest(&self, name: &str) -> Option<String> {
        text::nearest(name, self.entries.keys().map(String::as_str)).map(str::to_owned)
    }

    /// Add the tools of the component in `file`, or none of them if one's name is taken.
    pub(crate) fn add(
        &mut self,
        file: &Path,
        admitted: Admitted,
        seats: &Seats,
    ) -> Result<Plugin, String> {
        for (name, _) in &admitted.tools {
            if let Some(other) = self.tools.get(name) {
                return Err(format!(
                    "its tool `{name}` is already served by {}, which comes first: built-in tools \
                     come before others, known plugins before new ones, and after that the order \
                     of the directories and of the file names in them counts. Remove one of the \
                     two",
                    other.plugin.file.display()
                ));
            }
        }
        let plugin = Arc::new(plugin(file, &admitted));
        let code = Arc::new(admitted.code);
        let share = seats.share(admitted.origin);
        for (name, definition) in admitted.tools {
            let tool = Arc::new(Tool {
                name: name.clone(),
                definition,
                plugin: Arc::clone(&plugin),
            });
            let entry = Entry {
                code: Arc::clone(&code),
                limits: admitted.limits.clone(),
                origin: admitted.origin,
                share: share.clone(),
                input: Schema::new(&tool, "inputSchema"),
                output: Schema::new(&tool, "outputSchema"),
                tool: Arc::clone(&tool),
            };
            self.entries.insert(name.clone(), Arc::new(entry));
            self.tools.insert(name, tool);
        }
        Ok(Plugin::clone(&plugin))
    }
}

fn plugin(file: &Path, admitted: &Admitted) -> Plugin {
    Plugin {
        file: file.to_owned(),
        digest: admitted.digest.clone(),
        imports: admitted
            .interfaces
            .iter()
            .filter(|interface| **interface != Interface::Types)
            .map(ToString::to_string)
            .collect(),
        tools: admitted
            .tools
            .iter()
            .map(|(name, _)| name.clone())
            .collect(),
    }
}
