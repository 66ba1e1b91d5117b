//! Questions for what the command line leaves out, to a person at a terminal only.

use std::io::{self, BufRead, IsTerminal, Write};

use anyhow::{Context, bail};
use clap::ValueEnum;

use super::language::Language;

pub(super) fn name() -> anyhow::Result<String> {
    ask("Name of the tool: ")?.context("name the tool: rookery plugins new NAME --lang rust")
}

pub(super) fn language() -> anyhow::Result<Language> {
    let all: Vec<String> = Language::value_variants()
        .iter()
        .filter_map(|language| Some(language.to_possible_value()?.get_name().to_owned()))
        .collect();
    let all = all.join(", ");
    let Some(answer) = ask(&format!("Language ({all}): "))? else {
        bail!("choose a language with --lang: {all}");
    };
    Language::from_str(&answer, true)
        .ok()
        .with_context(|| format!("`{answer}` is not one of {all}"))
}

/// `None` where nobody is asked.
fn ask(question: &str) -> anyhow::Result<Option<String>> {
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        return Ok(None);
    }
    let mut stderr = io::stderr();
    write!(stderr, "{question}")?;
    stderr.flush()?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    Ok(Some(answer.trim().to_owned()))
}
