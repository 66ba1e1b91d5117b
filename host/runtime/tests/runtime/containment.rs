//! Whatever a guest does ends its own call, with an error that helps, and nothing else.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::common::{call, fails, runtime, said, silent};
use rookery_runtime::FailureKind;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

#[tokio::test(flavor = "multi_thread")]
async fn resources_that_are_held_are_counted_and_the_failure_says_how_many() {
    let (place, runtime) = runtime("");
    let results = place.dir.path().join("root/router/results/0");
    std::fs::create_dir_all(&results).unwrap();
    std::fs::write(
        place.dir.path().join("root/router/config.yaml"),
        "core: {}\n",
    )
    .unwrap();
    std::fs::write(results.join("console.log"), "one\n").unwrap();
    let leak = |n: u64| json!({"do": "leak", "project": "router", "n": n});
    assert_eq!(said(&runtime, leak(100)).await, "leaked");
    let failure = fails(&runtime, leak(5000)).await;
    assert_eq!(failure.kind, FailureKind::ResourceBudget);
    assert!(
        failure.message.contains("more than 1024 resources"),
        "{}",
        failure.message
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_gets_a_fresh_instance_and_reports_what_it_used() {
    let (_place, runtime) = runtime("");
    let success = call(&runtime, json!({"do": "echo", "text": "hello"}))
        .await
        .unwrap();
    assert_eq!(success.output, json!({"said": "hello"}));
    assert!(
        success.usage.memory_bytes > 0 && success.usage.output_bytes == 16,
        "{:?}",
        success.usage
    );
    assert!(
        success.usage.host_calls == 0 && success.usage.wall_ms < 5000,
        "{:?}",
        success.usage
    );
    assert_eq!(said(&runtime, json!({"do": "name"})).await, "probe");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_is_told_in_its_own_words() {
    let (_place, runtime) = runtime("");
    let failure = fails(&runtime, json!({"do": "panic", "n": 42})).await;
    assert_eq!(failure.kind, FailureKind::Trap);
    assert!(
        failure.message.contains("bad thing 42") && failure.message.contains("`probe` crashed"),
        "{}",
        failure.message
    );
    assert!(
        !failure.message.contains("0x") && !failure.message.contains("RUST_BACKTRACE"),
        "{}",
        failure.message
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_loop_ends_with_its_cpu_budget() {
    let (_place, runtime) = runtime("cpu_ms = 200");
    let start = Instant::now();
    let failure = fails(&runtime, json!({"do": "loop"})).await;
    assert_eq!(failure.kind, FailureKind::CpuBudget);
    assert!(
        failure.message.contains("200 ms") && failure.message.contains("cpu_ms = 400"),
        "{}",
        failure.message
    );
    assert!(
        (200..400).contains(&failure.usage.cpu_ms),
        "{:?}",
        failure.usage
    );
    assert!(start.elapsed() < Duration::from_secs(10));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sleeper_ends_with_its_wall_budget() {
    let (_place, runtime) = runtime("wall_ms = 200");
    let failure = fails(&runtime, json!({"do": "sleep", "n": 60_000})).await;
    assert_eq!(failure.kind, FailureKind::WallBudget);
    assert!(failure.message.contains("200 ms"), "{}", failure.message);
    assert!(
        failure.usage.cpu_ms < 150,
        "sleeping is no CPU time: {:?}",
        failure.usage
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_ends_at_its_budget_and_a_careful_guest_can_see_it_coming() {
    let (_place, runtime) = runtime("memory_mib = 32");
    let failure = fails(&runtime, json!({"do": "allocate"})).await;
    assert_eq!(failure.kind, FailureKind::MemoryBudget);
    assert!(failure.message.contains("32 MiB"), "{}", failure.message);
    assert!(
        failure.usage.memory_bytes <= 32 << 20,
        "{:?}",
        failure.usage
    );
    assert_eq!(
        said(&runtime, json!({"do": "reserve", "n": 64 << 20})).await,
        "false"
    );
    assert_eq!(
        said(&runtime, json!({"do": "reserve", "n": 1 << 20})).await,
        "true"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn endless_recursion_and_exit_are_told_apart() {
    let (_place, runtime) = runtime("");
    let failure = fails(&runtime, json!({"do": "recurse"})).await;
    assert_eq!(failure.kind, FailureKind::Trap);
    assert!(
        failure.message.contains("recursed too deeply"),
        "{}",
        failure.message
    );
    let failure = fails(&runtime, json!({"do": "exit"})).await;
    assert_eq!(failure.kind, FailureKind::Trap);
    assert!(
        failure.message.contains("ended itself"),
        "{}",
        failure.message
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_is_not_handed_on() {
    let (_place, runtime) = runtime("");
    for (what, words) in [
        ("not_json", "not JSON"),
        ("not_an_object", "not a JSON object"),
        ("other_shape", "`said` is 7, and must be a string"),
    ] {
        let failure = fails(&runtime, json!({"do": what})).await;
        assert_eq!(failure.kind, FailureKind::MalformedOutput, "{what}");
        assert!(failure.message.contains(words), "{}", failure.message);
    }
    assert_eq!(
        call(&runtime, json!({"do": "nulls"})).await.unwrap().output,
        json!({"said": "x"})
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn output_ends_at_its_budget() {
    let (_place, runtime) = runtime("output_kib = 100");
    assert_eq!(
        said(&runtime, json!({"do": "big", "n": 90_000}))
            .await
            .len(),
        90_000
    );
    for bytes in [110_000, 40 << 20] {
        assert_eq!(
            fails(&runtime, json!({"do": "big", "n": bytes})).await.kind,
            FailureKind::OutputBudget,
            "{bytes}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_words_is_cut_and_harms_nobody() {
    let (_place, runtime) = runtime("");
    assert_eq!(
        said(&runtime, json!({"do": "stderr", "n": 20_000})).await,
        "flooded"
    );
    assert_eq!(
        said(&runtime, json!({"do": "log", "n": 50_000})).await,
        "logged"
    );
    let failure = fails(&runtime, json!({"do": "stderr_then_panic", "n": 20_000})).await;
    assert!(
        failure.message.contains("after the flood") && failure.message.len() < 2000,
        "{}",
        failure.message
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn progress_is_clean_and_every_report_is_handed_on() {
    let (_place, runtime) = runtime("");
    let reports: Arc<Mutex<Vec<(f64, String)>>> = Arc::default();
    let sink = Arc::clone(&reports);
    let progress = Arc::new(move |fraction, words| sink.lock().unwrap().push((fraction, words)));
    runtime
        .call(
            "probe",
            &Arc::new(json!({"do": "progress", "n": 1000})),
            CancellationToken::new(),
            Some(progress),
        )
        .await
        .unwrap();
    let reports = reports.lock().unwrap();
    assert_eq!(reports.len(), 1000);
    assert_eq!(reports[0], (0.0, "half\\u{202e}way".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_machine_is_not_there() {
    let (_place, runtime) = runtime("");
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    assert!(
        said(&runtime, json!({"do": "read_file", "text": "/etc/passwd"}))
            .await
            .starts_with("Err")
    );
    assert!(
        said(&runtime, json!({"do": "connect", "text": address}))
            .await
            .starts_with("Err")
    );
    assert_eq!(said(&runtime, json!({"do": "environment"})).await, "0 0");
    listener.set_nonblocking(true).unwrap();
    assert!(listener.accept().is_err(), "nobody came");
}

#[tokio::test(flavor = "multi_thread")]
async fn host_calls_end_at_their_budget() {
    let (_place, runtime) = runtime("host_calls = 5");
    let success = call(&runtime, json!({"do": "host_calls", "n": 5}))
        .await
        .unwrap();
    assert_eq!(success.usage.host_calls, 5);
    let failure = fails(&runtime, json!({"do": "host_calls", "n": 6})).await;
    assert_eq!(failure.kind, FailureKind::HostCallBudget);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_host_function_answers_or_fails_as_an_error_of_the_call() {
    let (place, runtime) = runtime("");
    let project = place.dir.path().join("root/none");
    let functions = [
        "config.effective",
        "config.lookup",
        "config.patch",
        "config-mutation.apply",
        "config-mutation.remove",
        "config-mutation.reset",
        "creation.init-project",
        "results.open",
        "results.status",
        "results.search",
        "results.query",
        "firmware.open",
        "firmware.stat",
        "emulation.start",
        "emulation.status",
        "emulation.wait",
        "emulation.stop",
        "live.capabilities",
        "live.command",
        "live.reach",
        "live.hook",
        "live.snapshot",
    ];
    for function in functions {
        let arguments = json!({
            "do": "host",
            "text": function,
            "project": project,
            "run": "none",
            "options": "{}",
            "n": 10
        });
        let failure = call(&runtime, arguments).await.expect_err(function);
        assert!(
            !matches!(
                failure.kind,
                FailureKind::Trap
                    | FailureKind::WallBudget
                    | FailureKind::CpuBudget
                    | FailureKind::UnknownTool
                    | FailureKind::Busy
            ),
            "{function}: {failure:?}"
        );
    }
    assert_eq!(
        said(&runtime, json!({"do": "echo", "text": "x"})).await,
        "x"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn options_that_are_no_json_are_an_invalid_argument() {
    let (_place, runtime) = runtime("");
    for function in [
        "config-mutation.remove",
        "emulation.start",
        "creation.init-project",
    ] {
        let failure = fails(
            &runtime,
            json!({"do": "host", "text": function, "project": "p", "options": "{dry"}),
        )
        .await;
        assert_eq!(failure.kind, FailureKind::InvalidArgument, "{function}");
        assert!(
            failure.message.contains("options is not JSON"),
            "{}",
            failure.message
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_of_a_tool_keep_their_kind_and_lose_their_escape_sequences() {
    let (_place, runtime) = runtime("");
    for kind in [
        "invalid-argument",
        "not-found",
        "unavailable",
        "conflict",
        "denied",
        "limit",
        "cancelled",
        "backend",
        "internal",
        "other",
    ] {
        let failure = call(&runtime, json!({"do": "fail", "text": kind}))
            .await
            .expect_err(kind);
        assert_eq!(failure.kind.to_string(), kind);
        assert!(!failure.message.contains('\u{1b}'), "{}", failure.message);
    }
    let failure = call(&runtime, json!({"do": "fail", "text": "unavailable"}))
        .await
        .unwrap_err();
    assert_eq!(
        failure.message,
        "plugins.db is not available: no logger. Turn it on."
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn arguments_are_checked_bounded_and_freed_of_idle_nulls() {
    let (_place, runtime) = runtime("argument_kib = 1");
    assert_eq!(
        runtime
            .check_arguments("probe", &Arc::new(json!({"n": -1, "txt": "x"})))
            .await,
        [
            "`n` is -1, and must be at least 0",
            "`txt` is not known; allowed are `do`, `text`, `n`, `project`, `run`, `options`; did \
             you mean `text`?",
            "`do` is missing: What to do.",
        ]
    );
    let arguments = Arc::new(json!({"do": "arguments", "text": null, "n": null}));
    assert!(
        runtime
            .check_arguments("probe", &arguments)
            .await
            .is_empty()
    );
    assert_eq!(
        said(&runtime, Value::clone(&arguments)).await,
        r#"{"do":"arguments"}"#
    );
    let failure = fails(&runtime, json!({"do": "echo", "text": "x".repeat(2000)})).await;
    assert_eq!(failure.kind, FailureKind::Limit);
}

#[tokio::test]
async fn an_unknown_tool_is_told_with_the_nearest_name() {
    let (_place, runtime) = runtime("");
    let failure = runtime
        .call(
            "prob",
            &Arc::new(json!({})),
            CancellationToken::new(),
            silent(),
        )
        .await
        .unwrap_err();
    assert_eq!(failure.kind, FailureKind::UnknownTool);
    assert!(
        failure.message.contains("Did you mean `probe`?"),
        "{}",
        failure.message
    );
}
