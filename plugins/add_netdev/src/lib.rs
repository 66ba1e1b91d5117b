//! `add_netdev`

use rookery_plugin::args::ChangeTarget;
use rookery_plugin::shapes::Change;
use rookery_plugin::{ConfigMutation, Result, change, fragment, plugin, tool};
use schemars::JsonSchema;
use serde::Deserialize;

#[derive(Deserialize, JsonSchema)]
struct Args {
    #[serde(flatten)]
    target: ChangeTarget,
    /// `eth1`, `br0.100`
    // At most 15 of these characters, and neither `.` nor `..`: the kernel takes neither.
    #[schemars(regex(
        pattern = r"^([A-Za-z0-9_-]\.?|[A-Za-z0-9_.-][A-Za-z0-9_-]|[A-Za-z0-9_.-]{3,15})$"
    ))]
    name: String,
    /// `192.168.1.1/24`
    address: Option<String>,
}

/// Give the guest a network interface, or one an address (`netdevs`).
#[tool(
    idempotent,
    title = "Add network interface",
    example(project_dir = "fw", name = "eth1")
)]
fn add_netdev(host: &impl ConfigMutation, args: Args) -> Result<Change> {
    let netdev = fragment::netdev(&args.name, args.address.as_deref());
    change::apply(host, &args.target, netdev)
}

plugin!(add_netdev);

#[cfg(test)]
mod tests {
    use rookery_plugin::Error;
    use rookery_plugin::testing::{FakeHost, call, check, definition};
    use serde_json::json;

    use super::*;

    #[test]
    fn its_definition_is_sound_and_limits_the_name() {
        check::<add_netdev>();
        assert_eq!(
            definition::<add_netdev>()["inputSchema"]["properties"]["name"]["pattern"],
            r"^([A-Za-z0-9_-]\.?|[A-Za-z0-9_.-][A-Za-z0-9_-]|[A-Za-z0-9_.-]{3,15})$"
        );
    }

    #[test]
    fn the_name_is_added_to_the_list() {
        let host = FakeHost::new().answer(
            "config-mutation.apply",
            json!({ "changed": false, "patch": { "netdevs": ["eth1"] } }),
        );
        let answer =
            call::<add_netdev>(&host, json!({ "project_dir": "p", "name": "eth1" })).unwrap();
        assert_eq!(
            host.calls("config-mutation.apply")[0]["fragment"],
            json!({ "netdevs": ["eth1"] })
        );
        assert_eq!(
            answer.get("next"),
            None,
            "nothing changed, so there is no reason to run again"
        );
    }

    #[test]
    fn an_address_stands_where_penguin_minds_it_not() {
        let host = FakeHost::new().answer(
            "config-mutation.apply",
            json!({ "changed": false, "patch": { "netdevs": ["br0"] } }),
        );
        let arguments = json!({ "project_dir": "p", "name": "br0", "address": "10.0.0.1/8" });
        call::<add_netdev>(&host, arguments).unwrap();
        assert_eq!(
            host.calls("config-mutation.apply")[0]["fragment"],
            json!({
                "netdevs": ["br0"],
                "plugins": { "interfaces": { "addresses": { "br0": "10.0.0.1/8" } } }
            })
        );
    }

    #[test]
    fn the_name_is_one_that_the_kernel_takes() {
        let schema = &definition::<add_netdev>()["inputSchema"]["properties"]["name"];
        let pattern = regex::Regex::new(schema["pattern"].as_str().unwrap()).unwrap();
        for name in [
            "a",
            "a.",
            ".a",
            "..a",
            "...",
            "eth1",
            "br0.100",
            "a23456789012345",
        ] {
            assert!(pattern.is_match(name), "{name}");
        }
        for name in ["", ".", "..", "a/b", "a b", "a234567890123456"] {
            assert!(!pattern.is_match(name), "{name}");
        }
    }

    #[test]
    fn a_name_is_needed() {
        assert!(matches!(call::<add_netdev>(&FakeHost::new(), json!({
                "project_dir": "p"
            })), Err(Error::InvalidArgument(m)) if m.contains("`name`")));
    }
}
