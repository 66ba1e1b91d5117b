//! What a start and a call cost. Printed, because a loaded machine proves little; asserted is only
//! what no load can turn around.

use std::fs;
use std::time::{Duration, Instant};

use crate::common::{Place, call, probe_that};
use serde_json::json;

#[test]
fn a_warm_start_of_twenty_one_plugins_costs_a_fraction_of_a_cold_one() {
    let place = Place::empty();
    for n in 0..21 {
        fs::write(
            place.plugin(&format!("probe_{n}.wasm")),
            probe_that(&format!("no_{n:02}")),
        )
        .unwrap();
    }
    let start = || {
        let start = Instant::now();
        let (runtime, report) = place.load("");
        let elapsed = start.elapsed();
        assert_eq!(
            (runtime.tools().len(), report.rejected.len()),
            (21, 0),
            "{:?}",
            report.rejected
        );
        elapsed
    };
    let cold = start();
    let warm = (0..20).map(|_| start()).min().unwrap();
    eprintln!("start with 21 plugins: cold {cold:.1?}, warm {warm:.1?}");
    assert!(warm * 4 < cold, "cold {cold:?}, warm {warm:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_costs_microseconds() {
    let (_place, runtime) = crate::common::runtime("");
    let mut times: Vec<Duration> = Vec::new();
    for _ in 0..1000 {
        let start = Instant::now();
        call(&runtime, json!({"do": "echo", "text": "hello"}))
            .await
            .unwrap();
        times.push(start.elapsed());
    }
    times.sort();
    eprintln!(
        "call in a fresh instance: p50 {:.1?}, p99 {:.1?}",
        times[500], times[990]
    );
    assert!(times[500] < Duration::from_millis(100), "{:?}", times[500]);
}
