//! Takes its time and says how far it is: for progress, cancellation and benchmarks.

use std::time::Duration;

use rookery_plugin::{Log, Result, plugin, tool};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Deserialize, JsonSchema)]
struct Args {
    /// How many steps
    #[serde(default = "ten")]
    #[schemars(range(min = 1, max = 10000))]
    steps: u32,
    /// Milliseconds that each takes
    #[serde(default = "hundred")]
    #[schemars(range(min = 0, max = 10000))]
    step_ms: u32,
}

fn ten() -> u32 {
    10
}

fn hundred() -> u32 {
    100
}

#[derive(Serialize, JsonSchema)]
struct Slow {
    steps: u32,
}

/// Wait in steps and report progress after each, to test progress and cancellation.
#[tool(read_only, idempotent, example(steps = 3, step_ms = 100))]
fn slow(host: &impl Log, args: Args) -> Result<Slow> {
    for step in 1..=args.steps {
        std::thread::sleep(Duration::from_millis(args.step_ms.into()));
        host.progress(
            f64::from(step) / f64::from(args.steps),
            &format!("step {step} of {}", args.steps),
        );
    }
    Ok(Slow { steps: args.steps })
}

plugin!(slow);

#[cfg(test)]
mod tests {
    use rookery_plugin::testing::{FakeHost, call, check};
    use serde_json::json;

    use super::*;

    #[test]
    fn each_step_is_reported_and_the_last_is_the_end() {
        check::<slow>();
        let host = FakeHost::new();
        call::<slow>(&host, json!({ "steps": 4, "step_ms": 0 })).unwrap();
        let fractions: Vec<_> = host
            .calls("log.progress")
            .iter()
            .map(|call| call["fraction"].clone())
            .collect();
        assert_eq!(fractions, [0.25, 0.5, 0.75, 1.0]);
    }
}
