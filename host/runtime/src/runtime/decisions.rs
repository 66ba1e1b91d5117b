//! What is served and what is refused, and the record of both.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};

use serde_json::{Map, Value, json};

use super::Runtime;
use crate::admission::Admitted;
use crate::audit::Call;
use crate::decision::Refusal;
use crate::failure::{Reason, Stop};
use crate::seats::Origin;
use crate::{
    Failure, FailureKind, LoadReport, Plugin, Rejected, Usage, cache, component_file, text,
};

/// Longest name of a tool in the audit: anybody may ask for any.
const NAME_CHARS: usize = 120;

impl Runtime {
    /// Serve the tools of a component, but for those that are withheld.
    pub(crate) fn add(&self, file: &Path, mut admitted: Admitted) -> Result<Plugin, Refusal> {
        // A tool of ours that no backend of this machine can serve only takes an agent's time.
        if admitted.origin == Origin::BuiltIn {
            admitted.tools.retain(|(_, definition)| {
                let needs = definition["_meta"]["rookery/needs"].as_str();
                needs.is_none_or(|needs| self.offers.has(needs))
            });
        }
        let rules: Map<String, Value> = admitted
            .interfaces
            .iter()
            .map(|(interface, rule)| (interface.to_string(), json!(rule)))
            .collect();
        let (plugin, withheld) = {
            let registry = self.calls.registry.write();
            let mut registry = registry.unwrap_or_else(PoisonError::into_inner);
            let registry = Arc::make_mut(&mut registry);
            registry.add(file, admitted, &self.selection, &self.seats)?
        };
        if let Some(audit) = &self.audit {
            let name = component_file::name(file);
            audit.granted(json!({ "plugin": name, "sha256": plugin.digest }), &rules);
            for (tool, refusal) in &withheld {
                audit.refused(json!({ "tool": tool, "sha256": plugin.digest }), refusal);
            }
        }
        Ok(plugin)
    }

    /// Say that the component in `file` is not served, in the report, the audit, and to whoever
    /// calls it.
    pub(crate) fn refuse(
        &self,
        file: &Path,
        digest: Option<&str>,
        refusal: Refusal,
        report: &mut LoadReport,
    ) {
        let name = component_file::name(file);
        if let Some(audit) = &self.audit {
            audit.refused(json!({ "plugin": name, "sha256": digest }), &refusal);
        }
        report.rejected.push(Rejected {
            file: file.to_owned(),
            rule: refusal.rule.clone(),
            reason: refusal.reason.clone(),
        });
        let registry = self.calls.registry.write();
        let mut registry = registry.unwrap_or_else(PoisonError::into_inner);
        Arc::make_mut(&mut registry).refuse(&name, refusal);
    }

    /// Serve the tools of the component in `file` no more, and say why to whoever calls it.
    pub(crate) fn withdraw(&self, file: &Path, why: Refusal, report: &mut LoadReport) {
        {
            let registry = self.calls.registry.write();
            let mut registry = registry.unwrap_or_else(PoisonError::into_inner);
            Arc::make_mut(&mut registry).withdraw(file);
        }
        self.refuse(file, None, why, report);
    }

    /// The files of this name, except for built-in ones, whose tools are served.
    pub(crate) fn added_files(&self, name: &OsStr) -> Vec<PathBuf> {
        let files = self.registry().files(name).into_iter();
        files
            .filter(|file| self.origin(file) == Origin::Added)
            .collect()
    }

    /// What the lock names and `files` lack.
    pub(crate) fn missing(&self, files: &[PathBuf]) -> Vec<(String, Refusal)> {
        let Some(lock) = &self.lock else {
            return Vec::new();
        };
        let installed: Vec<_> = files
            .iter()
            .map(|file| {
                (
                    component_file::name(file),
                    self.origin(file) == Origin::BuiltIn,
                )
            })
            .collect();
        lock.missing(&installed)
    }

    /// A sentence for each tool that a toolset of the operator's names and no plugin has, once all
    /// are loaded.
    pub fn misspelt_tools(&self) -> Vec<String> {
        self.policy.misspelt_tools(&self.registry().names())
    }

    /// Why `tool`, which is not served, is refused, if a rule of the operator's did that; a call of
    /// it is recorded, also where there is no such tool.
    pub fn refused(&self, tool: &str, arguments: &Value) -> Option<Failure> {
        let registry = self.registry();
        let refusal = registry.refusal(tool);
        let kind = refusal.map_or(FailureKind::UnknownTool, |_| FailureKind::Denied);
        let rule = refusal.map(|refusal| refusal.rule.as_str());
        self.record_refused(tool, arguments, kind, rule);
        let stop = Stop::from(Reason::Withheld(refusal?.reason.clone()));
        Some(stop.into_failure(tool, Usage::default()))
    }

    /// Record a call whose arguments did not pass [`Self::check_arguments`].
    pub fn misunderstood(&self, tool: &str, arguments: &Value) {
        self.record_refused(tool, arguments, FailureKind::InvalidArgument, None);
    }

    fn record_refused(
        &self,
        tool: &str,
        arguments: &Value,
        failure: FailureKind,
        rule: Option<&str>,
    ) {
        let Some(audit) = &self.audit else {
            return;
        };
        audit.call(&Call {
            tool: &text::clean(tool, NAME_CHARS),
            served: self.registry().entry(tool).map(|entry| &*entry.tool),
            arguments: &cache::digest(arguments.to_string().as_bytes()),
            failure: Some(failure),
            rule,
            by: None,
            usage: &Usage::default(),
        });
    }
}
