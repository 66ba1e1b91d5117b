//! The NVRAM that a run begins with, and whether its programs are given the library that asks for
//! it: only where something asks, so that other runs cost nothing.

use rookery_project::penguin::env::MAGIC;
use rookery_project::penguin::nvram;
use rookery_records::event::NvramOrigin;
use rookery_runs::plan::Plan;
use rookery_runs::plan::notes::Notes;

use crate::guest::nvram::Nvram;
use crate::qemu::arch::Arch;
use crate::qemu::library;
use crate::sandbox::firmware_nvram::FirmwareNvram;

/// Functions of libc that show what a value is compared with, by the library's names for them.
const COMPARISONS: &[&str] = &["strcmp", "strncmp", "strcasecmp", "strncasecmp"];

/// The configuration's values come first, then the firmware's own, then those that Penguin gives to
/// every firmware.
pub fn of(plan: &Plan, firmware: &FirmwareNvram, notes: &mut Notes) -> Nvram {
    let configured = !plan.nvram.is_empty();
    let has_readers = !firmware.readers.is_empty();
    let mut names_given = Vec::new();
    let mut is_asked = false;
    if plan.library.disabled {
        if configured {
            notes.say(
                "lib_inject.enabled is false: nvram reaches only programs that ask a driver, none \
                 that asks a library",
            );
        }
    } else {
        names_given = names(plan, notes);
        is_asked = configured || has_readers || !names_given.is_empty();
        if configured && !has_readers && !firmware.driver && plan.library.names.is_empty() {
            notes.say(
                "nvram is set, but nothing in the firmware reads it: no program or library has a \
                 vendor's function for it (nvram_get and its kin) or names /dev/nvram; if a \
                 function has another name, lib_inject.aliases maps that to libinject_nvram_get",
            );
        }
        if let Some(arch) = Arch::by_name(&plan.arch)
            && is_asked
            && !library::exists_for(arch)
        {
            notes.about(
                "nvram reaches no program that asks a library, which does not exist for the \
                 architecture",
                plan.arch.as_str(),
            );
        }
    }
    if !is_asked && !firmware.driver {
        return Nvram::default();
    }
    let defaults = nvram::defaults();
    let from = |values: &'_ [(String, String)], origin: NvramOrigin| {
        let each = values
            .iter()
            .map(move |pair| (pair.clone(), origin.clone()));
        each.collect::<Vec<_>>()
    };
    let own = firmware.tables.iter().flat_map(|table| {
        let file = NvramOrigin::Firmware(table.file.as_str().into());
        from(&table.values, file)
    });
    let values: Vec<_> = from(&plan.nvram, NvramOrigin::Configuration)
        .into_iter()
        .chain(own)
        .chain(from(&defaults, NvramOrigin::Penguin))
        .collect();
    let values = values
        .iter()
        .map(|((key, value), origin)| (key.as_str(), value.as_str(), origin.clone()));
    Nvram::new(values, is_asked, names_given)
}

/// The names that the library's functions get in this run.
fn names(plan: &Plan, notes: &mut Notes) -> Vec<(String, String)> {
    let mut names = Vec::new();
    for (name, function) in &plan.library.names {
        if !library::has_function(function) {
            notes.about(
                "lib_inject.aliases names functions that the library does not have",
                function.as_str(),
            );
        } else if name.len() > library::NAME_MAX {
            notes.about(
                "names of lib_inject.aliases are left out that have more than 39 characters",
                name.as_str(),
            );
        } else if !library::is_called(function, name) {
            names.push((name.clone(), function.clone()));
        }
    }
    let values = plan.env.iter().chain(&plan.nvram).chain(&plan.uboot_env);
    if values.into_iter().any(|(_, value)| value == MAGIC) {
        let shown = COMPARISONS.iter().map(|name| (*name).to_owned());
        let getenv = plan.record_env.then(|| "getenv".to_owned());
        names.extend(
            shown
                .chain(getenv)
                .map(|name| (name.clone(), format!("libinject_{name}"))),
        );
    }
    let new = names.iter().filter(|(name, _)| !library::has(name)).count();
    if new > library::slots() {
        notes.say(format!(
            "lib_inject.aliases has {new} names that the library lacks; the first {} count",
            library::slots()
        ));
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::devices::tests::plan;
    use rookery_project::firmware::nvram::Table;

    fn firmware(reads: bool) -> FirmwareNvram {
        let table = Table {
            file: "/etc/nvram.default".into(),
            values: vec![
                ("lan_ipaddr".into(), "10.0.0.1".into()),
                ("own".into(), "1".into()),
            ],
        };
        FirmwareNvram {
            readers: reads.then(|| "/sbin/rc".into()).into_iter().collect(),
            driver: false,
            flash: false,
            tables: vec![table],
        }
    }

    fn of_plan(change: impl FnOnce(&mut Plan), firmware: &FirmwareNvram) -> (Nvram, Vec<String>) {
        let mut plan = plan();
        change(&mut plan);
        let mut notes = Notes::default();
        let nvram = of(&plan, firmware, &mut notes);
        (nvram, notes.into_vec())
    }

    #[test]
    fn the_configuration_comes_before_the_firmware_and_that_before_penguin() {
        let set = |plan: &mut Plan| plan.nvram = vec![("lan_ipaddr".into(), "0.0.0.0".into())];
        let (nvram, notes) = of_plan(set, &firmware(true));
        let value = |key: &str| {
            nvram
                .get(key.as_bytes())
                .map(<[u8]>::to_vec)
                .unwrap_or_default()
        };
        assert_eq!(value("lan_ipaddr"), b"0.0.0.0");
        assert_eq!(
            (value("own"), value("lan_if")),
            (b"1".to_vec(), b"br0".to_vec())
        );
        let table = NvramOrigin::Firmware("/etc/nvram.default".into());
        for (key, origin) in [
            ("lan_ipaddr", NvramOrigin::Configuration),
            ("own", table),
            ("lan_if", NvramOrigin::Penguin),
        ] {
            assert_eq!(nvram.origin(key.as_bytes()), Some(origin), "{key}");
        }
        assert!(nvram.is_asked() && notes.is_empty(), "{notes:?}");
        let (nvram, _) = of_plan(|_| {}, &firmware(true));
        assert_eq!(nvram.get(b"lan_ipaddr"), Some(&b"10.0.0.1"[..]));
    }

    #[test]
    fn programs_that_ask_for_nothing_are_given_nothing() {
        let (nvram, notes) = of_plan(|_| {}, &firmware(false));
        assert!(!nvram.is_asked() && notes.is_empty());
        let set = |plan: &mut Plan| plan.nvram = vec![("a".into(), "1".into())];
        let (nvram, notes) = of_plan(set, &firmware(false));
        assert!(
            nvram.is_asked() && notes[0].contains("nothing in the firmware reads it"),
            "{notes:?}"
        );
        let off = |plan: &mut Plan| {
            set(plan);
            plan.library.disabled = true;
        };
        let (nvram, notes) = of_plan(off, &firmware(true));
        assert!(
            !nvram.is_asked() && notes[0].contains("lib_inject.enabled"),
            "{notes:?}"
        );
    }

    #[test]
    fn aliases_are_given_to_functions_and_wrong_ones_are_said() {
        let alias = |name: &str, function: &str| (name.to_owned(), format!("libinject_{function}"));
        let set = |plan: &mut Plan| {
            plan.library.names = vec![
                alias("nvram_get", "nvram_get"),
                alias("cfg_get", "nvram_get"),
                alias("x", "no_such"),
                alias(&"n".repeat(40), "ret_1"),
            ];
        };
        let (nvram, notes) = of_plan(set, &FirmwareNvram::default());
        assert_eq!(nvram.names(), [alias("cfg_get", "nvram_get")]);
        assert_eq!(notes.len(), 2, "{notes:?}");
    }

    #[test]
    fn a_value_that_is_looked_for_shows_what_it_is_compared_with() {
        let seek = |plan: &mut Plan| plan.env.push(("sxid".into(), MAGIC.into()));
        let (nvram, _) = of_plan(seek, &FirmwareNvram::default());
        let names: Vec<_> = nvram
            .names()
            .iter()
            .map(|(name, _)| name.as_str())
            .collect();
        assert_eq!(
            names,
            ["strcmp", "strncmp", "strcasecmp", "strncasecmp", "getenv"]
        );
    }
}
