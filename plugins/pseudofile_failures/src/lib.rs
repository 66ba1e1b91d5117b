//! `pseudofile_failures`

mod failure;

use rookery_plugin::answer::{USUAL_BYTES, fitting};
use rookery_plugin::args::RunSelector;
use rookery_plugin::{Answer, Next, Result, Results, RunResults, plugin, tool};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::failure::Failure;

/// Paths shown; the file has all.
const PATHS: usize = 10;

#[derive(Deserialize, JsonSchema)]
struct Args {
    #[serde(flatten)]
    run: RunSelector,
}

#[derive(Serialize, JsonSchema)]
struct Ranked {
    /// Those of most impact first.
    pseudofile_failures: Vec<Failure>,
    total: usize,
    truncated: bool,
    /// Paths that only `sysctl` tried, as it tries all of its list: left out.
    #[serde(skip_serializing_if = "is_zero")]
    harmless: usize,
    file: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<Next>,
    /// That another run is newer.
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
}

/// List /dev, /proc and /sys paths that programs failed to use, worst first. Gives `hits`,
/// `callers`, `events` and `suggest`: arguments for `add_pseudofile`, a first guess. Next:
/// `add_pseudofile`.
#[tool(
    read_only,
    idempotent,
    title = "Missing devices",
    example(project_dir = "fw")
)]
fn pseudofile_failures(host: &impl Results, args: Args) -> Result<Answer<Ranked>> {
    Answer::from_result(read(host, &args))
}

/// The paths of most impact of those that were added: a guest that tries names can make any
/// number.
#[derive(Default)]
struct Worst {
    failures: Vec<Failure>,
    total: usize,
    harmless: usize,
}

impl Worst {
    fn add(&mut self, failure: Failure) {
        if failure.only_sysctl() {
            self.harmless += 1;
            return;
        }
        self.total += 1;
        self.failures.push(failure);
        if self.failures.len() > 8 * PATHS {
            self.sort();
        }
    }

    fn sort(&mut self) {
        let worse =
            |a: &Failure, b: &Failure| b.impact.cmp(&a.impact).then_with(|| a.path.cmp(&b.path));
        self.failures.sort_by(worse);
        self.failures.truncate(PATHS);
    }

    fn into_sorted(mut self) -> Vec<Failure> {
        self.sort();
        self.failures
    }
}

fn read(host: &impl Results, args: &Args) -> Result<Ranked> {
    let run = host.open_results(&args.run)?;
    let status = run.status()?;
    let project = args.run.project_dir.as_deref().or(status.project_dir());
    let mut worst = Worst::default();
    run.each_entry("pseudofiles_failures.yaml", &mut |path, entry| {
        worst.add(Failure::read(&path, &entry, project));
    })?;
    let (total, harmless) = (worst.total, worst.harmless);
    let mut failures = worst.into_sorted();
    let kept = fitting(failures.iter(), USUAL_BYTES);
    failures.truncate(kept);
    let interface = failures
        .iter()
        .find_map(|failure| failure.interface.as_deref());
    Ok(Ranked {
        truncated: kept < total,
        harmless,
        next: project.zip(interface).map(|(project, name)| {
            Next::call(
                "add_netdev",
                json!({ "project_dir": project, "name": name }),
            )
        }),
        pseudofile_failures: failures,
        total,
        file: status.path_of("pseudofiles_failures.yaml"),
        note: status.note,
    })
}

#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_zero(number: &usize) -> bool {
    *number == 0
}

plugin!(pseudofile_failures);

#[cfg(test)]
mod tests {
    use rookery_plugin::testing::{FakeHost, call, check};
    use serde_json::{Map, Value, json};

    use super::*;

    fn recorded() -> Value {
        json!({
            "/sys/a": {
                "impact": {
                    "hits": 900,
                    "distinct_callers": 2,
                    "crashing_callers": 0,
                    "crashing_callers_by_name": 0
                },
                "events": { "open": { "count": 900 } }
            },
            "/dev/dsa": {
                "impact": {
                    "hits": 12,
                    "distinct_callers": 1,
                    "crashing_callers": 1,
                    "crashing_callers_by_name": 0
                },
                "callers": ["dsad:412"],
                "events": { "open": { "count": 12 } },
                "suggest": { "read": { "model": "zero" }, "write": { "model": "discard" } }
            },
            "/dev/watchdog": {
                "impact": {
                    "hits": 10,
                    "distinct_callers": 1,
                    "crashing_callers": 1,
                    "crashing_callers_by_name": 0
                },
                "events": {
                    "ioctl": { "2147768069": { "count": 7 }, "1074029569": { "count": 3 } },
                    "default_read": { "count": 2, "details": [] }
                },
                "suggest": { "ioctl": { "*": { "model": "return_const", "val": 0 } } }
            }
        })
    }

    #[test]
    fn its_definition_is_sound() {
        check::<pseudofile_failures>();
    }

    #[test]
    fn what_crashes_programs_comes_first_with_arguments_to_fix_it() {
        let host = FakeHost::new().yaml("pseudofiles_failures.yaml", recorded());
        let answer =
            call::<pseudofile_failures>(&host, json!({ "project_dir": "router" })).unwrap();
        let failures = answer["pseudofile_failures"].as_array().unwrap();
        let paths: Vec<_> = failures.iter().map(|failure| &failure["path"]).collect();
        assert_eq!(paths, ["/dev/dsa", "/dev/watchdog", "/sys/a"]);
        assert_eq!(
            failures[0]["suggest"],
            json!({
                "project_dir": "router",
                "path": "/dev/dsa",
                "read": { "model": "zero" },
                "write": { "model": "discard" }
            })
        );
        assert_eq!(
            failures[1]["events"],
            json!({ "ioctl": { "0x80045705": 7, "0x40046401": 3 }, "default_read": 2 })
        );
        assert_eq!(
            (&answer["total"], &answer["truncated"]),
            (&json!(3), &json!(false))
        );
    }

    #[test]
    fn a_path_that_cannot_be_modelled_has_no_suggestion() {
        for path in ["/proc/PID/oom_adj", "/proc/7/oom_adj", "/dev/mtd0"] {
            let entry = json!({
                path: {
                    "impact": { "hits": 1 },
                    "events": {},
                    "suggest": { "write": { "model": "discard" } }
                }
            });
            let answer = call::<pseudofile_failures>(
                &FakeHost::new().yaml("pseudofiles_failures.yaml", entry),
                json!({ "results_dir": "r" }),
            )
            .unwrap();
            assert_eq!(answer["pseudofile_failures"][0].get("suggest"), None);
        }
    }

    #[test]
    fn a_file_of_a_missing_interface_comes_with_the_interface() {
        let entry = |callers: Value| {
            json!({
                "impact": { "hits": 2 },
                "callers": callers,
                "events": { "open": { "count": 2 } },
                "suggest": { "read": { "model": "zero" } }
            })
        };
        let host = FakeHost::new().yaml(
            "pseudofiles_failures.yaml",
            json!({
                "/sys/class/net/ra0/address": entry(json!(["cat:7"])),
                "/proc/sys/net.ipv4": entry(json!(["sysctl:8", "sysctl:9"])),
                "/dev/nvram": entry(json!(["web:4"])),
            }),
        );
        let answer = call::<pseudofile_failures>(&host, json!({ "project_dir": "p" })).unwrap();
        assert_eq!(
            answer["next"],
            json!({ "tool": "add_netdev", "arguments": { "project_dir": "p", "name": "ra0" } })
        );
        let failures = answer["pseudofile_failures"].as_array().unwrap();
        assert_eq!((failures.len(), &answer["harmless"]), (2, &json!(1)));
        assert!(
            failures
                .iter()
                .all(|failure| failure.get("suggest").is_none()),
            "{answer}"
        );
    }

    #[test]
    fn what_programs_sent_is_shown() {
        let entry = json!({
            "/dev/modem": {
                "impact": { "hits": 9 },
                "events": {
                    "default_write": {
                        "count": 7,
                        "details": [
                            { "payload": "41540a", "len": 3 },
                            { "payload": "ff00", "len": 2 }
                        ]
                    },
                    "default_ioctl": { "count": 2, "details": [{ "cmd": 16385, "arg": 7 }] }
                }
            }
        });
        let host = FakeHost::new().yaml("pseudofiles_failures.yaml", entry);
        let answer = call::<pseudofile_failures>(&host, json!({ "project_dir": "p" })).unwrap();
        let sent = answer["pseudofile_failures"][0]["sent"].as_array().unwrap();
        for wanted in ["AT\n", "ff00", "ioctl 0x4001 0x7"] {
            assert!(sent.contains(&json!(wanted)), "{sent:?}");
        }
    }

    #[test]
    fn results_of_an_older_layout_are_read() {
        let entry =
            json!({ "/dev/x": { "open": { "count": 3 }, "ioctl": { "21505": { "count": 2 } } } });
        let answer = call::<pseudofile_failures>(
            &FakeHost::new().yaml("pseudofiles_failures.yaml", entry),
            json!({ "results_dir": "r" }),
        )
        .unwrap();
        let failure = &answer["pseudofile_failures"][0];
        assert_eq!(
            (&failure["hits"], &failure["events"]),
            (&json!(5), &json!({ "open": 3, "ioctl": { "0x5401": 2 } }))
        );
        assert_eq!(
            failure["suggest"],
            json!({ "project_dir": "/projects/fake", "path": "/dev/x" })
        );
    }

    #[test]
    fn a_plain_number_is_how_often() {
        let entry =
            json!({ "/dev/a": { "ioctl": 5 }, "/dev/b": { "open": 3, "ioctl": { "21505": 2 } } });
        let answer = call::<pseudofile_failures>(
            &FakeHost::new().yaml("pseudofiles_failures.yaml", entry),
            json!({ "results_dir": "r" }),
        )
        .unwrap();
        let failures = &answer["pseudofile_failures"];
        assert_eq!(
            (&failures[0]["hits"], &failures[0]["events"]),
            (&json!(5), &json!({ "ioctl": 5 }))
        );
        assert_eq!(
            (&failures[1]["hits"], &failures[1]["events"]),
            (&json!(5), &json!({ "open": 3, "ioctl": { "0x5401": 2 } }))
        );
    }

    #[test]
    fn hundreds_of_paths_are_bounded_and_counted() {
        let entries: Map<String, Value> = (0..400)
            .map(|n| (format!("/dev/x{n}"), json!({ "impact": { "hits": n } })))
            .collect();
        let answer = call::<pseudofile_failures>(
            &FakeHost::new().yaml("pseudofiles_failures.yaml", json!(entries)),
            json!({ "project_dir": "p" }),
        )
        .unwrap();
        assert_eq!(
            (
                &answer["total"],
                &answer["truncated"],
                &answer["pseudofile_failures"][0]["path"]
            ),
            (&json!(400), &json!(true), &json!("/dev/x399"))
        );
        assert!(answer.to_string().len() < 10_000);
    }

    #[test]
    fn a_file_of_another_shape_is_no_failure() {
        for other in [
            json!([]),
            json!(null),
            json!({ "/dev/x": 3 }),
            json!({ "/dev/x": { "impact": "much", "events": [1] } }),
        ] {
            call::<pseudofile_failures>(
                &FakeHost::new().yaml("pseudofiles_failures.yaml", other),
                json!({ "project_dir": "p" }),
            )
            .unwrap();
        }
    }

    #[test]
    fn a_run_that_recorded_none_says_how_to() {
        let answer =
            call::<pseudofile_failures>(&FakeHost::new(), json!({ "project_dir": "p" })).unwrap();
        assert_eq!(answer["available"], false);
    }
}
