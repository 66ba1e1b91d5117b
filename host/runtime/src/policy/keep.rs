//! What the policy says of what is kept on the disk.

use std::time::Duration;

use serde::Deserialize;

/// `[keep]`: the quota of `rookery prune`, where its command line says nothing else. What is left
/// out is not limited.
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
    /// How old results may be.
    pub fn age(&self) -> Option<Duration> {
        let days = self.days?;
        Some(Duration::from_secs(days.saturating_mul(24 * 3600)))
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
        assert_eq!(keep.age().unwrap().as_secs(), 86_400);
        assert_eq!(keep.results_mib, None);
        let error = Policy::from_toml("[keep]\nrun = 5").unwrap_err();
        assert!(error.to_string().contains("unknown field `run`"), "{error}");
    }
}
