//! What programs print that list tables of the network: the chains of a kernel whose tables are
//! empty.

use std::fmt::Write as _;

/// The table of iptables and of ebtables that is meant where none is named.
const USUAL: &str = "filter";

/// The chains of each table.
const IPTABLES: &[(&str, &[&str])] = &[
    (USUAL, &["INPUT", "FORWARD", "OUTPUT"]),
    ("nat", &["PREROUTING", "INPUT", "OUTPUT", "POSTROUTING"]),
    (
        "mangle",
        &["PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"],
    ),
    ("raw", &["PREROUTING", "OUTPUT"]),
];
const EBTABLES: &[(&str, &[&str])] = &[
    (USUAL, &["INPUT", "FORWARD", "OUTPUT"]),
    ("nat", &["PREROUTING", "OUTPUT", "POSTROUTING"]),
    ("broute", &["BROUTING"]),
];

/// What a program lists.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Lists {
    #[default]
    Nothing,
    Chains,
    /// As the arguments that would make them.
    Rules,
}

/// What a program was asked for.
#[derive(Debug, Default)]
struct Asked<'a> {
    table: Option<&'a str>,
    lists: Lists,
    /// The one chain that is listed.
    chain: Option<&'a str>,
    counts: bool,
    numbers_lines: bool,
}

impl<'a> Asked<'a> {
    fn of(arguments: &'a [String]) -> Self {
        let mut asked = Self::default();
        let mut words = arguments.iter().map(String::as_str).peekable();
        while let Some(word) = words.next() {
            let letters = word
                .strip_prefix('-')
                .filter(|letters| !letters.starts_with('-'));
            match word {
                "--table" => asked.table = words.next(),
                "--list" | "--list-rules" => {
                    asked.lists = match word {
                        "--list" => Lists::Chains,
                        _ => Lists::Rules,
                    };
                    asked.chain = words.next_if(|word| !word.starts_with('-'));
                }
                "--verbose" => asked.counts = true,
                "--line-numbers" => asked.numbers_lines = true,
                _ => {}
            }
            let letters = letters.unwrap_or_default();
            asked.counts |= letters.contains('v');
            match letters.chars().last() {
                Some('t') => asked.table = words.next(),
                // As it is mostly written: `-L`, `-nL`, `-vL INPUT`, and also `-Ln`.
                _ if letters.contains(['L', 'S']) => {
                    asked.lists = if letters.contains('S') {
                        Lists::Rules
                    } else {
                        Lists::Chains
                    };
                    asked.chain = words.next_if(|word| !word.starts_with('-'));
                }
                _ => {}
            }
        }
        asked
    }

    fn chains(&self, tables: &[(&str, &'static [&'static str])]) -> Vec<(String, bool)> {
        let table = self.table.unwrap_or(USUAL);
        let known = tables.iter().find(|(name, _)| *name == table);
        let known = known.map_or(&[][..], |(_, chains)| *chains);
        match self.chain {
            Some(chain) => vec![(chain.to_owned(), known.contains(&chain))],
            _ => known
                .iter()
                .map(|name| ((*name).to_owned(), true))
                .collect(),
        }
    }
}

/// What a program of this name prints.
pub fn printed(program: &str, arguments: &[String]) -> String {
    let asked = Asked::of(arguments);
    if asked.lists == Lists::Nothing {
        return String::new();
    }
    match program {
        "iptables" | "ip6tables" if asked.lists == Lists::Rules => rules(&asked),
        "iptables" | "ip6tables" => chains(&asked),
        "ebtables" => bridge_chains(&asked),
        _ => String::new(),
    }
}

fn rules(asked: &Asked<'_>) -> String {
    let chains = asked.chains(IPTABLES).into_iter();
    let line = |(name, built_in): (String, bool)| {
        if built_in {
            format!("-P {name} ACCEPT\n")
        } else {
            format!("-N {name}\n")
        }
    };
    chains.map(line).collect()
}

fn chains(asked: &Asked<'_>) -> String {
    let mut text = String::new();
    for (name, built_in) in asked.chains(IPTABLES) {
        if !text.is_empty() {
            text.push('\n');
        }
        let (counts, used) = match (asked.counts, built_in) {
            (true, true) => (" 0 packets, 0 bytes", "policy ACCEPT"),
            (false, true) => ("", "policy ACCEPT"),
            (_, false) => ("", "0 references"),
        };
        let _ = writeln!(text, "Chain {name} ({used}{counts})");
        if asked.numbers_lines {
            text.push_str("num  ");
        }
        text.push_str(if asked.counts {
            " pkts bytes target     prot opt in     out     source               "
        } else {
            "target     prot opt source               "
        });
        text.push_str("destination         \n");
    }
    text
}

fn bridge_chains(asked: &Asked<'_>) -> String {
    let mut text = format!("Bridge table: {}\n", asked.table.unwrap_or(USUAL));
    for (name, _) in asked.chains(EBTABLES) {
        let _ = write!(text, "\nBridge chain: {name}, entries: 0, policy: ACCEPT\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(line: &str) -> String {
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        printed(&words[0], &words[1..])
    }

    #[test]
    fn the_chains_of_an_empty_table_are_listed_as_iptables_does() {
        assert_eq!(
            of("iptables -t raw -nL"),
            "Chain PREROUTING (policy ACCEPT)\n\
             target     prot opt source               destination         \n\n\
             Chain OUTPUT (policy ACCEPT)\n\
             target     prot opt source               destination         \n"
        );
        assert_eq!(
            of("iptables -L FORWARD -v"),
            "Chain FORWARD (policy ACCEPT 0 packets, 0 bytes)\n\
             \x20pkts bytes target     prot opt in     out     source               \
             destination         \n"
        );
        assert!(of("iptables -L own").starts_with("Chain own (0 references)\n"));
        assert_eq!(
            of("ip6tables -S"),
            "-P INPUT ACCEPT\n-P FORWARD ACCEPT\n-P OUTPUT ACCEPT\n"
        );
        assert_eq!(
            of("ebtables -t broute -L"),
            "Bridge table: broute\n\nBridge chain: BROUTING, entries: 0, policy: ACCEPT\n"
        );
    }

    #[test]
    fn what_lists_nothing_prints_nothing() {
        for line in [
            "iptables -A INPUT -j ACCEPT",
            "iptables -P FORWARD DROP",
            "iptables -t nat -A POSTROUTING -o eth1 -j MASQUERADE",
            "iptables-save -t nat",
            "tc qdisc show",
            "insmod -L",
        ] {
            assert_eq!(of(line), "", "{line}");
        }
    }
}
