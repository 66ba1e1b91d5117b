//! What was admitted: the tools by their names, and what a call of each needs.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::admission::Admitted;
use crate::checks::Schema;
use crate::code::Code;
use crate::decision::Refusal;
use crate::host::Caller;
use crate::interface::Interface;
use crate::limits::Limits;
use crate::policy::Selection;
use crate::seats::{Origin, Seats, Share};
use crate::{Plugin, Tool, Withheld, component_file, text};

/// All tools.
#[derive(Clone, Default)]
pub(crate) struct Registry {
    tools: BTreeMap<String, Arc<Tool>>,
    entries: BTreeMap<String, Arc<Entry>>,
    /// Why what has these names is not served: tools, and plugins that were refused.
    refused: BTreeMap<String, Refusal>,
}

/// What a call of one tool needs.
pub(crate) struct Entry {
    pub(crate) tool: Arc<Tool>,
    pub(crate) code: Arc<Code>,
    pub(crate) caller: Caller,
    pub(crate) limits: Limits,
    pub(crate) origin: Origin,
    pub(crate) share: Share,
    pub(crate) input: Schema,
    pub(crate) output: Schema,
    /// What its component imports.
    pub(crate) imports: BTreeSet<Interface>,
}

impl Registry {
    pub(crate) fn tools(&self) -> &BTreeMap<String, Arc<Tool>> {
        &self.tools
    }

    pub(crate) fn entry(&self, tool: &str) -> Option<&Arc<Entry>> {
        self.entries.get(tool)
    }

    /// Of all tools, served or not.
    pub(crate) fn names(&self) -> BTreeSet<String> {
        let names = self.tools.keys().chain(self.refused.keys());
        names.cloned().collect()
    }

    /// Why what has this name is not served, if it is there.
    pub(crate) fn refusal(&self, name: &str) -> Option<&Refusal> {
        self.refused
            .get(name)
            .filter(|_| !self.entries.contains_key(name))
    }

    /// Keep why the plugin of this name is not served: a built-in tool has its plugin's name.
    pub(crate) fn refuse(&mut self, plugin: &str, refusal: Refusal) {
        self.refused.entry(plugin.to_owned()).or_insert(refusal);
    }

    /// The tool that `name`, which is none, most likely means.
    pub(crate) fn nearest(&self, name: &str) -> Option<String> {
        text::nearest(name, self.entries.keys().map(String::as_str)).map(str::to_owned)
    }

    /// The files whose tools are served, and that have this name.
    pub(crate) fn files(&self, name: &OsStr) -> BTreeSet<PathBuf> {
        let files = self.tools.values().map(|tool| &tool.plugin.file);
        let named = files.filter(|file| file.file_name() == Some(name));
        named.cloned().collect()
    }

    /// Serve the tools of the component in `file` no more. Calls of them that are under way go on.
    pub(crate) fn withdraw(&mut self, file: &Path) {
        self.tools.retain(|_, tool| tool.plugin.file != file);
        self.entries
            .retain(|_, entry| entry.tool.plugin.file != file);
    }

    /// Add the tools of the component in `file` that are selected, in the place of those that the
    /// file had, or change nothing if one's name is taken. Gives also what was withheld.
    pub(crate) fn add(
        &mut self,
        file: &Path,
        admitted: Admitted,
        selection: &Selection,
        seats: &Seats,
    ) -> Result<(Plugin, Vec<(String, Refusal)>), Refusal> {
        for (name, _) in &admitted.tools {
            let taken = self.tools.get(name);
            if let Some(other) = taken.filter(|other| other.plugin.file != file) {
                let reason = format!(
                    "its tool `{name}` is already served by {}, which comes first: built-in tools \
                     come before others, known plugins before new ones, and after that the order \
                     of the directories and of the file names in them counts. Remove one of the \
                     two",
                    other.plugin.file.display()
                );
                return Err(Refusal::by("names", reason));
            }
        }
        let withheld: Vec<_> = admitted
            .tools
            .iter()
            .filter_map(|(name, _)| {
                let refusal = selection.withholds(name, admitted.changes)?;
                Some((name.clone(), refusal))
            })
            .collect();
        // Calls of the earlier version still count.
        let mut earlier = self.entries.values();
        let earlier = earlier.find(|entry| entry.tool.plugin.file == file);
        let share = earlier.map(|entry| entry.share.clone());
        let share = share.unwrap_or_else(|| seats.share(admitted.origin));
        self.withdraw(file);
        self.refused.remove(&component_file::name(file));
        for (name, _) in &admitted.tools {
            self.refused.remove(name);
        }
        self.refused.extend(withheld.iter().cloned());
        let plugin = Arc::new(plugin(file, &admitted, &withheld));
        let code = Arc::new(admitted.code);
        let imports: BTreeSet<Interface> =
            admitted.interfaces.iter().map(|(one, _)| *one).collect();
        let served = |name: &String| !withheld.iter().any(|(tool, _)| tool == name);
        for (name, definition) in admitted.tools.into_iter().filter(|(name, _)| served(name)) {
            let tool = Arc::new(Tool {
                name: name.clone(),
                definition,
                plugin: Arc::clone(&plugin),
            });
            let entry = Entry {
                code: Arc::clone(&code),
                caller: code.caller(),
                limits: admitted.limits.clone(),
                origin: admitted.origin,
                share: share.clone(),
                imports: imports.clone(),
                input: Schema::new(&tool, "inputSchema"),
                output: Schema::new(&tool, "outputSchema"),
                tool: Arc::clone(&tool),
            };
            self.entries.insert(name.clone(), Arc::new(entry));
            self.tools.insert(name, tool);
        }
        Ok((Plugin::clone(&plugin), withheld))
    }
}

fn plugin(file: &Path, admitted: &Admitted, withheld: &[(String, Refusal)]) -> Plugin {
    Plugin {
        file: file.to_owned(),
        digest: admitted.digest.clone(),
        built_in: admitted.origin == Origin::BuiltIn,
        imports: admitted
            .interfaces
            .iter()
            .filter(|(interface, _)| *interface != Interface::Types)
            .map(|(interface, _)| interface.to_string())
            .collect(),
        withheld: withheld
            .iter()
            .map(|(tool, refusal)| Withheld {
                tool: tool.clone(),
                reason: refusal.reason.clone(),
            })
            .collect(),
        tools: admitted
            .tools
            .iter()
            .map(|(name, _)| name.clone())
            .collect(),
    }
}
