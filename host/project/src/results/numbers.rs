//! The numbers of runs.

use std::collections::BTreeSet;

/// Runs are numbered below this. A larger number is a name like any other: it was given by nobody
/// who numbers runs.
const MAX_RUN: u64 = 1 << 53;

/// The number that a run's directory has for a name.
pub(super) fn number(name: &str) -> Option<u64> {
    let digits = name.bytes().all(|b| b.is_ascii_digit());
    let number = digits.then(|| name.parse().ok()).flatten();
    number.filter(|number| *number < MAX_RUN)
}

/// The number of the next run of a project, whose results have these `names`: the one after the
/// highest, as Penguin has it. Where somebody made the very highest, so that there is none, it is
/// the one after the highest that leaves room.
pub fn next_run(names: impl IntoIterator<Item = String>) -> u64 {
    let taken: BTreeSet<u64> = names.into_iter().filter_map(|name| number(&name)).collect();
    let follows = |last: &u64| Some(*last + 1).filter(|n| *n < MAX_RUN && !taken.contains(n));
    taken.iter().rev().find_map(follows).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_digits_are_the_name_of_a_run() {
        assert_eq!((number("12"), number("007")), (Some(12), Some(7)));
        for other in [
            "12x",
            "",
            "+5",
            "-1",
            "1_0",
            "\u{663}",
            "18446744073709551615",
            "18446744073709551616",
            "9007199254740992",
            &"9".repeat(255),
        ] {
            assert_eq!(number(other), None, "{other}");
        }
    }

    #[test]
    fn there_is_a_next_run_whatever_the_others_are_called() {
        let next = |names: &[&str]| next_run(names.iter().map(ToString::to_string));
        assert_eq!(next(&[]), 0);
        assert_eq!(next(&["0", "41", "7", "notes", "latest"]), 42);
        assert_eq!(next(&["007"]), 8);
        assert_eq!(next(&["18446744073709551615"]), 0);
        assert_eq!(next(&["3", "18446744073709551615", "-9"]), 4);
        let last = (MAX_RUN - 1).to_string();
        assert_eq!(next(&[&last]), 0);
        assert_eq!(next(&["0", "1", &last]), 2);
        assert_eq!(next(&["0", "1", "2", &last]), 3);
    }
}
