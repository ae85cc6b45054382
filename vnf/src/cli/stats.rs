//! `lwaftr stats`.

use super::output::{print, print_json};
use super::{Failure, Target};
use crate::control::protocol::Request;
use crate::telemetry::stats_text;

/// Print the counters of a running instance
///
/// What came in, what went out, and what became of the rest: every frame is counted once. Drops
/// and ignored frames are listed by reason, the busiest first. docs/counters.md explains them all.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  lwaftr stats
  watch -d lwaftr stats
  lwaftr stats --examples
  lwaftr stats --json | jq '.interfaces.external.drops'
")]
pub struct Args {
    /// As JSON, per worker as well
    #[arg(long)]
    pub json: bool,

    /// With the first bytes of a recent frame of each reason for drops
    #[arg(long)]
    pub examples: bool,

    /// Which instance.
    #[command(flatten)]
    pub target: Target,
}

/// Runs the verb.
pub fn run(args: Args) -> Result<(), Failure> {
    let Args { json, examples, target } = args;
    let stats = target.connect()?.ask(Request::Stats)?;
    if json { print_json(&stats) } else { print(&stats_text(&stats, examples)).map(|_| ()) }
}
