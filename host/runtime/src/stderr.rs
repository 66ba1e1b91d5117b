//! What of a component's stderr tells why it failed.

/// Longest excerpt of an instance's stderr.
const EXCERPT_CHARS: usize = 1200;

/// The words of a panic, the end of a traceback, or the last words on stderr.
pub fn excerpt(stderr: &str) -> Option<String> {
    let lines: Vec<&str> = stderr
        .lines()
        .map(str::trim_end)
        .filter(|line| !line.is_empty())
        .collect();
    let panic = lines.iter().rposition(|line| line.contains("panicked at "));
    let said = panic.and_then(|at| lines.get(..at)).unwrap_or(&lines);
    // Python's runtime prints a traceback and then panics without a word about it.
    let traceback = said
        .iter()
        .rposition(|line| line.starts_with("Traceback (most recent call last)"))
        .and_then(|start| said.get(start..));
    let words = match (traceback, panic) {
        (Some(traceback), _) => end_of_traceback(traceback),
        (None, Some(at)) => panic_words(&lines, at),
        (None, None) => lines.get(lines.len().saturating_sub(3)..)?.join("\n"),
    };
    (!words.is_empty()).then(|| words.chars().take(EXCERPT_CHARS).collect())
}

fn panic_words(lines: &[&str], at: usize) -> String {
    let panic = lines
        .iter()
        .skip(at)
        .take_while(|line| !line.starts_with("note: "))
        .take(8)
        .copied()
        .collect::<Vec<_>>()
        .join("\n");
    // `thread '<unnamed>' (1) panicked at src/lib.rs:3:5:` names a thread that says nothing.
    panic
        .find("panicked at ")
        .map_or("", |at| panic.get(at..).unwrap_or_default())
        .to_owned()
}

/// The last lines, as many as fit: the innermost calls and the exception.
fn end_of_traceback(lines: &[&str]) -> String {
    // Less what says that lines are missing.
    let mut room = EXCERPT_CHARS - 2;
    let mut kept: Vec<String> = Vec::new();
    for line in lines.iter().rev() {
        let length = line.chars().count() + 1;
        if length > room {
            if kept.is_empty() {
                kept.push(line.chars().take(room).collect());
            }
            kept.push("…".to_owned());
            break;
        }
        room -= length;
        kept.push((*line).to_owned());
    }
    kept.reverse();
    kept.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_told_by_its_words_and_not_by_its_backtrace() {
        let stderr = "chatter\n\
                      \n\
                      thread '<unnamed>' (1) panicked at src/lib.rs:38:24:\n\
                      bad thing 42\n\
                      note: run with `RUST_BACKTRACE=1`\n";
        assert_eq!(
            excerpt(stderr).unwrap(),
            "panicked at src/lib.rs:38:24:\nbad thing 42"
        );
        assert_eq!(
            excerpt("Traceback:\n  File\nValueError: x\n").unwrap(),
            "Traceback:\n  File\nValueError: x"
        );
        assert_eq!(excerpt("\n"), None);
    }

    #[test]
    fn of_a_traceback_the_end_is_told() {
        // As componentize-py 0.25 writes it.
        let frames = |n: usize| {
            (0..n).fold(String::new(), |text, n| {
                text + &format!(
                    "  File \"/0/app.py\", line {n}, in f{n}\n    f{}()\n",
                    n + 1
                )
            })
        };
        let stderr = |n: usize| {
            format!(
                "chatter\n\
                 Traceback (most recent call last):\n\
                 {}KeyError: 'nope'\n\
                 \n\
                 thread '<unnamed>' (1) panicked at runtime/src/lib.rs:1293:29:\n\
                 Python function threw an unexpected exception\n\
                 note: run with `RUST_BACKTRACE=1`\n",
                frames(n)
            )
        };
        assert_eq!(
            excerpt(&stderr(2)).unwrap(),
            "Traceback (most recent call last):\n\
             \x20 File \"/0/app.py\", line 0, in f0\n\
             \x20   f1()\n\
             \x20 File \"/0/app.py\", line 1, in f1\n\
             \x20   f2()\n\
             KeyError: 'nope'"
        );
        let deep = excerpt(&stderr(500)).unwrap();
        assert!(
            deep.starts_with('…') && deep.ends_with("in f499\n    f500()\nKeyError: 'nope'"),
            "{deep}"
        );
        assert!(deep.chars().count() <= EXCERPT_CHARS);
        let long = format!(
            "Traceback (most recent call last):\nValueError: {}\n",
            "x".repeat(9999)
        );
        let long = excerpt(&long).unwrap();
        assert!(long.starts_with("…\nValueError: xxx") && long.chars().count() <= EXCERPT_CHARS);
    }
}
