//! What the fast readers give is what a slow and obvious one gives.

mod edge;
use std::fmt::Write;
use std::fs;

use edge::{Results, Roots};
use proptest::prelude::*;
use regex::bytes::RegexBuilder;
use rookery_project::Cancel;
use serde_json::{Value, json};

fn with_file(name: &str, content: &[u8]) -> (tempfile::TempDir, Results) {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join(name), content).unwrap();
    let results = Roots::new([dir.path().to_owned()])
        .unwrap()
        .results(None, Some("."))
        .unwrap();
    (dir, results)
}

/// Lines as the contract counts them: without their line end, and without an empty rest after the
/// last.
fn lines(content: &[u8]) -> Vec<&[u8]> {
    let mut lines: Vec<_> = content
        .split(|b| *b == b'\n')
        .map(|l| l.strip_suffix(b"\r").unwrap_or(l))
        .collect();
    if content.is_empty() || content.ends_with(b"\n") {
        lines.pop();
    }
    lines
}

const PATTERNS: [&str; 12] = [
    "a", "^b", "E$", "a.*b", "", "^$", "(a|b) E", r"\bE\b", "x*", "[^a]", r"\s", "aE|Ea",
];

const FILES: [&str; 7] = [
    "netbinds.csv",
    "nvram.csv",
    "mounts.csv",
    "bash_cov.csv",
    "health_final.yaml",
    "summary.json",
    "plugins.db",
];

fn state() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["listening", "closed"])
}

fn config() -> ProptestConfig {
    ProptestConfig {
        cases: 64,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn search_agrees_with_a_line_by_line_search(
        content in prop::collection::vec(prop_oneof![
            4 => prop::sample::select(&b"ab E\n"[..]),
            1 => any::<u8>(),
        ], 0..400),
        repeat in prop_oneof![9 => Just(1usize), 1 => Just(1500usize)],
        pattern in prop::sample::select(&PATTERNS[..]),
        from_end in any::<bool>(),
        insensitive in any::<bool>(),
        limit in 0usize..20,
    ) {
        // Repeated, the file is larger than what is searched at once. A lone CR is a matter of
        // taste, not of truth.
        let content: Vec<u8> = content.into_iter().filter(|b| *b != b'\r').collect();
        let content = content.repeat(repeat);
        let regex = RegexBuilder::new(pattern).case_insensitive(insensitive).build().unwrap();
        let lines = lines(&content);
        prop_assume!(lines.iter().all(|line| line.len() < 200_000));
        let matching = (1u64..).zip(&lines).filter(|(_, line)| regex.is_match(line));
        let matching: Vec<u64> = matching.map(|(n, _)| n).collect();
        let expected: Vec<u64> = if from_end {
            matching[matching.len() - limit.min(matching.len())..].to_vec()
        } else {
            matching.iter().copied().take(limit).collect()
        };

        let (_dir, results) = with_file("console.log", &content);
        let options = json!({
            "limit": limit,
            "from_end": from_end,
            "case_insensitive": insensitive
        });
        let found = results.search("console.log", pattern, &options, &Cancel::default()).unwrap();
        let matches = found["matches"].as_array().unwrap();
        let given: Vec<u64> = matches.iter().map(|m| m["line"].as_u64().unwrap()).collect();
        prop_assert_eq!(&found["total"], &json!(matching.len()), "{}", pattern);
        prop_assert_eq!(&found["lines"], &json!(lines.len()));
        prop_assert_eq!(given, expected);
    }

    #[test]
    fn any_process_name_keeps_the_columns_in_place(
        rows in prop::collection::vec(("[^\n\r]{0,20}", 1u16.., 0u32..99999, state()), 0..20),
    ) {
        let header = "procname,ipvn,domain,guest_ip,guest_port,pid,time,state,closed_time\n";
        let mut content = String::from(header);
        for (name, port, pid, state) in &rows {
            let _ = writeln!(content, "{name},4,tcp,0.0.0.0,{port},{pid},1.5,{state},");
        }
        let (_dir, results) = with_file("netbinds.csv", content.as_bytes());
        let table = results.read_csv("netbinds.csv", &Value::Null, &Cancel::default()).unwrap();
        prop_assert_eq!(&table["total"], &json!(rows.len()));
        for (row, (name, port, pid, state)) in table["rows"].as_array().unwrap().iter().zip(&rows) {
            prop_assert_eq!(&row["procname"], &json!(name));
            prop_assert_eq!(&row["guest_port"], &json!(port.to_string()));
            prop_assert_eq!(&row["pid"], &json!(pid.to_string()));
            prop_assert_eq!(&row["state"], &json!(state));
        }
    }

    #[test]
    fn junk_in_any_result_file_is_an_answer_or_an_error(
        content in prop::collection::vec(any::<u8>(), 0..2000),
    ) {
        for file in FILES {
            let (_dir, results) = with_file(file, &content);
            let _ = results.status().unwrap();
            let _ = results.read_csv(file, &Value::Null, &Cancel::default());
            let _ = results.read_yaml(file);
            let _ = results.read_text(file, -10, 100).unwrap();
            let sql = "SELECT * FROM event";
            let _ = results.query(sql, &Value::Null, &Value::Null, &Cancel::default());
        }
    }
}
