//! A plan from a configuration that Penguin itself has merged.

use std::path::Path;

use rookery_harness::places;
use rookery_runs::plan::{Ioctl, IoctlCommand, Plan, Read, StaticFile};
use serde_json::{Map, Value};

/// YAML as JSON: keys that are numbers become strings.
fn json(yaml: serde_yaml::Value) -> Value {
    match yaml {
        serde_yaml::Value::Mapping(map) => {
            let key = |key: serde_yaml::Value| {
                key.as_str().map_or_else(
                    || serde_yaml::to_string(&key).unwrap().trim().to_owned(),
                    str::to_owned,
                )
            };
            Value::Object(
                map.into_iter()
                    .map(|(name, value)| (key(name), json(value)))
                    .collect::<Map<_, _>>(),
            )
        }
        serde_yaml::Value::Sequence(items) => items.into_iter().map(json).collect(),
        serde_yaml::Value::Tagged(tagged) => json(tagged.value),
        scalar => serde_json::to_value(scalar).unwrap(),
    }
}

fn a_recorded_configuration_can_be_run() -> Result<(), anyhow::Error> {
    let project = places::shared("data/penguin/stride-sample")?;
    let text = std::fs::read_to_string(project.join("results/0/core_config.yaml")).unwrap();
    let mut config = json(serde_yaml::from_str(&text).unwrap());
    // The library that Penguin builds during a run is in the recorded configuration, but in none
    // before a run.
    config["static_files"]
        .as_object_mut()
        .unwrap()
        .retain(|path, _| !path.starts_with("/igloo/lib_inject"));
    let plan = Plan::from_config(&config, &project, Path::new("/cache"), None).unwrap();

    assert_eq!(
        (plan.arch.as_str(), plan.init.as_str()),
        ("armel", "/sbin/init")
    );
    assert_eq!(plan.kernel_release.as_deref(), Some("4.10.0"));
    assert!(
        plan.env.contains(&("sxserno".into(), "12345678".into())),
        "{:?}",
        plan.env
    );
    assert!(plan.record_events && plan.record_env);
    assert_eq!(plan.blocked_signals, [9, 6]);
    assert_eq!(
        plan.netdevs.iter().filter(|name| *name == "eth0").count(),
        1
    );
    assert!(plan.netdevs.contains(&"vlan7".to_owned()));
    assert!(plan.nvram.contains(&("wan_proto".into(), "dhcp".into())));
    assert!(
        plan.uboot_env
            .contains(&("ethaddr".into(), "00:11:22:33:44:55".into()))
    );

    let model = |path: &str| {
        &plan
            .pseudofiles
            .iter()
            .find(|(name, _)| name == path)
            .unwrap()
            .1
    };
    assert_eq!(
        model("/proc/dsa_status").read,
        Read::Bytes(b"ready\n".to_vec())
    );
    assert_eq!(model("/dev/stride_wd").read, Read::Bytes(b"0".to_vec()));
    assert!(
        model("/dev/stride_wd")
            .ioctl
            .contains(&(IoctlCommand::Number(0x8004_5705), Ioctl::Return(0)))
    );

    let file = |path: &str| {
        plan.static_files
            .iter()
            .find(|(name, _)| name == path)
            .map(|(_, file)| file.clone())
    };
    let sample = StaticFile::Inline {
        contents: b"a=1\n".to_vec(),
        mode: 0o600,
    };
    assert_eq!(file("/etc/sample.conf"), Some(sample));
    assert_eq!(
        file("/lib/lib_inject.so"),
        None,
        "there is no such library in the embedded emulator"
    );
    assert!(plan.static_files.iter().all(
        |(_, file)| !matches!(file, StaticFile::Host { path, .. } if !path.starts_with(&project))
    ));
    assert!(
        plan.notes.len() <= 12,
        "few enough to read: {:#?}",
        plan.notes
    );
    Ok(())
}

rookery_harness::tests! {
    a_recorded_configuration_can_be_run,
}
