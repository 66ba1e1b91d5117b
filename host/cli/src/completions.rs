//! What a shell and `man` read of the command line.

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, CommandFactory as _};
use clap_complete::Shell;
use rookery_report::word;

use crate::{Cli, show};

/// Print the completions of a shell
#[derive(Args)]
#[command(after_help = "\
Example:
  rookery completions bash > ~/.local/share/bash-completion/completions/rookery
  rookery completions zsh > ~/.zfunc/_rookery
  rookery completions fish > ~/.config/fish/completions/rookery.fish")]
pub struct Completions {
    /// bash, zsh, fish, elvish or powershell
    shell: Shell,
}

/// Print the manual page, or write one for each command into a directory
#[derive(Args)]
#[command(after_help = "\
Example:
  rookery man | man -l -
  rookery man --dir ~/.local/share/man/man1")]
pub struct Man {
    /// Write a page for each command into this directory
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

impl Completions {
    pub fn execute(&self) -> anyhow::Result<ExitCode> {
        // Made first: a reader may go away before the end.
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "rookery", &mut script);
        print(&script)
    }
}

impl Man {
    pub fn execute(&self) -> anyhow::Result<ExitCode> {
        let Some(dir) = &self.dir else {
            let mut page = Vec::new();
            clap_mangen::Man::new(Cli::command()).render(&mut page)?;
            return print(&page);
        };
        std::fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
        clap_mangen::generate_to(Cli::command(), dir)
            .with_context(|| format!("cannot write to {}", dir.display()))?;
        let page = dir.join("rookery.1");
        show::notes(&[format!("next: man -l {}", word(&page.to_string_lossy()))]);
        Ok(ExitCode::SUCCESS)
    }
}

fn print(text: &[u8]) -> anyhow::Result<ExitCode> {
    match io::Write::write_all(&mut io::stdout(), text) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(error).context("cannot write to stdout")
        }
        _ => Ok(ExitCode::SUCCESS),
    }
}
