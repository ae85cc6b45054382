//! `lwaftr check`: validates a configuration and says in plain words what it would do.

use std::path::PathBuf;

use super::Failure;
use super::output::print;
use crate::config;

/// Check a configuration and say what it would do
///
/// Reads the configuration and its table file, checks them exactly as `run` and `reload` do, and
/// describes the result: ports, addresses, VLANs, the largest packets, softwires, the rules that
/// differ from their defaults, memory, and the prefixes that the network must route to the relay.
/// Needs no port, no hugepages and no privileges, and changes nothing.
///
/// Everything that is wrong is printed at once, as file:line: key: what is wrong: what would be
/// right. Exit code 0: valid, perhaps with warnings; 1: refused.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The configuration file (TOML)
    #[arg(value_name = "CONFIG")]
    pub config: PathBuf,

    /// List all prefixes to be routed here, however many
    #[arg(long)]
    pub all: bool,
}

/// Runs the verb.
pub fn run(args: Args) -> Result<(), Failure> {
    let Args { config, all } = args;
    let (config, writer) = config::load_with_table(&config)?;
    let text = super::describe::describe(&config, &writer, all);
    print(&text).map(|_| ())
}
