//! Colour: on a terminal only, and where nobody asked for none (`NO_COLOR`). What is painted has
//! been made visible before, so no text of a guest's brings a colour of its own.

use anstream::stream::RawStream;
use anstream::{AutoStream, ColorChoice};
use anstyle::{AnsiColor, Style};

/// What begins a line, how that is painted, and how the rest of the line is.
const BEGINNINGS: [(&str, Style, Style); 4] = [
    (
        "next:",
        Style::new().dimmed(),
        AnsiColor::Cyan.on_default().bold(),
    ),
    ("error:", AnsiColor::Red.on_default().bold(), Style::new()),
    ("warning:", AnsiColor::Yellow.on_default(), Style::new()),
    ("service:", AnsiColor::Green.on_default(), Style::new()),
];

/// Text for a stream: as it is, or painted where the stream shows colour.
pub fn text(text: &str, to: &impl RawStream) -> String {
    if AutoStream::choice(to) == ColorChoice::Never {
        return text.to_owned();
    }
    let lines: Vec<String> = text.split('\n').map(line).collect();
    lines.join("\n")
}

fn line(line: &str) -> String {
    let begins = |(word, ..): &&(&str, Style, Style)| line.starts_with(*word);
    if let Some((word, first, rest)) = BEGINNINGS.iter().find(begins) {
        let behind = line.get(word.len()..).unwrap_or_default();
        return format!("{first}{word}{first:#}{rest}{behind}{rest:#}");
    }
    let is_heading = line.ends_with(':') && !line.starts_with([' ', '-']);
    if is_heading || line.starts_with("RUN ") {
        let bold = Style::new().bold();
        return format!("{bold}{line}{bold:#}");
    }
    line.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_painted_line_says_what_it_said() {
        for plain in [
            "next: rookery ps",
            "error: é",
            "findings:",
            "RUN  STATE",
            "  x:",
            "",
        ] {
            let painted = line(plain);
            assert_eq!(anstream::adapter::strip_str(&painted).to_string(), plain);
        }
        assert_ne!(line("next: x"), "next: x");
        assert_eq!(line("words"), "words");
    }
}
