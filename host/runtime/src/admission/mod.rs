//! Admission: from a file to a plugin that may serve, or the reason why not. One function, used at start-up and by `check`.

mod built_in;
mod component;
mod definition;
mod hints;
mod names;
mod nulls;
mod schema;
mod steering;
mod stranger;

use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::OFlags;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::cache::{self, Record};
use crate::code::{Code, Machine};
use crate::failure::{Reason, Stop};
use crate::guests::{Answer, Ask, Guests, Job};
use crate::interface::Interface;
use crate::limits::{COMPONENT_BYTES, Limits};
use crate::policy::{Policy, Terms};
use crate::seats::Seats;
pub(crate) use built_in::BuiltIn;
pub(crate) use hints::Effect;

/// A component that may serve.
pub(crate) struct Admitted {
    pub(crate) digest: String,
    pub(crate) interfaces: Vec<Interface>,
    /// Names and normalised definitions.
    pub(crate) tools: Vec<(String, Value)>,
    pub(crate) limits: Limits,
    pub(crate) code: Code,
}

/// A file that may not serve.
pub(crate) struct Refused {
    /// Of its bytes, where they could be read.
    pub(crate) digest: Option<String>,
    pub(crate) reason: String,
}

/// What admission works with.
pub(crate) struct Gate<'a> {
    pub(crate) machine: &'a Machine,
    pub(crate) guests: &'a Guests,
    pub(crate) seats: &'a Seats,
    pub(crate) policy: &'a Policy,
    pub(crate) built_in: &'a BuiltIn,
}

impl Gate<'_> {
    /// Admit one file. A component that was admitted before is neither compiled nor run; the policy is asked every time.
    pub(crate) fn admit(&self, file: &Path) -> Result<Admitted, Refused> {
        let bytes = read(file).map_err(|reason| Refused {
            digest: None,
            reason,
        })?;
        let digest = cache::digest(&bytes);
        self.admit_bytes(file, &bytes, &digest)
            .map_err(|reason| Refused {
                digest: Some(digest),
                reason,
            })
    }

    fn admit_bytes(&self, file: &Path, bytes: &[u8], digest: &str) -> Result<Admitted, String> {
        let machine = self.machine;
        let built_in = self.built_in.holds(file);
        let terms = self.policy.terms(&name(file), digest, built_in)?;
        let known = machine.cache.record(digest);
        let (imports, effect) = match &known {
            Some(record) => (record.imports.clone(), record.effect),
            None => {
                let looked = component::look(bytes)?;
                let effect = Effect::of_all(&looked.functions());
                (looked.imports, effect)
            }
        };
        let interfaces = component::interfaces(&imports)?;
        component::granted(&interfaces, &terms)?;
        let code = Code::new(file, digest, &terms.grants);
        let mut tools = if let Some(record) = known {
            record.tools
        } else {
            let tools = self.examine(bytes, &code, &terms)?;
            let record = Record {
                imports,
                effect,
                tools,
            };
            machine.cache.keep_record(digest, &record);
            record.tools
        };
        if !built_in {
            stranger::may_stand(&tools, digest, self.built_in, &terms)?;
        }
        for (tool, definition) in &mut tools {
            hints::correct(tool, &mut definition["annotations"], effect, built_in);
            if !built_in {
                stranger::name_the_plugin(definition, &name(file), digest);
            }
        }
        Ok(Admitted {
            digest: digest.to_owned(),
            interfaces,
            tools,
            limits: terms.limits,
            code,
        })
    }

    /// Compile a component that is not known yet, link it, and ask it for its tools.
    fn examine(
        &self,
        bytes: &[u8],
        code: &Code,
        terms: &Terms,
    ) -> Result<Vec<(String, Value)>, String> {
        let pre = code.compile(self.machine, bytes)?;
        // What the component imports is there, and the first call of it is one too many: `describe` gets no answer from the host.
        let limits = Limits::for_describe(&terms.limits);
        let job = Job {
            name: "describe",
            pre,
            limits: &limits,
            share: &self.seats.share(),
            cancel: CancellationToken::new(),
            progress: Arc::new(|_, _| {}),
        };
        match self.guests.ask_blocking(job, Ask::Describe).0 {
            Ok(Answer::Tools(tools)) => definition::normalise(tools),
            Ok(Answer::Output(_)) => Err("it answered something else than `describe`".to_owned()),
            Err(Stop {
                reason: Reason::HostCallBudget(_),
                ..
            }) => Err("its `describe` calls a host function; what a component says about itself may depend on nothing but itself".to_owned()),
            Err(stop) => Err(format!(
                "it could not be asked for its tools: {}",
                stop.story("describe")
            )),
        }
    }
}

/// The `*.wasm` files of a directory that are not hidden, in name order.
pub(crate) fn wasm_files(dir: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        let hidden = path
            .file_name()
            .is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        if !hidden
            && path
                .extension()
                .is_some_and(|extension| extension == "wasm")
        {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// What the policy calls the plugin of this file.
pub(crate) fn name(file: &Path) -> String {
    file.file_stem()
        .map(|stem| stem.to_string_lossy().into_owned())
        .unwrap_or_default()
}

/// Read a component whose digest must not have changed since admission.
pub(crate) fn read_again(file: &Path, digest: &str) -> Result<Vec<u8>, String> {
    let bytes = read(file)?;
    if cache::digest(&bytes) == digest {
        Ok(bytes)
    } else {
        Err(format!(
            "its file {} has changed since the server started; restart the server to admit the new one",
            file.display()
        ))
    }
}

fn read(file: &Path) -> Result<Vec<u8>, String> {
    let cannot = |error: std::io::Error| format!("it cannot be read: {error}");
    // A pipe in the place of a file must not hold up the start.
    let nonblocking = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or(0);
    let opened = std::fs::OpenOptions::new()
        .read(true)
        .custom_flags(nonblocking)
        .open(file)
        .map_err(cannot)?;
    let metadata = opened.metadata().map_err(cannot)?;
    if !metadata.is_file() {
        return Err("it is not a regular file".to_owned());
    }
    let too_large = |bytes: u64| {
        format!(
            "it has {bytes} bytes, and a component may have {} MiB",
            COMPONENT_BYTES >> 20
        )
    };
    if metadata.len() > COMPONENT_BYTES {
        return Err(too_large(metadata.len()));
    }
    let mut bytes = Vec::with_capacity(usize::try_from(metadata.len()).unwrap_or(0) + 1);
    opened
        .take(COMPONENT_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(cannot)?;
    if bytes.len() as u64 > COMPONENT_BYTES {
        return Err(too_large(bytes.len() as u64));
    }
    Ok(bytes)
}

pub(crate) fn does_not_link(error: &wasmtime::Error) -> String {
    format!(
        "it does not fit this host's version of the contract: {}",
        crate::text::clean(&format!("{error:#}"), 600)
    )
}
