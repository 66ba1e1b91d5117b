//! `run`

use rookery_diagnosis::Judged;
use rookery_plugin::change::Preset;
use rookery_plugin::running::{Backend, USUAL_WAIT_S, Until, wait_for_new};
use rookery_plugin::{
    ApplyOptions, Config, ConfigMutation, Emulation, Firmware, Result, Results, StartOptions,
    plugin, tool,
};
use schemars::JsonSchema;
use serde::Deserialize;

#[derive(Deserialize, JsonSchema)]
struct Args {
    /// Project
    project_dir: String,
    /// Seconds until the guest is stopped; default: core.timeout, else 60 to 120
    #[schemars(range(min = 1, max = 86400))]
    timeout: Option<u32>,
    /// Seconds; more than 50 only with a progressToken
    #[serde(default = "usual_wait")]
    #[schemars(range(min = 0, max = 3600))]
    wait_s: u32,
    #[serde(flatten)]
    until: Until,
    /// user: embedded; auto: the first that works
    #[serde(default)]
    backend: Backend,
    /// As of `set_config`, set before
    preset: Option<Preset>,
}

fn usual_wait() -> u32 {
    USUAL_WAIT_S
}

/// Boot the firmware. Gives `run_id`, `status` and `endpoints`: each `guest_port`, the `host_port`
/// that leads there, and what the service `answers`; at the end `compared` with the last run, and
/// its `page` for people. The run goes on when the wait ends. Next: `run_wait`, then `health`.
#[tool(title = "Run the firmware", example(project_dir = "fw", timeout = 60))]
fn run(
    host: &(impl Emulation + Results + Firmware + Config + ConfigMutation),
    args: Args,
) -> Result<Judged> {
    if let Some(preset) = args.preset {
        let fragment = preset.missing(host, &args.project_dir)?;
        if fragment.as_object().is_some_and(|keys| !keys.is_empty()) {
            host.apply(&args.project_dir, &fragment, &ApplyOptions::default())?;
        }
    }
    let options = StartOptions {
        timeout_s: args.timeout,
        backend: args.backend.name().to_owned(),
        ..StartOptions::default()
    };
    let run_id = host.start(&args.project_dir, &options)?;
    let status = wait_for_new(host, &run_id, args.wait_s, &args.until)?;
    Ok(Judged::of(host, status))
}

plugin!(run);

#[cfg(test)]
mod tests {
    use rookery_plugin::testing::{FakeHost, call, check, definition};
    use rookery_plugin::{Error, Unavailable};
    use serde_json::{Value, json};

    use super::*;

    fn status(status: &str) -> Value {
        json!({
            "run_id": "r1",
            "status": status,
            "phase": "boot",
            "backend": "user",
            "project_dir": "/p",
            "results_dir": "/p/results/0",
            "elapsed_s": 1.5,
            "timeout_s": 60,
            "notes": ["no kernel modules"],
            "endpoints": [
                {
                    "procname": "httpd",
                    "proto": "tcp",
                    "guest_ip": "0.0.0.0",
                    "guest_port": 80,
                    "host": "127.0.0.1",
                    "host_port": 40080
                }
            ]
        })
    }

    fn host() -> FakeHost {
        FakeHost::new().answer("emulation.start", json!("r1"))
    }

    #[test]
    fn its_definition_is_sound_and_states_defaults_and_limits() {
        check::<run>();
        let properties = &definition::<run>()["inputSchema"]["properties"];
        assert_eq!(
            properties["timeout"]["description"],
            format!(
                "Seconds until the guest is stopped; default: core.timeout, else {} to {}",
                StartOptions::TIMEOUT_S,
                StartOptions::EXTENDED_S
            )
        );
        assert_eq!(
            properties["wait_s"],
            json!({
                "description": "Seconds; more than 50 only with a progressToken",
                "type": "integer",
                "minimum": 0,
                "maximum": 3600,
                "default": 40
            })
        );
        assert_eq!(
            properties["backend"]["enum"],
            json!(["auto", "user", "penguin"])
        );
        assert_eq!(
            properties["timeout"].get("default"),
            None,
            "the project says"
        );
    }

    #[test]
    fn the_preset_is_set_before_the_run_begins_and_only_what_is_off() {
        let all = ["env", "db", "exec_logger", "syscalls_logger", "processes"];
        for (off, applied) in [(&all[..], 1), (&all[1..], 1), (&[], 0)] {
            let plugins: serde_json::Map<_, _> = all
                .iter()
                .map(|name| {
                    (
                        (*name).to_owned(),
                        json!({ "enabled": !off.contains(name) }),
                    )
                })
                .collect();
            let host = host()
                .answer(
                    "config.effective",
                    json!({ "config": { "plugins": plugins } }),
                )
                .answer(
                    "config-mutation.apply",
                    json!({ "changed": true, "patch": {} }),
                )
                .answer("emulation.wait", status("running"));
            let arguments = json!({ "project_dir": "p", "preset": "diagnostics" });
            call::<run>(&host, arguments).unwrap();
            let changes = host.calls("config-mutation.apply");
            assert_eq!(changes.len(), applied);
            if let Some(change) = changes.first() {
                let on = change["fragment"]["plugins"].as_object().unwrap();
                assert_eq!(on.len(), off.len(), "{change}");
                assert_eq!(on[off[0]], json!({ "enabled": true }));
            }
        }
        let refused = FakeHost::new().fail("config.effective", Error::Denied("no".into()));
        let arguments = json!({ "project_dir": "p", "preset": "diagnostics" });
        assert!(matches!(
            call::<run>(&refused, arguments),
            Err(Error::Denied(_))
        ));
        assert_eq!(refused.calls("emulation.start").len(), 0, "nothing began");
    }

    #[test]
    fn a_run_that_goes_on_is_waited_for_next() {
        let host = host().answer("emulation.wait", status("running"));
        let answer = call::<run>(&host, json!({ "project_dir": "p" })).unwrap();
        assert_eq!(
            host.calls("emulation.start"),
            [json!({ "project": "p", "options": { "backend": "auto" } })]
        );
        assert_eq!(
            host.calls("emulation.wait"),
            [json!({ "run": "r1", "milliseconds": 40_000 })]
        );
        assert_eq!(
            answer["next"],
            json!({ "tool": "run_wait", "arguments": { "run_id": "r1" } })
        );
        assert_eq!(
            (&answer["endpoints"][0]["host_port"], &answer["notes"][0]),
            (&json!(40080), &json!("no kernel modules"))
        );
    }

    #[test]
    fn a_run_that_ended_is_diagnosed_next() {
        let host = host().answer("emulation.status", status("failed"));
        let answer = call::<run>(
            &host,
            json!({ "project_dir": "p", "wait_s": 0, "backend": "user", "timeout": 5 }),
        )
        .unwrap();
        assert_eq!(
            answer["next"],
            json!({ "tool": "health", "arguments": { "results_dir": "/p/results/0" } })
        );
        assert_eq!(host.calls("emulation.wait"), [] as [Value; 0]);
        assert_eq!(
            host.calls("emulation.start")[0]["options"],
            json!({ "timeout_s": 5, "backend": "user" })
        );
    }

    #[test]
    fn the_id_of_a_run_that_was_started_is_never_lost() {
        let host = host().fail("emulation.wait", Error::Internal("disk".into()));
        let Err(Error::Backend(message)) = call::<run>(&host, json!({ "project_dir": "p" })) else {
            panic!()
        };
        assert!(
            message.contains("wait for it failed: disk. Call run_wait {\"run_id\":\"r1\"}"),
            "{message}"
        );
    }

    #[test]
    fn what_keeps_a_run_from_starting_comes_through() {
        for error in [
            Error::Conflict("run r0 is going on".into()),
            Error::Unavailable(Unavailable {
                what: "qemu".into(),
                why: "not installed".into(),
                how_to_enable: "install it".into(),
            }),
        ] {
            let host = FakeHost::new().fail("emulation.start", error.clone());
            assert_eq!(
                call::<run>(&host, json!({ "project_dir": "p" })),
                Err(error)
            );
        }
        assert!(matches!(
            call::<run>(&host(), json!({ "project_dir": "p", "backend": "kvm" })),
            Err(Error::InvalidArgument(_))
        ));
    }
}
