//! What the policy says of what is kept on the disk.

use std::time::Duration;

use rookery_runs::keeping::Limits;
use serde::Deserialize;

/// `[keep]`: the quota that holds whenever a run begins, and of `rookery prune`, where its command
/// line says nothing else. What is left out is not limited.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Keep {
    /// How many results of each project.
    pub runs: Option<u64>,
    /// How many days results are kept.
    pub days: Option<u64>,
    /// MiB of all results.
    pub results_mib: Option<u64>,
    /// MiB of all caches.
    pub cache_mib: Option<u64>,
}

impl Keep {
    /// The same in the units that are counted.
    pub fn limits(&self) -> Limits {
        let mib = |mib: Option<u64>| mib.map(|mib| mib.saturating_mul(1 << 20));
        let days = |days: u64| Duration::from_secs(days.saturating_mul(24 * 3600));
        Limits {
            runs: self.runs,
            age: self.days.map(days),
            results: mib(self.results_mib),
            caches: mib(self.cache_mib),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Policy;

    #[test]
    fn the_quota_is_the_operators() {
        let policy = Policy::from_toml("[keep]\nruns = 5\ndays = 1\ncache_mib = 9").unwrap();
        let keep = policy.keep();
        assert_eq!((keep.runs, keep.cache_mib), (Some(5), Some(9)));
        assert_eq!(keep.limits().age.unwrap().as_secs(), 86_400);
        assert_eq!(keep.limits().caches, Some(9 << 20));
        assert_eq!(keep.results_mib, None);
        let error = Policy::from_toml("[keep]\nrun = 5").unwrap_err();
        assert!(error.to_string().contains("unknown field `run`"), "{error}");
    }
}
