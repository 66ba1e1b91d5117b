//! Search in text files: what is found, how it is shown, and what ends a search.

mod edge;
use std::fmt::Write;
use std::fs;

use edge::{Results, Roots};
use rookery_project::{Cancel, Error};
use serde_json::{Value, json};

/// A result directory with one file.
fn with_file(name: &str, content: &[u8]) -> (tempfile::TempDir, Results) {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join(name), content).unwrap();
    let roots = Roots::new([dir.path().to_owned()]).unwrap();
    let results = roots.results(None, Some(".")).unwrap();
    (dir, results)
}

#[allow(clippy::needless_pass_by_value, reason = "reads better at the calls")]
fn search(results: &Results, pattern: &str, options: Value) -> Value {
    results
        .search("console.log", pattern, &options, &Cancel::default())
        .unwrap()
}

#[test]
fn matches_come_with_numbers_context_and_counts() {
    let mut log = String::new();
    for n in 1..=1000 {
        let word = if n % 10 == 0 { "ERROR" } else { "ok" };
        let _ = write!(log, "line {n} {word}\r\n");
    }
    let (_dir, results) = with_file("console.log", log.as_bytes());
    let found = search(
        &results,
        "error$",
        json!({"case_insensitive": true, "limit": 2, "context": 1}),
    );
    assert_eq!(
        (&found["total"], &found["lines"], &found["truncated"]),
        (&json!(100), &json!(1000), &json!(true))
    );
    assert_eq!(found["bytes"], log.len());
    assert_eq!(
        found["matches"][1],
        json!({
            "line": 1000,
            "text": "line 1000 ERROR",
            "cut": false,
            "before": ["line 999 ok"],
            "after": []
        })
    );
    assert_eq!(found["matches"][0]["after"], json!(["line 991 ok"]));
    let first = search(&results, "ERROR", json!({"from_end": false, "limit": 1}));
    assert_eq!(first["matches"][0]["line"], 10);
    let tail = search(&results, "", json!({"limit": 3}));
    assert_eq!(
        (&tail["total"], &tail["matches"][0]["text"]),
        (&json!(1000), &json!("line 998 ok"))
    );
    assert_eq!(search(&results, "never", Value::Null)["truncated"], false);
    assert_eq!(search(&results, "x", json!({"limit": 0}))["total"], 0);
}

#[test]
fn hostile_lines_are_escaped_cut_and_counted_once() {
    let mut log = b"\x1b[2Jclear \xff\n".to_vec();
    log.extend(std::iter::repeat_n(b'a', 3 << 20));
    log.extend_from_slice(b"needle");
    log.extend(std::iter::repeat_n(b'a', 1 << 20));
    log.extend_from_slice(b"\nlast");
    let (_dir, results) = with_file("console.log", &log);
    let found = search(&results, "clear", Value::Null);
    assert_eq!(found["matches"][0]["text"], "\\u{1b}[2Jclear \\xff");
    let needle = search(&results, "needle", json!({"max_line_bytes": 40}));
    assert_eq!((&needle["total"], &needle["lines"]), (&json!(1), &json!(3)));
    assert_eq!(needle["matches"][0]["cut"], true);
    assert!(
        needle["matches"][0]["text"]
            .as_str()
            .unwrap()
            .contains("needle"),
        "{needle}"
    );
    assert_eq!(
        search(&results, "a", Value::Null)["total"],
        3,
        "clear, the long line, last"
    );
}

#[test]
fn a_match_across_two_pieces_of_a_long_line_is_found() {
    for before in [(256 << 10) - 3, (448 << 10) - 3, 300 << 10] {
        let mut log = b"first\n".to_vec();
        log.extend(std::iter::repeat_n(b'x', before - 6));
        log.extend_from_slice(b"NEEDLE");
        log.extend(std::iter::repeat_n(b'y', 300_000));
        log.extend_from_slice(b"\nlast\n");
        let (_dir, results) = with_file("console.log", &log);
        let found = search(&results, "NEEDLE", Value::Null);
        assert_eq!(
            (
                &found["total"],
                &found["matches"][0]["line"],
                &found["lines"]
            ),
            (&json!(1), &json!(2), &json!(3)),
            "{before}"
        );
        assert_eq!(found["bytes"], log.len());
    }
}

#[test]
fn a_bad_pattern_a_slow_search_and_a_cancelled_one_end_clearly() {
    let (_dir, results) = with_file("console.log", &b"x\n".repeat(1 << 20));
    let error = results
        .search("console.log", "(", &Value::Null, &Cancel::default())
        .unwrap_err();
    assert!(
        matches!(&error, Error::InvalidArgument(m) if m.contains("regular expression")),
        "{error}"
    );
    let error = results
        .search("console.log", "a\nb", &Value::Null, &Cancel::default())
        .unwrap_err();
    assert!(matches!(error, Error::InvalidArgument(_)), "{error}");
    let error = results
        .search(
            "console.log",
            "x",
            &json!({"timeout_ms": 0}),
            &Cancel::default(),
        )
        .unwrap_err();
    assert!(matches!(error, Error::Limit(_)), "{error}");
    let cancel = Cancel::default();
    cancel.cancel();
    assert_eq!(
        results.search("console.log", "x", &Value::Null, &cancel),
        Err(Error::Cancelled)
    );
}

#[test]
fn the_middle_of_a_very_long_line_is_not_its_start() {
    // A long line is searched in pieces; the second one begins here.
    let mut log = vec![b'a'; (256 - 64) << 10];
    log.extend_from_slice(b"foo");
    log.extend(std::iter::repeat_n(b'b', 256 << 10));
    log.extend_from_slice(b"\nfoo\n");
    let (_dir, results) = with_file("console.log", &log);
    let start = search(&results, "^foo", Value::Null);
    assert_eq!(
        (&start["total"], &start["matches"][0]["line"]),
        (&json!(1), &json!(2))
    );
    for anywhere in ["foo", "afoob", "^aa*foo"] {
        let first = search(&results, anywhere, json!({"from_end": false}));
        assert_eq!(first["matches"][0]["line"], 1, "{anywhere}");
    }
    assert_eq!(search(&results, "", Value::Null)["total"], 2);
}

#[test]
fn only_the_ends_of_a_long_file_are_searched_and_lines_keep_their_numbers() {
    let mut log = String::new();
    for n in 1..=100_000 {
        let word = if [2, 50_000, 99_999].contains(&n) {
            "ERROR"
        } else {
            "ok"
        };
        let _ = writeln!(log, "line {n} {word}");
    }
    let (dir, results) = with_file("console.log", log.as_bytes());
    let lines = |found: &Value| {
        let matches = found["matches"].as_array().unwrap();
        let lines = matches.iter().map(|found| found["line"].as_u64().unwrap());
        lines.collect::<Vec<_>>()
    };
    let found = search(&results, "ERROR", json!({"ends_bytes": 4096}));
    assert_eq!(lines(&found), [2, 99_999]);
    assert_eq!(found["matches"][1]["text"], "line 99999 ERROR");
    assert_eq!(
        (&found["total"], &found["bytes"]),
        (&json!(2), &json!(log.len()))
    );
    assert!(
        found["lines"].as_u64().unwrap() < 1000,
        "those that were searched"
    );
    let newest = search(&results, "ERROR", json!({"ends_bytes": 4096, "limit": 1}));
    assert_eq!(
        (lines(&newest), &newest["total"]),
        (vec![99_999], &json!(2))
    );
    // A file that is not much longer is searched whole.
    let all = search(&results, "ERROR", json!({"ends_bytes": log.len() / 2}));
    assert_eq!(lines(&all), [2, 50_000, 99_999]);
    // The middle of a file that is one line is no line's beginning.
    fs::write(dir.path().join("console.log"), "x".repeat(3 << 20)).unwrap();
    let one = search(&results, "x", json!({"ends_bytes": 4096}));
    assert_eq!(lines(&one).last(), Some(&1));
}
