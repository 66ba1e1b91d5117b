//! What is to be removed of what is there.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Duration;

use super::items::{Item, Kind};

/// How much is kept; none where nothing limits it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Limits {
    /// Results of each project.
    pub runs: Option<u64>,
    /// How old results may be.
    pub age: Option<Duration>,
    /// Bytes of all results.
    pub results: Option<u64>,
    /// Bytes of all caches.
    pub caches: Option<u64>,
}

impl Limits {
    /// Each item with the reason to remove it. Of a project's results the newest come first.
    pub fn judge(&self, items: Vec<Item>) -> Vec<(Item, Option<String>)> {
        let mut seen: HashMap<PathBuf, u64> = HashMap::new();
        let mut judged: Vec<(Item, Option<String>)> = items
            .into_iter()
            .map(|item| {
                let why = self.is_one_too_many(&item, &mut seen);
                (item, why)
            })
            .collect();
        // What is oldest goes first where all together is too large.
        judged.sort_by_key(|(item, _)| std::cmp::Reverse(item.age));
        shrink(&mut judged, self.results, |kind| *kind != Kind::Cache);
        shrink(&mut judged, self.caches, |kind| *kind == Kind::Cache);
        judged
    }

    fn is_one_too_many(&self, item: &Item, seen: &mut HashMap<PathBuf, u64>) -> Option<String> {
        let Kind::Results(project) = &item.kind else {
            return None;
        };
        let before = seen.entry(project.clone()).or_default();
        *before += 1;
        if item.needed {
            return None;
        }
        if let Some(runs) = self.runs.filter(|runs| *before > *runs) {
            return Some(format!("more than {runs} of its project"));
        }
        let too_old = self.age.is_some_and(|age| item.age > age);
        too_old.then(|| format!("{} days old", item.age.as_secs() / (24 * 3600)))
    }
}

/// Remove the oldest of a kind until the rest is no larger than `room`.
fn shrink(
    judged: &mut [(Item, Option<String>)],
    room: Option<u64>,
    of_kind: impl Fn(&Kind) -> bool,
) {
    let Some(room) = room else {
        return;
    };
    let kept = judged
        .iter()
        .filter(|(item, why)| why.is_none() && of_kind(&item.kind));
    let mut sum: u64 = kept.map(|(item, _)| item.bytes).sum();
    for (item, why) in judged {
        if sum > room && why.is_none() && !item.needed && of_kind(&item.kind) {
            sum = sum.saturating_sub(item.bytes);
            *why = Some("all together are too large".to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(name: &str, days: u64, bytes: u64) -> Item {
        let kind = match name.split_once('/') {
            Some((project, _)) => Kind::Results(project.into()),
            None => Kind::Cache,
        };
        Item {
            path: name.into(),
            kind,
            bytes,
            age: Duration::from_hours(days * 24),
            needed: name.ends_with('!'),
        }
    }

    fn removed(limits: &Limits, items: &[(&str, u64, u64)]) -> Vec<String> {
        let items = items
            .iter()
            .map(|(name, days, bytes)| item(name, *days, *bytes));
        let judged = limits.judge(items.collect()).into_iter();
        let gone = judged.filter(|(_, why)| why.is_some());
        gone.map(|(item, _)| item.path.display().to_string())
            .collect()
    }

    const ALL: [(&str, u64, u64); 5] = [
        ("a/3!", 1, 10),
        ("a/2", 2, 10),
        ("a/1!", 90, 10),
        ("b/0", 40, 10),
        ("cache", 50, 100),
    ];

    #[test]
    fn each_project_keeps_its_newest_and_what_is_needed() {
        let limits = |runs, days: Option<u64>| Limits {
            runs,
            age: days.map(|days| Duration::from_hours(days * 24)),
            ..Limits::default()
        };
        assert_eq!(removed(&limits(Some(1), None), &ALL), ["a/2"]);
        assert_eq!(removed(&limits(None, Some(30)), &ALL), ["b/0"]);
        assert_eq!(removed(&Limits::default(), &ALL), [""; 0]);
    }

    #[test]
    fn the_oldest_goes_first_where_all_together_is_too_large() {
        let limits = |results, caches| Limits {
            results,
            caches,
            ..Limits::default()
        };
        assert_eq!(removed(&limits(Some(30), None), &ALL), ["b/0"]);
        assert_eq!(removed(&limits(Some(0), None), &ALL), ["b/0", "a/2"]);
        assert_eq!(removed(&limits(None, Some(99)), &ALL), ["cache"]);
    }
}
