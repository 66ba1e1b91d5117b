//! The recorded sample project.

mod support;

use std::time::Instant;

use rookery_project::Project;
use rookery_project::yaml;
use support::shared;

#[test]
fn the_sample_loads_as_penguin_realised_it() {
    let Some(dir) = shared("data/penguin/stride-sample") else {
        return;
    };
    let project = Project::at(&dir).unwrap();
    let start = Instant::now();
    let effective = project.effective().unwrap();
    eprintln!("loaded in {:?}", start.elapsed());
    let realised = std::fs::read_to_string(dir.join("results/0/core_config.yaml")).unwrap();
    let realised = yaml::parse(&realised).unwrap().to_json();
    // What the run itself adds to the realised configuration is not compared.
    for section in [
        "core",
        "pseudofiles",
        "netdevs",
        "blocked_signals",
        "plugins",
        "init_plugins",
    ] {
        assert_eq!(effective["config"][section], realised[section], "{section}");
    }
    for (path, entry) in effective["config"]["static_files"].as_object().unwrap() {
        assert_eq!(entry, &realised["static_files"][path], "{path}");
    }
    assert_eq!(effective["layers"][0], "config.yaml");
    assert_eq!(effective["layers"][12], "patch_90_mcp.yaml");

    let init = project.lookup("env.igloo_init").unwrap();
    assert_eq!(init["set_by"], "static_patches/base.yaml");
    let ioctl = project
        .lookup("pseudofiles./dev/stride_wd.ioctl.2147768069")
        .unwrap();
    assert_eq!(ioctl["value"]["model"], "return_const");
}
