//! `lwaftr alarms`.

use std::time::SystemTime;

use super::output::{print, print_json};
use super::{Failure, Target};
use crate::control::protocol::Request;
use crate::telemetry::alarm_report;

/// Say what somebody should look after in a running instance
///
/// A line for each alarm that is raised: since when, what it is about, what it comes to, what to do.
/// docs/counters.md explains them all. Exit code 0: none is raised; 1: at least one is.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  lwaftr alarms
  lwaftr alarms --over                  those of the past as well
  lwaftr alarms --json | jq -r '.alarms[].name'
")]
pub struct Args {
    /// As JSON: those that are raised, and the last hundred that are over
    #[arg(long)]
    pub json: bool,

    /// And the last hundred that are over, the latest first
    #[arg(long, conflicts_with = "json")]
    pub over: bool,

    /// Which instance.
    #[command(flatten)]
    pub target: Target,
}

/// Runs the verb.
pub fn run(args: Args) -> Result<(), Failure> {
    let Args { json, over, target } = args;
    let answer = target.connect()?.ask(Request::Alarms)?;
    if json {
        print_json(&answer)?;
    } else {
        print(&alarm_report(&answer, over, SystemTime::now()))?;
    }
    match answer["alarms"].as_array().map_or(0, Vec::len) {
        0 => Ok(()),
        _ => Err(Failure::Negative),
    }
}
