//! `lwaftr log`.

use super::output::print;
use super::{Failure, Target};
use crate::control::protocol::Request;

/// Say what a running instance logs, or have it log something else
///
/// Until the instance ends, or a reload changes instance.log-level. The log is on standard error, or
/// in systemd's journal. What repeats itself within ten seconds is counted, not printed, above debug.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  lwaftr log
  lwaftr log debug
  lwaftr log info,vnf::control=debug
")]
pub struct Args {
    /// off, error, warn, info, debug or trace; or levels of modules
    #[arg(value_name = "FILTER")]
    pub filter: Option<String>,

    /// Which instance.
    #[command(flatten)]
    pub target: Target,
}

/// Runs the verb.
pub fn run(args: Args) -> Result<(), Failure> {
    let Args { filter, target } = args;
    let answer = target.connect()?.ask(Request::Log { filter })?;
    print(&format!("{}\n", answer["filter"].as_str().unwrap_or("nothing"))).map(|_| ())
}
