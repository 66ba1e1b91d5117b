//! Admission: from a file to a plugin that may serve, or the reason why not. One function, used at start-up and by `check`.

mod component;
mod definition;
mod nulls;
mod schema;

use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;

use rustix::fs::OFlags;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::cache::{self, Record};
use crate::code::{Code, Machine};
use crate::failure::{Reason, Stop};
use crate::guests::{Answer, Ask, Guests, Job};
use crate::limits::{COMPONENT_BYTES, Limits};
use crate::policy::{Interface, Policy, Terms};
use crate::seats::{Seats, Share};

/// A component that may serve.
pub(crate) struct Admitted {
    pub(crate) digest: String,
    pub(crate) interfaces: Vec<Interface>,
    /// Names and normalised definitions.
    pub(crate) tools: Vec<(String, Value)>,
    pub(crate) limits: Limits,
    pub(crate) code: Code,
}

/// Admit one file. A component that was admitted before is neither compiled nor run; the policy is asked every time.
pub(crate) fn admit(
    machine: &Machine,
    guests: &Guests,
    seats: &Seats,
    policy: &Policy,
    file: &Path,
) -> Result<Admitted, String> {
    let bytes = read(file)?;
    let digest = cache::digest(&bytes);
    let name = file
        .file_stem()
        .map(|stem| stem.to_string_lossy().into_owned())
        .unwrap_or_default();
    let terms = policy.terms(&name, &digest)?;
    let known = machine.cache.record(&digest);
    let imports = match &known {
        Some(record) => record.imports.clone(),
        None => component::imports(&bytes)?,
    };
    let interfaces = component::interfaces(&imports)?;
    component::granted(&name, &interfaces, &terms.grants)?;
    let code = Code::new(file, &digest, &terms.grants);
    let tools = if let Some(record) = known {
        record.tools
    } else {
        let tools = examine(
            machine,
            guests,
            &seats.share(),
            &bytes,
            &code,
            &terms,
            &interfaces,
        )?;
        let record = Record { imports, tools };
        machine.cache.keep_record(&digest, &record);
        record.tools
    };
    Ok(Admitted {
        digest,
        interfaces,
        tools,
        limits: terms.limits,
        code,
    })
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

/// Compile a component that is not known yet, link it, and ask it for its tools.
fn examine(
    machine: &Machine,
    guests: &Guests,
    share: &Share,
    bytes: &[u8],
    code: &Code,
    terms: &Terms,
    interfaces: &[Interface],
) -> Result<Vec<(String, Value)>, String> {
    let pre = code.compile(machine, bytes)?;
    // What the component imports is there, and the first call of it is one too many: `describe` gets no answer from the host.
    let limits = Limits::for_describe(&terms.limits);
    let job = Job {
        name: "describe",
        pre,
        limits: &limits,
        share,
        cancel: CancellationToken::new(),
        progress: Arc::new(|_, _| {}),
    };
    let tools = match guests.ask_blocking(job, Ask::Describe) {
        (Ok(Answer::Tools(tools)), _) => tools,
        (Ok(Answer::Output(_)), _) => {
            return Err("it answered something else than `describe`".to_owned());
        }
        (
            Err(Stop {
                reason: Reason::HostCallBudget(_),
                ..
            }),
            _,
        ) => {
            return Err("its `describe` calls a host function; what a component says about itself may depend on nothing but itself".to_owned());
        }
        (Err(stop), _) => {
            return Err(format!(
                "it could not be asked for its tools: {}",
                stop.story("describe")
            ));
        }
    };
    definition::normalise(tools, interfaces)
}

pub(crate) fn does_not_link(error: &wasmtime::Error) -> String {
    format!(
        "it does not fit this host's version of the contract: {}",
        crate::text::clean(&format!("{error:#}"), 600)
    )
}
