//! Hooks through remote control: Penguin's plugin hooklogger writes what they see to files of the
//! result directory.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rookery_contract::options::{CommandOptions, HookOptions, HookOutputOptions, UnhookOptions};
use rookery_contract::shapes::{Hook, HookOutput, HookWay, Hooked, Hooks, Unhooked};
use rookery_project::{Error, Result, regular};
use serde_json::{Value, json};

use super::files::RunFiles;
use super::remotectrl;
use crate::live::{Hooking, Target};

const MOST: usize = 64;
const FOREIGN: &str = "not made here: another client's, or one whose registration failed and that \
                       Penguin still lists";
const EVERY_PROCESS: &str = "it sees every process; where the call is frequent, that slows the \
                             guest down: name a process";

/// The hooks of a run that were made here, by Penguin's ids.
#[derive(Default)]
pub(super) struct Installed {
    hooks: Mutex<BTreeMap<u32, Made>>,
    /// How many files were named.
    files: Mutex<u32>,
}

#[derive(Clone)]
struct Made {
    options: HookOptions,
    file: String,
}

impl Installed {
    pub(super) fn add(&self, files: &RunFiles, options: &HookOptions) -> Result<Hooked> {
        let Hooking {
            target,
            action,
            process,
        } = Hooking::read(options)?;
        if matches!(target, Target::Syscall(_)) && action.result.is_some() {
            return Err(Error::InvalidArgument(
                "action: Penguin's hook of a system call sees its entry only, so that nothing \
                 after `=` is printed: leave that out"
                    .to_owned(),
            ));
        }
        let mut options = HookOptions {
            process,
            ..options.clone()
        };
        if self.lock().len() >= MOST {
            return Err(Error::Limit(format!(
                "this run has {MOST} hooks; remove one first"
            )));
        }
        let file = self.next_file();
        let mut request = json!({
            "action": action.text, "process_filter": options.process, "logfile": file,
        });
        match target {
            Target::Syscall(name) => {
                options.target = format!("sys_{name}");
                request["type"] = json!("syscall");
                request["name"] = json!(options.target);
            }
            Target::Function { path, symbol } => {
                request["type"] = json!("uprobe");
                request["path"] = json!(path);
                request["symbol"] = json!(symbol);
            }
        }
        let reply = remotectrl::ask(files, &request)?;
        let hook_id = id(&reply)
            .ok_or_else(|| Error::Backend("Penguin gave the hook no number".to_owned()))?;
        let note = options.process.is_none().then(|| EVERY_PROCESS.to_owned());
        self.lock().insert(hook_id, Made { options, file });
        Ok(Hooked { hook_id, note })
    }

    pub(super) fn list(&self, files: &RunFiles) -> Result<Hooks> {
        let reply = remotectrl::ask(files, &json!({ "type": "list" }))?;
        let listed = reply["hooks"].as_array().cloned().unwrap_or_default();
        let made = self.lock().clone();
        let hooks = listed.iter().filter_map(|listed| {
            let hook_id = id(listed)?;
            Some(match made.get(&hook_id) {
                Some(made) => made.describe(files, hook_id),
                None => foreign(listed, hook_id),
            })
        });
        Ok(Hooks {
            hooks: hooks.take(4 * MOST).collect(),
            ways: ways(),
        })
    }

    pub(super) fn remove(&self, files: &RunFiles, options: UnhookOptions) -> Result<Unhooked> {
        // Without a number, Penguin would remove those of others, too.
        let wanted: Vec<u32> = match options.hook_id {
            Some(hook_id) => vec![hook_id],
            None => self.lock().keys().copied().collect(),
        };
        let mut removed = Vec::new();
        for hook_id in wanted {
            let reply = remotectrl::ask(files, &json!({ "type": "disable", "id": hook_id }));
            match reply {
                Ok(_) => removed.push(hook_id),
                Err(Error::Backend(why)) if why.ends_with("not found") => {
                    if options.hook_id.is_some() {
                        return Err(no_hook(hook_id));
                    }
                }
                Err(error) => return Err(error),
            }
            self.lock().remove(&hook_id);
        }
        Ok(Unhooked { removed })
    }

    pub(super) fn read(&self, files: &RunFiles, options: HookOutputOptions) -> Result<HookOutput> {
        let made = self.lock().get(&options.hook_id).cloned();
        let made = made.ok_or_else(|| no_hook(options.hook_id))?;
        let most = options.max_bytes.unwrap_or(CommandOptions::BYTES);
        let most = most.clamp(1, CommandOptions::MAX_BYTES);
        let file = match regular::open(&files.results_dir.join(&made.file)) {
            Ok(file) => file,
            // It is made with its first line.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(HookOutput::default());
            }
            Err(error) => {
                return Err(Error::Backend(format!(
                    "what the hook printed cannot be read: {error}"
                )));
            }
        };
        let failed = |error| Error::Backend(format!("what the hook printed: {error}"));
        let bytes = file.metadata().map_err(failed)?.len();
        let offset = match u64::try_from(options.offset) {
            Ok(offset) => offset.min(bytes),
            Err(_) => bytes.saturating_sub(options.offset.unsigned_abs()),
        };
        let mut read = vec![0; most as usize];
        let count =
            std::os::unix::fs::FileExt::read_at(&file, &mut read, offset).map_err(failed)?;
        read.truncate(count);
        Ok(HookOutput {
            text: String::from_utf8_lossy(&read).into_owned(),
            offset,
            next_offset: offset + count as u64,
            bytes: bytes.max(offset + count as u64),
        })
    }

    fn next_file(&self) -> String {
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        *files += 1;
        format!("rookery_hook_{files}.log")
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u32, Made>> {
        self.hooks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Made {
    fn describe(&self, files: &RunFiles, hook_id: u32) -> Hook {
        let file = regular::open(&files.results_dir.join(&self.file));
        let bytes = file.and_then(|file| file.metadata()).map(|of| of.len());
        let HookOptions {
            kind,
            target,
            action,
            process,
        } = self.options.clone();
        Hook {
            hook_id,
            kind,
            target,
            action,
            process,
            bytes: Some(bytes.unwrap_or(0)),
            note: None,
        }
    }
}

/// A hook that Penguin lists, in its own words.
fn foreign(listed: &Value, hook_id: u32) -> Hook {
    let said = |member: &str| {
        let text = listed[member].as_str().unwrap_or("?");
        rookery_project::quoted(text.as_bytes(), 200)
    };
    Hook {
        hook_id,
        kind: said("type"),
        target: said("target"),
        action: said("action"),
        note: Some(FOREIGN.to_owned()),
        ..Hook::default()
    }
}

fn ways() -> Vec<HookWay> {
    let way = |kind: &str, how: &str, cost: &str| HookWay {
        kind: kind.into(),
        offered: true,
        how: how.into(),
        cost: Some(cost.into()),
    };
    vec![
        way(
            "syscall",
            "by Penguin's kernel driver, at the entry of the call",
            "a stop of the guest for each call that matches; a frequent call without a process \
             slows all of it down",
        ),
        way(
            "function",
            "by a uprobe at the entry, and at the return where the action has `= %d`",
            "a trap in the guest for each call",
        ),
    ]
}

fn no_hook(hook_id: u32) -> Error {
    Error::NotFound(format!(
        "this run has no hook {hook_id}; the operation list says which there are"
    ))
}

fn id(reply: &Value) -> Option<u32> {
    u32::try_from(reply["id"].as_u64()?).ok()
}
