//! Code that was installed with the program.

use std::fs;

use rookery_runtime::Runtime;
use serde_json::json;

use crate::common::{Place, said};

#[tokio::test(flavor = "multi_thread")]
async fn code_that_was_installed_with_the_program_is_used_by_every_user() {
    let place = Place::with_probe();
    let (runtime, report) = place.load("");
    let compiled = place.dir.path().join("compiled");
    assert_eq!(runtime.install_code(&report, &compiled).unwrap(), 1);
    drop(runtime);
    // Another user has neither this cache nor one of their own, and no compiler could help.
    fs::remove_dir_all(place.cache()).unwrap();
    fs::write(place.cache(), "in the way").unwrap();
    let mut config = place.config("");
    config.program = "/bin/false".into();
    let runtime = Runtime::new(config).unwrap();
    let report = runtime.load(&[place.dir.path().join("plugins")]);
    assert_eq!(report.plugins.len(), 1, "{:?}", report.rejected);
    assert_eq!(
        said(&runtime, json!({"do": "echo", "text": "x"})).await,
        "x"
    );
}
