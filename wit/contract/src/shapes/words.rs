//! Fields that hold one of a few words.
//!
//! Each has a case `Other`, since a component may meet a newer host whose word it does not know.
//! Their schema is that of a text for the same reason.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How far a run has come: `status` of a run status.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RunState {
    /// It has not ended.
    Running,
    /// It ended by itself, or at its deadline.
    Finished,
    /// Somebody stopped it.
    Stopped,
    /// It could not begin, or its backend failed.
    Failed,
    /// The word of a newer host.
    #[serde(untagged)]
    Other(String),
}

/// What the files of a result directory say of its run: `state` of `run-results.status`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ResultsState {
    /// It ended and was judged.
    Completed,
    /// It ended before it could write all of its results.
    Died,
    /// It has not ended.
    Running,
    /// No run left a file here.
    NeverRan,
    /// The word of a newer host, or an empty text where the state is not known.
    #[serde(untagged)]
    Other(String),
}

impl Default for ResultsState {
    fn default() -> Self {
        Self::Other(String::new())
    }
}

/// What a TCP service of the guest said when it was asked: `kind` of its answer.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AnswerKind {
    /// A page, or at least a status line.
    Http,
    /// The beginning of a TLS connection, or a TLS alert.
    Tls,
    /// Something else: what it says by itself, or to a request that it does not understand.
    Banner,
    /// It takes connections and says nothing for two seconds.
    #[default]
    Silent,
    /// It takes connections and closes them without a word.
    Closed,
    /// It takes no connection.
    Refused,
    /// The word of a newer host.
    #[serde(untagged)]
    Other(String),
}

impl AnswerKind {
    /// Whether it says that the service answered.
    pub fn is_answer(&self) -> bool {
        matches!(self, Self::Http | Self::Tls | Self::Banner)
    }
}

/// What an entry of a root filesystem is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs)]
pub enum EntryKind {
    #[default]
    File,
    Directory,
    Symlink,
    CharacterDevice,
    BlockDevice,
    Fifo,
    /// The word of a newer host.
    #[serde(untagged)]
    Other(String),
}

macro_rules! displayed_as_serialized {
    ($($word:ty),*) => {$(
        impl fmt::Display for $word {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.serialize(f)
            }
        }
    )*};
}

displayed_as_serialized!(RunState, ResultsState, EntryKind, AnswerKind);

#[cfg(test)]
mod tests {
    use serde_json::{from_value, json, to_value};

    use super::*;

    #[test]
    fn a_word_is_read_written_and_shown_alike() {
        for (state, word) in [
            (ResultsState::Completed, "completed"),
            (ResultsState::NeverRan, "never-ran"),
            (ResultsState::Other("paused".into()), "paused"),
        ] {
            assert_eq!(to_value(&state).unwrap(), word);
            assert_eq!(state.to_string(), word);
            assert_eq!(from_value::<ResultsState>(json!(word)).unwrap(), state);
        }
        let device: EntryKind = from_value(json!("character-device")).unwrap();
        assert_eq!(device, EntryKind::CharacterDevice);
        let failed: RunState = from_value(json!("failed")).unwrap();
        assert_eq!(
            (failed.to_string(), failed),
            ("failed".into(), RunState::Failed)
        );
    }
}
