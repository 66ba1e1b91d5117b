//! Admission: from a file to a plugin that may serve, or the reason why not. One function, used at
//! start-up and by `check`.

mod built_in;
mod component;
mod definition;
mod hints;
mod keywords;
mod names;
mod nulls;
mod record;
mod schema;
mod steering;
mod stranger;

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::cache;
use crate::code::{Code, Machine};
use crate::compiler::Uncompiled;
use crate::component_file::{name, read, read_again};
use crate::decision::Refusal;
use crate::executor::{Answer, Ask, Executor, Job, Turn};
use crate::failure::{Reason, Stop};
use crate::interface::Interface;
use crate::known_files::KnownFiles;
use crate::limits::Limits;
use crate::policy::{Lock, Policy, Terms};
use crate::seats::{Origin, Seats};
pub(crate) use built_in::BuiltIn;
pub(crate) use component::CONTRACT;
use hints::Effect;
pub use names::check_name;
use record::{Broken, Found, Outcome, Record};

/// Look into a component as is done before it is compiled; for `tests/fuzz`.
pub fn look_into_component(bytes: &[u8]) {
    let imports = component::imports(bytes).unwrap_or_default();
    let _ = component::interfaces(&imports);
    if let Ok(types) = component::validate(bytes) {
        component::functions(&imports, &types);
    }
}

/// A `describe` that used less processor time than this when its time was over had waited for
/// something that does not come.
const WAITED_MS: u64 = 100;

/// A component that may serve.
pub(crate) struct Admitted {
    pub(crate) digest: String,
    pub(crate) origin: Origin,
    /// What it imports, and the rule that grants each.
    pub(crate) interfaces: Vec<(Interface, String)>,
    /// Whether it can change or start something.
    pub(crate) changes: bool,
    /// Names and normalised definitions.
    pub(crate) tools: Vec<(String, Value)>,
    pub(crate) limits: Limits,
    pub(crate) code: Code,
}

/// A file that may not serve.
pub(crate) struct Refused {
    /// Of its bytes, where they could be read.
    pub(crate) digest: Option<String>,
    pub(crate) refusal: Refusal,
}

/// A file after a first look.
pub(crate) enum Look {
    /// It was admitted or refused before, or needs no closer look to be refused.
    Known(Result<Admitted, Refused>),
    /// It has to be compiled and asked for its tools, which takes long.
    New(Candidate),
}

/// What a file holds, whose bytes are there if it was read.
struct Contents {
    digest: String,
    length: u64,
    bytes: Option<Vec<u8>>,
}

impl Contents {
    fn read(&self, file: &Path) -> Result<Cow<'_, [u8]>, String> {
        match &self.bytes {
            Some(bytes) => Ok(Cow::from(bytes)),
            None => read_again(file, &self.digest).map(Cow::from),
        }
    }
}

/// A component that nobody has examined yet.
pub(crate) struct Candidate {
    digest: String,
    imports: Vec<String>,
    interfaces: Vec<Interface>,
    terms: Terms,
    origin: Origin,
    code: Code,
    file: PathBuf,
}

/// What admission works with.
pub(crate) struct Gate<'a> {
    pub(crate) machine: &'a Machine,
    pub(crate) executor: &'a Executor,
    pub(crate) seats: &'a Seats,
    pub(crate) policy: &'a Policy,
    /// Where the operator wants nothing but what it names.
    pub(crate) lock: Option<&'a Lock>,
    pub(crate) built_in: &'a BuiltIn,
    /// Whether what was refused before is examined again.
    pub(crate) again: bool,
    /// What earlier starts found out about files.
    pub(crate) known_files: &'a KnownFiles,
}

impl Gate<'_> {
    /// Look at one file. A component that was examined before is neither compiled nor run; the
    /// policy is asked every time.
    pub(crate) fn look(&self, file: &Path, origin: Origin) -> Look {
        let contents = match self.contents(file) {
            Ok(contents) => contents,
            Err(reason) => {
                return Look::Known(Err(Refused {
                    digest: None,
                    refusal: reason.into(),
                }));
            }
        };
        let digest = contents.digest.clone();
        match self.look_at(file, &contents, origin) {
            Ok(look) => look,
            Err(refusal) => Look::Known(Err(Refused {
                digest: Some(digest),
                refusal,
            })),
        }
    }

    /// What a file holds. One that is as it was at an earlier start is not read, unless the
    /// operator pins digests, or wants to know.
    fn contents(&self, file: &Path) -> Result<Contents, String> {
        let must_read = self.again || self.lock.is_some() || self.policy.pins();
        if let Some((digest, length)) = self.known_files.digest(file).filter(|_| !must_read) {
            return Ok(Contents {
                digest,
                length,
                bytes: None,
            });
        }
        let seen = KnownFiles::look(file);
        let bytes = read(file)?;
        let digest = cache::digest(&bytes);
        self.known_files.remember(seen, &digest);
        Ok(Contents {
            digest,
            length: bytes.len() as u64,
            bytes: Some(bytes),
        })
    }

    fn look_at(&self, file: &Path, contents: &Contents, origin: Origin) -> Result<Look, Refusal> {
        let digest = contents.digest.as_str();
        let (name, is_built_in) = (name(file), origin == Origin::BuiltIn);
        if let Some(lock) = self.lock {
            lock.admit(&name, digest, is_built_in)?;
        }
        let terms = self.policy.terms(&name, digest, is_built_in)?;
        let known: Option<Record> = self.machine.cache.record(digest);
        let imports = match &known {
            Some(record) => record.imports.clone(),
            None => component::imports(&contents.read(file)?)?,
        };
        let interfaces = component::interfaces(&imports)?;
        component::granted(&interfaces, &terms)?;
        let candidate = Candidate {
            digest: digest.to_owned(),
            code: Code::new(
                file,
                digest,
                &terms.grants,
                terms.compile_limits(contents.length),
                contents.bytes.is_some(),
            ),
            file: file.to_owned(),
            imports,
            interfaces,
            terms,
            origin,
        };
        match known.map(|record| record.outcome) {
            Some(Outcome::Tools(found)) => {
                let admitted = candidate.admitted(found, self.built_in)?;
                Ok(Look::Known(Ok(admitted)))
            }
            Some(Outcome::Refused {
                reason,
                broke,
                build,
            }) if !self.again && build == cache::build() && !candidate.is_raised(broke) => {
                Err(Refusal::from(format!(
                    "{reason} (found at an earlier start; `rookery plugins check {}` tries again)",
                    file.display()
                )))
            }
            _ => Ok(Look::New(candidate)),
        }
    }

    /// Compile a component that is not known yet, link it, and ask it for its tools. What comes out
    /// is kept.
    pub(crate) fn examine(&self, candidate: Candidate) -> Result<Admitted, Refused> {
        let refused = |reason: String| Refused {
            digest: Some(candidate.digest.clone()),
            refusal: reason.into(),
        };
        let bytes = read_again(&candidate.file, &candidate.digest).map_err(refused)?;
        let found = self.find_out(&candidate, &bytes);
        let outcome = match &found {
            Ok(found) => Some(Outcome::Tools(found.clone())),
            Err(unsound) if unsound.lasts => Some(Outcome::Refused {
                reason: unsound.reason.clone(),
                broke: unsound.broke,
                build: cache::build(),
            }),
            Err(_) => None,
        };
        if let Some(outcome) = outcome {
            let record = Record {
                imports: candidate.imports.clone(),
                outcome,
            };
            self.machine.cache.keep_record(&candidate.digest, &record);
        }
        match found {
            Ok(found) => {
                let digest = Some(candidate.digest.clone());
                let admitted = candidate.admitted(found, self.built_in);
                admitted.map_err(|refusal| Refused { digest, refusal })
            }
            Err(unsound) => Err(refused(unsound.reason)),
        }
    }

    fn find_out(&self, candidate: &Candidate, bytes: &[u8]) -> Result<Found, Unsound> {
        let types = component::validate(bytes).map_err(Unsound::lasting)?;
        let effect = Effect::of_all(&component::functions(&candidate.imports, &types));
        let pre = candidate.code.compile(self.machine, bytes)?;
        // What the component imports is there, and the first call of it is one too many: `describe`
        // gets no answer from the host.
        let limits = Limits::for_describe(&candidate.terms.limits);
        let job = Job {
            name: "describe",
            pre,
            caller: candidate.code.caller(),
            limits: &limits,
            origin: candidate.origin,
            toolbox: None,
        };
        let turn = Turn {
            share: &self.seats.for_describe(),
            cancel: CancellationToken::new(),
            progress: None,
        };
        let (answer, usage) = self.executor.ask_blocking(job, turn, Ask::Describe);
        let stop = match answer {
            Ok(Answer::Tools(tools)) => {
                return definition::normalise(tools)
                    .map(|tools| Found { effect, tools })
                    .map_err(Unsound::lasting);
            }
            Ok(Answer::Output(_)) => {
                let reason = "it answered something other than the definitions of its tools";
                return Err(Unsound::lasting(reason.to_owned()));
            }
            Err(stop) => stop,
        };
        let reason = match &stop.reason {
            Reason::HostCallBudget(_) => {
                "its `describe` calls a host function, which it must not: what it says about its \
                 tools may depend on nothing but the component itself"
                    .to_owned()
            }
            _ => format!(
                "it could not be asked for its tools: {}",
                stop.story("describe")
            ),
        };
        Err(Unsound {
            reason,
            lasts: lasts(&stop, usage.cpu_ms),
            broke: matches!(stop.reason, Reason::MemoryBudget(_))
                .then_some(Broken::Describe(limits.memory_bytes)),
        })
    }
}

/// Whether a `describe` that ended like this would do so again.
fn lasts(stop: &Stop, cpu_ms: u64) -> bool {
    match stop.reason {
        Reason::WallBudget(_) => cpu_ms < WAITED_MS,
        Reason::TooManyCalls(_)
        | Reason::NoSeat(_)
        | Reason::Cancelled
        | Reason::SharedMemory(_)
        | Reason::HostDefect => false,
        _ => true,
    }
}

/// Why a component is not admitted.
struct Unsound {
    reason: String,
    /// Whether it would be found again.
    lasts: bool,
    broke: Option<Broken>,
}

impl Unsound {
    fn lasting(reason: String) -> Self {
        Self {
            reason,
            lasts: true,
            broke: None,
        }
    }
}

impl From<Uncompiled> for Unsound {
    fn from(uncompiled: Uncompiled) -> Self {
        Self {
            reason: uncompiled.to_string(),
            lasts: !matches!(uncompiled, Uncompiled::Slow(_) | Uncompiled::Host(_)),
            broke: match uncompiled {
                Uncompiled::TooMuch { limits, .. } => Some(Broken::Compile(limits)),
                _ => None,
            },
        }
    }
}

impl Candidate {
    pub(crate) fn digest(&self) -> &str {
        &self.digest
    }

    /// Whether the policy gives it more now than what it broke once.
    fn is_raised(&self, broke: Option<Broken>) -> bool {
        match broke {
            Some(Broken::Compile(limits)) => self.code.limits().exceed(&limits),
            Some(Broken::Describe(bytes)) => self.terms.limits.memory_bytes > bytes,
            None => false,
        }
    }

    /// With the tools that were found in it, where these may stand beside the built-in ones.
    fn admitted(self, found: Found, built_in: &BuiltIn) -> Result<Admitted, Refusal> {
        let Found {
            mut effect,
            mut tools,
        } = found;
        if self.interfaces.contains(&Interface::Toolbox) {
            effect = effect.and(Effect::of_grants(&self.terms.grants));
        }
        let is_built_in = self.origin == Origin::BuiltIn;
        if !is_built_in {
            stranger::may_stand(&tools, &self.digest, built_in, &self.terms)?;
        }
        for (tool, definition) in &mut tools {
            hints::correct(tool, &mut definition["annotations"], effect, is_built_in);
            if !is_built_in {
                stranger::name_the_plugin(definition, &name(&self.file), &self.digest);
            }
        }
        let ruled = |interface: Interface| (interface, self.terms.rule(interface).to_owned());
        Ok(Admitted {
            interfaces: self.interfaces.iter().copied().map(ruled).collect(),
            digest: self.digest,
            origin: self.origin,
            changes: effect.changes(),
            tools,
            limits: self.terms.limits,
            code: self.code,
        })
    }
}
