//! Command line. Nothing but wiring: one file a subcommand.

mod advice;
mod arguments;
mod backends;
mod call;
mod completions;
mod console;
mod doctor;
mod init;
mod interrupt;
mod log;
mod logs;
mod page;
mod paged;
mod paint;
mod penguin;
mod pid1;
mod places;
mod plugins;
mod policy;
mod protocol;
mod prune;
mod ps;
mod rehost;
mod report;
mod run;
mod serve;
mod show;
mod signals;
mod stop;
mod summary;
mod toolbox;
mod tooling;
mod which;

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue};
use clap::{Parser, Subcommand};

/// Rehost firmware: run a device's root filesystem in an emulator, see what goes wrong, change, run
/// again.
#[derive(Parser)]
#[command(name = "rookery", version, after_help = EXIT_CODES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXIT_CODES: &str = "\
Exit codes: 0 done, 1 it failed, 2 the command line is wrong.
Logs go to stderr; ROOKERY_LOG=debug shows more of them.

Example:
  rookery init fw.rootfs.tar.gz && rookery run fw";

#[derive(Subcommand)]
enum Command {
    Init(init::Init),
    Run(run::Run),
    Rehost(rehost::Rehost),
    Ps(ps::Ps),
    Attach(logs::Attach),
    Logs(logs::Logs),
    Stop(stop::Stop),
    Report(report::Report),
    Call(call::Call),
    Prune(prune::Prune),
    Serve(serve::Serve),
    #[command(subcommand)]
    Plugins(plugins::Plugins),
    Doctor(doctor::Doctor),
    Completions(completions::Completions),
    Man(completions::Man),
}

fn main() -> ExitCode {
    rookery_emulator::usual_signals();
    // Not for users, and before anything that could start a thread: the supervisor forks.
    let mut args = std::env::args_os().skip(1);
    match args.next() {
        Some(command) if command == "supervise" => {
            let Some(spec) = args.next() else {
                return ExitCode::from(2);
            };
            log::start_in_supervisor();
            return rookery_runs::supervise(Path::new(&spec), backends::all);
        }
        Some(command) if command == rookery_runtime::COMPILE => {
            return rookery_runtime::compile_component(args);
        }
        Some(command) if command == rookery_images::READ_IMAGE => {
            return rookery_images::read_image(args);
        }
        Some(command) if command == rookery_images::READ_SYMBOLS => {
            return rookery_images::read_symbols(args);
        }
        _ => {}
    }
    // Before this process becomes a container's first: Penguin's own command may be meant.
    let line = match penguin::command_line() {
        Ok(line) => line,
        Err(error) => {
            show::error(&error, false);
            log::finish();
            return ExitCode::FAILURE;
        }
    };
    let code = if pid1::is_first() {
        log::start(false)
            .and_then(|()| pid1::run())
            .unwrap_or_else(|error| {
                show::error(&error, false);
                ExitCode::FAILURE
            })
    } else {
        execute(parsed(line))
    };
    log::finish();
    code
}

/// The command, or the end of this program with what is wrong with it. Who takes a tool for a
/// command is told how tools are called.
fn parsed(line: Vec<OsString>) -> Cli {
    Cli::try_parse_from(line).unwrap_or_else(|mut error| {
        let tool = match error.get(ContextKind::InvalidSubcommand) {
            Some(ContextValue::String(name)) => Some(name.clone()),
            _ => None,
        };
        let tools = rookery_runtime::built_in_tools();
        if let Some(tool) = tool.filter(|name| tools.contains(name)) {
            let call = ContextValue::Strings(vec![format!("call {tool}")]);
            error.insert(ContextKind::SuggestedSubcommand, call);
        }
        error.exit()
    })
}

fn execute(cli: Cli) -> ExitCode {
    let serves = matches!(cli.command, Command::Serve(_));
    if let Err(error) = log::start(serves) {
        show::error(&error, false);
        return ExitCode::FAILURE;
    }
    let (result, json) = match cli.command {
        Command::Init(init) => (init.execute(), init.json),
        Command::Run(run) => (run.execute(), run.json),
        Command::Rehost(rehost) => (rehost.execute(), rehost.json),
        Command::Ps(ps) => (ps.execute(), ps.json),
        Command::Attach(attach) => (attach.execute(), false),
        Command::Logs(logs) => (logs.execute(), false),
        Command::Stop(stop) => (stop.execute(), stop.json),
        Command::Prune(prune) => (prune.execute(), prune.json),
        Command::Completions(completions) => (completions.execute(), false),
        Command::Man(man) => (man.execute(), false),
        Command::Report(report) => (report.execute(), report.json),
        Command::Call(call) => (call.execute(), call.json),
        Command::Serve(serve) => (serve.execute(), false),
        Command::Plugins(plugins) => (plugins.execute(), plugins.json()),
        Command::Doctor(doctor) => (doctor.execute(), doctor.json),
    };
    result.unwrap_or_else(|error| {
        show::error(&error, json);
        ExitCode::FAILURE
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent_and_every_subcommand_has_an_example() {
        let mut command = Cli::command();
        command.clone().debug_assert();
        command.build();
        check(&command);
    }

    fn check(command: &clap::Command) {
        for sub in command
            .get_subcommands()
            .filter(|sub| sub.get_name() != "help")
        {
            let example = sub
                .get_after_help()
                .map(ToString::to_string)
                .unwrap_or_default();
            assert!(
                example.contains(&format!("rookery {}", sub.get_name()))
                    || sub.has_subcommands()
                    || example.contains(sub.get_name())
            );
            assert!(
                example.contains("Example"),
                "{} has no example",
                sub.get_name()
            );
            assert!(sub.get_about().is_some());
            check(sub);
        }
    }
}
