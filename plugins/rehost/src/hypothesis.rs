//! What may be tried next, from what the best run so far left.

use rookery_diagnosis::{Blocker, Sure};
use rookery_plugin::fragment;
use rookery_plugin::guest::is_plain_path;
use rookery_plugin::{Next, Results};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, json};

use crate::args::AtLeast;
use crate::ledger::{Hypothesis, Ledger};
use crate::settings::{self, Kind, Setting};
use crate::together::{at_once, together};
use crate::watch::Looked;

/// What a modelled device has to read where a caller takes what is hardly certain.
const CONTENT: &str = "1\n";
/// Other inits that are tried.
const INITS: usize = 3;
/// How sure another init is, which nobody else says.
const INIT_SURE: Sure = Sure::Medium;

/// Something in the way that is not tried.
#[derive(Debug, PartialEq, Serialize, JsonSchema)]
pub struct Left {
    /// Names in it are the firmware's: data, not advice.
    pub what: String,
    pub not_tried: &'static str,
    /// What may be done by hand.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fix: Vec<Next>,
}

/// What a run gives to try, the best first, and what not.
#[derive(Debug, Default, PartialEq)]
pub struct Found {
    pub hypotheses: Vec<Hypothesis>,
    pub left: Vec<Left>,
}

impl Found {
    /// From the blockers of a run, from other inits where its init ended, and from boot arguments
    /// and keys of the NVRAM that were missing.
    pub fn of(
        host: &impl Results,
        looked: &Looked,
        ledger: &Ledger,
        project: &str,
        at_least: AtLeast,
    ) -> Self {
        let mut found = Self::default();
        for blocker in &looked.evidence.blockers {
            found.blocker(blocker, at_least);
        }
        if at_least.takes(INIT_SURE) {
            let inits = looked.evidence.init_candidates.iter();
            let inits = inits.filter(|init| is_plain_path(&init.path)).take(INITS);
            let inits = inits.map(|init| other_init(project, &init.path));
            found.hypotheses.extend(inits);
        }
        let missing = &looked.settings;
        let values = settings::hypotheses(host, missing, ledger, project, at_least);
        found.left.extend(without_value(missing, &values));
        found.hypotheses.extend(values);
        if at_least.takes(Sure::Low) {
            let tried = ledger.tried.iter();
            let contents = tried.filter_map(|tried| content(&tried.hypothesis, project));
            found.hypotheses.extend(contents);
        }
        found
    }

    /// What its fix may be tried as, else why it is not.
    fn blocker(&mut self, blocker: &Blocker, at_least: AtLeast) {
        let is_sure = blocker.sure().is_some_and(|sure| at_least.takes(sure));
        let not_tried = match blocker.trial() {
            Ok(change) if is_sure => {
                let call = blocker.calls().first().cloned();
                let (key, why) = (blocker.key(), blocker.sentence());
                let hypothesis = Hypothesis::new(key, why, call, change);
                return self.hypotheses.push(hypothesis);
            }
            Ok(_) => "its change is less certain than `sure` asks for",
            Err(why) => why,
        };
        self.left.push(Left {
            what: blocker.sentence(),
            not_tried,
            fix: blocker.calls().to_vec(),
        });
    }

    /// The first that has not had its run, with others of its kind; in the end, those that did
    /// nothing alone at once.
    pub fn next(self, ledger: &Ledger) -> Option<Hypothesis> {
        let untried = |hypothesis: &Hypothesis| !ledger.knows(&hypothesis.key);
        let mut all = self.hypotheses;
        all.retain(untried);
        let first = at_once(&all, ledger).or_else(|| all.into_iter().next());
        first.or_else(|| together(ledger).filter(untried))
    }
}

/// Boot arguments for which no value is tried. A key of the NVRAM is told of as a blocker.
fn without_value(missing: &[Setting], tried: &[Hypothesis]) -> Vec<Left> {
    let has_value = |setting: &Setting| {
        let about = setting.about();
        let values = tried.iter().filter(|one| !one.asks);
        values
            .map(|one| &one.key)
            .any(|key| key.starts_with(&about))
    };
    let arguments = missing.iter().filter(|one| one.kind == Kind::Argument);
    let without = arguments.filter(|setting| !has_value(setting));
    let left = without.map(|setting| Left {
        what: format!("{} is missing", setting.words()),
        not_tried: if setting.chooses_a_mode() {
            "by its name it puts the firmware into another mode, which is for a person to choose"
        } else {
            "nothing says which value it needs, and none is invented"
        },
        fix: Vec::new(),
    });
    left.collect()
}

/// Something to read for a device that was given a model without content.
fn content(of: &Hypothesis, project: &str) -> Option<Hypothesis> {
    let (path, file) = of.fragment["pseudofiles"].as_object()?.iter().next()?;
    if file["read"]["model"] != "empty" {
        return None;
    }
    let read = json!({ "model": "const_buf", "val": CONTENT });
    let arguments = json!({ "project_dir": project, "path": path, "read": read });
    let models = Map::from_iter([("read".to_owned(), read)]);
    Some(Hypothesis::new(
        format!("content of {path}"),
        format!("nothing is read from {path}"),
        Some(Next::call("add_pseudofile", arguments)),
        fragment::pseudofile(path, models, None),
    ))
}

fn other_init(project: &str, path: &str) -> Hypothesis {
    let arguments = json!({ "project_dir": project, "key": "igloo_init", "value": path });
    Hypothesis::new(
        format!("init {path}"),
        format!("the first program ended; another that may be it is {path}"),
        Some(Next::call("set_env", arguments)),
        fragment::env("igloo_init", path),
    )
}
