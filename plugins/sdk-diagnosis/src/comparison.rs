//! Whether a change helped: a run beside an earlier one.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use rookery_plugin::{CsvOptions, Result, RunResults, optional};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::evidence::Evidence;

/// Differences of each kind that are shown.
const SHOWN: usize = 10;
/// Bytes of a value that are shown.
const VALUE: usize = 80;
const SOCKETS: u32 = 1000;
/// Differences of each kind that are shown to a caller who did not ask.
const FEW: usize = 3;
const SAME: &str = "same";

/// How the run did beside the other.
#[derive(Serialize, JsonSchema)]
pub struct Comparison {
    /// `better`, `same` or `worse`.
    verdict: &'static str,
    with: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    listeners_gained: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    listeners_lost: Vec<String>,
    /// Ports of TCP whose service answers now and did not then.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    answers_gained: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    answers_lost: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    blockers_gone: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    blockers_new: Vec<String>,
    /// Programs that ran now and not then.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    programs_new: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    programs_gone: Vec<String>,
    /// Then and now.
    #[serde(skip_serializing_if = "Option::is_none")]
    crashes: Option<[usize; 2]>,
    /// What differs in the configuration: `key: then -> now`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    changes: Vec<String>,
}

impl Comparison {
    /// `better`, `same` or `worse`.
    pub fn verdict(&self) -> &'static str {
        self.verdict
    }

    /// What a caller needs who did not ask: of each kind the first few, and of a run that did as
    /// the other only what was changed without effect.
    pub(crate) fn in_short(mut self) -> Self {
        let same = self.verdict == SAME;
        self.crashes = self.crashes.filter(|[then, now]| then != now && !same);
        self.programs_new.clear();
        self.programs_gone.clear();
        for list in [
            &mut self.listeners_gained,
            &mut self.listeners_lost,
            &mut self.answers_gained,
            &mut self.answers_lost,
            &mut self.blockers_gone,
            &mut self.blockers_new,
        ] {
            shorten(list, if same { 0 } else { FEW });
        }
        shorten(&mut self.changes, FEW);
        self
    }
}

fn shorten(list: &mut Vec<String>, to: usize) {
    list.truncate(to);
    for text in list {
        *text = crate::blockers::cut(text, VALUE);
    }
}

/// What is compared of a run.
pub struct Standing {
    name: String,
    listeners: BTreeSet<String>,
    answers: BTreeSet<String>,
    blockers: BTreeSet<String>,
    programs: BTreeSet<String>,
    crashes: usize,
    /// Programs that crashed, and with those that were held up otherwise.
    crashed: BTreeSet<String>,
    stopped: BTreeSet<String>,
    config: Value,
}

impl Standing {
    /// Whether a TCP service answers: that of `port`, or any.
    pub fn answers(&self, port: Option<u16>) -> bool {
        match port {
            Some(port) => self.answers.contains(&port.to_string()),
            None => !self.answers.is_empty(),
        }
    }

    /// Whether this is in the way, by [`Blocker::key`](crate::Blocker::key).
    pub fn is_blocked_by(&self, key: &str) -> bool {
        self.blockers.contains(key)
    }

    /// Whether it has all services that `then` had, and no program crashes that did its work then.
    pub fn has_all_of(&self, then: &Self) -> bool {
        let worked =
            |program: &String| then.programs.contains(program) && !then.stopped.contains(program);
        self.answers.is_superset(&then.answers)
            && self.listeners.is_superset(&then.listeners)
            && !self.crashed.iter().any(worked)
    }

    /// The same text for as long as nothing new is seen: a run that goes on without news.
    pub fn signature(&self) -> String {
        let mut hasher = DefaultHasher::new();
        (
            &self.listeners,
            &self.answers,
            &self.blockers,
            &self.programs,
        )
            .hash(&mut hasher);
        format!("{:x}", hasher.finish())
    }

    /// What `run` left, and what `evidence` tells of it.
    pub fn of(run: &impl RunResults, evidence: &Evidence) -> Result<Self> {
        let only = Map::from_iter([("state".to_owned(), json!(["listening"]))]);
        let options = CsvOptions {
            only,
            limit: Some(SOCKETS),
            ..CsvOptions::default()
        };
        let table = optional(run.read_csv("netbinds.csv", &options))?.unwrap_or_default();
        let text = |row: &Map<String, Value>, name: &str| {
            row.get(name)
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned()
        };
        let listener = |row| {
            format!(
                "{} {} {}",
                text(row, "procname"),
                text(row, "domain"),
                text(row, "guest_port")
            )
        };
        let crashes = evidence.crashes.as_deref().unwrap_or_default();
        let died: BTreeSet<_> = crashes.iter().map(|crash| crash.proc.clone()).collect();
        let held_up = evidence
            .blockers
            .iter()
            .map(|blocker| blocker.program().to_owned());
        Ok(Self {
            name: evidence.status.results_dir.clone(),
            listeners: table.rows.iter().map(listener).collect(),
            answers: evidence
                .asked
                .iter()
                .filter(|service| service.answers.answers())
                .map(|service| service.guest_port.to_string())
                .collect(),
            blockers: evidence
                .blockers
                .iter()
                .map(crate::blockers::Blocker::key)
                .collect(),
            programs: evidence.programs.clone(),
            crashes: crashes.len(),
            stopped: died.iter().cloned().chain(held_up).collect(),
            crashed: died,
            config: optional(run.read_yaml("core_config.yaml"))?.unwrap_or_default(),
        })
    }
}

/// `now` beside `then`.
pub fn compare(now: &Standing, then: &Standing) -> Comparison {
    let gained = |now: &BTreeSet<String>, then: &BTreeSet<String>| -> Vec<String> {
        now.difference(then).cloned().collect()
    };
    let listeners_gained = gained(&now.listeners, &then.listeners);
    let listeners_lost = gained(&then.listeners, &now.listeners);
    let answers_gained = gained(&now.answers, &then.answers);
    let answers_lost = gained(&then.answers, &now.answers);
    let blockers_new = gained(&now.blockers, &then.blockers);
    let blockers_gone = gained(&then.blockers, &now.blockers);
    let programs_new = gained(&now.programs, &then.programs);
    let programs_gone = gained(&then.programs, &now.programs);
    // What a user wants first decides first.
    let better = |gained: usize, lost: usize| gained.cmp(&lost);
    let verdict = better(answers_gained.len(), answers_lost.len())
        .then(better(listeners_gained.len(), listeners_lost.len()))
        .then(better(then.crashes, now.crashes))
        .then(better(blockers_gone.len(), blockers_new.len()))
        .then(better(programs_new.len(), programs_gone.len()));
    let mut changes = Vec::new();
    differences(&then.config, &now.config, &mut String::new(), &mut changes);
    let first = |mut all: Vec<String>| {
        all.truncate(SHOWN);
        all
    };
    Comparison {
        verdict: match verdict {
            std::cmp::Ordering::Greater => "better",
            std::cmp::Ordering::Equal => SAME,
            std::cmp::Ordering::Less => "worse",
        },
        with: then.name.clone(),
        listeners_gained: first(listeners_gained),
        listeners_lost: first(listeners_lost),
        answers_gained: first(answers_gained),
        answers_lost: first(answers_lost),
        blockers_gone: first(blockers_gone),
        blockers_new: first(blockers_new),
        programs_new: first(programs_new),
        programs_gone: first(programs_gone),
        crashes: Some([then.crashes, now.crashes]),
        changes: first(changes),
    }
}

fn differences(then: &Value, now: &Value, path: &mut String, found: &mut Vec<String>) {
    if then == now || found.len() >= SHOWN {
        return;
    }
    let (Some(old), Some(new)) = (then.as_object(), now.as_object()) else {
        let short = |value: &Value| crate::blockers::cut(&value.to_string(), VALUE);
        found.push(format!("{path}: {} -> {}", short(then), short(now)));
        return;
    };
    let mut names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    if path.is_empty() {
        // What the patches say is told, and not that they are listed.
        names.retain(|name| *name != "patches");
    }
    for name in names {
        let length = path.len();
        if !path.is_empty() {
            path.push('.');
        }
        path.push_str(name);
        let of = |object: &Map<String, Value>| object.get(name).cloned().unwrap_or_default();
        differences(&of(old), &of(new), path, found);
        path.truncate(length);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn standing(listeners: &[&str], blockers: &[&str], crashes: usize) -> Standing {
        let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Standing {
            name: "/p/results/1".into(),
            listeners: set(listeners),
            answers: BTreeSet::new(),
            blockers: set(blockers),
            programs: BTreeSet::new(),
            crashes,
            crashed: BTreeSet::new(),
            stopped: BTreeSet::new(),
            config: json!({ "netdevs": listeners, "core": { "arch": "mipsel" } }),
        }
    }

    #[test]
    fn what_a_user_wants_first_decides_first() {
        let then = standing(&["httpd tcp 80"], &["br0"], 1);
        let verdict = |now: &Standing| compare(now, &then).verdict;
        assert_eq!(
            verdict(&standing(&["httpd tcp 80", "sshd tcp 22"], &["a", "b"], 3)),
            "better"
        );
        assert_eq!(verdict(&standing(&[], &[], 0)), "worse");
        assert_eq!(verdict(&standing(&["httpd tcp 80"], &["br0"], 0)), "better");
        assert_eq!(
            verdict(&standing(&["httpd tcp 80"], &["br0", "c"], 1)),
            "worse"
        );
        assert_eq!(verdict(&then), "same");
    }

    #[test]
    fn a_crash_is_a_loss_where_the_program_did_its_work_before() {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let then = Standing {
            programs: names(&["init", "rc", "httpd"]),
            stopped: names(&["rc"]),
            ..standing(&[], &["panel_rev"], 0)
        };
        let crashed = |program: &str| Standing {
            crashed: names(&[program]),
            ..standing(&[], &["landevs"], 1)
        };
        // It was held up before, or did not run.
        assert!(crashed("rc").has_all_of(&then) && crashed("upnpd").has_all_of(&then));
        assert!(!crashed("httpd").has_all_of(&then));
    }

    #[test]
    fn what_changed_between_the_runs_is_told() {
        let then = standing(&[], &["br0"], 0);
        let answer = compare(&standing(&["httpd tcp 80"], &[], 0), &then);
        assert_eq!(answer.changes, [r#"netdevs: [] -> ["httpd tcp 80"]"#]);
        assert_eq!(answer.blockers_gone, ["br0"]);
    }
}
