//! `live.command`: a program run inside the guest, as its root, under the same filter and
//! supervision.

use std::ffi::CString;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::rc::Rc;
use std::time::{Duration, Instant};

use rookery_contract::shapes::CommandOutput;
use rookery_project::{Error, Result};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::pipe::PipeFlags;
use rustix::process::{Pid, Signal, WaitOptions};

use crate::kernel::ending::await_end;
use crate::kernel::notify::Instruction;
use crate::kernel::passing::{packet_pair, receive_with_fd};
use crate::kernel::{enter, process};
use crate::process::call::Listener;
use crate::process::first_program::FirstProgram;
use crate::sandbox::confine;
use crate::sandbox::message;
use crate::sandbox::programs::LAUNCHER_PATH;
use rookery_runs::backend::Reply;
use rookery_runs::live::CommandRequest;

/// Building a command's sandbox takes milliseconds; a machine under load some more.
const SETUP: Duration = Duration::from_secs(5);

/// A program that was killed is gone by then.
const ENDS_WITHIN: Duration = Duration::from_millis(200);

/// A command on its way.
pub struct Command {
    /// A child of the supervisor that waits for the program, which is in the guest's pid
    /// namespace.
    waiter: Pid,
    outputs: [Output; 2],
    max_bytes: usize,
    program: Rc<FirstProgram>,
    reply: Option<Reply<CommandOutput>>,
    /// When it is killed.
    pub deadline: Instant,
}

struct Output {
    pipe: OwnedFd,
    bytes: Vec<u8>,
    truncated: bool,
    open: bool,
}

fn backend(what: &str, error: &dyn std::fmt::Display) -> Error {
    Error::Backend(format!("cannot {what}: {error}"))
}

impl Command {
    /// Start a program. Its system calls come to the listener. The run lasts for what is `left`.
    pub fn start(
        guest: &OwnedFd,
        filter: &[Instruction],
        envp: &[String],
        request: &CommandRequest,
        left: Duration,
    ) -> Result<(Self, Listener)> {
        if request.argv.is_empty() || request.argv.iter().any(|argument| argument.contains('\0')) {
            return Err(Error::InvalidArgument(
                "argv must name a program, and no argument may hold a NUL, for example \
                 [\"/bin/ps\"]"
                    .into(),
            ));
        }
        let (ours, theirs) = packet_pair().map_err(|error| backend("make a socket", &error))?;
        let pipe = || {
            rustix::pipe::pipe_with(PipeFlags::CLOEXEC)
                .map_err(|error| backend("make a pipe", &error))
        };
        let ((out, out_end), (err, err_end)) = (pipe()?, pipe()?);
        let waiter = process::fork_into(0).map_err(|error| backend("start a process", &error))?;
        let Some(waiter) = waiter else {
            let keep = [
                theirs.as_raw_fd(),
                guest.as_raw_fd(),
                out_end.as_raw_fd(),
                err_end.as_raw_fd(),
            ];
            process::close_all_except(&keep);
            wait_for_program(guest, &theirs, [out_end.as_fd(), err_end.as_fd()], filter)
        };
        drop((theirs, out_end, err_end));
        let output = |pipe: OwnedFd| {
            let _ = rustix::io::ioctl_fionbio(&pipe, true);
            Output {
                pipe,
                bytes: Vec::new(),
                truncated: false,
                open: true,
            }
        };
        let deadline = Instant::now() + request.timeout;
        let command = Self {
            waiter,
            outputs: [output(out), output(err)],
            max_bytes: request.max_bytes,
            program: Rc::new(FirstProgram::new(&request.argv, envp)),
            reply: None,
            deadline,
        };
        match await_listener(&ours, &command.program, SETUP.min(left)) {
            Ok(listener) => Ok((command, listener)),
            Err(error) => {
                command.kill();
                Err(error)
            }
        }
    }

    /// Who waits for the answer.
    pub fn answers(mut self, reply: Reply<CommandOutput>) -> Self {
        self.reply = Some(reply);
        self
    }

    /// What to wait for.
    pub fn pipes(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.outputs
            .iter()
            .filter(|output| output.open)
            .map(|output| output.pipe.as_fd())
    }

    /// Go on; `false` once it is answered.
    pub fn advance(&mut self) -> bool {
        let late = Instant::now() >= self.deadline;
        // Asked before the pipes are read, so that nothing written before the end is lost.
        let ended = rustix::process::waitpid(Some(self.waiter), WaitOptions::NOHANG);
        for output in &mut self.outputs {
            output.read(self.max_bytes);
        }
        let status = match ended {
            Ok(None) if !late => return true,
            Ok(Some((_, status))) => status.exit_status(),
            _ => None,
        };
        if late && !matches!(ended, Ok(Some(_))) {
            self.kill();
        }
        if let Some(reply) = self.reply.take() {
            reply.send(Ok(self.answer(status, late)));
        }
        false
    }

    fn answer(&self, status: Option<i32>, timed_out: bool) -> CommandOutput {
        let signal = status
            .and_then(|status| status.checked_sub(128))
            .filter(|signal| *signal > 0);
        let [out, err] = self
            .outputs
            .each_ref()
            .map(|output| String::from_utf8_lossy(&output.bytes).into_owned());
        CommandOutput {
            exit_code: status.filter(|_| signal.is_none() && !timed_out),
            signal,
            stdout: out,
            stderr: self.program.complaint().unwrap_or_default() + &err,
            truncated: self.outputs.iter().any(|output| output.truncated),
            timed_out,
        }
    }

    /// End it, unanswered.
    pub fn kill(&self) {
        let _ = rustix::process::kill_process(self.waiter, Signal::KILL);
        await_end(self.waiter, ENDS_WITHIN);
    }
}

impl Output {
    fn read(&mut self, max: usize) {
        let mut buffer = [0_u8; 16 * 1024];
        while self.open {
            match rustix::io::read(&self.pipe, &mut buffer) {
                Ok(0) => self.open = false,
                Ok(length) => {
                    let room = max.saturating_sub(self.bytes.len()).min(length);
                    self.truncated |= room < length;
                    self.bytes
                        .extend_from_slice(buffer.get(..room).unwrap_or_default());
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return,
                Err(_) => self.open = false,
            }
        }
    }
}

fn await_listener(
    socket: &OwnedFd,
    program: &Rc<FirstProgram>,
    limit: Duration,
) -> Result<Listener> {
    let timeout = rustix::net::sockopt::set_socket_timeout(
        socket,
        rustix::net::sockopt::Timeout::Recv,
        Some(limit.max(Duration::from_millis(1))),
    );
    timeout.map_err(|error| backend("set a timeout", &error))?;
    let mut buffer = [0_u8; 1024];
    let (length, fd) =
        receive_with_fd(socket, &mut buffer).map_err(|error| backend("enter the guest", &error))?;
    match (buffer.first(), fd) {
        (Some(&message::READY), Some(fd)) if length > 0 => {
            rustix::net::send(socket, b"g", rustix::net::SendFlags::NOSIGNAL)
                .map_err(|error| backend("start the command", &error))?;
            Ok(Listener::new(fd, Some(Rc::clone(program))))
        }
        _ => {
            let text = buffer
                .get(1..length)
                .map(String::from_utf8_lossy)
                .unwrap_or_default();
            Err(Error::Backend(format!(
                "the guest cannot be entered: {text}"
            )))
        }
    }
}

/// The waiter: it enters the guest, starts the program in the guest's pid namespace, and ends as
/// the program ended.
fn wait_for_program(
    guest: &OwnedFd,
    socket: &OwnedFd,
    output: [BorrowedFd<'_>; 2],
    filter: &[Instruction],
) -> ! {
    if let Err(errno) = enter::enter(guest, process::GUEST_NAMESPACES) {
        let _ = rustix::net::send(
            socket,
            format!("{}{errno}", char::from(message::FAILED)).as_bytes(),
            rustix::net::SendFlags::NOSIGNAL,
        );
        process::leave(125);
    }
    match process::fork_into(0) {
        Ok(Some(program)) => {
            process::close_all_except(&[]);
            let status = rustix::process::waitpid(Some(program), WaitOptions::empty());
            let status = status.ok().flatten().map_or(125, |(_, status)| {
                status
                    .exit_status()
                    .or_else(|| status.terminating_signal().map(|signal| 128 + signal))
                    .unwrap_or(125)
            });
            process::leave(status)
        }
        Ok(None) => become_program(socket, output, filter),
        Err(_) => process::leave(125),
    }
}

fn become_program(socket: &OwnedFd, output: [BorrowedFd<'_>; 2], filter: &[Instruction]) -> ! {
    let _ = rustix::process::set_parent_process_death_signal(Some(Signal::KILL));
    let _ = rustix::process::setsid();
    let _ = rustix::process::chdir("/");
    if let Ok(null) = rustix::fs::open("/dev/null", OFlags::RDWR, Mode::empty()) {
        let _ = rustix::stdio::dup2_stdin(&null);
    }
    let [out, err] = output;
    let _ = rustix::stdio::dup2_stdout(out);
    let _ = rustix::stdio::dup2_stderr(err);
    process::close_all_except(&[socket.as_raw_fd()]);
    if let Err(failed) = confine::confine(filter, socket) {
        let text = [&[message::FAILED], failed.as_bytes()].concat();
        let _ = rustix::net::send(socket, &text, rustix::net::SendFlags::NOSIGNAL);
        process::leave(125);
    }
    confine::await_go(socket);
    process::close_all_except(&[]);
    // What it becomes, the supervisor tells the launcher.
    let launcher = CString::new(LAUNCHER_PATH).unwrap_or_default();
    let error = process::execute(&launcher, std::slice::from_ref(&launcher), &[]);
    let text = format!("the guest's launcher cannot be executed: {error}\n");
    let _ = rustix::io::write(rustix::stdio::stderr(), text.as_bytes());
    process::leave(126)
}
