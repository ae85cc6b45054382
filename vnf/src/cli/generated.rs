//! What is generated from the command line's own description: shell completions and man pages.

use std::path::PathBuf;

use clap::CommandFactory as _;
use clap_complete::Shell;

use super::output::print;
use super::{Cli, Failure};

/// Print a shell's completion script
#[derive(Debug, Clone, Copy, clap::Args)]
#[command(after_help = "Examples:
  lwaftr completions bash > /usr/share/bash-completion/completions/lwaftr
  source <(lwaftr completions zsh)
")]
pub struct CompletionArgs {
    /// The shell
    pub shell: Shell,
}

/// Write the man pages
///
/// One page for lwaftr, and one for each verb.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  lwaftr man --out /usr/local/share/man/man1 && man lwaftr-softwire
")]
pub struct ManArgs {
    /// The directory to write to; made if it is not there
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
}

/// Runs `lwaftr completions`.
pub fn completions(args: CompletionArgs) -> Result<(), Failure> {
    let mut script = Vec::new();
    let CompletionArgs { shell } = args;
    clap_complete::generate(shell, &mut Cli::command(), "lwaftr", &mut script);
    print(&String::from_utf8_lossy(&script)).map(|_| ())
}

/// Runs `lwaftr man`.
pub fn man(args: ManArgs) -> Result<(), Failure> {
    let ManArgs { out } = args;
    std::fs::create_dir_all(&out)
        .and_then(|()| clap_mangen::generate_to(Cli::command(), &out))
        .map_err(|error| Failure::Refused(format!("{}: cannot be written: {error}", out.display())))
}
