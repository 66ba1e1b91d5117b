//! What a pseudofile's operations can be, by the names of their models.
//!
//! What makes a run of a configuration matches these, so that no model is forgotten; a test of the
//! schema compares them with what it accepts.

macro_rules! models {
    ($(#[$doc:meta])* $type:ident { $($variant:ident = $name:literal),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[allow(missing_docs)] // each is described by the schema
        pub enum $type {
            $($variant),*
        }

        impl $type {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The value of `model`.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name),*
                }
            }

            /// The model of this name.
            pub fn by_name(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|model| model.name() == name)
            }
        }
    };
}

models! {
    /// A model of `read`.
    ReadModel {
        Zero = "zero",
        One = "one",
        Empty = "empty",
        ConstBuf = "const_buf",
        ConstMap = "const_map",
        ConstMapFile = "const_map_file",
        Cycle = "cycle",
        FromFile = "from_file",
        Stateful = "stateful",
        Sequence = "sequence",
        FromPlugin = "from_plugin",
        Default = "default",
        Custom = "custom",
    }
}

models! {
    /// A model of `write`.
    WriteModel {
        ToFile = "to_file",
        FromPlugin = "from_plugin",
        Discard = "discard",
        ReturnConst = "return_const",
        Unhandled = "unhandled",
        Default = "default",
        Custom = "custom",
    }
}

models! {
    /// A model of an `ioctl` command.
    IoctlModel {
        ReturnConst = "return_const",
        Zero = "zero",
        Unhandled = "unhandled",
        WriteData = "write_data",
        FromPlugin = "from_plugin",
    }
}
