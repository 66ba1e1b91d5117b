//! The text of a YAML file, before and beside its grammar.

use std::collections::HashSet;
use std::ops::Range;

use super::error::YamlError;

/// Text of a file: UTF-8, with line ends made `\n` as Python's text mode does.
pub fn decode(bytes: &[u8]) -> Result<String, YamlError> {
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let before = bytes.get(..error.valid_up_to()).unwrap_or_default();
        let line = before.split(|b| *b == b'\n').count();
        let column = before.rsplit(|b| *b == b'\n').next().map_or(0, <[u8]>::len) + 1;
        YamlError::at(line, column, "not UTF-8 text; save the file as UTF-8")
    })?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    Ok(if text.contains('\r') {
        text.replace("\r\n", "\n").replace('\r', "\n")
    } else {
        text.to_owned()
    })
}

/// Characters that Penguin's reader refuses, or takes for a line end, unless they are escaped in a
/// double-quoted string.
pub fn check_characters(text: &str) -> Result<(), YamlError> {
    let printable = |c: char| {
        matches!(
            c,
            '\t' | '\n'
                | ' '..='~'
                | '\u{a0}'..='\u{2027}'
                | '\u{202a}'..='\u{fffd}'
                | '\u{10000}'..
        )
    };
    for (number, line) in text.split('\n').enumerate() {
        if let Some((column, c)) = line.chars().enumerate().find(|(_, c)| !printable(*c)) {
            let message = format!(
                "character U+{:04X} is not text, or ends a line for Penguin; write it as an escape \
                 in a double-quoted string",
                u32::from(c)
            );
            return Err(YamlError::at(number + 1, column + 1, message));
        }
    }
    Ok(())
}

/// Penguin's reader knows version 1 of YAML only, and one byte order mark.
pub fn check_directives(text: &str) -> Result<(), YamlError> {
    let refuse = |line, message: &str| Err(YamlError::at(line, 1, message));
    if text.starts_with('\u{feff}') {
        return refuse(1, "a second byte order mark (U+FEFF); remove it");
    }
    let head = text.split('\n').enumerate();
    for (index, line) in
        head.take_while(|(_, line)| line.is_empty() || line.starts_with(['%', '#']))
    {
        let version = line.strip_prefix("%YAML").map(str::trim_start);
        if version.is_some_and(|version| !version.starts_with("1.")) {
            return refuse(
                index + 1,
                "this version of YAML is not supported; remove the line",
            );
        }
    }
    Ok(())
}

/// What stands outside of scalars and comments: no tabs, which YAML 1.2 allows in more places than
/// Penguin's scanner, and no anchor that is set twice.
pub fn check_outside(chars: &[char], scalars: &[(Range<usize>, bool)]) -> Result<(), YamlError> {
    let mut scalars = scalars.iter().peekable();
    let mut anchors = HashSet::new();
    let (mut line, mut column, mut comment, mut blank_before) = (1, 1, false, true);
    for (index, c) in chars.iter().enumerate() {
        while scalars.next_if(|(range, _)| range.end <= index).is_some() {}
        let scalar = scalars.peek().filter(|(range, _)| range.contains(&index));
        let refuse = |message: String| Err(YamlError::at(line, column, message));
        match c {
            '\t' if !comment && !scalar.is_some_and(|(_, tabs)| *tabs) => {
                return refuse("a tab; indent and separate with spaces".to_owned());
            }
            '&' | '*' if !comment && scalar.is_none() => {
                let rest = chars.get(index + 1..).unwrap_or_default();
                let name = |c: &&char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
                let name: String = rest.iter().take_while(name).collect();
                let after = rest.get(name.len());
                let ends = matches!(after, None | Some(' ' | '\n' | ',' | ']' | '}'));
                if name.is_empty() || !ends {
                    return refuse(
                        "the name of an anchor has only letters, digits, '-' and '_'".to_owned(),
                    );
                }
                if *c == '&' && !anchors.insert(name.clone()) {
                    return refuse(format!(
                        "anchor &{name} is set a second time; give it another name"
                    ));
                }
            }
            '#' if blank_before && scalar.is_none() => comment = true,
            '\n' => {
                (line, column, comment, blank_before) = (line + 1, 1, false, true);
                continue;
            }
            _ => {}
        }
        blank_before = *c == ' ' || *c == '\t';
        column += 1;
    }
    Ok(())
}
