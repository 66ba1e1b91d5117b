//! What the operator allows: which interfaces a plugin may import, and what a call may use.

mod keep;
mod lock;
mod selection;
mod serving;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use serde::Deserialize;

use crate::cache;
use crate::compiler::CompileLimits;
use crate::decision::Refusal;
use crate::interface::Interface;
use crate::limits::{
    ADDED_MEMORY_MIB, Limits, MAX_OUTPUT_KIB, SHARED_MEMORY_MIB, USUAL_WAITING_CALLS, WAITING_CALLS,
};
use crate::text;

pub use keep::Keep;
pub use lock::Lock;
pub(crate) use selection::Selection;
use selection::Toolsets;
pub use selection::built_in_tools;
use serving::Penguin;
pub use serving::{GUEST_MEMORY_MIB, Serving};

/// The operator's policy: what is served, which interfaces are granted, and the budgets. Read from
/// TOML, whose format `docs/policy.md` explains.
///
/// Without a policy, or where it says nothing, built-in components are granted every interface, and
/// others those that only read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    #[serde(default)]
    default: Rules,
    #[serde(default)]
    plugin: BTreeMap<String, Rules>,
    #[serde(default)]
    digests: Option<BTreeSet<String>>,
    #[serde(default)]
    concurrent_calls: Option<u16>,
    #[serde(default)]
    waiting_calls: Option<u16>,
    #[serde(default)]
    shared_memory_mib: Option<u32>,
    #[serde(default)]
    serve: Serving,
    #[serde(default)]
    toolsets: Toolsets,
    #[serde(default)]
    penguin: Penguin,
    #[serde(default)]
    keep: Keep,
    /// SHA-256 of the text, where it was read from one.
    #[serde(skip)]
    sha256: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Rules {
    grant: BTreeSet<Interface>,
    deny: BTreeSet<Interface>,
    digest: Option<String>,
    lookalikes: BTreeSet<String>,
    steering: Option<bool>,
    memory_mib: Option<u32>,
    cpu_ms: Option<u32>,
    wall_ms: Option<u32>,
    host_calls: Option<u32>,
    output_kib: Option<u32>,
    log_kib: Option<u32>,
    argument_kib: Option<u32>,
    compile_memory_mib: Option<u32>,
    compile_cpu_ms: Option<u32>,
}

/// A policy text that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("the policy is not valid: {0}")]
pub struct PolicyError(String);

/// What the policy says about one plugin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Terms {
    pub(crate) grants: BTreeSet<Interface>,
    pub(crate) limits: Limits,
    compile_memory_mib: Option<u32>,
    compile_cpu_ms: Option<u32>,
    /// The sections that deny something, and what.
    denials: Vec<(String, BTreeSet<Interface>)>,
    /// What would be granted if nothing were denied.
    undenied: BTreeSet<Interface>,
    /// The section in which a grant for this plugin counts.
    pub(crate) section: String,
    /// Tool names that are admitted although they read like a built-in tool's.
    pub(crate) lookalikes: BTreeSet<String>,
    /// Whether its text may tell an agent how to treat other tools.
    pub(crate) steering: bool,
    /// The rule that grants each interface which is not denied.
    rules: BTreeMap<Interface, String>,
}

impl Policy {
    /// Read a policy from TOML.
    pub fn from_toml(text: &str) -> Result<Self, PolicyError> {
        let mut policy: Self = toml::from_str(text)
            .map_err(|error| PolicyError(error.to_string().trim_end().to_owned()))?;
        policy.penguin.check()?;
        if policy.concurrent_calls == Some(0) {
            return Err(PolicyError(
                "concurrent_calls must be at least 1".to_owned(),
            ));
        }
        let pins = policy
            .digests
            .iter_mut()
            .flat_map(std::mem::take)
            .collect::<Vec<_>>();
        if let Some(calls) = policy.waiting_calls
            && !WAITING_CALLS.contains(&calls)
        {
            let (least, most) = (WAITING_CALLS.start(), WAITING_CALLS.end());
            return Err(PolicyError(format!(
                "waiting_calls = {calls}: it is from {least} to {most}"
            )));
        }
        if policy.digests.is_some() {
            policy.digests = Some(
                pins.iter()
                    .map(|pin| digest(pin))
                    .collect::<Result<_, _>>()?,
            );
        }
        policy.serve.check()?;
        policy.selection()?;
        policy.sha256 = Some(cache::digest(text.as_bytes()));
        policy.default.check("[default]")?;
        if policy.default.digest.is_some() {
            return Err(PolicyError(
                "`digest` under [default] pins nothing: put it under [plugin.\"NAME\"], or a list \
                 `digests` at the top"
                    .to_owned(),
            ));
        }
        if !policy.default.lookalikes.is_empty() || policy.default.steering.is_some() {
            return Err(PolicyError(
                "`lookalikes` and `steering` admit what one plugin says: put them under \
                 [plugin.\"NAME\"], not [default]"
                    .to_owned(),
            ));
        }
        for (key, mut rules) in std::mem::take(&mut policy.plugin) {
            rules.check(&section(&key))?;
            rules.digest = rules.digest.as_deref().map(digest).transpose()?;
            if has_suffix(&key) {
                return Err(PolicyError(format!(
                    "[plugin.\"{key}\"] matches nothing: plugins are named by their file without \
                     `.wasm`, or by digest"
                )));
            }
            policy.plugin.insert(digest(&key).unwrap_or(key), rules);
        }
        Ok(policy)
    }

    /// Its relative paths as those of a file in `dir`.
    #[must_use]
    pub fn at(mut self, dir: &Path) -> Self {
        self.serve.start_at(dir);
        self
    }

    /// What it says of the server as a whole.
    pub fn serve(&self) -> &Serving {
        &self.serve
    }

    /// How much is kept on the disk.
    pub fn keep(&self) -> &Keep {
        &self.keep
    }

    /// The analysis plugins of a Penguin guest that an agent may turn on and off: none, unless the
    /// operator names them under `[penguin]`.
    pub fn penguin_plugins(&self) -> &BTreeSet<String> {
        &self.penguin.plugins
    }

    /// SHA-256 of its text, if it has one.
    pub(crate) fn sha256(&self) -> Option<&str> {
        self.sha256.as_deref()
    }

    /// Built-in instances that may run at the same time, and others beside them: few enough that
    /// all of them fit into memory, enough that others get on beside those that loop.
    pub(crate) fn concurrent_calls(&self) -> usize {
        self.concurrent_calls
            .map_or_else(|| (2 * cores()).max(8), usize::from)
    }

    /// Calls of built-in tools that may wait for runs and guests at the same time, and others
    /// beside them. The instance of each is there meanwhile.
    pub(crate) fn waiting_calls(&self) -> usize {
        self.waiting_calls.map_or(USUAL_WAITING_CALLS, usize::from)
    }

    /// Bytes of memory that all instances but built-in ones may use together.
    pub(crate) fn shared_memory(&self) -> u64 {
        let sections = self.plugin.values().chain([&self.default]);
        // A budget that was raised for one call is there.
        let largest = sections.filter_map(|rules| rules.memory_mib).max();
        let mib = self
            .shared_memory_mib
            .unwrap_or_else(|| largest.unwrap_or(0).max(SHARED_MEMORY_MIB));
        u64::from(mib) << 20
    }

    /// Whether it names any digest: then a file is what its bytes are now, and not what they were.
    pub(crate) fn pins(&self) -> bool {
        let by_digest =
            |(key, rules): (&String, &Rules)| rules.digest.is_some() || digest(key).is_ok();
        self.digests.is_some() || self.plugin.iter().any(by_digest)
    }

    /// The terms for the plugin of this file name and digest, or why it may not load at all.
    pub(crate) fn terms(&self, name: &str, digest: &str, built_in: bool) -> Result<Terms, Refusal> {
        if self
            .digests
            .as_ref()
            .is_some_and(|pins| !pins.contains(digest))
        {
            return Err(Refusal::by(
                "digests",
                format!(
                    "the policy pins digests, and this file's is not among them. To admit it, add \
                     \"{digest}\" to `digests`"
                ),
            ));
        }
        let named =
            [digest, name].map(|key| self.plugin.get(key).map(|rules| (section(key), rules)));
        let sections: Vec<(String, &Rules)> =
            std::iter::once(("[default]".to_owned(), &self.default))
                .chain(named.iter().flatten().cloned())
                .collect();
        if let Some((section, pin)) = sections
            .iter()
            .filter_map(|(section, rules)| Some((section, rules.digest.as_deref()?)))
            .find(|(_, pin)| *pin != digest)
        {
            return Err(Refusal::by(
                format!("{section} digest"),
                format!(
                    "the policy pins {section} to digest {pin}, but the file has {digest}; either \
                     the file was replaced, or the pin is outdated and the line is now: \
                     digest = \"{digest}\""
                ),
            ));
        }
        // A section by digest takes the place of the one by name, but for what that denies.
        let layers = sections.iter().take(2);
        let mut limits = Limits::default();
        if !built_in {
            limits.memory_bytes = u64::from(ADDED_MEMORY_MIB) << 20;
        }
        layers
            .clone()
            .for_each(|(_, rules)| rules.apply(&mut limits));
        let without_asking = |interface: Interface| match interface {
            _ if interface.is_free() => Some("free"),
            _ if built_in => Some("built in"),
            _ if interface.only_reads() => Some("reading"),
            _ => None,
        };
        let mut rules = BTreeMap::new();
        for (section, layer) in layers.clone() {
            let granted = layer.grant.iter();
            rules.extend(granted.map(|interface| (*interface, format!("{section} grant"))));
        }
        for interface in Interface::ALL {
            if let Some(rule) = without_asking(interface) {
                rules.insert(interface, rule.to_owned());
            }
        }
        let undenied: BTreeSet<Interface> = rules.keys().copied().collect();
        let denials: Vec<_> = sections
            .iter()
            .map(|(section, rules)| (section.clone(), rules.deny.clone()))
            .collect();
        let denied = |interface: &Interface| {
            let mut denied = denials.iter().flat_map(|(_, deny)| deny);
            denied.any(|deny| denies(*deny, *interface))
        };
        Ok(Terms {
            grants: undenied
                .iter()
                .copied()
                .filter(|interface| interface.is_free() || !denied(interface))
                .collect(),
            limits,
            lookalikes: layers
                .clone()
                .flat_map(|(_, rules)| rules.lookalikes.iter().cloned())
                .collect(),
            steering: layers
                .clone()
                .any(|(_, rules)| rules.steering == Some(true)),
            compile_memory_mib: layers
                .clone()
                .filter_map(|(_, rules)| rules.compile_memory_mib)
                .next_back(),
            compile_cpu_ms: layers
                .clone()
                .filter_map(|(_, rules)| rules.compile_cpu_ms)
                .next_back(),
            undenied,
            denials,
            rules,
            section: layers
                .skip(1)
                .last()
                .map_or_else(|| section(name), |(section, _)| section.clone()),
        })
    }

    /// A sentence for each section and pin that none of these plugins (file names and digests)
    /// answers to: a misspelt denial is no denial.
    pub(crate) fn unmatched(
        &self,
        names: &BTreeSet<String>,
        digests: &BTreeSet<String>,
    ) -> Vec<String> {
        let sections = self
            .plugin
            .keys()
            .filter(|key| !names.contains(*key) && !digests.contains(*key))
            .map(|key| {
                let near = text::nearest(key, names.iter().map(String::as_str))
                    .map_or_else(String::new, |name| {
                        format!("; did you mean {}?", section(name))
                    });
                format!("the policy's {} matches no plugin{near}", section(key))
            });
        let pins = self
            .digests
            .iter()
            .flatten()
            .filter(|pin| !digests.contains(*pin))
            .map(|pin| format!("the policy's `digests` name {pin}, which no plugin has"));
        sections.chain(pins).collect()
    }
}

impl Terms {
    /// What compiling a component of so many bytes may use.
    pub(crate) fn compile_limits(&self, bytes: u64) -> CompileLimits {
        let mut limits = CompileLimits::for_bytes(bytes);
        if let Some(mib) = self.compile_memory_mib {
            limits.memory_bytes = u64::from(mib) << 20;
        }
        if let Some(ms) = self.compile_cpu_ms {
            limits.cpu = Duration::from_millis(ms.into());
        }
        limits
    }

    /// The rule that grants `interface`, which is granted.
    pub(crate) fn rule(&self, interface: Interface) -> &str {
        self.rules.get(&interface).map_or("", String::as_str)
    }

    /// The rule that keeps `missing` from being granted.
    pub(crate) fn refusing_rule(&self, missing: &[Interface]) -> String {
        let mut denials = self.denials.iter();
        let denied = denials.find(|(_, deny)| {
            let mut deny = deny.iter();
            deny.any(|deny| missing.iter().any(|one| denies(*deny, *one)))
        });
        denied.map_or_else(
            || format!("{} grant", self.section),
            |(section, _)| format!("{section} deny"),
        )
    }

    /// What to change in the policy so that `missing` is granted.
    pub(crate) fn how_to_grant(&self, missing: &[Interface]) -> String {
        let list = |interfaces: &mut dyn Iterator<Item = &Interface>| {
            let names: Vec<_> = interfaces
                .map(|interface| format!("{:?}", interface.name()))
                .collect();
            names.join(", ")
        };
        let mut steps: Vec<String> = self
            .denials
            .iter()
            .map(|(section, deny)| {
                (
                    section,
                    list(&mut deny.iter().filter(|deny| {
                        let mut missing = missing.iter();
                        missing.any(|one| denies(**deny, *one))
                    })),
                )
            })
            .filter(|(_, names)| !names.is_empty())
            .map(|(section, names)| format!("take {names} out of `deny` under {section}"))
            .collect();
        let ungranted = list(&mut missing.iter().filter(|i| !self.undenied.contains(i)));
        if !ungranted.is_empty() {
            steps.push(format!("put under {}: grant = [{ungranted}]", self.section));
        }
        steps.join(", and ")
    }
}

/// Whether an interface that stands in `deny` keeps another from being granted.
fn denies(deny: Interface, interface: Interface) -> bool {
    // What is in a program is in the firmware.
    deny == interface || (deny == Interface::Firmware && interface == Interface::Binaries)
}

impl Rules {
    /// What no reader of the file could get.
    fn check(&self, section: &str) -> Result<(), PolicyError> {
        match self.output_kib {
            Some(kib) if kib > MAX_OUTPUT_KIB => Err(PolicyError(format!(
                "output_kib = {kib} under {section} is too much: {MAX_OUTPUT_KIB} is the most, \
                 because an answer of more than 1 MiB is not sent"
            ))),
            _ => Ok(()),
        }
    }

    fn apply(&self, limits: &mut Limits) {
        let kib = |kib: u32| {
            usize::try_from(kib)
                .unwrap_or(usize::MAX)
                .saturating_mul(1024)
        };
        let ms = |ms: u32| Duration::from_millis(ms.into());
        let mib = |mib: u32| u64::from(mib) << 20;
        // Every field, so that a new budget is not forgotten.
        *limits = Limits {
            memory_bytes: self.memory_mib.map_or(limits.memory_bytes, mib),
            cpu: self.cpu_ms.map_or(limits.cpu, ms),
            wall: self.wall_ms.map_or(limits.wall, ms),
            host_calls: self.host_calls.map_or(limits.host_calls, u64::from),
            output_bytes: self.output_kib.map_or(limits.output_bytes, kib),
            log_bytes: self.log_kib.map_or(limits.log_bytes, kib),
            argument_bytes: self.argument_kib.map_or(limits.argument_bytes, kib),
        };
    }
}

fn section(key: &str) -> String {
    format!("[plugin.{key:?}]")
}

fn has_suffix(key: &str) -> bool {
    Path::new(key)
        .extension()
        .is_some_and(|extension| extension == "wasm")
}

fn digest(text: &str) -> Result<String, PolicyError> {
    if text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        Ok(text.to_ascii_lowercase())
    } else {
        Err(PolicyError(format!(
            "\"{text}\" is not a SHA-256 digest: 64 hexadecimal digits, as `sha256sum FILE` \
             prints them"
        )))
    }
}

/// Cores that this process may use.
pub(crate) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

#[cfg(test)]
mod tests;
