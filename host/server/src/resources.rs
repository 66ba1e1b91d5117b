//! Documents that a client can attach: how to work with this server, and the contract for those who
//! write tools.

use rmcp::model::{
    CompletionInfo, ReadResourceResult, Resource, ResourceContents, ResourceTemplate,
};

use crate::prompts::by_prefix;

const WORKFLOW_URI: &str = "rookery://docs/workflow";
const CONTRACT_PREFIX: &str = "rookery://contract/";
/// Template of the contract's resources.
const CONTRACT_TEMPLATE: &str = "rookery://contract/{interface}";

const WORKFLOW: &str = include_str!("docs/workflow.md");

/// The files of `wit/`, without their ending.
const CONTRACT: &[(&str, &str)] = &[
    ("worlds", include_str!("../../../wit/worlds.wit")),
    ("tools", include_str!("../../../wit/tools.wit")),
    ("types", include_str!("../../../wit/types.wit")),
    ("config", include_str!("../../../wit/config.wit")),
    ("emulation", include_str!("../../../wit/emulation.wit")),
    ("firmware", include_str!("../../../wit/firmware.wit")),
    ("http", include_str!("../../../wit/http.wit")),
    ("live", include_str!("../../../wit/live.wit")),
    ("log", include_str!("../../../wit/log.wit")),
    ("binaries", include_str!("../../../wit/binaries.wit")),
    ("notes", include_str!("../../../wit/notes.wit")),
    ("results", include_str!("../../../wit/results.wit")),
    ("toolbox", include_str!("../../../wit/toolbox.wit")),
];

/// All documents, the workflow first.
pub fn list() -> Vec<Resource> {
    let workflow = Resource::new(WORKFLOW_URI, "workflow")
        .with_title("Rehosting workflow")
        .with_description(
            "How to take firmware through the loop of running, diagnosing and changing.",
        )
        .with_mime_type("text/markdown")
        .with_size(WORKFLOW.len() as u64);
    let contract = CONTRACT.iter().map(|(name, text)| {
        Resource::new(format!("{CONTRACT_PREFIX}{name}"), *name)
            .with_title(format!("Tool contract: {name}"))
            .with_description("WIT: what a tool component can import and must export.")
            .with_mime_type("text/plain")
            .with_size(text.len() as u64)
    });
    std::iter::once(workflow).chain(contract).collect()
}

/// The contract's files by name.
pub fn templates() -> Vec<ResourceTemplate> {
    let template = ResourceTemplate::new(CONTRACT_TEMPLATE, "contract")
        .with_title("Tool contract")
        .with_description("One file of the contract between the server and its tools.")
        .with_mime_type("text/plain");
    vec![template]
}

/// The document at `uri`.
pub fn read(uri: &str) -> Option<ReadResourceResult> {
    let (text, mime_type) = if uri == WORKFLOW_URI {
        (WORKFLOW, "text/markdown")
    } else {
        let name = uri.strip_prefix(CONTRACT_PREFIX)?;
        (
            CONTRACT.iter().find(|(known, _)| *known == name)?.1,
            "text/plain",
        )
    };
    Some(ReadResourceResult::new(vec![
        ResourceContents::text(text, uri).with_mime_type(mime_type),
    ]))
}

/// Values for the variable `name` of the template `uri`, or `None` where there is no such variable.
pub fn complete(uri: &str, name: &str, prefix: &str) -> Option<CompletionInfo> {
    (uri == CONTRACT_TEMPLATE && name == "interface")
        .then(|| by_prefix(CONTRACT.iter().map(|(name, _)| *name), prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_listed_document_can_be_read_and_nothing_else() {
        for resource in list() {
            let document = read(&resource.uri).map(|result| result.contents);
            assert!(
                document.is_some_and(|contents| contents.len() == 1),
                "{}",
                resource.uri
            );
        }
        for uri in [
            "rookery://contract/",
            "rookery://contract/../types",
            "rookery://docs/x",
            "file:///etc/passwd",
        ] {
            assert!(read(uri).is_none(), "{uri}");
        }
    }

    #[test]
    fn every_file_of_the_contract_is_a_document() {
        let mut files: Vec<String> =
            std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../../wit"))
                .into_iter()
                .flatten()
                .filter_map(|entry| {
                    Some(
                        entry
                            .ok()?
                            .file_name()
                            .to_str()?
                            .strip_suffix(".wit")?
                            .to_owned(),
                    )
                })
                .collect();
        let mut known: Vec<&str> = CONTRACT.iter().map(|(name, _)| *name).collect();
        files.sort();
        known.sort_unstable();
        assert_eq!(files, known);
    }
}
