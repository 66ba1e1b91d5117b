//! What is known of the loop between two calls: a note of the project.

use rookery_plugin::fragment::Fragment;
use rookery_plugin::{Error, Next, Notes, Result, invalid};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// The note's name.
const NOTE: &str = "ledger";
/// Another version's ledger is begun anew.
const VERSION: u32 = 1;
/// What was tried before these is forgotten: a note is bounded.
const TRIED: usize = 64;

/// When the firmware counts as rehosted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Goal {
    /// A guest port
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub port: Option<u16>,
    /// The default
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub any_answer: bool,
}

impl Goal {
    /// The port that is to answer; none where any will do.
    pub fn port(self) -> Result<Option<u16>> {
        match self.port {
            Some(_) if self.any_answer => Err(invalid(
                "`goal` is a port or any_answer, and not both: {\"port\": 80}",
            )),
            port => Ok(port),
        }
    }
}

/// How long the loop goes on, over all calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Budget {
    /// Over all calls
    #[schemars(range(min = 1, max = 200))]
    pub runs: u32,
    /// Of runs, over all calls
    #[schemars(range(min = 1, max = 86400))]
    pub seconds: u32,
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            runs: 20,
            seconds: 1800,
        }
    }
}

/// Where the loop is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Call it again.
    #[default]
    Working,
    /// The goal answered.
    Reached,
    /// Nothing is left that may be tried.
    Stuck,
    /// The budget is used up.
    Spent,
}

/// One change that may help.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Hypothesis {
    /// What it is about: the same in two runs where the same is in the way.
    pub key: String,
    /// What is in the way. Names in it are the firmware's: data, not advice.
    pub why: String,
    /// The call that makes the change by hand.
    pub call: Option<Next>,
    pub fragment: Value,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub replace: Vec<String>,
    /// Its run only finds something out: the change is not kept, whatever comes of it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub asks: bool,
    /// Those that it is made of, where it is made of others.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<Part>,
}

/// What a hypothesis that is made of others keeps of each.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Part {
    pub key: String,
    pub call: Option<Next>,
}

impl Hypothesis {
    /// Whether it is made of others.
    pub fn is_of_many(&self) -> bool {
        !self.parts.is_empty()
    }

    /// The keys of what it changes something about.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        let own = (!self.is_of_many()).then_some(&self.key);
        let parts = self.parts.iter().map(|part| &part.key);
        own.into_iter().chain(parts).map(String::as_str)
    }

    /// Whether it gives the firmware files or interfaces that it has not, and takes nothing away.
    pub fn only_adds(&self) -> bool {
        let only = |of: &Value, known: &[&str]| {
            let mut names = of.as_object().into_iter().flatten();
            names.all(|(name, _)| known.contains(&name.as_str()))
        };
        let adds = only(
            &self.fragment,
            &["pseudofiles", "static_files", "netdevs", "plugins"],
        ) && only(&self.fragment["plugins"], &["interfaces"]);
        adds && self.replace.is_empty() && !self.asks && !self.is_of_many()
    }

    pub fn new(key: String, why: String, call: Option<Next>, change: Fragment) -> Self {
        Self {
            key,
            why,
            call,
            fragment: change.value,
            replace: change.replace,
            asks: false,
            parts: Vec::new(),
        }
    }

    /// The same, not to be kept.
    pub fn only_asks(self) -> Self {
        Self { asks: true, ..self }
    }
}

/// What came of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Effect {
    /// The goal answered.
    Goal,
    Better,
    Same,
    Worse,
    /// Its run did not get to its end.
    Failed,
}

impl Effect {
    /// Whether the change is kept.
    pub fn helps(self) -> bool {
        matches!(self, Self::Goal | Self::Better)
    }
}

/// One hypothesis that has had its run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tried {
    #[serde(flatten)]
    pub hypothesis: Hypothesis,
    pub effect: Effect,
    pub kept: bool,
    pub results_dir: String,
    pub seconds: f64,
}

/// The run that is under way, or about to be started.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Current {
    /// None between the decision and the start.
    pub run_id: Option<String>,
    /// None of a run of the project as it is.
    pub hypothesis: Option<Hypothesis>,
    /// What was last seen of it, and since when, in seconds of the run.
    pub signature: String,
    pub since: f64,
}

/// The loop so far.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Ledger {
    version: u32,
    pub goal: Goal,
    pub state: State,
    pub runs: u32,
    pub seconds: f64,
    /// The patch that the base was run with.
    pub patch: Option<u64>,
    /// Result directory of the best run so far.
    pub base: Option<String>,
    pub current: Option<Current>,
    pub tried: Vec<Tried>,
}

impl Ledger {
    /// The project's ledger with its revision; a new one where there is none, or `again`.
    pub fn read(host: &impl Notes, project: &str, again: bool) -> Result<(Self, u32)> {
        let note = host.read_note(project, NOTE)?;
        let read = serde_json::from_value::<Self>(note.note).ok();
        let mut ledger = read
            .filter(|ledger| ledger.version == VERSION)
            .unwrap_or_default();
        if again {
            ledger = Self {
                // A run that is under way is still ours to end.
                current: ledger.current,
                ..Self::default()
            };
        }
        ledger.version = VERSION;
        Ok((ledger, note.revision))
    }

    /// Keep it, where no other call has in between. Gives the new revision.
    pub fn write(&mut self, host: &impl Notes, project: &str, revision: u32) -> Result<u32> {
        let surplus = self.tried.len().saturating_sub(TRIED);
        self.tried.drain(..surplus);
        match host.write_note(project, NOTE, &json!(self), Some(revision)) {
            Err(Error::Conflict(_)) => Err(Error::Conflict(
                "another call of rehost works on this project: wait for its answer".into(),
            )),
            written => written.map(|note| note.revision),
        }
    }

    /// What was tried with the project as it is now.
    pub fn tried_now(&self) -> impl Iterator<Item = &Tried> {
        let kept = self.tried.iter().rposition(|tried| tried.kept);
        self.tried.iter().skip(kept.map_or(0, |at| at + 1))
    }

    /// Whether a hypothesis has had its run: with the project as it is now, or to its success.
    pub fn knows(&self, key: &str) -> bool {
        let kept = self.tried.iter().filter(|tried| tried.kept);
        self.tried_now()
            .chain(kept)
            .any(|tried| tried.hypothesis.key == key)
    }

    /// Forget what was tried, also what helped: the project is no longer what it was tried with,
    /// and the patch may have been reset.
    pub fn begin_anew(&mut self, patch: Option<u64>) {
        self.tried.clear();
        self.base = None;
        self.patch = patch;
        self.state = State::Working;
    }
}
