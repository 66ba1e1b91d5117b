//! A request for a hook, checked before any backend sees it.

use rookery_contract::options::HookOptions;
use rookery_project::{Error, Result};

use super::action::{Action, Kind};

/// A process has a name of at most so many bytes.
const NAME: usize = 15;

/// A hook that can be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hooking {
    /// Where.
    pub target: Target,
    /// What it prints.
    pub action: Action,
    /// Only in processes of this name.
    pub process: Option<String>,
}

/// What is hooked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A system call, by its name without `sys_`.
    Syscall(String),
    /// A function of a file of the guest.
    Function {
        /// The file's path in the guest.
        path: String,
        /// A name, or an address in the file.
        symbol: String,
    },
}

impl Hooking {
    /// What is asked for.
    pub fn read(options: &HookOptions) -> Result<Self> {
        let (kind, target) = match options.kind.as_str() {
            "syscall" => (Kind::Syscall, syscall(&options.target)?),
            "function" => (Kind::Function, function(&options.target)?),
            _ => {
                return Err(Error::InvalidArgument(
                    "kind must be \"syscall\" or \"function\"".into(),
                ));
            }
        };
        let process = options.process.clone().filter(|name| !name.is_empty());
        if let Some(process) = &process {
            process_name(process)?;
        }
        Ok(Self {
            target,
            action: Action::read(&options.action, kind)?,
            process,
        })
    }
}

fn process_name(name: &str) -> Result<()> {
    if name.len() <= NAME && name.chars().all(|c| c.is_ascii_graphic() && c != '/') {
        return Ok(());
    }
    Err(Error::InvalidArgument(format!(
        "process is the name of a process as `ps` has it, at most {NAME} characters without a path"
    )))
}

/// Penguin does not check the name, and hooks nothing where there is no such call.
fn syscall(target: &str) -> Result<Target> {
    let name = target.strip_prefix("sys_").unwrap_or(target);
    let word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    if name.is_empty() || name.len() > 40 || !name.chars().all(word) {
        return Err(Error::InvalidArgument(
            "target must name a system call, for example \"sys_openat\"".into(),
        ));
    }
    Ok(Target::Syscall(name.to_owned()))
}

fn function(target: &str) -> Result<Target> {
    let parts = target.rsplit_once(':').filter(|(path, symbol)| {
        let word = |c: char| c.is_ascii_graphic() && !matches!(c, '"' | '\'' | '\\' | '/');
        path.starts_with('/')
            && !path.chars().any(char::is_control)
            && target.len() <= 512
            && !symbol.is_empty()
            && symbol.chars().all(word)
    });
    let (path, symbol) = parts.ok_or_else(|| {
        Error::InvalidArgument(
            "target of a function must be a file of the guest and a symbol or an address in it, \
             for example \"/lib/libc.so.0:strlen\" or \"/usr/sbin/httpd:0x10a3c\""
                .into(),
        )
    })?;
    Ok(Target::Function {
        path: path.to_owned(),
        symbol: symbol.to_owned(),
    })
}
