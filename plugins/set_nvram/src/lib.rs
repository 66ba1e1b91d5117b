//! `set_nvram`

use rookery_plugin::args::{ChangeTarget, RunSelector};
use rookery_plugin::shapes::Change;
use rookery_plugin::{
    ConfigMutation, CsvOptions, Result, Results, RunResults, change, fragment, plugin, tool,
};
use schemars::JsonSchema;
use serde::Deserialize;

#[derive(Deserialize, JsonSchema)]
struct Args {
    #[serde(flatten)]
    target: ChangeTarget,
    /// NVRAM key
    key: String,
    /// A string: "1", not 1
    #[serde(deserialize_with = "rookery_plugin::args::text")]
    value: String,
}

/// Set an NVRAM value (`nvram`) that the guest's programs read.
#[tool(
    destructive,
    idempotent,
    title = "Set NVRAM value",
    example(project_dir = "fw", key = "lan_ipaddr", value = "192.168.1.1")
)]
fn set_nvram(host: &(impl ConfigMutation + Results), args: Args) -> Result<Change> {
    let mut change = change::apply(host, &args.target, fragment::nvram(&args.key, &args.value))?;
    change
        .warnings
        .extend(unread(host, &args.target.project_dir));
    Ok(change)
}

/// A hint where nobody asked for a value in the last run that tells. Who asks later is not known,
/// so it is never a reason to refuse.
fn unread(host: &impl Results, project: &str) -> Option<String> {
    let last = RunSelector {
        project_dir: Some(project.to_owned()),
        ..RunSelector::default()
    };
    let first = CsvOptions {
        limit: Some(1),
        ..CsvOptions::default()
    };
    let run = host.open_results(&last).ok()?;
    let asked = run.read_csv("nvram.csv", &first).ok()?;
    (asked.total == 0).then(|| {
        "in the last run nothing asked for any value of the NVRAM (nvram.csv is empty): where no \
         program reads it, this value changes nothing"
            .to_owned()
    })
}

plugin!(set_nvram);

#[cfg(test)]
mod tests {
    use rookery_plugin::Error;
    use rookery_plugin::testing::{FakeHost, call, check};

    use serde_json::json;

    use super::*;

    #[test]
    fn its_definition_is_sound() {
        check::<set_nvram>();
    }

    #[test]
    fn a_key_is_set_as_text() {
        let host = FakeHost::new().answer(
            "config-mutation.apply",
            json!({ "changed": true, "patch": {} }),
        );
        call::<set_nvram>(
            &host,
            json!({ "project_dir": "p", "key": "lan_ipaddr", "value": "08" }),
        )
        .unwrap();
        assert_eq!(
            host.calls("config-mutation.apply")[0]["fragment"],
            json!({ "nvram": { "lan_ipaddr": "08" } })
        );
    }

    #[test]
    fn a_value_that_nobody_read_is_set_with_a_hint() {
        let set = |csv: Option<&str>| {
            let changed = json!({ "changed": true, "patch": {} });
            let host = FakeHost::new().answer("config-mutation.apply", changed);
            let host = csv
                .into_iter()
                .fold(host, |host, csv| host.text("nvram.csv", csv));
            let set = json!({ "project_dir": "p", "key": "lan_ipaddr", "value": "x" });
            call::<set_nvram>(&host, set).unwrap()["warnings"].to_string()
        };
        let header = "key,operation,value,origin\n";
        assert!(set(Some(header)).contains("nothing asked"));
        let asked = format!("{header}lan_ipaddr,miss,,\n");
        for unknown in [Some(asked.as_str()), None] {
            assert!(!set(unknown).contains("nothing asked"), "{unknown:?}");
        }
    }

    #[test]
    fn a_number_must_be_quoted() {
        let refused = call::<set_nvram>(
            &FakeHost::new(),
            json!({ "project_dir": "p", "key": "lan_ipaddr", "value": 8 }),
        );
        assert!(matches!(
            refused,
            Err(Error::InvalidArgument(message)) if message.contains("write \"8\" instead of 8")
        ));
    }
}
