//! `live.command` on Penguin: a command in the guest, from its start to its true end.

use std::path::Path;
use std::time::{Duration, Instant};

use rookery_contract::shapes::CommandOutput;
use rookery_project::{Error, Result};

use super::files::RunFiles;
use super::guesthopper::{self, Reply};
use super::qmp;
use super::script::{BLOCK, Ended, Script, Stream, Told};
use super::vsock::{self, Way};
use crate::live::CommandRequest;

/// Guesthopper gives up after 10 s; what has not come by then does not come.
const ANSWERS_WITHIN: Duration = Duration::from_secs(11);
/// After its time, a command's answer is waited for so long, before the command is ended.
const LATE: Duration = Duration::from_secs(2);
/// After its time, all is over within this: whoever asks waits for 5 s more.
const AFTER: Duration = Duration::from_secs(4);

/// Execute a command in the guest of this run.
pub(super) fn execute(
    files: &RunFiles,
    way: &Way,
    request: &CommandRequest,
) -> Result<CommandOutput> {
    let runtime = files.runtime()?;
    if runtime["guest_cmd"] == false {
        return Err(Error::unavailable(
            "commands in this guest",
            "its configuration starts no guesthopper, which executes them (core.guest_cmd)",
            files.switch_on("core.guest_cmd", &true.into()),
        ));
    }
    let socket = vsock::socket(runtime["vsock_uds_path"].as_str())?;
    Command {
        files,
        way,
        socket: &socket,
        script: Script::new()?,
        ends: Instant::now() + request.timeout,
        max_bytes: request.max_bytes,
    }
    .execute(&request.argv)
}

struct Command<'a> {
    files: &'a RunFiles,
    way: &'a Way,
    socket: &'a Path,
    script: Script,
    /// When its time is over.
    ends: Instant,
    max_bytes: usize,
}

impl Command<'_> {
    fn execute(&self, argv: &[String]) -> Result<CommandOutput> {
        let mut told = self.ask(&self.script.start(argv, self.max_bytes, self.left()), LATE)?;
        let mut timed_out = false;
        // What the guest did not say at first, it may say when it is asked again.
        loop {
            match told {
                Ok(Told::Ended(ended)) => return Ok(self.output(ended, timed_out)),
                Ok(Told::NoPlace) => {
                    return Err(Error::Backend(
                        "the guest has no directory in which a command's output can be kept: none \
                         of /tmp, /igloo, /run, /var/run and /dev can be written to"
                            .into(),
                    ));
                }
                Ok(Told::Unknown) => {
                    return Err(Error::Backend(
                        "the guest did not start the command, or removed the files that it was \
                         kept in"
                            .into(),
                    ));
                }
                Ok(Told::Running) | Err(_) if !timed_out && self.left() > 0 => {
                    if told.is_err() {
                        std::thread::sleep(Duration::from_millis(100));
                    }
                    told = self.ask(&self.script.look(self.left()), LATE)?;
                }
                Ok(Told::Running) | Err(_) if !timed_out => {
                    timed_out = true;
                    told = self.ask(&self.script.kill(), AFTER)?;
                }
                Ok(Told::Running) => return Ok(late()),
                Err(why) => {
                    return Err(Error::Backend(format!(
                        "the guest did not say how the command ended: {why}{}",
                        qmp::state(self.files)
                    )));
                }
            }
        }
    }

    /// Milliseconds that the command has left.
    fn left(&self) -> u128 {
        self.ends
            .saturating_duration_since(Instant::now())
            .as_millis()
    }

    /// What a script told, or why nothing came.
    fn ask(
        &self,
        script: &str,
        after: Duration,
    ) -> Result<std::result::Result<Told, &'static str>> {
        Ok(match self.printed(script, after)? {
            Reply::Printed(text) => self
                .script
                .told(&text)
                .ok_or("its shell printed something else"),
            Reply::Lost(why) => Err(why),
        })
    }

    /// What a script printed that is waited for until `after` the command's time.
    fn printed(&self, script: &str, after: Duration) -> Result<Reply> {
        let deadline = (Instant::now() + ANSWERS_WITHIN).min(self.ends + after);
        guesthopper::ask(self.way, self.socket, script, deadline)
    }

    fn output(&self, ended: Ended, timed_out: bool) -> CommandOutput {
        let (out, out_cut) = self.stream(Stream::Out, ended.out);
        let (err, err_cut) = self.stream(Stream::Err, ended.err);
        // What stays is a file of the guest, and gone with it.
        let _ = self.printed(&self.script.clear(), AFTER);
        CommandOutput {
            exit_code: ended.code.filter(|_| !timed_out),
            // The guest's shell tells it as 128 and its number, in the code.
            signal: None,
            stdout: String::from_utf8_lossy(&out).into_owned(),
            stderr: String::from_utf8_lossy(&err).into_owned(),
            truncated: out_cut || err_cut,
            timed_out,
        }
    }

    /// All that is wanted of a stream of which the beginning is here; whether there is more.
    fn stream(&self, stream: Stream, (mut bytes, size): (Vec<u8>, usize)) -> (Vec<u8>, bool) {
        let wanted = size.min(self.max_bytes);
        while bytes.len() < wanted {
            let script = self.script.block(stream, bytes.len() / BLOCK);
            let block = match self.printed(&script, AFTER) {
                Ok(Reply::Printed(text)) => self.script.told_block(&text),
                Ok(Reply::Lost(_)) | Err(_) => None,
            };
            match block {
                Some(block) if !block.is_empty() => bytes.extend(block),
                // What came is given, and that there is more.
                _ => break,
            }
        }
        let cut = size > bytes.len() || size > self.max_bytes;
        bytes.truncate(self.max_bytes);
        (bytes, cut)
    }
}

/// A command that was killed and of which nothing more is known.
fn late() -> CommandOutput {
    CommandOutput {
        timed_out: true,
        ..CommandOutput::default()
    }
}
