//! `emulation`: run a project.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::{HostError, HostResult, State, parse_object};
use crate::bindings::emulation;
use crate::meter::WallClock;

/// How often progress is reported while a guest waits for a run.
const SLICE: Duration = Duration::from_secs(1);

impl emulation::Host for State {
    async fn start(&mut self, project: String, options: String) -> HostResult<String> {
        self.blocking("emulation.start", move |host, _| {
            let options = parse_object("options", &options)?;
            host.runs.start(&host.roots.project(&project)?, &options)
        })
        .await
    }

    async fn status(&mut self, run: String) -> HostResult<String> {
        self.json("emulation.status", move |host, _| host.runs.status(&run))
            .await
    }

    async fn wait(&mut self, run: String, milliseconds: u32) -> HostResult<String> {
        // A guest that waits uses nothing: neither its wall clock nor a seat.
        let paused = WallClock::pause(&self.meter);
        drop(self.seat.take());
        let status = self
            .wait_in_slices(run, Duration::from_millis(milliseconds.into()))
            .await;
        let seat = self.share.seat().await;
        self.seat = Some(seat.map_err(|closed| HostError::Trap(closed.into()))?);
        drop(paused);
        Ok(status?.to_string())
    }

    async fn stop(&mut self, run: String) -> HostResult<String> {
        self.json("emulation.stop", move |host, _| host.runs.stop(&run))
            .await
    }
}

impl State {
    async fn wait_in_slices(&mut self, run: String, total: Duration) -> HostResult<Value> {
        let end = Instant::now() + total;
        self.count_host_call().map_err(HostError::Trap)?;
        loop {
            let slice = end.saturating_duration_since(Instant::now()).min(SLICE);
            let id = run.clone();
            let status = self
                .uncounted("emulation.wait", move |host, cancel| {
                    host.runs.wait(&id, slice, cancel)
                })
                .await?;
            if status.get("status").and_then(Value::as_str) != Some("running")
                || Instant::now() >= end
            {
                return Ok(status);
            }
            self.report(&status);
        }
    }

    /// Tell the client how far the run is.
    fn report(&mut self, status: &Value) {
        let seconds = |key| status.get(key).and_then(Value::as_f64);
        let (Some(elapsed), Some(timeout)) = (seconds("elapsed_s"), seconds("timeout_s")) else {
            return;
        };
        let phase = status
            .get("phase")
            .and_then(Value::as_str)
            .unwrap_or("running");
        let fraction = if timeout > 0.0 {
            (elapsed / timeout).clamp(0.0, 1.0)
        } else {
            0.0
        };
        self.progress.report(
            fraction,
            &format!("{phase}: {elapsed:.0} of at most {timeout:.0} s"),
        );
    }
}
