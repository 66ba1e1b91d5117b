//! `missing_env`

use std::collections::BTreeSet;

use rookery_diagnosis::missed_nvram;
use rookery_plugin::args::RunSelector;
use rookery_plugin::{
    Answer, Error, Next, Result, Results, RunResults, SearchOptions, optional, plugin, tool,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Names shown of each kind; the file has all.
const NAMES: usize = 100;
/// Bytes of the shortest name that is looked for on the console.
const SHORTEST: usize = 3;
/// Stands for a value that is looked for.
const MAGIC: &str = "DYNVALDYNVALDYNVAL";
/// Bytes read of `uboot.log`.
const LOG: u32 = 256 * 1024;

#[derive(Deserialize, JsonSchema)]
struct Args {
    #[serde(flatten)]
    run: RunSelector,
}

#[derive(Serialize, JsonSchema)]
struct Names {
    missing_env: Vec<String>,
    uboot: Vec<String>,
    nvram: Vec<String>,
    /// Of all kinds.
    total: usize,
    truncated: bool,
    file: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<Next>,
    /// What may be missing here, and that another run is newer.
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
}

/// List boot arguments, U-Boot variables and NVRAM keys that programs missed; `next` goes on. Then
/// `set_env`, `set_uboot_env` or `set_nvram`.
#[tool(
    read_only,
    idempotent,
    title = "Missing boot arguments",
    example(project_dir = "fw")
)]
fn missing_env(host: &impl Results, args: Args) -> Result<Answer<Names>> {
    Answer::from_result(read(host, &args))
}

fn read(host: &impl Results, args: &Args) -> Result<Names> {
    let run = host.open_results(&args.run)?;
    let env = run.read_yaml("env_missing.yaml");
    let uboot = optional(run.read_yaml("env_uboot.txt"))?.unwrap_or_default();
    let log = optional(run.read_text("uboot.log", 0, LOG))?;
    let mut uboot = names(&uboot);
    if let Some(log) = &log {
        uboot.extend(logged(&log.text));
    }
    let nvram = missed_nvram(&run)?;
    let status = run.status()?;
    let mut notes: Vec<String> = status.note.clone().into_iter().collect();
    // Each has a plugin of its own: one that was off does not hide what the other found.
    let env = match env {
        Err(Error::Unavailable(missing)) if log.is_some() || !nvram.is_empty() => {
            notes.push(format!(
                "Boot arguments are not known: {}. {}",
                missing.why, missing.how_to_enable
            ));
            BTreeSet::new()
        }
        env => names(&env?),
    };
    let complained = complained_of(&run, env.iter().chain(&uboot).chain(&nvram))?;
    if complained.is_none() && env.is_empty() && !nvram.is_empty() {
        notes.push(format!(
            "With {MAGIC} as its value, the next run's env_cmp.txt (read_results) lists what a \
             program compares it with."
        ));
    }
    Ok(Names {
        note: (!notes.is_empty()).then(|| notes.join(" ")),
        total: env.len() + uboot.len() + nvram.len(),
        truncated: [&env, &uboot, &nvram]
            .iter()
            .any(|names| names.len() > NAMES),
        next: match complained {
            Some(name) => Some(Next::call(
                "console",
                json!({ "results_dir": status.results_dir, "pattern": name }),
            )),
            None => nvram.first().filter(|_| env.is_empty()).map(|key| {
                let project = status.project_dir();
                let found = json!({ "project_dir": project, "key": key, "value": MAGIC });
                Next::call("set_nvram", found)
            }),
        },
        nvram: nvram.into_iter().take(NAMES).collect(),
        missing_env: env.into_iter().take(NAMES).collect(),
        uboot: uboot.into_iter().take(NAMES).collect(),
        file: status.path_of("env_missing.yaml"),
    })
}

/// The names of a list, sorted: Penguin writes them in no order. A name that looks like a number is
/// a name all the same.
fn names(list: &Value) -> BTreeSet<String> {
    list.as_array()
        .into_iter()
        .flatten()
        .filter_map(|name| match name {
            Value::String(text) => Some(text.clone()),
            Value::Number(_) | Value::Bool(_) => Some(name.to_string()),
            _ => None,
        })
        .collect()
}

/// The name that the console's newest line with one of these has: a program speaks of what it
/// cannot do without, and its words say what value it wants.
fn complained_of<'a>(
    run: &impl RunResults,
    names: impl Iterator<Item = &'a String>,
) -> Result<Option<&'a String>> {
    // Plain words only, so that each is its own pattern.
    let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    let plain = |name: &&String| name.len() >= SHORTEST && name.bytes().all(word);
    let names: Vec<&String> = names.filter(plain).take(NAMES).collect();
    if names.is_empty() {
        return Ok(None);
    }
    let any: Vec<&str> = names.iter().map(|name| name.as_str()).collect();
    let pattern = format!(r"\b({})\b", any.join("|"));
    let found = optional(run.search("console.log", &pattern, &SearchOptions::newest(1)))?;
    let line = found.and_then(|found| found.matches.into_iter().next());
    Ok(line.and_then(|line| {
        names
            .into_iter()
            .find(|name| line.text.contains(name.as_str()))
    }))
}

/// The names in `uboot.log`, one a line; `name=value` is a variable that was set.
fn logged(log: &str) -> impl Iterator<Item = String> {
    log.lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.contains('='))
        .map(str::to_owned)
}

plugin!(missing_env);

#[cfg(test)]
mod tests {
    use rookery_plugin::testing::{FakeHost, call, check};

    use super::*;

    #[test]
    fn its_definition_is_sound() {
        check::<missing_env>();
    }

    #[test]
    fn names_are_sorted_and_next_is_what_the_console_speaks_of() {
        let host = FakeHost::new()
            .yaml(
                "env_missing.yaml",
                json!(["sxid", "08", "DSA_HOME", "sxid"]),
            )
            .yaml("env_uboot.txt", json!(["bootcmd"]))
            .text(
                "console.log",
                "DSA_HOME: none\ndsad: sxid is not set\nmaxsxids 3\n",
            );
        let answer = call::<missing_env>(&host, json!({ "results_dir": "r" })).unwrap();
        assert_eq!(
            (&answer["missing_env"], &answer["uboot"], &answer["total"]),
            (
                &json!(["08", "DSA_HOME", "sxid"]),
                &json!(["bootcmd"]),
                &json!(4)
            )
        );
        assert_eq!(
            answer["next"],
            json!({
                "tool": "console",
                "arguments": { "results_dir": "/projects/fake/results/0", "pattern": "sxid" }
            })
        );
    }

    #[test]
    fn a_key_of_nvram_is_missing_that_nobody_set() {
        let csv = "key,operation,value\nlan_ifname,miss,\nwan,miss,\nwan,set,1\nlan,hit,\n";
        let host = FakeHost::new().text("nvram.csv", csv);
        let answer = call::<missing_env>(&host, json!({ "results_dir": "r" })).unwrap();
        assert_eq!(
            (&answer["nvram"], &answer["total"]),
            (&json!(["lan_ifname"]), &json!(1))
        );
        assert_eq!(answer["next"]["tool"], "set_nvram");
        assert_eq!(answer["next"]["arguments"]["key"], "lan_ifname");
        assert!(answer["note"].as_str().unwrap().contains("env_cmp.txt"));
    }

    #[test]
    fn without_a_word_of_it_nothing_comes_next() {
        let host = FakeHost::new()
            .yaml("env_missing.yaml", json!(["a.*b", "x", "sane"]))
            .text("console.log", "a b: x\ninsane\n");
        let answer = call::<missing_env>(&host, json!({ "results_dir": "r" })).unwrap();
        assert_eq!(answer.get("next"), None);
    }

    #[test]
    fn nothing_missing_is_said_so() {
        let answer = call::<missing_env>(
            &FakeHost::new().yaml("env_missing.yaml", json!([])),
            json!({ "project_dir": "p" }),
        )
        .unwrap();
        assert_eq!(
            (
                &answer["available"],
                &answer["missing_env"],
                &answer["total"]
            ),
            (&json!(true), &json!([]), &json!(0))
        );
    }

    #[test]
    fn a_run_that_did_not_record_them_says_how_to() {
        let answer = call::<missing_env>(&FakeHost::new(), json!({ "project_dir": "p" })).unwrap();
        assert_eq!(
            (&answer["available"], &answer["what"]),
            (&json!(false), &json!("env_missing.yaml"))
        );
    }

    #[test]
    fn what_the_uboot_plugin_logged_counts_too() {
        let log = FakeHost::new().text("uboot.log", "bootdelay\nsx_recovery\nbootcount=0\n");
        let both = log
            .clone()
            .yaml("env_missing.yaml", json!([]))
            .yaml("env_uboot.txt", json!(["bootcmd", "bootdelay"]));
        let answer = call::<missing_env>(&both, json!({ "project_dir": "p" })).unwrap();
        assert_eq!(
            answer["uboot"],
            json!(["bootcmd", "bootdelay", "sx_recovery"])
        );
        let alone = call::<missing_env>(&log, json!({ "project_dir": "p" })).unwrap();
        assert_eq!(alone["total"], 2);
        assert!(
            alone["note"]
                .as_str()
                .unwrap()
                .contains("Boot arguments are not known")
        );
    }

    #[test]
    fn a_file_of_another_shape_has_no_names() {
        let host = FakeHost::new()
            .yaml("env_missing.yaml", json!({ "a": 1 }))
            .yaml("env_uboot.txt", json!([["x"], 8]));
        let answer = call::<missing_env>(&host, json!({ "project_dir": "p" })).unwrap();
        assert_eq!(
            (&answer["missing_env"], &answer["uboot"]),
            (&json!([]), &json!(["8"]))
        );
    }

    #[test]
    fn a_directory_that_may_not_be_read_is_an_error() {
        let host = FakeHost::new().fail("results.open", Error::Denied("outside the roots".into()));
        assert!(matches!(
            call::<missing_env>(&host, json!({ "results_dir": "/etc" })),
            Err(Error::Denied(_))
        ));
    }
}
