//! What the operator allows: which interfaces a plugin may import, and what a call may use.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::limits::Limits;

/// One interface of `wit/`: a capability.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Interface {
    /// Types only; always granted.
    Types,
    /// Log lines and progress; always granted.
    Log,
    /// Read a project's configuration.
    Config,
    /// Change a project's configuration.
    ConfigMutation,
    /// Make projects.
    Creation,
    /// Read what runs left behind.
    Results,
    /// Read a project's root filesystem.
    Firmware,
    /// Run projects.
    Emulation,
    /// Reach into running guests.
    Live,
}

impl Interface {
    /// All interfaces of this version of the contract.
    pub const ALL: [Self; 9] = [
        Self::Types,
        Self::Log,
        Self::Config,
        Self::ConfigMutation,
        Self::Creation,
        Self::Results,
        Self::Firmware,
        Self::Emulation,
        Self::Live,
    ];

    /// Its name in WIT.
    pub fn name(self) -> &'static str {
        match self {
            Self::Types => "types",
            Self::Log => "log",
            Self::Config => "config",
            Self::ConfigMutation => "config-mutation",
            Self::Creation => "creation",
            Self::Results => "results",
            Self::Firmware => "firmware",
            Self::Emulation => "emulation",
            Self::Live => "live",
        }
    }

    /// The interface of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|interface| interface.name() == name)
    }

    /// What a plugin that imports it can do, to follow "it can".
    pub fn ability(self) -> &'static str {
        match self {
            Self::Types => "compute",
            Self::Log => "write log lines and report progress",
            Self::Config => "read a project's configuration",
            Self::ConfigMutation => "change a project's configuration",
            Self::Creation => "make projects",
            Self::Results => "read what runs left behind",
            Self::Firmware => "read a project's root filesystem",
            Self::Emulation => "run projects",
            Self::Live => "reach into running guests",
        }
    }

    /// Whether it needs no grant: it gives no access to anything.
    fn is_free(self) -> bool {
        matches!(self, Self::Types | Self::Log)
    }
}

impl fmt::Display for Interface {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The operator's policy: which interfaces are granted, and the budgets. Read from TOML or built in code.
///
/// ```toml
/// digests = ["9f86d081…"]        # optional: only components with these SHA-256 digests load
/// concurrent_calls = 8           # optional: guests that run at the same time, of which one plugin has at most three quarters
///
/// [default]
/// grant = ["config", "results"]  # every plugin may import these
/// wall_ms = 10000
///
/// [plugin."set_env"]             # by file name without `.wasm`, or by digest, which comes first
/// grant = ["config-mutation"]    # in addition to the default
/// deny = ["results"]             # wins over every grant
/// digest = "9f86d081…"           # optional: this plugin must have this digest
/// memory_mib = 64
/// ```
///
/// Without a policy everything is granted; a policy file grants nothing that it does not name. Budgets: `memory_mib`, `cpu_ms`,
/// `wall_ms`, `host_calls`, `output_kib`, `log_kib`, `argument_kib`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
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
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Rules {
    grant: BTreeSet<Interface>,
    deny: BTreeSet<Interface>,
    digest: Option<String>,
    memory_mib: Option<u32>,
    cpu_ms: Option<u32>,
    wall_ms: Option<u32>,
    host_calls: Option<u32>,
    output_kib: Option<u32>,
    log_kib: Option<u32>,
    argument_kib: Option<u32>,
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
}

impl Default for Policy {
    /// Everything is granted to every plugin, under the default budgets.
    fn default() -> Self {
        let default = Rules {
            grant: Interface::ALL.into(),
            ..Rules::default()
        };
        Self {
            default,
            plugin: BTreeMap::new(),
            digests: None,
            concurrent_calls: None,
        }
    }
}

impl Policy {
    /// Read a policy from TOML.
    pub fn from_toml(text: &str) -> Result<Self, PolicyError> {
        let mut policy: Self = toml::from_str(text)
            .map_err(|error| PolicyError(error.to_string().trim_end().to_owned()))?;
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
        if policy.digests.is_some() {
            policy.digests = Some(
                pins.iter()
                    .map(|pin| digest(pin))
                    .collect::<Result<_, _>>()?,
            );
        }
        for (key, mut rules) in std::mem::take(&mut policy.plugin) {
            rules.digest = rules.digest.as_deref().map(digest).transpose()?;
            if has_suffix(&key) {
                return Err(PolicyError(format!(
                    "[plugin.\"{key}\"] matches nothing: plugins are named by their file without `.wasm`, or by digest"
                )));
            }
            policy.plugin.insert(digest(&key).unwrap_or(key), rules);
        }
        Ok(policy)
    }

    /// Guests that may run at the same time: few enough that all of them fit into memory, enough that others get on beside those
    /// that loop.
    pub(crate) fn concurrent_calls(&self) -> usize {
        self.concurrent_calls
            .map_or_else(|| (2 * cores()).max(8), usize::from)
    }

    /// The terms for the plugin of this file name and digest, or why it may not load at all.
    pub(crate) fn terms(&self, name: &str, digest: &str) -> Result<Terms, String> {
        if self
            .digests
            .as_ref()
            .is_some_and(|pins| !pins.contains(digest))
        {
            return Err(format!(
                "the policy pins digests, and this file's is not among them. To admit it, add \"{digest}\" to `digests`"
            ));
        }
        let (by_digest, by_name) = (self.plugin.get(digest), self.plugin.get(name));
        let named = || by_digest.into_iter().chain(by_name);
        if let Some(pin) = named()
            .filter_map(|rules| rules.digest.as_deref())
            .find(|pin| *pin != digest)
        {
            return Err(format!(
                "the policy pins [plugin.\"{name}\"] to digest {pin}, but the file has {digest}; it was replaced or the pin is old"
            ));
        }
        let layers = || std::iter::once(&self.default).chain(by_digest.or(by_name));
        let mut grants: BTreeSet<_> = layers()
            .flat_map(|rules| rules.grant.iter().copied())
            .collect();
        for denied in layers().chain(named()).flat_map(|rules| &rules.deny) {
            grants.remove(denied);
        }
        grants.extend(
            Interface::ALL
                .into_iter()
                .filter(|interface| interface.is_free()),
        );
        let mut limits = Limits::default();
        layers().for_each(|rules| rules.apply(&mut limits));
        Ok(Terms { grants, limits })
    }
}

impl Rules {
    fn apply(&self, limits: &mut Limits) {
        let kib = |kib: u32| {
            usize::try_from(kib)
                .unwrap_or(usize::MAX)
                .saturating_mul(1024)
        };
        let ms = |ms: u32| Duration::from_millis(ms.into());
        if let Some(mib) = self.memory_mib {
            limits.memory_bytes = u64::from(mib) << 20;
        }
        limits.cpu = self.cpu_ms.map_or(limits.cpu, ms);
        limits.wall = self.wall_ms.map_or(limits.wall, ms);
        limits.host_calls = self.host_calls.map_or(limits.host_calls, u64::from);
        limits.output_bytes = self.output_kib.map_or(limits.output_bytes, kib);
        limits.log_bytes = self.log_kib.map_or(limits.log_bytes, kib);
        limits.argument_bytes = self.argument_kib.map_or(limits.argument_bytes, kib);
    }
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
            "\"{text}\" is not a SHA-256 digest: 64 hexadecimal digits, as `sha256sum FILE` prints them"
        )))
    }
}

/// Cores that this process may use.
pub(crate) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";

    fn grants(policy: &Policy, name: &str) -> Vec<&'static str> {
        policy
            .terms(name, DIGEST)
            .unwrap()
            .grants
            .into_iter()
            .map(Interface::name)
            .collect()
    }

    #[test]
    fn without_a_policy_everything_is_granted_and_an_empty_one_grants_nothing() {
        assert_eq!(grants(&Policy::default(), "x").len(), Interface::ALL.len());
        assert_eq!(
            grants(&Policy::from_toml("").unwrap(), "x"),
            ["types", "log"]
        );
    }

    #[test]
    fn grants_add_up_and_deny_wins() {
        let policy = Policy::from_toml(
            "[default]\ngrant = ['config', 'results']\n[plugin.'set_env']\ngrant = ['config-mutation', 'live']\ndeny = ['results', 'live']\nmemory_mib = 8",
        )
        .unwrap();
        assert_eq!(
            grants(&policy, "set_env"),
            ["types", "log", "config", "config-mutation"]
        );
        assert_eq!(
            grants(&policy, "other"),
            ["types", "log", "config", "results"]
        );
        assert_eq!(
            policy.terms("set_env", DIGEST).unwrap().limits.memory_bytes,
            8 << 20
        );
    }

    #[test]
    fn rules_by_digest_win_over_rules_by_name() {
        let policy = Policy::from_toml(&format!(
            "[plugin.x]\ngrant = ['live']\n[plugin.'{DIGEST}']\ngrant = ['config']"
        ))
        .unwrap();
        assert_eq!(grants(&policy, "x"), ["types", "log", "config"]);
    }

    #[test]
    fn no_denial_is_lost_to_the_way_it_is_written() {
        let upper = DIGEST.to_uppercase();
        let policy = Policy::from_toml(&format!(
            "[plugin.x]\ndeny = ['live']\n[plugin.'{upper}']\ngrant = ['live', 'config']"
        ))
        .unwrap();
        assert_eq!(grants(&policy, "x"), ["types", "log", "config"]);
        let error = Policy::from_toml("[plugin.'x.wasm']\ndeny = ['live']").unwrap_err();
        assert!(error.to_string().contains("without `.wasm`"), "{error}");
    }

    #[test]
    fn pins_refuse_other_digests_and_say_how_to_admit_them() {
        let other = "0".repeat(64);
        let policy =
            Policy::from_toml(&format!("digests = ['{}']", DIGEST.to_uppercase())).unwrap();
        assert!(policy.terms("x", DIGEST).is_ok(), "case does not matter");
        assert!(
            policy
                .terms("x", &other)
                .unwrap_err()
                .contains(&format!("add \"{other}\" to `digests`"))
        );
        let policy = Policy::from_toml(&format!("[plugin.x]\ndigest = '{DIGEST}'")).unwrap();
        assert!(
            policy
                .terms("x", &other)
                .unwrap_err()
                .contains("it was replaced")
        );
        assert!(policy.terms("y", &other).is_ok());
    }

    #[test]
    fn a_wrong_policy_is_an_error_that_names_what_is_allowed() {
        let error = |text: &str| Policy::from_toml(text).unwrap_err().to_string();
        assert!(error("[default]\ngrant = ['confg']").contains("config-mutation"));
        assert!(error("[default]\nmemory = 3").contains("memory_mib"));
        assert!(error("digests = ['abc']").contains("sha256sum"));
        assert!(error("concurrent_calls = 0").contains("at least 1"));
        assert!(error("[plugin.x").contains("TOML"));
    }
}
