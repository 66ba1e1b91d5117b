//! What of a project is nobody else's business, and its removal from texts.

use std::path::Path;

use serde_json::Value;

/// What stands in the place of a secret.
const LEFT_OUT: &str = "(left out)";
/// Shorter values are removed where their name stands, but not wherever they occur: they are also
/// words.
const MIN_CHARS: usize = 5;
/// A name with one of these in it is a secret's.
const IN_NAMES: [&str; 10] = [
    "passw",
    "passphrase",
    "pwd",
    "secret",
    "token",
    "psk",
    "credential",
    "apikey",
    "privkey",
    "private_key",
];
/// A name that ends with one of these words is a secret's, `wl0_key1` too.
const LAST_WORDS: [&str; 5] = ["key", "pass", "pin", "auth", "pw"];

/// Texts that are replaced, and how often that was done.
#[derive(Debug, Default)]
pub(super) struct Private {
    /// Paths of this machine, the longest first, and what stands for them.
    paths: Vec<(String, &'static str)>,
    secrets: Vec<String>,
    /// Paths that were replaced.
    pub(super) paths_replaced: usize,
    /// Values that were left out.
    pub(super) secrets_left_out: usize,
}

impl Private {
    /// What is known before any file was read: where the project lies, whose it is, and what this
    /// process has in its environment.
    pub(super) fn of(project: &Path) -> Self {
        let mut private = Self::default();
        private.path(project, "/project");
        private.path(project.parent().unwrap_or(project), "/projects");
        if let Some(home) = std::env::home_dir() {
            private.path(&home, "/home/user");
        }
        private.paths.sort_by_key(|(path, _)| path.len());
        private.paths.reverse();
        for (name, value) in std::env::vars_os() {
            private.learn(&name.to_string_lossy(), &value.to_string_lossy());
        }
        private
    }

    fn path(&mut self, path: &Path, instead: &'static str) {
        // One like `/root` is also the guest's.
        if path.components().count() > 2 {
            self.paths
                .push((path.to_string_lossy().into_owned(), instead));
        }
    }

    /// Remember `value`, if it is called as secrets are.
    pub(super) fn learn(&mut self, name: &str, value: &str) {
        let value = value.trim();
        let is_new = !self.secrets.iter().any(|secret| secret == value);
        if is_new && is_secret(name) && value.chars().count() >= MIN_CHARS {
            self.secrets.push(value.to_owned());
        }
    }

    /// Remember what a configuration keeps under names of secrets.
    pub(super) fn learn_all(&mut self, configuration: &Value) {
        match configuration {
            Value::Object(members) => {
                for (name, value) in members {
                    match value {
                        Value::String(text) => self.learn(name, text),
                        Value::Number(number) => self.learn(name, &number.to_string()),
                        other => self.learn_all(other),
                    }
                }
            }
            Value::Array(items) => items.iter().for_each(|item| self.learn_all(item)),
            _ => {}
        }
    }

    /// The text without what is private.
    pub(super) fn scrub(&mut self, text: &str) -> String {
        let mut text = text.to_owned();
        for (path, instead) in &self.paths {
            self.paths_replaced += replace(&mut text, path, instead);
        }
        for secret in &self.secrets {
            self.secrets_left_out += replace(&mut text, secret, LEFT_OUT);
        }
        self.named(&text)
    }

    /// The text without the values that stand beside the name of a secret: `name=value` and
    /// `name: value`.
    fn named(&mut self, text: &str) -> String {
        let mut scrubbed = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(start) = rest.find(is_of_name) {
            let (before, name) = rest.split_at(start);
            let end = name.find(|c| !is_of_name(c)).unwrap_or(name.len());
            let (name, after) = name.split_at(end);
            scrubbed.push_str(before);
            scrubbed.push_str(name);
            rest = after;
            let value = is_secret(name).then(|| value_after(after)).flatten();
            if let Some((between, value, after)) = value {
                scrubbed.push_str(between);
                scrubbed.push_str(LEFT_OUT);
                self.secrets_left_out += usize::from(value != LEFT_OUT);
                rest = after;
            }
        }
        scrubbed + rest
    }
}

/// Whether values of this name are kept to oneself.
pub(super) fn is_secret(name: &str) -> bool {
    let name = name.to_lowercase().replace(['-', '.'], "_");
    if IN_NAMES.iter().any(|part| name.contains(part)) {
        return true;
    }
    let Some((_, last)) = name.rsplit_once('_') else {
        return false;
    };
    LAST_WORDS.contains(&last.trim_end_matches(|c: char| c.is_ascii_digit()))
}

/// What is between a name and its value, the value, and what comes after it; none where no value
/// follows.
fn value_after(text: &str) -> Option<(&str, &str, &str)> {
    const QUOTES: [char; 2] = ['"', '\''];
    let mut start = text.len() - text.trim_start_matches(QUOTES).len();
    let sign = text.get(start..)?.chars().next()?;
    if sign != '=' && sign != ':' {
        return None;
    }
    start += 1;
    if sign == ':' {
        let spaced = text.get(start..)?;
        start += spaced.len() - spaced.trim_start_matches(' ').len();
    }
    let quoted = text.get(start..)?;
    let unquoted = quoted.trim_start_matches(QUOTES);
    let is_quoted = unquoted.len() < quoted.len();
    start += quoted.len() - unquoted.len();
    let ends = |c: char| match sign {
        _ if is_quoted => QUOTES.contains(&c) || c == '\n',
        ':' => c == '\n' || c == ',' || c == '}',
        _ => c.is_whitespace() || QUOTES.contains(&c) || ",&;".contains(c),
    };
    let end = unquoted.find(ends).unwrap_or(unquoted.len());
    let value = unquoted.get(..end)?;
    // A value that goes on below is found by itself, where it has names.
    let is_block = ["", "|", ">", "{", "["].contains(&value.trim_end());
    (!is_block).then(|| (&text[..start], value, &text[start + end..]))
}

/// Replace what stands by itself, and say how often.
fn replace(text: &mut String, what: &str, by: &str) -> usize {
    let mut replaced = String::new();
    let (mut count, mut rest) = (0, text.as_str());
    while let Some(at) = rest.find(what) {
        let (before, after) = (&rest[..at], &rest[at + what.len()..]);
        let joined = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
        let is_path = what.starts_with('/');
        replaced.push_str(before);
        if joined(after.chars().next()) || (!is_path && joined(before.chars().next_back())) {
            replaced.push_str(what);
        } else {
            replaced.push_str(by);
            count += 1;
        }
        rest = after;
    }
    if count > 0 {
        replaced.push_str(rest);
        *text = replaced;
    }
    count
}

fn is_of_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || "_.-".contains(c)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn values_beside_the_name_of_a_secret_are_left_out() {
        for (text, expected) in [
            ("http_passwd=admin next", "http_passwd=(left out) next"),
            (
                "['WL_PSK=a b', 'PATH=/bin']",
                "['WL_PSK=(left out) b', 'PATH=/bin']",
            ),
            ("  wl0_key1: \"12 34\"\n", "  wl0_key1: \"(left out)\"\n"),
            ("api-key: x\nport: 80\n", "api-key: (left out)\nport: 80\n"),
            (
                "{\"token\":\"x\",\"n\":1}",
                "{\"token\":\"(left out)\",\"n\":1}",
            ),
            ("secrets:\n  a: b\n", "secrets:\n  a: b\n"),
            ("key: 7, keyboard=us", "key: 7, keyboard=us"),
        ] {
            assert_eq!(Private::default().scrub(text), expected);
        }
    }

    #[test]
    fn a_secret_that_the_configuration_names_is_left_out_everywhere() {
        let mut private = Private::default();
        private.learn_all(&json!({"nvram": {"http_passwd": "hunter2", "wps_pin": 12_345_670}}));
        private.learn("admin_pass", "abc");
        let text = private.scrub("login hunter2, pin 12345670, hunter22, abc");
        assert_eq!(text, "login (left out), pin (left out), hunter22, abc");
        assert_eq!(private.secrets_left_out, 2);
    }

    #[test]
    fn paths_of_this_machine_are_replaced_and_those_of_the_guest_are_not() {
        let mut private = Private::default();
        private.path(Path::new("/root"), "/home/user");
        private.path(Path::new("/home/ann/fw"), "/project");
        private.path(Path::new("/home/ann"), "/home/user");
        let text = private.scrub("at=/home/ann/fw/results, /root/x, /home/anna, /home/ann");
        assert_eq!(text, "at=/project/results, /root/x, /home/anna, /home/user");
        assert_eq!(private.paths_replaced, 2);
    }
}
