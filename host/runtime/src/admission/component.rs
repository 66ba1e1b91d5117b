//! A component looked at as bytes: is it one, what does it import, does it export the tools.
//! Nothing is compiled.

use std::collections::BTreeSet;

use wasmparser::component_types::ComponentEntityType;
use wasmparser::types::Types;
use wasmparser::{
    BinaryReaderError, Encoding, FunctionBody, Operator, Parser, Payload, Validator, WasmFeatures,
};

use crate::decision::Refusal;
use crate::interface::Interface;
use crate::policy::Terms;

const PACKAGE: &str = "rookery:plugin/";
/// The compatible line of the contract that this host serves.
const LINE: &str = "0.1.";
/// The contract as this host has it.
pub(crate) const CONTRACT: &str = "0.1.1";
/// What of WASI is linked.
const WASI: [&str; 6] = [
    "wasi:cli/",
    "wasi:clocks/",
    "wasi:filesystem/",
    "wasi:io/",
    "wasi:random/",
    "wasi:sockets/",
];

/// A host function that a component imports.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Function {
    pub(super) interface: Interface,
    /// Its name in WIT, or that of a type of the interface.
    pub(super) name: String,
}

/// What a component with these `imports` imports of our interfaces. Components in Rust and C import
/// only the functions that they call; others all that their world has.
pub(super) fn functions(imports: &[String], types: &Types) -> BTreeSet<Function> {
    let of_ours = imports.iter().filter_map(|import| {
        let name = import.strip_prefix(PACKAGE)?.split('@').next()?;
        Some((import, Interface::from_name(name)?))
    });
    let mut functions = BTreeSet::new();
    for (import, interface) in of_ours {
        let Some(item) = types.component_item_for_import(import) else {
            continue;
        };
        if let ComponentEntityType::Instance(id) = item.ty {
            let exports = types[id].exports.iter();
            let called =
                exports.filter(|(_, item)| matches!(item.ty, ComponentEntityType::Func(_)));
            functions.extend(called.map(|(name, _)| Function {
                interface,
                name: name.clone(),
            }));
        }
    }
    functions
}

/// Values that the loops of a function may carry: how deep loops are nested, times its local
/// variables. Compiling takes time and memory for each; an interpreter's function has some ten
/// thousand.
const CARRIED: usize = 200_000;
/// Bytes of one function.
const FUNCTION_BYTES: usize = 2 << 20;

/// Look through the sections of a component and give the names of its imports.
pub(super) fn imports(bytes: &[u8]) -> Result<Vec<String>, String> {
    if !bytes.starts_with(b"\0asm") {
        return Err(
            "it is not WebAssembly: the file does not begin with the bytes `\\0asm`".to_owned(),
        );
    }
    let (mut imports, mut exports_tools, mut depth) = (Vec::new(), false, 0_u32);
    for payload in Parser::new(0).parse_all(bytes) {
        match payload.map_err(broken)? {
            Payload::Version {
                encoding: Encoding::Module,
                ..
            } if depth == 0 => {
                return Err(
                    "it is a core WebAssembly module, not a component. For Rust build with \
                     `--target wasm32-wasip2`; for C use `rookery plugins componentize`, and for \
                     other languages do as the project that `rookery plugins new` writes"
                        .to_owned(),
                );
            }
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ComponentImportSection(section) if depth == 0 => {
                for import in section {
                    imports.push(import.map_err(broken)?.name.name.to_owned());
                }
            }
            Payload::ComponentExportSection(section) if depth == 0 => {
                for export in section {
                    exports_tools |= is_tools(export.map_err(broken)?.name.name)?;
                }
            }
            _ => {}
        }
    }
    if !exports_tools {
        return Err(format!(
            "it exports no `{PACKAGE}tools@{LINE}0`: it is a component, but not a Rookery tool"
        ));
    }
    Ok(imports)
}

#[expect(clippy::needless_pass_by_value, reason = "it is given to `map_err`")]
fn broken(error: BinaryReaderError) -> String {
    format!(
        "it is not a valid component: {} (at byte {})",
        error.message(),
        error.offset()
    )
}

/// Validate a component in full, and see whether its functions are of a kind that can be compiled.
/// Gives its types.
pub(super) fn validate(bytes: &[u8]) -> Result<Types, String> {
    let types = Validator::new_with_features(WasmFeatures::default())
        .validate_all(bytes)
        .map_err(broken)?;
    for payload in Parser::new(0).parse_all(bytes) {
        if let Payload::CodeSectionEntry(function) = payload.map_err(broken)? {
            check_function(&function)?;
        }
    }
    Ok(types)
}

fn check_function(function: &FunctionBody<'_>) -> Result<(), String> {
    let (bytes, at) = (function.range().len(), function.range().start);
    if bytes > FUNCTION_BYTES {
        return Err(format!(
            "one of its functions has {bytes} bytes (at byte {at}), and at most {FUNCTION_BYTES} \
             are allowed"
        ));
    }
    let mut locals = 0;
    for declared in function.get_locals_reader().map_err(broken)? {
        locals += declared.map_err(broken)?.0 as usize;
    }
    // What each open block is: whether it is a loop.
    let (mut open, mut loops, mut deepest) = (vec![false], 0_usize, 0_usize);
    for operator in function.get_operators_reader().map_err(broken)? {
        match operator.map_err(broken)? {
            Operator::Loop { .. } => {
                open.push(true);
                loops += 1;
                deepest = deepest.max(loops);
            }
            Operator::Block { .. }
            | Operator::If { .. }
            | Operator::TryTable { .. }
            | Operator::Try { .. } => open.push(false),
            Operator::End | Operator::Delegate { .. } if open.pop() == Some(true) => loops -= 1,
            _ => {}
        }
    }
    if deepest * locals > CARRIED {
        return Err(format!(
            "one of its functions has {locals} local variables in loops that are nested {deepest} \
             deep (at byte {at}); compiling that would take too long"
        ));
    }
    Ok(())
}

fn is_tools(export: &str) -> Result<bool, String> {
    match export
        .strip_prefix(PACKAGE)
        .map(|rest| rest.split_once('@').unwrap_or((rest, "")))
    {
        Some(("tools", version)) if version.starts_with(LINE) => Ok(true),
        Some(("tools", version)) => Err(other_version(version)),
        _ => Ok(false),
    }
}

fn other_version(version: &str) -> String {
    format!(
        "it was built for version {version:?} of the contract `rookery:plugin`, and this host \
         serves {LINE}x. Build it against this host's `wit/`, or use another release of Rookery"
    )
}

/// The interfaces among `imports`, or why one of them cannot be had.
pub(super) fn interfaces(imports: &[String]) -> Result<Vec<Interface>, String> {
    let mut interfaces = Vec::new();
    for import in imports {
        let Some(rest) = import.strip_prefix(PACKAGE) else {
            if WASI.iter().any(|package| import.starts_with(package)) {
                continue;
            }
            let network = if import.starts_with("wasi:http/") {
                " Tools have no network: a tool reaches a guest through `rookery:plugin/live`."
            } else {
                ""
            };
            return Err(format!(
                "it imports `{import}`, which this host does not offer.{network}"
            ));
        };
        let (name, version) = rest.split_once('@').unwrap_or((rest, ""));
        if !version.starts_with(LINE) {
            return Err(other_version(version));
        }
        interfaces.push(Interface::from_name(name).ok_or_else(|| {
            format!(
                "it imports `{import}`, an interface that this host does not know: it needs \
                 version {version} of the contract, and this host has {CONTRACT}. Use a newer \
                 release of Rookery, or build against a world without it"
            )
        })?);
    }
    Ok(interfaces)
}

/// Whether everything asked for is granted; else a sentence with the lines of policy that would
/// grant it.
pub(super) fn granted(interfaces: &[Interface], terms: &Terms) -> Result<(), Refusal> {
    let missing: Vec<Interface> = interfaces
        .iter()
        .copied()
        .filter(|interface| !terms.grants.contains(interface))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let list = |word: &dyn Fn(&Interface) -> String, separator: &str| {
        missing.iter().map(word).collect::<Vec<_>>().join(separator)
    };
    let reason = format!(
        "it imports {} (to {}), which is not granted. To grant it in the policy (`--policy \
         FILE`), {}",
        list(&|interface| format!("`{PACKAGE}{interface}`"), ", "),
        list(&|interface| interface.ability().to_owned(), "; to "),
        terms.how_to_grant(&missing),
    );
    Err(Refusal::by(terms.refusing_rule(&missing), reason))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Policy;

    #[test]
    fn the_version_that_refusals_name_is_the_contracts() {
        let types = include_str!("../../../../wit/types.wit");
        assert!(types.starts_with(&format!("package rookery:plugin@{CONTRACT};")));
    }

    #[test]
    fn what_is_no_component_is_told_apart() {
        assert!(
            imports(b"#!/bin/sh")
                .unwrap_err()
                .contains("not WebAssembly")
        );
        assert!(
            imports(b"\0asm\x01\0\0\0")
                .unwrap_err()
                .contains("core WebAssembly module")
        );
        assert!(
            imports(b"\0asm\x0d\0\x01\0")
                .unwrap_err()
                .contains("not a Rookery tool")
        );
        assert!(
            imports(b"\0asm\x0d\0\x01\0\x07\xff")
                .unwrap_err()
                .contains("not a valid component")
        );
    }

    #[test]
    fn imports_are_known_granted_or_refused_with_the_way_out() {
        let names = |names: &[&str]| {
            names
                .iter()
                .map(|&name| name.to_owned())
                .collect::<Vec<_>>()
        };
        assert_eq!(
            interfaces(&names(&[
                "wasi:io/poll@0.2.6",
                "rookery:plugin/config-mutation@0.1.7"
            ]))
            .unwrap(),
            [Interface::ConfigMutation]
        );
        let refused = |name: &str| interfaces(&names(&[name])).unwrap_err();
        assert!(refused("wasi:http/outgoing-handler@0.2.0").contains("no network"));
        assert!(refused("rookery:plugin/config@0.2.0").contains("0.1.x"));
        let future = refused("rookery:plugin/future@0.1.3");
        assert!(
            future.contains("needs version 0.1.3 of the contract"),
            "{future}"
        );
        assert!(future.contains("newer release"), "{future}");
        assert!(refused("acme:thing/x").contains("acme:thing/x"));

        let terms = Policy::default().terms("set_env", "", false).unwrap();
        let sentence = granted(
            &[
                Interface::Config,
                Interface::ConfigMutation,
                Interface::Live,
            ],
            &terms,
        )
        .unwrap_err()
        .reason;
        assert!(
            sentence.contains("`rookery:plugin/config-mutation`, `rookery:plugin/live`"),
            "{sentence}"
        );
        assert!(
            sentence.ends_with(
                "put under [plugin.\"set_env\"]: grant = [\"config-mutation\", \"live\"]"
            ),
            "{sentence}"
        );
    }
}
