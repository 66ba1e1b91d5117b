use super::*;

const DIGEST: &str = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
const READING: [&str; 6] = ["types", "log", "config", "results", "firmware", "binaries"];

fn policy(text: &str) -> Policy {
    Policy::from_toml(text).unwrap()
}

/// Of a plugin that is not built in.
fn terms(policy: &Policy, name: &str) -> Terms {
    policy.terms(name, DIGEST, false).unwrap()
}

fn grants(policy: &Policy, name: &str) -> Vec<&'static str> {
    let grants = terms(policy, name).grants;
    grants.into_iter().map(Interface::name).collect()
}

#[test]
fn what_the_policy_does_not_name_is_granted_to_built_in_plugins_and_only_reading_to_others() {
    for policy in [Policy::default(), policy("")] {
        assert_eq!(grants(&policy, "x"), READING);
        let built_in = policy.terms("x", DIGEST, true).unwrap().grants;
        assert_eq!(built_in, Interface::ALL.into());
    }
}

#[test]
fn grants_add_up_and_deny_wins_over_built_in_plugins_too() {
    let policy = policy(
        "[default]\ngrant = ['creation']\n[plugin.'set_env']\ngrant = ['config-mutation', 'live']\n\
         deny = ['results', 'live', 'log']\nmemory_mib = 8",
    );
    assert_eq!(
        grants(&policy, "set_env"),
        [
            "types",
            "log",
            "config",
            "config-mutation",
            "creation",
            "firmware",
            "binaries"
        ]
    );
    assert_eq!(
        grants(&policy, "other"),
        [
            "types", "log", "config", "creation", "results", "firmware", "binaries"
        ]
    );
    assert_eq!(terms(&policy, "set_env").limits.memory_bytes, 8 << 20);
    let built_in = policy.terms("set_env", DIGEST, true).unwrap().grants;
    assert!(built_in.contains(&Interface::Emulation) && !built_in.contains(&Interface::Live));
}

#[test]
fn whoever_may_not_read_the_firmware_may_not_look_into_its_programs() {
    let policy = policy("[plugin.x]\ngrant = ['binaries']\ndeny = ['firmware']");
    assert_eq!(grants(&policy, "x"), ["types", "log", "config", "results"]);
    assert_eq!(grants(&policy, "other"), READING);
    // The advice names what stands in the policy.
    let terms = terms(&policy, "x");
    let way = terms.how_to_grant(&[Interface::Binaries]);
    assert_eq!(way, "take \"firmware\" out of `deny` under [plugin.\"x\"]");
    let rule = terms.refusing_rule(&[Interface::Binaries]);
    assert_eq!(rule, "[plugin.\"x\"] deny");
}

#[test]
fn rules_by_digest_win_over_rules_by_name() {
    let policy = policy(&format!(
        "[plugin.x]\ngrant = ['live']\n[plugin.'{DIGEST}']\ngrant = ['creation']"
    ));
    let granted = terms(&policy, "x").grants;
    assert!(granted.contains(&Interface::Creation) && !granted.contains(&Interface::Live));
}

#[test]
fn no_denial_is_lost_to_the_way_it_is_written() {
    let upper = DIGEST.to_uppercase();
    let policy = policy(&format!(
        "[plugin.x]\ndeny = ['live']\n[plugin.'{upper}']\ngrant = ['live']"
    ));
    assert_eq!(grants(&policy, "x"), READING);
    let error = Policy::from_toml("[plugin.'x.wasm']\ndeny = ['live']").unwrap_err();
    assert!(error.to_string().contains("without `.wasm`"), "{error}");
}

#[test]
fn the_way_to_a_grant_names_each_denial_and_the_section_that_counts() {
    let missing = [Interface::Config, Interface::Live];
    let way = |text: &str| terms(&policy(text), "x").how_to_grant(&missing);
    assert_eq!(
        way("[default]\ndeny = ['config', 'live']\n[plugin.x]\ngrant = ['live']\ndeny = ['live']"),
        "take \"config\", \"live\" out of `deny` under [default], and take \"live\" out of `deny` \
         under [plugin.\"x\"]"
    );
    assert_eq!(
        way(&format!(
            "[default]\ndeny = ['config']\n[plugin.'{DIGEST}']\nwall_ms = 1"
        )),
        format!(
            "take \"config\" out of `deny` under [default], and put under [plugin.\"{DIGEST}\"]: \
             grant = [\"live\"]"
        )
    );
}

#[test]
fn sections_and_pins_that_match_no_plugin_are_told_with_the_nearest_name() {
    let policy = policy(&format!(
        "digests = ['{DIGEST}', '{0}']\n[plugin.set-env]\ndeny = ['config']\n[plugin.x]\n\
         [plugin.'{DIGEST}']",
        "0".repeat(64)
    ));
    let names = ["set_env", "x"].map(str::to_owned).into();
    assert_eq!(
        policy.unmatched(&names, &[DIGEST.to_owned()].into()),
        [
            "the policy's [plugin.\"set-env\"] matches no plugin; did you mean \
             [plugin.\"set_env\"]?"
                .to_owned(),
            format!(
                "the policy's `digests` name {}, which no plugin has",
                "0".repeat(64)
            ),
        ]
    );
}

#[test]
fn pins_refuse_other_digests_and_say_how_to_admit_them() {
    let other = "0".repeat(64);
    let refusal = |policy: &Policy| policy.terms("x", &other, true).unwrap_err().reason;
    let pinned = policy(&format!("digests = ['{}']", DIGEST.to_uppercase()));
    assert!(
        pinned.terms("x", DIGEST, true).is_ok(),
        "case does not matter"
    );
    assert!(refusal(&pinned).contains(&format!("add \"{other}\" to `digests`")));
    let pinned = policy(&format!("[plugin.x]\ndigest = '{DIGEST}'"));
    assert!(refusal(&pinned).contains("file was replaced"));
    assert!(pinned.terms("y", &other, true).is_ok());
    let pinned = policy(&format!(
        "[plugin.x]\ndigest = '{DIGEST}'\n[plugin.'{other}']\ndigest = '{other}'"
    ));
    assert!(
        refusal(&pinned).contains("file was replaced"),
        "every pin counts"
    );
}

#[test]
fn a_wrong_policy_is_an_error_that_names_what_is_allowed() {
    let error = |text: &str| Policy::from_toml(text).unwrap_err().to_string();
    assert!(error("[default]\ngrant = ['confg']").contains("config-mutation"));
    assert!(error("[default]\nmemory = 3").contains("memory_mib"));
    assert!(error("digests = ['abc']").contains("sha256sum"));
    assert!(error("concurrent_calls = 0").contains("at least 1"));
    assert!(error("waiting_calls = 0").contains("from 1 to 200"));
    assert!(error("[plugin.x").contains("TOML"));
    assert!(error("[plugin.x]\noutput_kib = 1001").contains("1000 is the most"));
    assert!(error(&format!("[default]\ndigest = '{DIGEST}'")).contains("pins nothing"));
}

#[test]
fn the_manual_knows_every_key_and_its_example_is_a_policy() {
    let manual = include_str!("../../../../docs/policy.md");
    let (_, rest) = manual.split_once("```toml\n").unwrap();
    let (example, _) = rest.split_once("```").unwrap();
    let example = policy(example);
    assert!(grants(&example, "guest_cmd").contains(&"live"));
    for section in ["", "[default]\n", "[serve]\n", "[penguin]\n"] {
        // The error names the keys that there are.
        let error = Policy::from_toml(&format!("{section}nothing = 1"))
            .unwrap_err()
            .to_string();
        for key in error.split('`').skip(3).step_by(2) {
            assert!(
                manual.contains(&format!("`{key}`")) || manual.contains(&format!("[{key}")),
                "{key}"
            );
        }
    }
    for interface in Interface::ALL {
        assert!(manual.contains(&format!("`{interface}`")), "{interface}");
    }
}

#[test]
fn what_one_plugin_may_say_is_admitted_for_that_plugin_only() {
    let policy = policy("[plugin.mine]\nlookalikes = ['health_v2']\nsteering = true");
    assert!(
        terms(&policy, "mine").lookalikes.contains("health_v2") && terms(&policy, "mine").steering
    );
    assert!(terms(&policy, "yours").lookalikes.is_empty() && !terms(&policy, "yours").steering);
    for everybody in ["lookalikes = ['health_v2']", "steering = true"] {
        let error = Policy::from_toml(&format!("[default]\n{everybody}")).unwrap_err();
        assert!(
            error.to_string().contains("put them under [plugin."),
            "{error}"
        );
    }
}

#[test]
fn plugins_of_penguin_are_allowed_by_their_names_only() {
    assert!(
        Policy::default().penguin_plugins().is_empty(),
        "nothing by default"
    );
    let policy = Policy::from_toml("[penguin]\nplugins = [\"crashes\"]").unwrap();
    assert!(policy.penguin_plugins().contains("crashes"));
    for name in ["/tmp/x.py", "../x", "", "*"] {
        let refused = Policy::from_toml(&format!("[penguin]\nplugins = [{name:?}]"));
        let why = refused.unwrap_err().to_string();
        assert!(why.contains("not the name of a Penguin plugin"), "{why}");
    }
}
