//! The report as `JUnit`'s XML, which build servers read.

use std::fmt::Write as _;
use std::path::Path;

use super::report::{Report, Tried};

/// The report on the component `file`.
pub(super) fn text(file: &Path, report: &Report) -> String {
    let suite = escaped(&file.file_stem().unwrap_or_default().to_string_lossy());
    let mut xml = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n\
         <testsuite name=\"{suite}\" tests=\"{}\" failures=\"{}\">\n",
        report.tried.len(),
        report.failed
    );
    for Tried { name, outcome } in &report.tried {
        let (seconds, rest) = (outcome.usage.wall_ms / 1000, outcome.usage.wall_ms % 1000);
        let head = format!(
            "<testcase classname=\"{suite}\" name=\"{}\" time=\"{seconds}.{rest:03}\"",
            escaped(name)
        );
        // Writing to a text does not fail.
        let _ = match outcome.failure() {
            None => writeln!(xml, "{head}/>"),
            Some(failure) => {
                let message = failure.lines().next().unwrap_or_default();
                writeln!(
                    xml,
                    "{head}>\n<failure message=\"{}\">{}</failure>\n</testcase>",
                    escaped(message),
                    escaped(&failure)
                )
            }
        };
    }
    xml.push_str("</testsuite>\n</testsuites>\n");
    xml
}

/// Text of a tool, which may hold anything; what XML cannot have is shown as a question mark.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' => out.push_str("&#10;"),
            '\t' => out.push_str("&#9;"),
            '\u{fffe}' | '\u{ffff}' => out.push('?'),
            _ if character.is_control() => out.push('?'),
            _ => out.push(character),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugins::test::report::Outcome;
    use rookery_runtime::Usage;

    #[test]
    fn a_failure_is_told_and_a_tool_breaks_no_report() {
        let usage = Usage {
            wall_ms: 1250,
            ..Usage::default()
        };
        let why = "it said \"</failure>\" & \u{1b}[2J".to_owned();
        let report = Report::of(vec![
            Outcome::passed(None, usage.clone()).named("counts".to_owned()),
            Outcome::failed(why, vec!["/total".to_owned()], usage).named("bad <one>".to_owned()),
        ]);
        let xml = text(Path::new("dir/my_tool.wasm"), &report);
        assert!(
            xml.contains("name=\"my_tool\" tests=\"2\" failures=\"1\""),
            "{xml}"
        );
        assert!(xml.contains("name=\"counts\" time=\"1.250\"/>"), "{xml}");
        assert!(xml.contains("name=\"bad &lt;one&gt;\""), "{xml}");
        assert!(
            xml.contains("&lt;/failure&gt;&quot; &amp; ?[2J&#10;/total</failure>"),
            "{xml}"
        );
        assert_eq!(xml.matches("</failure>").count(), 1, "{xml}");
    }
}
