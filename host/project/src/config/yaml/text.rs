//! The text of a YAML file, before and beside its grammar.

use std::ops::Range;

use super::read::YamlError;

/// Text of a file: UTF-8, with line ends made `\n` as Python's text mode does.
pub fn decode(bytes: &[u8]) -> Result<String, YamlError> {
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let before = bytes.get(..error.valid_up_to()).unwrap_or_default();
        let line = before.split(|b| *b == b'\n').count();
        let column = before.rsplit(|b| *b == b'\n').next().map_or(0, <[u8]>::len) + 1;
        YamlError {
            line,
            column,
            message: "not UTF-8 text; save the file as UTF-8".to_owned(),
        }
    })?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    Ok(if text.contains('\r') {
        text.replace("\r\n", "\n").replace('\r', "\n")
    } else {
        text.to_owned()
    })
}

/// Characters that Penguin's reader refuses unless they are escaped in a double-quoted string.
pub fn check_characters(text: &str) -> Result<(), YamlError> {
    let printable = |c: char| matches!(c, '\t' | '\n' | ' '..='~' | '\u{85}' | '\u{a0}'..='\u{fffd}' | '\u{10000}'..);
    for (number, line) in text.split('\n').enumerate() {
        if let Some((column, c)) = line.chars().enumerate().find(|(_, c)| !printable(*c)) {
            let message = format!(
                "control character U+{:04X}; write it as an escape in a double-quoted string",
                u32::from(c)
            );
            return Err(YamlError {
                line: number + 1,
                column: column + 1,
                message,
            });
        }
    }
    Ok(())
}

/// Penguin's scanner knows tabs only within quoted strings, block text and comments; YAML 1.2 allows them in more places.
pub fn check_tabs(text: &str, scalars: &[(Range<usize>, bool)]) -> Result<(), YamlError> {
    let mut scalars = scalars.iter().peekable();
    let (mut line, mut column, mut comment, mut blank_before) = (1, 1, false, true);
    for (index, c) in text.chars().enumerate() {
        while scalars.next_if(|(range, _)| range.end <= index).is_some() {}
        let scalar = scalars.peek().filter(|(range, _)| range.contains(&index));
        match c {
            '\t' if !comment && !scalar.is_some_and(|(_, tabs)| *tabs) => {
                return Err(YamlError {
                    line,
                    column,
                    message: "a tab; indent and separate with spaces".to_owned(),
                });
            }
            '#' if blank_before && scalar.is_none() => comment = true,
            '\n' => {
                (line, column, comment, blank_before) = (line + 1, 1, false, true);
                continue;
            }
            _ => {}
        }
        blank_before = c == ' ' || c == '\t';
        column += 1;
    }
    Ok(())
}
