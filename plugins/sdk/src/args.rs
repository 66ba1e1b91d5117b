//! Arguments that many tools take.

use schemars::JsonSchema;
use serde::de::{Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize, de};

use crate::error::{Result, invalid};
use crate::host::Live;

/// Which results to look at; flatten it into a tool's arguments.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RunSelector {
    /// Its newest complete run
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub project_dir: Option<String>,
    /// Or this result directory
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub results_dir: Option<String>,
}

/// Which project to change, and whether to; flatten it into a tool's arguments.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ChangeTarget {
    /// Project
    pub project_dir: String,
    /// Only check and show
    #[serde(default)]
    pub dry_run: bool,
}

/// Which running guest to reach into; flatten it into a tool's arguments.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GuestTarget {
    /// Project: the guest of its running run
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub project_dir: Option<String>,
    /// Or that of this run
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub run_id: Option<String>,
}

impl GuestTarget {
    /// The id of the run. A project that is not running is
    /// [`Error::Unavailable`](crate::Error::Unavailable) with the way to run it.
    pub fn find(&self, host: &impl Live) -> Result<String> {
        match (&self.run_id, &self.project_dir) {
            (Some(run_id), _) => Ok(run_id.clone()),
            (None, Some(project)) => host.running(project),
            (None, None) => Err(invalid(
                "name a project whose run goes on, or a run: project_dir or run_id",
            )),
        }
    }
}

/// Arguments of a tool that takes none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NoArguments {}

/// Use as `#[serde(deserialize_with = "rookery_plugin::args::text")]` on strings that people write
/// without quotes.
///
/// Penguin's configuration is text where JSON has numbers and booleans: `08` and `8` are different
/// values, and a number would make the project unloadable. So neither is guessed, except for whole
/// numbers, which the host already hands over as text.
pub fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    struct Text;
    impl Visitor<'_> for Text {
        type Value = String;

        fn expecting(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
            f.write_str("a string in quotes: write \"8\" instead of 8, \"true\" instead of true")
        }
        fn visit_str<E: de::Error>(self, text: &str) -> Result<String, E> {
            Ok(text.to_owned())
        }
        fn visit_string<E: de::Error>(self, text: String) -> Result<String, E> {
            Ok(text)
        }
        fn visit_unit<E: de::Error>(self) -> Result<String, E> {
            Err(E::invalid_type(Unexpected::Other("null"), &self))
        }
    }
    deserializer.deserialize_any(Text)
}
