//! What a hook prints, read as Penguin's plugin hooklogger reads it. What that would misread, or
//! what would stop its emulator, is refused before it is sent.

use rookery_project::{Error, Result, quoted};

/// How an argument is printed.
const ITEMS: [&str; 25] = [
    "%d", "%i", "%u", "%x", "%X", "%p", "%c", "%b", "%s", "%fd", "%proc", "%u8", "%u16", "%u32",
    "%u64", "%i8", "%i16", "%i32", "%i64", "%x8", "%x16", "%x32", "%x64", "%d32", "%d64",
];
const SHOWN: &str = "%d %i %u %x %X %p %c %b %s %fd %proc, and %u8 to %x64 for what an argument \
                     points at";
/// A system call has no more arguments.
const MOST_OF_A_SYSCALL: usize = 6;
const MOST: usize = 12;
const LONGEST: usize = 400;

/// What kind of hook prints it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Of a system call.
    Syscall,
    /// Of a function.
    Function,
}

/// What a hook prints.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Action {
    /// As it was given.
    pub text: String,
    /// How each argument is printed, from the first on; `%proc` takes none.
    pub arguments: Vec<String>,
    /// How the result is printed.
    pub result: Option<String>,
}

impl Action {
    /// Read an action, and refuse one that Penguin would misread.
    pub fn read(text: &str, kind: Kind) -> Result<Self> {
        if text.len() > LONGEST || text.chars().any(char::is_control) {
            return refuse(format!(
                "an action is one line of at most {LONGEST} characters"
            ));
        }
        stops_the_emulator(text, kind)?;
        let (arguments, result) = cut(text);
        for item in arguments.iter().chain(result.iter().flatten()) {
            known(item, text)?;
        }
        let printed = arguments.iter().filter(|item| *item != "%proc").count();
        match (kind, &result) {
            (Kind::Syscall, _) if printed > MOST_OF_A_SYSCALL => refuse(format!(
                "a system call has at most {MOST_OF_A_SYSCALL} arguments"
            )),
            (_, None) if arguments.iter().any(|item| item.ends_with(":out")) => refuse(
                "`:out` is read when a function returns, which is watched only where the action \
                 says how the result is printed: `print %s:out = %d`",
            ),
            (_, Some(result)) if result.len() != 1 || result.iter().any(|of| of.contains(':')) => {
                refuse("one item after `=` says how the result is printed: `print %s = %d`")
            }
            _ if printed > MOST => refuse(format!("at most {MOST} arguments are printed")),
            _ => Ok(Self {
                text: text.to_owned(),
                arguments,
                result: result.and_then(|result| result.into_iter().next()),
            }),
        }
    }
}

/// The words that make Penguin wait for a debugger in its emulator, wherever they stand.
fn stops_the_emulator(action: &str, kind: Kind) -> Result<()> {
    let lower = action.to_lowercase();
    let word = ["break", "bp"]
        .into_iter()
        .find(|word| lower.contains(word) && (*word == "break" || kind == Kind::Function));
    word.map_or(Ok(()), |word| {
        refuse(format!(
            "Penguin takes `{word}` in an action, also inside of a word, for a breakpoint, and its \
             guest then stands still for ever"
        ))
    })
}

/// The items before and after `=`, as hooklogger cuts them.
fn cut(action: &str) -> (Vec<String>, Option<Vec<String>>) {
    let mut rest = action.trim();
    if rest
        .get(..5)
        .is_some_and(|word| word.eq_ignore_ascii_case("print"))
    {
        rest = rest.get(5..).unwrap_or_default().trim_start();
        rest = rest.strip_prefix('(').unwrap_or(rest);
    }
    rest = rest.trim_end_matches(')');
    let items = |side: &str| side.split(',').map(|item| item.trim().to_owned()).collect();
    match rest.split_once('=') {
        // `= %d` prints the result alone.
        Some((arguments, result)) if arguments.trim().is_empty() => {
            (Vec::new(), Some(items(result)))
        }
        Some((arguments, result)) => (items(arguments), Some(items(result))),
        None => (items(rest), None),
    }
}

fn known(item: &str, action: &str) -> Result<()> {
    let spec = item.strip_suffix(":out").unwrap_or(item);
    if ITEMS.contains(&spec) {
        return Ok(());
    }
    let shown = quoted(item.as_bytes(), 60);
    if item.is_empty() {
        return refuse(format!(
            "nothing stands where an argument is printed; write for example `print %s, %d`, with \
             one of {SHOWN}"
        ));
    }
    if item.ends_with(')') && action.contains('=') {
        return refuse(format!(
            "Penguin would read the item {shown} with its bracket: leave brackets out, as in \
             `print %s = %d`"
        ));
    }
    if item.contains('.') && !item.contains('%') {
        return refuse(format!(
            "{shown} would call a method of a Penguin plugin in its emulator, which is not offered"
        ));
    }
    refuse(format!(
        "{shown} is not a way to print an argument; there are {SHOWN}"
    ))
}

fn refuse<T>(why: impl std::fmt::Display) -> Result<T> {
    Err(Error::InvalidArgument(format!("action: {why}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn actions_are_read_as_hooklogger_reads_them() {
        let read = |text: &str, kind| {
            let action = Action::read(text, kind).unwrap();
            (action.arguments.join(" "), action.result)
        };
        let result = |text: &str| Some(text.to_owned());
        for (text, arguments) in [
            ("print %s", "%s"),
            ("PRINT(%s, %d)", "%s %d"),
            ("print  ( %fd,%s , %d )", "%fd %s %d"),
            ("%proc, %x64", "%proc %x64"),
        ] {
            assert_eq!(
                read(text, Kind::Syscall),
                (arguments.to_owned(), None),
                "{text}"
            );
        }
        for (text, arguments, returned) in [
            ("print %s, %s:out, %d = %d", "%s %s:out %d", "%d"),
            ("= %x", "", "%x"),
            ("print %s = %d)", "%s", "%d"),
        ] {
            let expected = (arguments.to_owned(), result(returned));
            assert_eq!(read(text, Kind::Function), expected, "{text}");
        }
    }

    #[test]
    fn what_penguin_would_misread_or_stop_at_is_refused_with_the_reason() {
        for (text, kind, why) in [
            ("", Kind::Syscall, "nothing stands"),
            ("print", Kind::Syscall, "nothing stands"),
            ("print %s,", Kind::Syscall, "nothing stands"),
            ("print %q", Kind::Syscall, "is not a way to print"),
            ("printf %s", Kind::Syscall, "is not a way to print"),
            ("print(%s) = %d", Kind::Function, "leave brackets out"),
            (
                "sys_read(%fd, %p, %d) = %d",
                Kind::Function,
                "is not a way to print",
            ),
            ("break", Kind::Syscall, "breakpoint"),
            ("print %s, outBREAK", Kind::Syscall, "breakpoint"),
            ("print %s,subp", Kind::Function, "`bp`"),
            ("print %s:out", Kind::Function, "when a function returns"),
            ("print %s = %d, %d", Kind::Function, "one item after"),
            ("print %s = ", Kind::Function, "nothing stands"),
            ("kmods.track", Kind::Syscall, "method of a Penguin plugin"),
            ("print %s\n", Kind::Syscall, "one line"),
            ("print %d,%d,%d,%d,%d,%d,%d", Kind::Syscall, "at most 6"),
        ] {
            let Err(Error::InvalidArgument(said)) = Action::read(text, kind) else {
                panic!("{text:?} was taken")
            };
            assert!(said.contains(why), "{text:?}: {said}");
        }
    }
}
