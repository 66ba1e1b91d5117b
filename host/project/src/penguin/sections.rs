//! The sections of a configuration: its keys at the top.

/// One section. Whoever treats sections differently matches this, so that a new one is not
/// forgotten.
macro_rules! sections {
    ($($variant:ident = $name:literal),* $(,)?) => {
        /// A key at the top of a configuration.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[allow(missing_docs)] // each is described by the schema
        pub enum Section {
            $($variant),*
        }

        impl Section {
            /// All of them, in the order in which Penguin writes them.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// Its key.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name),*
                }
            }
        }
    };
}

sections! {
    Core = "core",
    Patches = "patches",
    Vars = "vars",
    Env = "env",
    Pseudofiles = "pseudofiles",
    Nvram = "nvram",
    Netdevs = "netdevs",
    UbootEnv = "uboot_env",
    BlockedSignals = "blocked_signals",
    LibInject = "lib_inject",
    StaticFiles = "static_files",
    Plugins = "plugins",
    InitPlugins = "init_plugins",
    Network = "network",
}

impl Section {
    /// The section of this key.
    pub fn by_name(name: &str) -> Option<Self> {
        let mut all = Self::ALL.iter().copied();
        all.find(|section| section.name() == name)
    }
}
