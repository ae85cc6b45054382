//! `lwaftr bench`: what the relay costs on this machine.

use std::path::PathBuf;
use std::time::Duration;

use super::Failure;
use super::output::{print, print_json};
use crate::bench::{self, Direction, Request};
use crate::generate::Flood;

/// Measure what a packet costs
///
/// Runs one worker, as `run` does, on ports in memory: the frames of two captures are served over
/// and over, each copied into a fresh buffer, and what the relay sends is freed. In turns with
/// that, the same is done without the relay, and the difference is what the relay costs. All rates
/// are per second of the worker's CPU time. Next hops that are given by address count as known.
///
/// Hugepages are used if enough are free.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  lwaftr generate --softwires 1000000 --out /tmp/million
  lwaftr bench /tmp/million/lwaftr.toml --external-in /tmp/million/external.pcap \\
    --internal-in /tmp/million/internal.pcap --duration 5
")]
pub struct Args {
    /// Configuration file
    config: PathBuf,
    /// Frames that the external interface receives (pcap or pcapng)
    #[arg(long, value_name = "PCAP")]
    external_in: Option<PathBuf>,
    /// Frames that the internal interface receives (pcap or pcapng)
    #[arg(long, value_name = "PCAP")]
    internal_in: Option<PathBuf>,
    /// Which way packets go
    #[arg(long, value_enum, default_value_t)]
    direction: Direction,
    /// For how many seconds
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = seconds)]
    duration: Duration,
    /// The worker's CPU, instead of the first of workers.cpus
    #[arg(long, value_name = "CPU")]
    cpu: Option<usize>,
    /// So many workers at the same time, each with its share of the frames and a CPU of its own
    #[arg(
        long,
        value_name = "N",
        default_value_t = 1,
        value_parser = clap::value_parser!(u8).range(1..=64),
        conflicts_with = "cpu"
    )]
    workers: u8,
    /// Measure for as long again while the configuration is reloaded over and over, and compare
    /// latencies
    #[arg(long)]
    reload: bool,
    /// Measure for as long again with nine frames of a flood for each of the captures, and compare
    #[arg(long, value_name = "KIND", value_enum, conflicts_with = "reload")]
    flood: Option<Flood>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Runs the verb.
pub fn run(args: Args) -> Result<(), Failure> {
    let (external, internal) = match args.direction {
        Direction::Both => (true, true),
        Direction::Encap => (true, false),
        Direction::Decap => (false, true),
    };
    let request = Request {
        config: args.config,
        external_in: needed(external, args.external_in, "--external-in")?,
        internal_in: needed(internal, args.internal_in, "--internal-in")?,
        duration: args.duration,
        cpu: args.cpu,
        workers: args.workers.into(),
        reload: args.reload,
        flood: args.flood,
    };
    let outcome = bench::run(&request)?;
    if args.json { print_json(&outcome.json()) } else { print(&outcome.to_string()).map(|_| ()) }
}

/// The capture of a side that packets come from.
fn needed(
    needed: bool,
    capture: Option<PathBuf>,
    option: &str,
) -> Result<Option<PathBuf>, Failure> {
    match capture {
        None if needed => Err(Failure::Usage(format!(
            "{option} is missing: a capture of frames to serve (`lwaftr generate` makes some), or \
             --direction encap or decap for one way only"
        ))),
        capture => Ok(capture.filter(|_| needed)),
    }
}

/// Seconds, with or without a fraction.
fn seconds(text: &str) -> Result<Duration, String> {
    let wanted = text.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    wanted
        .filter(|duration| !duration.is_zero())
        .ok_or_else(|| "a number of seconds above 0, like 5 or 0.5".to_owned())
}
