//! `lwaftr metrics`.

use super::output::print;
use super::{Failure, Target};
use crate::control::protocol::Request;

/// Print everything that Prometheus would read of a running instance
///
/// In Prometheus' text format, version 0.0.4, as the management API has it at /metrics.
/// docs/metrics.md lists the metrics.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  lwaftr metrics | grep dropped_packets | grep -v ' 0$'
  lwaftr metrics > /var/lib/prometheus/node-exporter/lwaftr.prom.$$ \\
    && mv /var/lib/prometheus/node-exporter/lwaftr.prom.$$ /var/lib/prometheus/node-exporter/lwaftr.prom
")]
pub struct Args {
    /// Which instance.
    #[command(flatten)]
    pub target: Target,
}

/// Runs the verb.
pub fn run(args: &Args) -> Result<(), Failure> {
    let answer = args.target.connect()?.ask(Request::Metrics)?;
    print(answer["text"].as_str().unwrap_or_default()).map(|_| ())
}
