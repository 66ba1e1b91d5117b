//! Which of the admitted tools are served: those of the chosen toolsets, and in the read-only mode
//! those that change nothing.

use std::collections::{BTreeMap, BTreeSet};

use super::{Policy, PolicyError};
use crate::decision::Refusal;
use crate::text;

/// Tools by the name of their set.
pub(super) type Toolsets = BTreeMap<String, BTreeSet<String>>;

/// What is served of what was admitted: everything, unless the operator says otherwise.
#[derive(Debug, Clone, Default)]
pub(crate) struct Selection {
    read_only: bool,
    /// The names of the sets that are served, and their tools.
    chosen: Option<(Vec<String>, BTreeSet<String>)>,
    /// All sets that there are.
    sets: Toolsets,
}

/// The toolsets that every server has.
pub(super) fn built_in() -> Toolsets {
    toml::from_str(include_str!("toolsets.toml"))
        .expect("the file was read by a test of this module")
}

/// The names of the tools that come with the program.
pub fn built_in_tools() -> BTreeSet<String> {
    built_in().into_values().flatten().collect()
}

impl Policy {
    /// Serve these toolsets, whatever the policy says.
    pub fn choose_toolsets(&mut self, names: Vec<String>) -> Result<(), PolicyError> {
        self.serve.toolsets = Some(names);
        self.selection().map(drop)
    }

    /// Serve what changes and starts nothing, whatever the policy says.
    pub fn make_read_only(&mut self) {
        self.serve.read_only = true;
    }

    /// A sentence for each tool of the operator's sets that is not among `tools`.
    pub(crate) fn misspelt_tools(&self, tools: &BTreeSet<String>) -> Vec<String> {
        let named = self.toolsets.iter();
        let named = named.flat_map(|(set, names)| names.iter().map(move |name| (set, name)));
        let missing = named.filter(|(_, name)| !tools.contains(*name));
        let told = missing.map(|(set, name)| {
            let near = text::nearest(name, tools.iter().map(String::as_str));
            let near = near.map_or_else(String::new, |near| format!("; did you mean {near}?"));
            format!("the toolset `{set}` names `{name}`, a tool that is not there{near}")
        });
        told.collect()
    }

    pub(crate) fn selection(&self) -> Result<Selection, PolicyError> {
        let mut sets = built_in();
        for (name, tools) in &self.toolsets {
            if sets.insert(name.clone(), tools.clone()).is_some() {
                return Err(PolicyError(format!(
                    "the toolset `{name}` under [toolsets] has the name of a built-in one; give \
                     it another"
                )));
            }
        }
        let Some(names) = &self.serve.toolsets else {
            return Ok(Selection {
                read_only: self.serve.read_only,
                chosen: None,
                sets,
            });
        };
        let mut tools = BTreeSet::new();
        for name in names {
            let Some(set) = sets.get(name) else {
                let known: Vec<_> = sets.keys().map(String::as_str).collect();
                return Err(PolicyError(format!(
                    "there is no toolset `{name}`: there are {}; your own are defined under \
                     [toolsets] of the policy",
                    known.join(", ")
                )));
            };
            tools.extend(set.iter().cloned());
        }
        Ok(Selection {
            read_only: self.serve.read_only,
            chosen: Some((names.clone(), tools)),
            sets,
        })
    }
}

impl Selection {
    pub(crate) fn is_read_only(&self) -> bool {
        self.read_only
    }

    /// The sets that are served; `None` for all tools.
    pub(crate) fn chosen(&self) -> Option<&[String]> {
        self.chosen.as_ref().map(|(names, _)| names.as_slice())
    }

    /// Why `tool`, whose component can change or start something if it `changes`, is not served.
    pub(crate) fn withholds(&self, tool: &str, changes: bool) -> Option<Refusal> {
        if self.read_only && changes {
            return Some(Refusal::by(
                "serve.read_only",
                "this server is read-only, and the tool can change or start something. To serve \
                 it, the operator leaves out `--read-only`, and puts under [serve] of the policy: \
                 read_only = false",
            ));
        }
        let (names, tools) = self.chosen.as_ref()?;
        if tools.contains(tool) {
            return None;
        }
        let home = self.sets.iter().find(|(_, set)| set.contains(tool));
        let list = |more: &str| {
            let names = names.iter().map(String::as_str).chain([more]);
            let names: Vec<_> = names.map(|name| format!("{name:?}")).collect();
            names.join(", ")
        };
        let line = match home {
            Some((set, _)) => format!("under [serve]: toolsets = [{}]", list(set)),
            None => format!(
                "under [toolsets]: mine = [{tool:?}], and under [serve]: toolsets = [{}]",
                list("mine")
            ),
        };
        Some(Refusal::by(
            "serve.toolsets",
            format!(
                "it belongs to none of the toolsets that are served ({}). To serve it, the \
                 operator names its set in `--toolsets`, or puts into the policy {line}",
                names.join(", ")
            ),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selection(text: &str) -> Selection {
        Policy::from_toml(text).unwrap().selection().unwrap()
    }

    #[test]
    fn a_built_in_tool_stands_in_one_toolset() {
        let sets = built_in();
        let all: Vec<_> = sets.values().flatten().collect();
        assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len());
        assert!(sets["diagnose"].contains("health"));
    }

    #[test]
    fn without_a_word_of_the_operator_everything_is_served() {
        assert_eq!(selection("").withholds("run", true), None);
    }

    #[test]
    fn read_only_withholds_what_changes_and_says_what_to_write() {
        let selection = selection("[serve]\nread_only = true");
        assert_eq!(selection.withholds("health", false), None);
        let refusal = selection.withholds("run", true).unwrap();
        assert_eq!(refusal.rule, "serve.read_only");
        assert!(refusal.reason.ends_with("read_only = false"), "{refusal:?}");
    }

    #[test]
    fn a_toolset_withholds_the_others_and_names_the_line_that_serves_them() {
        let selection =
            selection("[serve]\ntoolsets = ['look', 'own']\n[toolsets]\nown = ['health']");
        assert_eq!(selection.withholds("health", false), None);
        assert_eq!(selection.withholds("read_results", false), None);
        let run = selection.withholds("run", true).unwrap().reason;
        assert!(
            run.ends_with(r#"toolsets = ["look", "own", "run"]"#),
            "{run}"
        );
        let other = selection.withholds("theirs", false).unwrap().reason;
        assert!(other.contains(r#"mine = ["theirs"]"#), "{other}");
    }

    #[test]
    fn a_toolset_that_is_not_there_or_is_taken_is_an_error_that_names_all() {
        let error = |text: &str| Policy::from_toml(text).unwrap_err().to_string();
        let unknown = error("[serve]\ntoolsets = ['diagnos']");
        assert!(unknown.contains("diagnose, look"), "{unknown}");
        assert!(error("[toolsets]\nrun = ['health']").contains("built-in"));
    }

    #[test]
    fn a_misspelt_tool_of_a_toolset_is_told() {
        let policy = Policy::from_toml("[toolsets]\nmine = ['helth', 'run']").unwrap();
        let tools = ["health", "run"].map(str::to_owned).into();
        let told = policy.misspelt_tools(&tools);
        assert_eq!(told.len(), 1);
        assert!(told[0].ends_with("did you mean health?"), "{told:?}");
    }
}
