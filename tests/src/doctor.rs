//! What `rookery doctor` says of this machine.

use rookery_harness::{Skip, places};

/// Whether the embedded emulator works on this machine; if not, why.
pub fn needs_emulator() -> Result<(), Skip> {
    let doctor = std::process::Command::new(places::dist().join("rookery"))
        .args(["doctor", "--json"])
        .output()
        .expect("rookery doctor starts");
    let report: serde_json::Value =
        serde_json::from_slice(&doctor.stdout).expect("rookery doctor --json prints JSON");
    let user = report["backends"]
        .as_array()
        .and_then(|all| all.iter().find(|b| b["backend"] == "user"))
        .expect("the embedded backend is reported");
    if user["available"] == true {
        return Ok(());
    }
    Err(Skip::missing(format!(
        "the embedded emulator does not work here: {user}"
    )))
}
