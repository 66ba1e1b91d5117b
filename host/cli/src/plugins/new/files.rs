//! The files of a new project.

use include_dir::{Dir, include_dir};

use super::language::Language;
use super::tree::{Files, put};
use super::{bindings, needs, sdk};

/// The name that the tool has in the templates, which so are programs of their language.
const NAME: &str = "my_tool";
/// The line of a template that says what is needed.
const NEEDS: &str = "my_needs";
const PROGRAM: &str = "ROOKERY ?= rookery";

static COMMON: Dir = include_dir!("$CARGO_MANIFEST_DIR/templates/common");

/// All files of a tool called `name`.
pub(super) fn of(name: &str, language: Language) -> anyhow::Result<Files> {
    let mut templates = Files::new();
    put(&mut templates, &COMMON, "");
    put(&mut templates, language.template(), "");
    // Not a hidden file here, where it would hide files of ours.
    if let Some(ignored) = templates.remove("gitignore") {
        templates.insert(".gitignore".to_owned(), ignored);
    }
    let needs: Vec<String> = needs::of(language)
        .iter()
        .map(|need| format!("* {}: `{}`", need.what, need.how))
        .collect();
    let program = program();
    let mut files: Files = templates
        .into_iter()
        .map(|(path, bytes)| {
            let text = String::from_utf8_lossy(&bytes)
                .replace(NAME, name)
                .replace(NEEDS, &needs.join("\n"))
                .replace(PROGRAM, &format!("ROOKERY ?= {program}"));
            (path.replace(NAME, name), text.into())
        })
        .collect();
    match language {
        Language::Rust => sdk::put_crates(&mut files),
        Language::C => {
            bindings::put_c(&mut files)?;
            sdk::put_contract(&mut files, "wit");
        }
        Language::Go => {
            bindings::put_go(&mut files)?;
            sdk::put_contract(&mut files, "wit");
        }
        Language::Python | Language::Javascript | Language::Typescript => {
            sdk::put_contract(&mut files, "wit");
        }
    }
    Ok(files)
}

/// How a Makefile calls this program: by its path, where its name alone would not be found.
fn program() -> String {
    let is_plain = |path: &str| {
        path.bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"/._-+".contains(&byte))
    };
    let path = std::env::current_exe()
        .ok()
        .and_then(|path| path.to_str().map(str::to_owned));
    match path {
        Some(path) if !needs::on_path("rookery") && is_plain(&path) => path,
        _ => "rookery".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::ValueEnum;

    #[test]
    fn every_language_has_a_build_cases_and_no_name_left_to_fill_in() {
        for language in Language::value_variants() {
            let files = of("flash_report", *language).expect("a project");
            for file in [
                "Makefile",
                "README.md",
                ".gitignore",
                "cases/counts/case.yaml",
                "cases/counts/results/console.log",
                "cases/no_project/case.yaml",
            ] {
                assert!(files.contains_key(file), "{language:?}: {file}");
            }
            let own = files
                .iter()
                .filter(|(path, _)| !path.starts_with("rookery/"));
            for (path, bytes) in own {
                let text = String::from_utf8_lossy(bytes);
                assert!(!path.contains(NAME), "{language:?}: {path}");
                assert!(
                    !text.contains(NAME) && !text.contains(NEEDS),
                    "{language:?}: {path}"
                );
            }
            let makefile = String::from_utf8_lossy(&files["Makefile"]);
            assert!(makefile.contains("flash_report.wasm:"), "{language:?}");
            assert!(makefile.contains("ROOKERY ?= "), "{language:?}");
        }
    }

    #[test]
    fn a_project_has_all_that_its_language_builds_against() {
        let rust = of("flash_report", Language::Rust).expect("a project");
        for file in [
            "Cargo.lock",
            "rookery/sdk/Cargo.toml",
            "rookery/sdk/src/testing/fake.rs",
            "rookery/sdk/wit/worlds.wit",
            "rookery/sdk-macros/src/lib.rs",
            "rookery/contract/src/shapes/mod.rs",
        ] {
            assert!(rust.contains_key(file), "{file}");
        }
        let c = of("flash_report", Language::C).expect("a project");
        for file in [
            "gen/tool_caller.c",
            "gen/tool_caller.h",
            "gen/tool_caller_component_type.o",
            "wit/worlds.wit",
        ] {
            assert!(c.contains_key(file), "{file}");
        }
        let go = of("flash_report", Language::Go).expect("a project");
        for file in [
            "go.mod",
            "wit_exports.go",
            "rookery_plugin_results/wit_bindings.go",
        ] {
            assert!(go.contains_key(file), "{file}");
        }
        for language in [Language::Python, Language::Javascript, Language::Typescript] {
            let files = of("flash_report", language).expect("a project");
            assert!(files.contains_key("wit/worlds.wit"), "{language:?}");
        }
    }

    /// `read-csv` as JavaScript has it.
    fn camel_case(name: &str) -> String {
        let mut words = name.split('-');
        let first = words.next().unwrap_or_default().to_owned();
        words.fold(first, |name, word| {
            let (initial, rest) = word.split_at(1);
            name + &initial.to_uppercase() + rest
        })
    }

    #[test]
    fn typescript_has_a_type_for_every_function_that_a_reader_may_call() {
        let files = of("flash_report", Language::Typescript).expect("a project");
        let types = String::from_utf8_lossy(&files["contract.d.ts"]);
        // What changes something stands in the same file of the contract as what reads it.
        let readers = ["log", "config", "results", "firmware"];
        let mut tried = 0;
        for interface in readers {
            let text = String::from_utf8_lossy(&files[&format!("wit/{interface}.wit")]);
            let start = text
                .find(&format!("interface {interface} {{"))
                .expect("an interface");
            let end = text[start..].find("\n}").expect("its end");
            for line in text[start..start + end]
                .lines()
                .filter(|line| line.contains(": func("))
            {
                let name = camel_case(line.trim().split(':').next().unwrap_or_default());
                assert!(types.contains(&format!("{name}(")), "{interface}: {name}");
                tried += 1;
            }
        }
        assert!(tried > 15, "{tried}");
    }

    #[test]
    fn a_name_that_rust_has_a_use_for_is_refused_in_rust_only() {
        for name in ["type", "serde", "tool", "test"] {
            assert!(Language::Rust.check_name(name).is_err(), "{name}");
            assert!(Language::Python.check_name(name).is_ok(), "{name}");
        }
        assert!(Language::Rust.check_name("flash_report").is_ok());
    }
}
