//! Proposals in words of the command line. Tools propose calls of tools, which is what agents make;
//! a person types commands.

use std::collections::BTreeSet;

use rookery_contract::Next;
use rookery_report::command;
use serde_json::{Deserializer, Value};

/// Commands that stand for a tool.
const COMMANDS: [(&str, &str); 4] = [
    ("init_project", "init"),
    ("run", "run"),
    ("rehost", "rehost"),
    ("run_stop", "stop"),
];
/// Words that only an agent's client knows.
const WORDS: [(&str, &str); 4] = [
    (
        "name another output directory",
        "name another output directory with `-o`",
    ),
    (
        "lies in the root filesystem itself; name one elsewhere",
        "lies in the root filesystem itself; name one elsewhere with `-o`",
    ),
    (
        "tools/list gives all names",
        "`rookery call` lists all of them",
    ),
    ("Call rookery ", "Try: rookery "),
];

/// A sentence that names tools and calls: `` `set_env` `` and `run {"project_dir":"fw"}`.
pub fn sentence(text: &str) -> String {
    let tools = rookery_runtime::built_in_tools();
    let mut told = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(|c: char| c.is_ascii_lowercase() || c == '`') {
        let (before, at) = rest.split_at(start);
        told.push_str(before);
        let (words, taken) = proposal(at, &tools).unwrap_or_else(|| {
            // A word, or what does not begin one.
            let end = at.find(|c: char| !is_of_name(c)).unwrap_or(at.len()).max(1);
            (at.get(..end).unwrap_or(at).to_owned(), end)
        });
        told.push_str(&words);
        rest = at.get(taken..).unwrap_or_default();
    }
    told.push_str(rest);
    WORDS
        .iter()
        .fold(told, |told, (tool, shell)| told.replace(tool, shell))
}

/// What the text begins with, if that is a call or the name of a tool, and how long that is.
fn proposal(text: &str, tools: &BTreeSet<String>) -> Option<(String, usize)> {
    if let Some(quoted) = text.strip_prefix('`') {
        let (name, _) = quoted.split_once('`')?;
        let known = tools.contains(name);
        return known.then(|| (format!("`rookery {}`", named(name)), name.len() + 2));
    }
    let end = text.find(|c: char| !is_of_name(c))?;
    let (name, behind) = text.split_at(end);
    let arguments = behind
        .strip_prefix(' ')
        .filter(|rest| rest.starts_with('{'))?;
    if !tools.contains(name) {
        return None;
    }
    let mut values = Deserializer::from_str(arguments).into_iter::<Value>();
    let call = Next::call(name, values.next()?.ok()?);
    Some((command(&call), end + 1 + values.byte_offset()))
}

fn is_of_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// The command that stands for a tool.
fn named(tool: &str) -> String {
    let own = COMMANDS.iter().find(|(name, _)| *name == tool);
    own.map_or_else(|| format!("call {tool}"), |(_, own)| (*own).to_owned())
}

/// Every call in an answer, as the command that makes it.
pub fn value(value: &mut Value) {
    if let Some(call) = as_call(value) {
        *value = command(&call).into();
        return;
    }
    match value {
        Value::Array(items) => items.iter_mut().for_each(self::value),
        Value::Object(members) => {
            // The only sentence of an answer that never holds a word of the firmware's.
            if let Some(Value::String(advice)) = members.get_mut("how_to_enable") {
                *advice = sentence(advice);
            }
            members.values_mut().for_each(self::value);
        }
        _ => {}
    }
}

fn as_call(value: &Value) -> Option<Next> {
    let members = value.as_object()?;
    let is_call = members.len() == 2 && members.get("arguments")?.is_object();
    let tool = members.get("tool")?.as_str().filter(|_| is_call)?;
    Some(Next::call(tool, members.get("arguments")?.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_sentence_that_proposes_a_call_proposes_a_command() {
        for (agents, persons) in [
            (
                r#"no results: fw has not been run yet. Call run {"project_dir":"fw"}"#,
                "no results: fw has not been run yet. Try: rookery run fw",
            ),
            (
                "make one with `init_project`, or `set_env`; see `other`",
                "make one with `rookery init`, or `rookery call set_env`; see `other`",
            ),
            (
                r#"dry_run {"a":1} is no tool, run { neither"#,
                r#"dry_run {"a":1} is no tool, run { neither"#,
            ),
            (
                "it is a project already; use it as it is, or name another output directory",
                "it is a project already; use it as it is, or name another output directory \
                 with `-o`",
            ),
            ("é `run", "é `run"),
        ] {
            assert_eq!(sentence(agents), persons);
        }
    }

    #[test]
    fn the_calls_of_an_answer_become_commands() {
        let mut answer = json!({
            "fix": [{"tool": "set_env", "arguments": {"key": "a"}}],
            "next": {"tool": "run", "arguments": {"project_dir": "fw"}},
            "tool": "x"
        });
        value(&mut answer);
        let told = json!({
            "fix": [r#"rookery call set_env '{"key":"a"}'"#],
            "next": "rookery run fw",
            "tool": "x"
        });
        assert_eq!(answer, told);
    }
}
