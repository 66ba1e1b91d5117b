//! What the guest looks for in its boot arguments and its U-Boot environment: what is not there is
//! reported.

use rookery_records::event::{Process, What};

use crate::guest::access::{HasPlan, Reports};
use crate::process::call::Call;

/// The caller has opened `/proc/cmdline`: what it and its siblings look for there may be missing.
pub fn reads_command_line<'a>(guest: &mut (impl Reports + HasPlan<'a>), call: &Call) {
    let Some(record) = guest.caller(call) else {
        return;
    };
    record.read_cmdline = true;
    let (who, argv) = (record.who.clone(), record.argv.clone());
    missing_variables(guest, &who, &argv);
}

/// A program starts: it may name the variable of the U-Boot environment that it wants.
pub fn looks_for_variables<'a>(
    guest: &mut (impl Reports + HasPlan<'a>),
    who: &Process,
    argv: &[String],
) {
    if who.name == "fw_printenv" {
        for name in argv
            .iter()
            .skip(1)
            .filter(|argument| !argument.starts_with('-'))
        {
            if !guest
                .plan()
                .uboot_env
                .iter()
                .any(|(known, _)| known == name)
            {
                guest.report(who.clone(), What::EnvMissing { name: name.clone() });
            }
        }
    }
    // `cat /proc/cmdline | grep NAME=`: the filter is a sibling of the reader.
    let in_pipeline = argv
        .iter()
        .any(|argument| argument.contains("/proc/cmdline"));
    let sibling_reads = matches!(
        who.name.as_str(),
        "grep" | "sed" | "awk" | "cut" | "egrep" | "busybox"
    ) && guest.procs().any_sibling(who, |record| {
        record.read_cmdline || record.argv.iter().any(|a| a == "/proc/cmdline")
    });
    if in_pipeline || sibling_reads {
        missing_variables(guest, who, argv);
    }
}

fn missing_variables<'a>(guest: &mut (impl Reports + HasPlan<'a>), who: &Process, argv: &[String]) {
    if !guest.plan().record_env {
        return;
    }
    for name in argv
        .iter()
        .skip(1)
        .flat_map(|argument| names_looked_for(argument))
    {
        let appended = guest.plan().kernel_cmdline_append.as_deref();
        let known = guest.plan().env.iter().any(|(known, _)| *known == name)
            || appended.is_some_and(|text| {
                text.split(' ')
                    .any(|word| word.starts_with(&format!("{name}=")))
            })
            || matches!(name.as_str(), "root" | "init" | "console");
        if !known {
            guest.report(who.clone(), What::EnvMissing { name });
        }
    }
}

/// Names that a program text looks for: what stands before an `=`.
fn names_looked_for(text: &str) -> Vec<String> {
    let mut names = Vec::new();
    for (end, _) in text.match_indices('=') {
        let before = text.get(..end).unwrap_or_default();
        let start = before
            .rfind(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-')))
            .map_or(0, |at| at + 1);
        let name = before
            .get(start..)
            .unwrap_or_default()
            .trim_start_matches(['-', '.']);
        if name.len() >= 2
            && name.starts_with(|c: char| c.is_ascii_alphabetic())
            && !names.iter().any(|known| known == name)
        {
            names.push(name.to_owned());
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guest::testing::Part;

    #[test]
    fn a_variable_that_is_looked_for_and_not_there_is_reported() {
        let mut guest = Part::new(|plan| plan.uboot_env.push(("ethaddr".into(), "1".into())));
        let who = |name: &str| Process {
            name: name.into(),
            ..Process::default()
        };
        let words = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let printenv = words("fw_printenv -n ethaddr serial");
        looks_for_variables(&mut guest, &who("fw_printenv"), &printenv);
        let grep = words("grep board= machid= /proc/cmdline");
        looks_for_variables(&mut guest, &who("grep"), &grep);
        let names: Vec<_> = guest
            .reported
            .iter()
            .map(|what| match what {
                What::EnvMissing { name } => name.as_str(),
                _ => "",
            })
            .collect();
        assert_eq!(names, ["serial", "machid"]);
    }

    #[test]
    fn a_filters_text_names_what_it_looks_for() {
        for (text, names) in [
            ("board=", &["board"][..]),
            ("s/.*machid=\\([^ ]*\\).*/\\1/", &["machid"]),
            ("-F=", &[]),
            ("/proc/cmdline", &[]),
            ("a=b", &[]),
        ] {
            assert_eq!(names_looked_for(text), names, "{text}");
        }
    }
}
