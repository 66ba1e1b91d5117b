//! The interfaces of the contract, each a capability.

use std::fmt;

use serde::{Deserialize, Serialize};

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
    /// Look into programs of a project's root filesystem.
    Binaries,
    /// Keep notes of a project between calls.
    Notes,
    /// Run projects.
    Emulation,
    /// Reach into running guests.
    Live,
    /// Ask web services of running guests.
    Http,
    /// Call other tools.
    Toolbox,
}

impl Interface {
    /// All interfaces of this version of the contract.
    pub const ALL: [Self; 13] = [
        Self::Types,
        Self::Log,
        Self::Config,
        Self::ConfigMutation,
        Self::Creation,
        Self::Results,
        Self::Firmware,
        Self::Binaries,
        Self::Notes,
        Self::Emulation,
        Self::Live,
        Self::Http,
        Self::Toolbox,
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
            Self::Binaries => "binaries",
            Self::Notes => "notes",
            Self::Emulation => "emulation",
            Self::Live => "live",
            Self::Http => "http",
            Self::Toolbox => "toolbox",
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
            Self::Binaries => "look into programs of a root filesystem",
            Self::Notes => "keep notes of a project",
            Self::Emulation => "run projects",
            Self::Live => "reach into running guests",
            Self::Http => "ask web services of running guests",
            Self::Toolbox => "call other tools that do no more than what it is granted",
        }
    }

    /// Whether it needs no grant and cannot be denied: it gives no access to anything.
    pub(crate) fn is_free(self) -> bool {
        matches!(self, Self::Types | Self::Log)
    }

    /// Whether it only reads: it starts nothing, changes nothing, and reaches no running guest.
    pub(crate) fn only_reads(self) -> bool {
        matches!(
            self,
            Self::Config | Self::Results | Self::Firmware | Self::Binaries
        )
    }
}

impl fmt::Display for Interface {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
