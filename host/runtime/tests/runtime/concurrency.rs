//! Calls that come at once, and calls that nobody waits for any longer.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::common::{call, runtime, said, silent};
use rookery_runtime::FailureKind;
use serde_json::json;
use tokio_util::sync::CancellationToken;

#[tokio::test(flavor = "multi_thread")]
async fn cancelling_answers_at_once_and_frees_the_place_of_the_guest() {
    let (_place, runtime) = runtime("concurrent_calls = 1");
    said(&runtime, json!({"do": "echo"})).await;
    for what in ["loop", "sleep"] {
        let cancel = CancellationToken::new();
        let running = tokio::spawn({
            let (runtime, cancel) = (Arc::clone(&runtime), cancel.clone());
            async move {
                runtime
                    .call(
                        "probe",
                        &Arc::new(json!({"do": what, "n": 20_000})),
                        cancel,
                        silent(),
                    )
                    .await
            }
        });
        tokio::time::sleep(Duration::from_millis(100)).await;
        let asked = Instant::now();
        cancel.cancel();
        assert_eq!(
            running.await.unwrap().unwrap_err().kind,
            FailureKind::Cancelled
        );
        assert!(
            asked.elapsed() < Duration::from_millis(100),
            "{what}: {:?}",
            asked.elapsed()
        );
        assert_eq!(
            said(&runtime, json!({"do": "echo", "text": "next"})).await,
            "next"
        );
        assert!(
            asked.elapsed() < Duration::from_secs(5),
            "the guest is gone"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_call_stops_its_guest() {
    let (_place, runtime) = runtime("concurrent_calls = 1");
    said(&runtime, json!({"do": "echo"})).await;
    let dropped = tokio::time::timeout(
        Duration::from_millis(50),
        call(&runtime, json!({"do": "loop"})),
    )
    .await;
    assert!(dropped.is_err());
    let start = Instant::now();
    said(&runtime, json!({"do": "echo"})).await;
    assert!(
        start.elapsed() < Duration::from_secs(5),
        "{:?}",
        start.elapsed()
    );
}

#[tokio::test(flavor = "current_thread")]
async fn spinning_guests_hold_up_neither_the_server_nor_other_calls() {
    let (_place, runtime) = runtime("concurrent_calls = 8\ncpu_ms = 60000");
    said(&runtime, json!({"do": "echo"})).await;
    let cancel = CancellationToken::new();
    let spinners: Vec<_> = (0..4)
        .map(|_| {
            let (runtime, cancel) = (Arc::clone(&runtime), cancel.clone());
            tokio::spawn(async move {
                runtime
                    .call("probe", &Arc::new(json!({"do": "loop"})), cancel, silent())
                    .await
            })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(200)).await;
    let start = Instant::now();
    for _ in 0..20 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(
        start.elapsed() < Duration::from_secs(2),
        "twenty naps of 5 ms took {:?}",
        start.elapsed()
    );
    let start = Instant::now();
    said(&runtime, json!({"do": "echo"})).await;
    assert!(
        start.elapsed() < Duration::from_secs(2),
        "a call among spinners took {:?}",
        start.elapsed()
    );
    cancel.cancel();
    for spinner in spinners {
        assert_eq!(
            spinner.await.unwrap().unwrap_err().kind,
            FailureKind::Cancelled
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_that_come_at_once_wait_for_each_other_and_are_all_answered() {
    let (_place, runtime) = runtime("concurrent_calls = 2");
    let calls: Vec<_> = (0..120)
        .map(|n| {
            let runtime = Arc::clone(&runtime);
            tokio::spawn(async move {
                said(&runtime, json!({"do": "echo", "text": n.to_string()})).await
            })
        })
        .collect();
    for (n, call) in calls.into_iter().enumerate() {
        assert_eq!(call.await.unwrap(), n.to_string());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_calls_are_told_to_come_back() {
    let (_place, runtime) = runtime("concurrent_calls = 1");
    said(&runtime, json!({"do": "echo"})).await;
    let busy = Arc::new(AtomicUsize::new(0));
    let cancel = CancellationToken::new();
    let calls: Vec<_> = (0..300)
        .map(|_| {
            let (runtime, busy, cancel) = (Arc::clone(&runtime), Arc::clone(&busy), cancel.clone());
            tokio::spawn(async move {
                let failure = runtime
                    .call(
                        "probe",
                        &Arc::new(json!({"do": "sleep", "n": 20_000})),
                        cancel,
                        silent(),
                    )
                    .await
                    .unwrap_err();
                if failure.kind == FailureKind::Busy {
                    assert!(failure.message.contains("Try again"));
                    busy.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(300)).await;
    cancel.cancel();
    for call in calls {
        call.await.unwrap();
    }
    assert_eq!(busy.load(Ordering::Relaxed), 300 - 256);
}
