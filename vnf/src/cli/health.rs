//! `lwaftr health`, `lwaftr drain` and `lwaftr undrain`.

use std::fmt::Write as _;

use serde_json::Value;

use super::output::{print, print_json};
use super::{Failure, Target};
use crate::control::DRAIN_GRACE;
use crate::control::protocol::Request;

/// Say whether a running instance can forward
///
/// It is ready when both links are up, both sides have a next hop that answers, every worker makes
/// progress, and it is not drained. Exit code 0: ready; 1: not ready, and why; 3: nobody answers.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  lwaftr health || echo turn away
  lwaftr health --json | jq -r '.problems[]'
")]
pub struct Args {
    /// As JSON
    #[arg(long)]
    pub json: bool,

    /// Which instance.
    #[command(flatten)]
    pub target: Target,
}

/// Declare a running instance not ready, before it is stopped
///
/// `/readyz` and `lwaftr health` say no from now on, for load balancers and route announcers to turn
/// away; traffic that still comes is forwarded as before. With policy.stop-answering-when-down, ARP
/// and neighbour discovery are not answered any more after a while either. Ends with `undrain` or a
/// restart.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  lwaftr drain && sleep 30 && systemctl stop lwaftr
  lwaftr drain --grace 0
")]
pub struct DrainArgs {
    /// Seconds until ARP and neighbour discovery go unanswered, with stop-answering-when-down
    #[arg(long, value_name = "SECONDS", default_value_t = DRAIN_GRACE.as_secs() as u32)]
    pub grace: u32,

    /// As JSON
    #[arg(long)]
    pub json: bool,

    /// Which instance.
    #[command(flatten)]
    pub target: Target,
}

/// Take `drain` back
///
/// Exit code 1: it was not drained.
#[derive(Debug, clap::Args)]
pub struct UndrainArgs {
    /// As JSON
    #[arg(long)]
    pub json: bool,

    /// Which instance.
    #[command(flatten)]
    pub target: Target,
}

/// Runs the verb.
pub fn run(args: Args) -> Result<(), Failure> {
    let Args { json, target } = args;
    let health = target.connect()?.ask(Request::Health)?;
    show(&health, json)?;
    if health["ready"] == true { Ok(()) } else { Err(Failure::Negative) }
}

/// Runs `drain`.
pub fn drain(args: DrainArgs) -> Result<(), Failure> {
    let DrainArgs { grace, json, target } = args;
    show(&target.connect()?.ask(Request::Drain { grace })?, json)
}

/// Runs `undrain`.
pub fn undrain(args: UndrainArgs) -> Result<(), Failure> {
    let UndrainArgs { json, target } = args;
    show(&target.connect()?.ask(Request::Undrain)?, json)
}

fn show(health: &Value, json: bool) -> Result<(), Failure> {
    if json { print_json(health) } else { print(&text(health)).map(|_| ()) }
}

fn text(health: &Value) -> String {
    let mut text = String::from(if health["ready"] == true { "ready\n" } else { "not ready\n" });
    for problem in health["problems"].as_array().into_iter().flatten() {
        _ = writeln!(text, "  {}", problem.as_str().unwrap_or_default());
    }
    text
}
