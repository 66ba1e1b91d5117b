//! What `wit/*.wit` says of a value, of options and of the error, and the type that stands for it,
//! have the same fields and cases.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use regex::Regex;
use rookery_contract::options::{
    ApplyOptions, CommandOptions, CsvOptions, FindOptions, HookOptions, HookOutputOptions,
    HttpOptions, InitOptions, ListOptions, NoteOptions, PluginOptions, QueryOptions, ReachOptions,
    RemoveOptions, ResetOptions, RunListOptions, SearchOptions, SetOptions, SnapshotOptions,
    StartOptions, StringOptions, SymbolOptions, UnhookOptions, WaitOptions,
};
use rookery_contract::shapes::{
    AskedService, AskedServices, Capabilities, Change, CommandOutput, DirectoryEntry, Effective,
    EffectiveConfig, ElfHeaders, Endpoint, FileStat, FoundFile, FoundFiles, FoundString,
    GuestPlugin, Hook, HookOutput, HookWay, Hooked, Hooks, HttpAnswer, HttpHeader, HttpRedirect,
    InitCandidate, InitCandidates, Layer, ListedRun, Listing, Lookup, Match, Matches, NewProject,
    NewerRun, Note, Patch, PluginControl, Reached, Received, ResultFile, ResultsStatus, Revision,
    Rows, RunList, RunStatus, ServiceAnswer, ServiceAnswers, ServiceCounts, Snapshot, Snapshots,
    Snapshotted, Strings, Symbol, Symbols, Table, Text, TlsPeer, ToldChange, Unhooked,
};
use rookery_contract::{Error, Unavailable};
use schemars::{JsonSchema, schema_for};
use serde_json::Value;

/// The files of the contract.
const INTERFACES: [&str; 12] = [
    "binaries",
    "config",
    "emulation",
    "firmware",
    "http",
    "live",
    "log",
    "notes",
    "results",
    "toolbox",
    "tools",
    "types",
];

/// Objects that have no type, by the interface and one of their members: those of MCP.
const UNTYPED: [(&str, &str); 1] = [("types", "rookery/result")];

fn wit(interface: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../{interface}.wit"))
}

/// The documentation of an interface, as one line.
fn prose(interface: &str) -> String {
    let text = std::fs::read_to_string(wit(interface)).unwrap();
    let docs = text
        .lines()
        .filter_map(|line| line.trim().strip_prefix("///"));
    docs.collect::<Vec<_>>().join("")
}

/// The members of every object that is spelled out, innermost ones included.
fn objects(prose: &str) -> Vec<BTreeSet<String>> {
    let member = Regex::new(r#"^"([a-z_]+)":"#).unwrap();
    let (mut open, mut closed) = (Vec::new(), Vec::new());
    for (at, character) in prose.char_indices() {
        match character {
            '{' => open.push(BTreeSet::new()),
            '}' => closed.extend(open.pop()),
            '"' => {
                if let (Some(object), Some(name)) = (open.last_mut(), member.captures(&prose[at..]))
                {
                    object.insert(name[1].to_owned());
                }
            }
            _ => {}
        }
    }
    closed
}

/// Set by tools for those who read their answers, and by no function of the host.
const OF_TOOLS: [&str; 4] = ["next", "summary", "truncated", "effective_total"];

/// Told by the host, and left out of what tools answer or say that they do.
const OF_THE_HOST: [&str; 3] = ["loads", "patch", "patch_keys"];

fn fields<T: JsonSchema>() -> (String, BTreeSet<String>) {
    let schema = schema_for!(T);
    let name = schema.get("title").unwrap().as_str().unwrap();
    let properties = schema.get("properties").unwrap().as_object().unwrap();
    (name.to_owned(), properties.keys().cloned().collect())
}

/// The object with these members and the fewest others that the prose of an interface spells out.
fn spelled_out(interface: &str, known_by: &[&str]) -> BTreeSet<String> {
    objects(&prose(interface))
        .into_iter()
        .filter(|object| known_by.iter().all(|member| object.contains(*member)))
        .min_by_key(BTreeSet::len)
        .unwrap_or_else(|| panic!("{interface}.wit spells out no object with {known_by:?}"))
}

fn check<T: JsonSchema>(interface: &str, known_by: &[&str]) {
    let (name, fields) = fields::<T>();
    for member in spelled_out(interface, known_by) {
        assert!(
            fields.contains(&member) || OF_THE_HOST.contains(&member.as_str()),
            "{interface}.wit gives `{member}`, which {name} lacks"
        );
    }
    let prose = prose(interface);
    for field in fields {
        let is_said = prose.contains(&format!("\"{field}\""));
        assert!(
            is_said || OF_TOOLS.contains(&field.as_str()),
            "{name} has `{field}`, which {interface}.wit does not name"
        );
    }
}

/// Of what is one object in the prose, all of it and nothing else.
fn check_whole<T: JsonSchema>(interface: &str, known_by: &[&str]) {
    let (name, fields) = fields::<T>();
    let object = spelled_out(interface, known_by);
    assert_eq!(object, fields, "{name}, as {interface}.wit has it");
}

#[test]
fn every_option_is_in_prose_and_type() {
    check_whole::<SymbolOptions>("binaries", &["pattern", "which"]);
    check_whole::<StringOptions>("binaries", &["pattern", "min"]);
    check_whole::<ApplyOptions>("config", &["dry_run", "replace"]);
    check_whole::<RemoveOptions>("config", &["dry_run"]);
    check_whole::<SetOptions>("config", &["dry_run"]);
    check_whole::<ResetOptions>("config", &["to_revision"]);
    check_whole::<InitOptions>("config", &["with"]);
    check_whole::<StartOptions>("emulation", &["timeout_s", "backend"]);
    check_whole::<WaitOptions>("emulation", &["until"]);
    check_whole::<ListOptions>("firmware", &["limit", "offset"]);
    check_whole::<FindOptions>("firmware", &["in", "under"]);
    check_whole::<CommandOptions>("live", &["timeout_ms"]);
    check_whole::<ReachOptions>("live", &["proto", "send"]);
    check_whole::<HookOptions>("live", &["kind", "target"]);
    check_whole::<UnhookOptions>("live", &["hook_id"]);
    check_whole::<HookOutputOptions>("live", &["hook_id", "offset"]);
    check_whole::<PluginOptions>("live", &["op"]);
    check_whole::<SnapshotOptions>("live", &["action", "tag"]);
    check_whole::<NoteOptions>("notes", &["expected"]);
    check_whole::<CsvOptions>("results", &["columns", "where"]);
    check_whole::<RunListOptions>("results", &["limit", "offset"]);
    check_whole::<SearchOptions>("results", &["from_end"]);
    check_whole::<QueryOptions>("results", &["timeout_ms", "max_bytes"]);
}

#[test]
fn what_an_option_left_out_means_is_in_prose_and_type() {
    // What the prose spells out as an option's value is its default.
    let default = |interface: &str, option: &str, value: Value| {
        let said = format!("\"{option}\": {value}");
        let prose = prose(interface);
        let is_said = [",", "}"]
            .iter()
            .any(|end| prose.contains(&format!("{said}{end}")));
        assert!(is_said, "{interface}.wit: {said}");
    };
    let symbols = SymbolOptions::default();
    default("binaries", "limit", symbols.limit.into());
    default("binaries", "offset", symbols.offset.into());
    default("binaries", "pattern", symbols.pattern.into());
    default("binaries", "min", StringOptions::default().min.into());
    for said in [
        format!("`limit` at most {}", SymbolOptions::MAX_SYMBOLS),
        format!("at least {}", StringOptions::MIN_CHARS),
    ] {
        assert!(prose("binaries").contains(&said), "{said}");
    }
    let list = ListOptions::default();
    default("firmware", "limit", list.limit.into());
    default("firmware", "limit", FindOptions::default().limit.into());
    default("results", "limit", CsvOptions::default().rows().into());
    default("emulation", "quiet_s", WaitOptions::QUIET_S.into());
    let search = SearchOptions::default();
    default("results", "limit", search.limit.into());
    default("results", "from_end", search.from_end.into());
    default("results", "max_line_bytes", search.max_line_bytes.into());
    default("results", "timeout_ms", search.timeout_ms().into());
    let runs = RunListOptions::default();
    default("results", "limit", runs.limit.into());
    default("results", "offset", runs.offset.into());
    let query = QueryOptions::default();
    default("results", "limit", query.limit.into());
    default("results", "timeout_ms", query.timeout_ms().into());
    default("results", "max_bytes", query.bytes().into());
    default("live", "timeout_ms", CommandOptions::TIMEOUT_MS.into());
    default("live", "timeout_ms", ReachOptions::TIMEOUT_MS.into());
    default("live", "max_bytes", CommandOptions::BYTES.into());
    default("http", "timeout_ms", HttpOptions::TIMEOUT_MS.into());
    default("http", "max_bytes", CommandOptions::BYTES.into());
    default("http", "redirects", HttpOptions::REDIRECTS.into());
    let most = format!("at most {}", HttpOptions::MAX_REDIRECTS);
    assert!(prose("http").contains(&most), "{most}");
    for said in [
        format!("at most {} notes", NoteOptions::MAX_NOTES),
        format!("at most {} bytes", NoteOptions::MAX_BYTES),
        format!("at most {} lower-case", NoteOptions::MAX_NAME),
    ] {
        assert!(prose("notes").contains(&said), "{said}");
    }
    for said in [
        format!("at most {}", StartOptions::MAX_TIMEOUT_S),
        format!("`core.timeout`, else {} s", StartOptions::TIMEOUT_S),
        format!("at most {} s", WaitOptions::LONGEST_S),
        format!("at most {} s else", WaitOptions::UNTOLD_S),
        format!("up to {} s in all", StartOptions::EXTENDED_S),
    ] {
        assert!(prose("emulation").contains(&said), "{said}");
    }
}

#[test]
fn every_field_of_a_binary_is_in_prose_and_type() {
    check_whole::<Symbols>("binaries", &["symbols"]);
    check_whole::<Symbol>("binaries", &["address"]);
    check_whole::<Strings>("binaries", &["strings"]);
    check_whole::<FoundString>("binaries", &["at"]);
}

#[test]
fn every_field_of_a_web_answer_is_in_prose_and_type() {
    check_whole::<HttpOptions>("http", &["url", "method"]);
    check_whole::<HttpAnswer>("http", &["status", "tls"]);
    check_whole::<HttpHeader>("http", &["name"]);
    check_whole::<HttpRedirect>("http", &["location"]);
    check::<TlsPeer>("http", &["subject"]);
    check::<Received>("http", &["text", "bytes"]);
}

#[test]
fn every_field_of_the_firmware_is_in_prose_and_type() {
    check_whole::<Listing>("firmware", &["entries"]);
    check_whole::<DirectoryEntry>("firmware", &["name", "kind"]);
    check_whole::<FileStat>("firmware", &["resolved"]);
    check_whole::<ElfHeaders>("firmware", &["interpreter"]);
    check_whole::<FoundFiles>("firmware", &["matches"]);
    check_whole::<FoundFile>("firmware", &["offset", "text"]);
    check_whole::<InitCandidates>("firmware", &["candidates"]);
    check_whole::<InitCandidate>("firmware", &["why"]);
}

#[test]
fn every_field_of_the_configuration_is_in_prose_and_type() {
    check::<EffectiveConfig>("config", &["config", "layers"]);
    check::<Lookup>("config", &["path", "layers"]);
    check::<Layer>("config", &["file"]);
    check::<Patch>("config", &["patch_file", "yaml"]);
    check::<Revision>("config", &["revision", "time"]);
    check::<Change>("config", &["patch_file", "changed"]);
    check_whole::<ToldChange<Value>>("config", &["patch_file", "changed"]);
    check::<Effective>("config", &["overridden"]);
    check::<NewProject>("config", &["init_candidates"]);
    check::<InitCandidate>("config", &["why"]);
}

#[test]
fn every_field_of_a_run_is_in_prose_and_type() {
    check::<RunStatus>("emulation", &["run_id", "phase"]);
    check::<Endpoint>("emulation", &["procname"]);
    check_whole::<ServiceAnswers>("emulation", &["at_start"]);
    check_whole::<ServiceAnswer>("emulation", &["asked_ms"]);
    check_whole::<ServiceCounts>("emulation", &["answering"]);
    check::<Capabilities>("live", &["command", "why"]);
    check::<CommandOutput>("live", &["exit_code"]);
    check::<Reached>("live", &["connected"]);
    check::<Received>("live", &["text", "bytes"]);
    check_whole::<Note>("notes", &["note"]);
    check_whole::<Hooked>("live", &["hook_id", "note"]);
    check_whole::<Hooks>("live", &["hooks", "ways"]);
    check_whole::<Hook>("live", &["hook_id", "kind"]);
    check_whole::<HookWay>("live", &["how", "cost"]);
    check_whole::<Unhooked>("live", &["removed"]);
    check_whole::<HookOutput>("live", &["text", "next_offset"]);
    check_whole::<PluginControl>("live", &["plugins"]);
    check_whole::<GuestPlugin>("live", &["allowed"]);
    check_whole::<Snapshotted>("live", &["tag", "notes"]);
    check_whole::<Snapshots>("live", &["snapshots"]);
    check_whole::<Snapshot>("live", &["loadable"]);
}

#[test]
fn every_field_of_a_result_is_in_prose_and_type() {
    check_whole::<AskedServices>("results", &["services"]);
    check_whole::<AskedService>("results", &["guest_port"]);
    check::<ResultsStatus>("results", &["results_dir", "files"]);
    check::<NewerRun>("results", &["run", "results_dir"]);
    check_whole::<RunList>("results", &["runs"]);
    check_whole::<ListedRun>("results", &["run", "started"]);
    check::<ResultFile>("results", &["name", "bytes"]);
    check::<Table>("results", &["rows", "total"]);
    check::<Matches>("results", &["matches"]);
    check::<Match>("results", &["line", "cut"]);
    check::<Text>("results", &["next_offset"]);
    check::<Rows>("results", &["row_count"]);
}

/// The members of `what` (`variant error`), as the code of `types.wit` declares them.
fn declared(what: &str) -> BTreeSet<String> {
    let text = std::fs::read_to_string(wit("types")).unwrap();
    let (_, rest) = text.split_once(&format!("{what} {{\n")).unwrap();
    let (body, _) = rest.split_once("\n    }").unwrap();
    let lines = body.lines().map(str::trim);
    let members = lines.filter(|line| !line.is_empty() && !line.starts_with("///"));
    let end = |c: char| !c.is_ascii_lowercase() && c != '-';
    let names = members.map(|line| line.split(end).next().unwrap().to_owned());
    names.collect()
}

#[test]
fn every_case_of_the_error_is_in_variant_and_type() {
    let schema = schema_for!(Error);
    let cases = schema.get("oneOf").unwrap().as_array().unwrap();
    let kinds = cases
        .iter()
        .map(|case| &case["properties"]["kind"]["const"]);
    let kinds: BTreeSet<_> = kinds
        .map(|kind| kind.as_str().unwrap().to_owned())
        .collect();
    assert_eq!(declared("variant error"), kinds);

    let schema = schema_for!(Unavailable);
    let fields = schema.get("properties").unwrap().as_object().unwrap();
    let fields: BTreeSet<_> = fields.keys().map(|field| field.replace('_', "-")).collect();
    assert_eq!(declared("record unavailable"), fields);
}

/// Every structure of `wit/contract/src/shapes` and `options`, and the names that its fields have
/// in JSON.
fn structures() -> BTreeMap<String, BTreeSet<String>> {
    let item = Regex::new(r#"(?m)^pub struct (\w+) \{|rename = "(\w+)"|^    pub (?:r#)?(\w+): "#);
    let item = item.unwrap();
    let mut structures = BTreeMap::new();
    for folder in ["shapes", "options"] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("src")
            .join(folder);
        for file in std::fs::read_dir(folder).unwrap() {
            let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
            let (mut of, mut renamed) = (String::new(), None);
            for found in item.captures_iter(&text) {
                if let Some(name) = found.get(1) {
                    name.as_str().clone_into(&mut of);
                    structures.insert(of.clone(), BTreeSet::new());
                } else if let Some(name) = found.get(2) {
                    renamed = Some(name.as_str().to_owned());
                } else {
                    let name = renamed.take().unwrap_or_else(|| found[3].to_owned());
                    structures.get_mut(&of).unwrap().insert(name);
                }
            }
        }
    }
    structures
}

#[test]
fn every_structure_of_the_contract_is_compared_with_the_prose() {
    let tests = include_str!("prose.rs");
    for structure in structures().keys() {
        let compared = ["check", "check_whole"].map(|by| format!("{by}::<{structure}>("));
        assert!(
            compared.iter().any(|call| tests.contains(call)),
            "{structure}: compare it here with what `wit/` says of it"
        );
    }
}

#[test]
fn every_object_in_prose_has_a_type() {
    let structures = structures();
    for interface in INTERFACES {
        for object in objects(&prose(interface)) {
            let fits = |fields: &BTreeSet<String>| {
                let mut members = object.iter();
                members.all(|name| fields.contains(name) || OF_THE_HOST.contains(&name.as_str()))
            };
            let untyped =
                |(of, member): &(&str, &str)| *of == interface && object.contains(*member);
            assert!(
                structures.values().any(fits) || UNTYPED.iter().any(untyped),
                "{interface}.wit spells out an object with {object:?}; give it a type in \
                 `wit/contract/src`, and compare the two here"
            );
        }
    }
}

#[test]
fn every_record_and_variant_in_code_is_known_here() {
    let declaration = Regex::new(r"(?m)^ +((?:record|variant|enum|flags) [a-z-]+) \{").unwrap();
    let mut found = BTreeSet::new();
    for interface in INTERFACES {
        let text = std::fs::read_to_string(wit(interface)).unwrap();
        found.extend(declaration.captures_iter(&text).map(|of| of[1].to_owned()));
    }
    // The first two are compared above; the bindings alone know the others.
    let known = [
        "record unavailable",
        "variant error",
        "enum level",
        "record tool-definition",
    ];
    assert_eq!(found, known.map(str::to_owned).into());
}

#[test]
fn objects_in_prose_are_found_with_those_inside_them() {
    let found = objects(r#"Returns `{"a": [{"b": 1, …}], "c": "{…}"}`, and `{"d": n}`."#);
    let names = |members: &[&str]| members.iter().map(ToString::to_string).collect();
    assert_eq!(
        found,
        [names(&["b"]), names(&[]), names(&["a", "c"]), names(&["d"])]
    );
}
