//! Which runs there are.

use rookery_contract::shapes::RunStatus;

use crate::registry::Registry;

impl Registry {
    /// The status of every run whose state is kept: those under way first, then the newest. One
    /// whose state cannot be read is left out.
    pub fn list(&self) -> Vec<RunStatus> {
        let ids = self.store.ids().into_iter();
        let mut runs: Vec<(f64, RunStatus)> = ids
            .filter_map(|id| {
                let status = self.status(&id).ok()?;
                let started = self.store.open(&id).ok()?.recorded().ok()?.started;
                Some((started, status))
            })
            .collect();
        runs.sort_by(|(one, a), (other, b)| {
            let running = b.is_running().cmp(&a.is_running());
            running.then(other.total_cmp(one))
        });
        runs.into_iter().map(|(_, status)| status).collect()
    }
}
