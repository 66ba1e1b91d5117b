//! What the guest's shell is asked to do so that a command's true end comes back, and what it says.
//!
//! The command runs in a session of its own, apart from the shell that guesthopper waits for, and
//! leaves its code and its output in files of the guest. Each script is short, prints less than a
//! pipe holds, in characters that every reader takes for text, and marks what it prints with an id
//! that no output holds by chance. All of a script is one group: a part of it is not executed.

use std::fmt::Write as _;

use data_encoding::{BASE64, HEXLOWER};
use rookery_project::{Error, Result};
use rustix::rand::GetRandomFlags;

/// Of each stream in one answer; two of them in hexadecimal are less than a pipe holds.
pub(super) const BLOCK: usize = 8192;
/// Waits for 0.1 s before a script answers that the command still runs.
const MOST_WAITS: u128 = 20;
/// Where a directory for the files is made.
const PLACES: &str = "/tmp /igloo /run /var/run /dev";

/// What is found again, from script to script: one command.
#[derive(Debug)]
pub(super) struct Script {
    id: String,
}

/// One of the command's streams, by the name of its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stream {
    Out,
    Err,
}

impl Stream {
    fn file(self) -> &'static str {
        match self {
            Self::Out => "o",
            Self::Err => "e",
        }
    }
}

/// What a script printed.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Told {
    Running,
    Ended(Ended),
    /// The guest has no place for files.
    NoPlace,
    /// Nothing is known of the command: it was not started, or its files are gone.
    Unknown,
}

/// A command that has ended.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Ended {
    /// Absent where it was killed.
    pub(super) code: Option<i32>,
    /// The first block of each stream, and how much there is.
    pub(super) out: (Vec<u8>, usize),
    pub(super) err: (Vec<u8>, usize),
}

impl Script {
    pub(super) fn new() -> Result<Self> {
        let mut random = [0; 8];
        match rustix::rand::getrandom(&mut random, GetRandomFlags::empty()) {
            Ok(8) => Ok(Self {
                id: HEXLOWER.encode(&random),
            }),
            _ => Err(Error::Internal(
                "the machine gives no random numbers".into(),
            )),
        }
    }

    /// Start `argv`, keep `max_bytes` of each stream, and look at it as [`Self::look`] does.
    pub(super) fn start(&self, argv: &[String], max_bytes: usize, left: u128) -> String {
        let id = &self.id;
        let command = argv.iter().map(|argument| quoted(argument));
        let command = command.collect::<Vec<_>>().join(" ");
        let blocks = max_bytes / 512 + 1;
        // A stream's file ends at a limit while what is written to the stream is still taken.
        let run = format!(
            "t=$1\n\
             echo $$ >\"$t/p\"\n\
             keep() {{ ( ulimit -f {blocks}; exec cat >\"$t/$1\" ); cat >/dev/null; \
             : >\"$t/$1.all\"; }}\n\
             cd /\n\
             {{ {{ ( PATH=$2:/igloo/utils; export PATH; exec {command} ); \
             echo $? >\"$t/n\"; mv \"$t/n\" \"$t/c\"; }} </dev/null 2>&3 3>&- \
             | keep o 3>&-; }} 3>&1 | keep e\n"
        );
        let start = format!(
            "t=\n\
             for d in {PLACES}; do\n\
             mkdir \"$d/.rookery-{id}\" 2>/dev/null && t=$d/.rookery-{id} && break\n\
             done\n\
             if [ -z \"$t\" ]; then echo '{id} no place'; exit 0; fi\n\
             cat >\"$t/s\" <<'{id}'\n{run}{id}\n\
             s=\n\
             command -v setsid >/dev/null 2>&1 && s=setsid\n\
             $s sh \"$t/s\" \"$t\" \"$r\" </dev/null >/dev/null 2>&1 &\n"
        );
        group(&format!("{start}{}", self.report(left)))
    }

    /// Wait for a moment, and say how the command ended, with the beginning of its output, or that
    /// it runs. Nothing is removed: the answer may be lost, and asked for again.
    pub(super) fn look(&self, left: u128) -> String {
        group(&format!("{}{}", self.find(), self.report(left)))
    }

    /// End the command with all that it started, and tell what it had printed.
    pub(super) fn kill(&self) -> String {
        let kill = "if [ ! -f \"$t/c\" ]; then\n\
                    p=$(cat \"$t/p\" 2>/dev/null)\n\
                    [ -z \"$p\" ] || { kill -9 -$p || kill -9 $p; } 2>/dev/null\n\
                    : >\"$t/c\"; : >\"$t/o.all\"; : >\"$t/e.all\"\n\
                    fi\n";
        group(&format!("{}{kill}{}", self.find(), self.report(0)))
    }

    /// Print one block of a stream.
    pub(super) fn block(&self, stream: Stream, block: usize) -> String {
        let (id, file) = (&self.id, stream.file());
        group(&format!(
            "{}{ENCODER}\
             echo '{id} block' $k\n\
             dd if=\"$t/{file}\" bs={BLOCK} skip={block} count=1 2>/dev/null | code\n\
             echo; echo '{id} end'\n",
            self.find()
        ))
    }

    /// Remove its files.
    pub(super) fn clear(&self) -> String {
        let id = &self.id;
        group(&format!(
            "{}rm -r \"$t\"\necho '{id} cleared'\n",
            self.find()
        ))
    }

    fn find(&self) -> String {
        let id = &self.id;
        format!(
            "t=\n\
             for d in {PLACES}; do [ -d \"$d/.rookery-{id}\" ] && t=$d/.rookery-{id}; done\n\
             if [ -z \"$t\" ]; then echo '{id} unknown'; exit 0; fi\n"
        )
    }

    /// Wait at most for `left` milliseconds, and print how the command does.
    fn report(&self, left: u128) -> String {
        let id = &self.id;
        let waits = (left / 100).min(MOST_WAITS);
        // Not every `sleep` takes a fraction. Output that is on its way may come a moment later;
        // of a process in the background, none may ever end.
        format!(
            "pause() {{ if sleep 0.1 2>/dev/null; then n=$((n+1)); \
             else sleep 1; n=$((n+5)); fi; }}\n\
             n=0; while [ ! -f \"$t/c\" ] && [ $n -lt {waits} ]; do pause; done\n\
             if [ ! -f \"$t/c\" ]; then echo '{id} running'; exit 0; fi\n\
             n=0; while [ $n -lt 5 ] && {{ [ ! -f \"$t/o.all\" ] || [ ! -f \"$t/e.all\" ]; }}; \
             do pause; done\n\
             o=$(($(wc -c <\"$t/o\"))); e=$(($(wc -c <\"$t/e\")))\n\
             {ENCODER}\
             echo '{id} ended' $k $o $e $(cat \"$t/c\")\n\
             dd if=\"$t/o\" bs={BLOCK} count=1 2>/dev/null | code\n\
             echo; echo '{id} err'\n\
             dd if=\"$t/e\" bs={BLOCK} count=1 2>/dev/null | code\n\
             echo; echo '{id} end'\n"
        )
    }

    /// What a script printed; none where that is not what it prints.
    pub(super) fn told(&self, printed: &str) -> Option<Told> {
        let (_, rest) = printed.split_once(&format!("{} ", self.id))?;
        let (first, rest) = rest.split_once('\n')?;
        let mut words = first.split_whitespace();
        match words.next()? {
            "running" => return Some(Told::Running),
            "no" => return Some(Told::NoPlace),
            "unknown" => return Some(Told::Unknown),
            "ended" => {}
            _ => return None,
        }
        let encoding = words.next()?;
        let (out_size, err_size) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
        let code = words.next().and_then(|code| code.parse().ok());
        let (out, rest) = rest.split_once(&format!("\n{} err\n", self.id))?;
        let (err, _) = rest.split_once(&format!("\n{} end\n", self.id))?;
        Some(Told::Ended(Ended {
            code,
            out: (decoded(encoding, out)?, out_size),
            err: (decoded(encoding, err)?, err_size),
        }))
    }

    /// What [`Self::block`] printed.
    pub(super) fn told_block(&self, printed: &str) -> Option<Vec<u8>> {
        let (_, rest) = printed.split_once(&format!("{} block ", self.id))?;
        let (encoding, rest) = rest.split_once('\n')?;
        let (text, _) = rest.split_once(&format!("\n{} end", self.id))?;
        decoded(encoding.trim(), text)
    }
}

/// `code` writes bytes as text, by whatever the guest has for that, and `$k` says which: output
/// that is not UTF-8 would get no answer.
const ENCODER: &str = "\
    if [ \"$(echo A | base64 2>/dev/null)\" = QQo= ]; then k=base64; code() { base64; }\n\
    elif [ \"$(echo A | od -An -v -tx1 2>/dev/null | tr -d ' \\n')\" = 410a ]; then k=hex; \
    code() { od -An -v -tx1; }\n\
    elif [ \"$(echo A | hexdump -v -e '1/1 \"%02x\"' 2>/dev/null)\" = 410a ]; then k=hex; \
    code() { hexdump -v -e '1/1 \"%02x\"'; }\n\
    else k=plain; code() { cat; }; fi\n";

fn decoded(encoding: &str, text: &str) -> Option<Vec<u8>> {
    let packed: Vec<u8> = text
        .bytes()
        .filter(|byte| !byte.is_ascii_whitespace())
        .collect();
    match encoding {
        "base64" => BASE64.decode(&packed).ok(),
        "hex" => HEXLOWER.decode(&packed).ok(),
        "plain" => Some(text.as_bytes().to_vec()),
        _ => None,
    }
}

/// All of a script as one command: a part of it would not be executed.
fn group(body: &str) -> String {
    format!(
        "{{\nr=${{PATH:-/sbin:/usr/sbin:/bin:/usr/bin}}\n\
         PATH=/igloo/utils:$r; export PATH\n{body}}}"
    )
}

/// One word for a shell.
fn quoted(argument: &str) -> String {
    let mut quoted = String::with_capacity(argument.len() + 2);
    let _ = write!(quoted, "'{}'", argument.replace('\'', "'\\''"));
    quoted
}
