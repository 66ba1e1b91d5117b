//! Names that read like a built-in tool's. An agent, and a person who glances at a list, takes one
//! for the other.

use std::collections::BTreeSet;
use std::path::Path;

use super::built_in::BuiltIn;
use super::definition::check_legal;

/// Words beside a name that say "the same tool, but another one": `health_v2`, `new_health`,
/// `health_fixed`.
const WORDS: [&str; 61] = [
    "a", "actual", "alt", "alpha", "best", "beta", "better", "builtin", "clean", "copy", "correct",
    "default", "dev", "enhanced", "ex", "extended", "extra", "fast", "faster", "final", "fix",
    "fixed", "full", "good", "improved", "latest", "lite", "my", "native", "new", "newer", "next",
    "ng", "official", "ok", "old", "orig", "original", "patched", "plus", "pro", "proper", "real",
    "rookery", "safe", "safer", "secure", "secured", "smart", "stable", "super", "the", "tool",
    "true", "trusted", "updated", "v", "ver", "verified", "version", "working",
];
/// Of a built-in name with so many letters, one that differs in one place reads the same.
const LONG: usize = 6;

/// Why a tool of a stranger could not have this name, beside the built-in ones of `built_in`.
pub fn check_name(name: &str, built_in: Option<&Path>) -> Result<(), String> {
    check_legal(name)?;
    match read_alike(name, BuiltIn::in_dir(built_in).names()) {
        Some(known) => Err(format!(
            "a tool `{name}` reads like the built-in tool `{known}`; choose another name"
        )),
        None => Ok(()),
    }
}

/// The built-in name that `name` reads like, if there is one. The name itself reads like itself.
pub(super) fn read_alike<'a>(name: &str, built_in: &'a BTreeSet<String>) -> Option<&'a str> {
    let forms = forms(name);
    built_in
        .iter()
        .find(|known| {
            let letters = letters(known);
            let ordered = in_order(&words(known));
            forms.iter().any(|form| {
                *form == letters
                    || *form == ordered
                    || letters.len() >= LONG && strsim::osa_distance(form, &letters) <= 1
            })
        })
        .map(String::as_str)
}

/// What is left of a name to a quick eye, in each way that it can be read.
fn forms(name: &str) -> BTreeSet<String> {
    let words = words(name);
    let mut forms = BTreeSet::from([letters(name), letters(&words.concat()), in_order(&words)]);
    // `newhealth` and `health2fixed`: the same without the underscores.
    let mut rest = vec![name.replace('_', "")];
    while let Some(text) = rest.pop() {
        for shorter in without_one_word(&text) {
            if forms.insert(letters(&shorter)) {
                rest.push(shorter);
            }
        }
    }
    forms.remove("");
    forms
}

/// `text` without a number or one of [`WORDS`] at either end. Short words are left: `setenv` is not
/// `set` and `env` after an `a`.
fn without_one_word(text: &str) -> Vec<String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_digit());
    let mut shorter = Vec::new();
    if digits.len() < text.len() {
        shorter.push(digits.to_owned());
        shorter.extend(digits.strip_suffix('v').map(str::to_owned));
    }
    for word in WORDS.iter().filter(|word| word.len() > 2) {
        shorter.extend(text.strip_prefix(word).map(str::to_owned));
        shorter.extend(text.strip_suffix(word).map(str::to_owned));
    }
    shorter
}

/// The words of a name that say what it does.
fn words(name: &str) -> Vec<String> {
    let is_said = |word: &&str| {
        let word = word.trim_end_matches(|c: char| c.is_ascii_digit());
        !word.is_empty() && !WORDS.contains(&word)
    };
    name.split('_').filter(is_said).map(str::to_owned).collect()
}

/// `env_set` reads like `set_env`.
fn in_order(words: &[String]) -> String {
    let mut words: Vec<String> = words.iter().map(|word| letters(word)).collect();
    words.sort();
    words.concat()
}

/// Letters only, those that look alike as one, doubled ones as one, and without the `s` of a
/// plural.
pub(super) fn letters(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for c in name.chars().filter_map(look) {
        if !out.ends_with(c) {
            out.push(c);
        }
    }
    for (pair, one) in [("rn", "m"), ("vv", "w"), ("cl", "d")] {
        out = out.replace(pair, one);
    }
    if out.len() > 1 && out.ends_with('s') {
        out.pop();
    }
    out
}

/// One character for all that look like it; none for what separates.
fn look(c: char) -> Option<char> {
    Some(match c.to_ascii_lowercase() {
        '0' => 'o',
        '1' | 'i' | '|' => 'l',
        '3' => 'e',
        '4' => 'a',
        '5' => 's',
        '7' => 't',
        '8' => 'b',
        '9' => 'g',
        c if c.is_alphanumeric() => c,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUILT_IN: [&str; 8] = [
        "console",
        "health",
        "netbinds",
        "run",
        "run_wait",
        "set_env",
        "show_patch",
        "unset",
    ];

    fn alike(name: &str) -> Option<String> {
        let built_in = BUILT_IN.map(str::to_owned).into();
        read_alike(name, &built_in).map(str::to_owned)
    }

    #[test]
    fn a_name_that_reads_like_a_built_in_one_is_found() {
        for (known, names) in [
            (
                "health",
                &[
                    "health",
                    "health_v2",
                    "health2",
                    "health_2",
                    "healthv2",
                    "hea1th",
                    "he4lth",
                    "health_",
                    "health__new",
                    "health_fixed",
                    "health_safe",
                    "safe_health",
                    "newhealth",
                    "the_new_health_v3",
                    "helath",
                    "healthh",
                    "heath",
                    "healths",
                    "health_tool",
                    "rookery_health",
                ][..],
            ),
            (
                "set_env",
                &[
                    "set_env_",
                    "setenv",
                    "set_envs",
                    "env_set",
                    "5et_env",
                    "get_env",
                    "set_env_v2",
                    "set__env",
                ],
            ),
            (
                "console",
                &[
                    "c0nsole",
                    "conso1e",
                    "consoie",
                    "cons0le_fixed",
                    "console_new",
                    "consol",
                    "dconsole",
                ],
            ),
            (
                "run",
                &[
                    "run_", "run2", "run_v2", "runs", "runn", "new_run", "run_safe",
                ],
            ),
            ("show_patch", &["shovv_patch", "show_pateh", "patch_show"]),
            ("run_wait", &["runwait", "wait_run", "run_wa1t"]),
        ] {
            for name in names {
                assert_eq!(alike(name).as_deref(), Some(known), "{name}");
            }
        }
    }

    #[test]
    fn other_names_are_not() {
        for name in [
            "trouble_py",
            "echo",
            "slow",
            "runtime",
            "rerun_all",
            "healthcheck_of_mine",
            "env",
            "set",
            "missing",
            "disassemble",
            "strings_of",
            "liar",
            "test_simple_text",
            "reset",
            "uns",
            "ran",
            "v2",
            "new",
            "_",
            "2",
        ] {
            assert_eq!(alike(name), None, "{name}");
        }
    }
}
