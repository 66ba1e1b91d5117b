//! What is said of a firmware that reboots itself.

use serde_json::json;

use super::{findings, look, quiet};

#[test]
fn a_firmware_that_reboots_itself_needs_a_shim_and_no_other_init() {
    let ended = |program: &str| {
        json!({
            "outcome": { "outcome": "rebooted", "how": "x", "program": program },
            "reason": "the guest called reboot (reboot): reboot -f (pid 9)",
        })
    };
    let next = |program: &str| {
        let answer = look(&quiet().yaml("rookery_run.json", ended(program)));
        assert!(findings(&answer)[0].contains("rebooted itself"));
        let evidence = &answer["findings"][0]["evidence"][0];
        assert!(evidence.as_str().unwrap().contains("reboot -f (pid 9)"));
        answer["findings"][0]["next"].clone()
    };
    assert_eq!(
        next("/sbin/reboot"),
        json!({
            "tool": "add_static_file",
            "arguments": {
                "project_dir": "router",
                "path": "/sbin/reboot",
                "spec": { "type": "shim", "target": "/igloo/utils/exit0.sh" }
            }
        })
    );
    // A run that reached its deadline may have rebooted before.
    let record = json!({ "faked": { "reboot": { "/sbin/halt": 2 } }, "outcome": "deadline" });
    let answer = look(&quiet().yaml("rookery_run.json", record));
    let path = &answer["findings"][0]["next"]["arguments"]["path"];
    assert_eq!(path, "/sbin/halt");
    // A guest chooses neither what is replaced nor what an agent reads.
    for program in [
        "/bin/busybox",
        "/etc/passwd",
        "/a b/reboot",
        "/x/../reboot",
        "reboot",
        "",
    ] {
        assert_eq!(next(program)["tool"], "console", "{program}");
    }
}

#[test]
fn a_reboot_that_a_blocker_tells_of_is_no_finding_too() {
    let record = json!({ "faked": { "reboot": { "/sbin/reboot": 2 } }, "outcome": "deadline" });
    let host = quiet().yaml("rookery_run.json", record);
    let host = host.answer_with("run-results.query", |asked| {
        let sql = asked["sql"].as_str().unwrap_or_default();
        let rows = match sql {
            _ if sql.starts_with("SELECT s.id, s.pid") => {
                json!([[1, 1, 0, 0, "init"], [3, 2, 1, 900, "reboot"]])
            }
            _ if sql.starts_with("SELECT x.id, e.proc_id") => {
                json!([[2, 1, 0, "['/sbin/init']"], [4, 2, 900, "['/sbin/reboot']"]])
            }
            _ => json!([]),
        };
        let mut rows = rows.as_array().cloned().unwrap_or_default();
        rows.reverse();
        Ok(json!({ "columns": [], "rows": rows, "truncated": false }))
    });
    let answer = look(&host);
    assert_eq!(answer["blockers"][0]["fix"][0]["tool"], "add_static_file");
    let told = answer.to_string().matches("rebooted itself").count();
    assert_eq!(told, 1, "{answer:#}");
}
