//! `lwaftr latency`.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::output::{print, print_json};
use super::{Failure, Target};
use crate::control::protocol::Request;
use crate::telemetry::LatencyKind;

/// Print how long packets spend in a running instance
///
/// From the return of the receive call that brought a packet to the return of the transmit call
/// that took it, in nanoseconds, since the instance started: encap (to a B4), decap (from a B4),
/// hairpin (from a B4 to another), held (packets that had to wait for a neighbour or a fragment).
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  lwaftr latency
  lwaftr latency --json | jq .encap.p99
  lwaftr latency --hdr latency.hlog     for HdrHistogram's tools and plotters
")]
pub struct Args {
    /// As JSON
    #[arg(long)]
    pub json: bool,

    /// With every recorded value and its count (implies --json)
    #[arg(long)]
    pub full: bool,

    /// Write the histograms to a file, as an HdrHistogram log (V2), one line per kind
    #[arg(long, value_name = "FILE", conflicts_with_all = ["json", "full"])]
    pub hdr: Option<PathBuf>,

    /// Which instance.
    #[command(flatten)]
    pub target: Target,
}

/// Runs the verb.
pub fn run(args: Args) -> Result<(), Failure> {
    let Args { json, full, hdr, target } = args;
    let mut client = target.connect()?;
    if let Some(path) = hdr {
        let answer = client.ask(Request::Hdr)?;
        return write_log(&path, answer["log"].as_str().unwrap_or_default());
    }
    let answer = client.ask(Request::Latency { full })?;
    if json || full { print_json(&answer) } else { print(&text(&answer)).map(|_| ()) }
}

fn write_log(path: &Path, log: &str) -> Result<(), Failure> {
    std::fs::write(path, log).map_err(|error| {
        Failure::Refused(format!("{}: cannot be written: {error}", path.display()))
    })
}

const COLUMNS: [&str; 6] = ["count", "p50", "p90", "p99", "p999", "max"];

fn text(latency: &Value) -> String {
    let mut text = format!("{:<8}", "ns");
    for column in COLUMNS {
        _ = write!(text, "{column:>14}");
    }
    text.push('\n');
    for kind in LatencyKind::ALL {
        _ = write!(text, "{:<8}", kind.name());
        for column in COLUMNS {
            _ = write!(text, "{:>14}", latency[kind.name()][column].as_u64().unwrap_or_default());
        }
        text.push('\n');
    }
    text
}
