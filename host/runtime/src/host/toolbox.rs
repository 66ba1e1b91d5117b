//! `toolbox`: call other tools.

use std::sync::Arc;

use super::stand_in::stand_in;
use super::{HostError, HostResult, State};
use crate::host::bindings::toolbox;
use crate::host::called::Left;
use crate::limits::Limits;

impl toolbox::Host for State {
    async fn call(&mut self, name: String, arguments: String) -> HostResult<String> {
        stand_in!(self, "toolbox.call", name, arguments);
        self.count_host_call().map_err(HostError::Trap)?;
        let Some(toolbox) = self.toolbox.clone() else {
            let defect = "an instance without the means to call others called one";
            return Err(rookery_contract::Error::Internal(defect.to_owned()).into());
        };
        // A built-in caller may still be on its client's thread, where a called tool could keep
        // messages waiting: after a tick it goes on elsewhere.
        self.meter.tick();
        tokio::task::yield_now().await;
        let answer = toolbox.call(self.left(), &name, &arguments).await;
        // The called tool may have ended while it waited for a run, without the seat.
        let seated = self.chair.sit().await;
        seated.map_err(|closed| HostError::Trap(closed.into()))?;
        Ok(answer?)
    }
}

impl State {
    fn left(&self) -> Left {
        let (limits, held) = (&self.limits, self.memory.used());
        Left {
            limits: Limits {
                memory_bytes: limits.memory_bytes.saturating_sub(held),
                cpu: limits.cpu.saturating_sub(self.meter.cpu_now()),
                wall: limits.wall.saturating_sub(self.meter.wall.spent()),
                host_calls: limits.host_calls.saturating_sub(self.meter.host_calls()),
                output_bytes: limits.output_bytes,
                log_bytes: self.log.bytes_left(),
                argument_bytes: limits.argument_bytes,
            },
            meter: Arc::clone(&self.meter),
            memory_held: held,
            shares_memory: self.memory.is_shared(),
            chair: Arc::clone(&self.chair),
            log: self.log.of_called(self.log.tool()),
            progress: self.progress.sink(),
        }
    }
}
