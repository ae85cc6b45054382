//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

use super::direction::Directions;
use super::measure::profile::Shape;
use super::mix::Mix;
use super::rate::Rate;

/// Measure a lwaftr border relay
///
/// Stands on both sides of a relay at once: what it sends on one port comes back, encapsulated or
/// decapsulated, on the other. It reads the relay's own configuration and table, so that every
/// frame belongs to a softwire and the form in which it must come back is known to the last byte.
/// Each frame carries a number and a time in its payload: losses, duplicates, corrupt frames and
/// frames in a wrong tunnel are told apart, each exactly.
///
/// It answers for the relay's next hops (ARP, neighbour discovery) and finds the relay by asking.
/// docs/loadtest.md has recipes for this machine and for a lab.
#[derive(Debug, Parser)]
#[command(
    name = "lwaftr-loadtest",
    version,
    after_help = "Example: the relay and this program on one machine, joined by two memif sockets.
  relay.toml has [external] port = \"net_memif0,role=server,socket=/run/ext,socket-abstract=no\"
             and [internal] port = \"net_memif1,role=server,socket=/run/int,socket-abstract=no\"
  lwaftr run relay.toml &
  lwaftr-loadtest throughput relay.toml --pid $! \\
    --external-port net_memif0,role=client,socket=/run/ext,socket-abstract=no \\
    --internal-port net_memif1,role=client,socket=/run/int,socket-abstract=no \\
    --frame-sizes 64,imix --directions both --trial-duration 10 --html report.html

Exit codes: 0 measured; 1 not measured, or frames were lost or wrong in `reload`; 2 usage.
"
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) what: What,
}

/// What to measure.
#[derive(Debug, Subcommand)]
pub(crate) enum What {
    /// Throughput, loss curve and latency, one after another
    Suite {
        #[command(flatten)]
        common: Common,
        #[command(flatten)]
        search: SearchArgs,
        #[command(flatten)]
        loss: LossArgs,
        #[command(flatten)]
        latency: LatencyArgs,
    },
    /// The highest rate without loss, by frame size (RFC 2544 26.1, RFC 8219 7.1)
    ///
    /// Binary search from the highest rate. A rate at which frames were lost is tried again before
    /// it is believed (ETSI GS NFV-TST 009, binary search with loss verification).
    Throughput {
        #[command(flatten)]
        common: Common,
        #[command(flatten)]
        search: SearchArgs,
    },
    /// How much is lost at which rate (RFC 2544 26.3)
    Loss {
        #[command(flatten)]
        common: Common,
        #[command(flatten)]
        loss: LossArgs,
    },
    /// Latency and its variation (RFC 8219 7.2 and 7.3)
    Latency {
        #[command(flatten)]
        common: Common,
        #[command(flatten)]
        search: SearchArgs,
        #[command(flatten)]
        latency: LatencyArgs,
    },
    /// The longest burst at the highest rate that loses nothing (RFC 2544 26.4, RFC 9004)
    BackToBack {
        #[command(flatten)]
        common: Common,
        #[command(flatten)]
        bursts: BurstArgs,
    },
    /// A load that steps, ramps or is held, over time, with reloads at chosen moments
    Profile {
        #[command(flatten)]
        common: Common,
        #[command(flatten)]
        reload: ReloadArgs,
        /// How the rate changes
        #[arg(long, value_enum, default_value = "hold")]
        shape: Shape,
        /// Rates in each direction, such as 250k, 1.5M or 50% (of the line rate)
        #[arg(long, value_name = "RATE,...", value_delimiter = ',', required = true)]
        rates: Vec<Rate>,
        /// Reload so many seconds after the start
        #[arg(long, value_name = "SECONDS,...", value_delimiter = ',', value_parser = seconds)]
        reload_at: Vec<Duration>,
    },
    /// Reloads while frames flow: does every frame come back exactly once?
    ///
    /// Credit-based: at most a window of frames is under way, so that no ring overflows and a frame
    /// that does not come back was lost by the relay. With --tables, the relay's table is replaced
    /// by each of them in turn; frames sent before the end of a reload may be made by the old or
    /// the new one, later ones by the new one only.
    Reload {
        #[command(flatten)]
        common: Common,
        #[command(flatten)]
        reload: ReloadArgs,
        /// Frames under way at most, in each direction
        #[arg(long, default_value = "256", value_parser = clap::value_parser!(u64).range(1..=1024))]
        window: u64,
        /// How many reloads
        #[arg(long, default_value = "20")]
        reloads: usize,
        /// Seconds before and after each reload
        #[arg(long, value_name = "SECONDS", default_value = "0.5", value_parser = seconds)]
        pause: Duration,
    },
}

impl What {
    /// What all of them have.
    pub(crate) fn common(&self) -> &Common {
        match self {
            Self::Suite { common, .. }
            | Self::Throughput { common, .. }
            | Self::Loss { common, .. }
            | Self::Latency { common, .. }
            | Self::BackToBack { common, .. }
            | Self::Profile { common, .. }
            | Self::Reload { common, .. } => common,
        }
    }

    /// Frame sizes where none are given.
    pub(crate) fn usual_sizes(&self) -> &'static str {
        match self {
            Self::Profile { .. } | Self::Reload { .. } => "64",
            _ => super::mix::STANDARD,
        }
    }

    /// Directions where none are given.
    pub(crate) fn usual_directions(&self) -> &'static str {
        match self {
            Self::Suite { .. } | Self::Throughput { .. } | Self::Loss { .. } => "encap,decap,both",
            _ => "both",
        }
    }

    /// How to reload, where that is part of it.
    pub(crate) fn reload(&self) -> Option<&ReloadArgs> {
        match self {
            Self::Profile { reload, .. } | Self::Reload { reload, .. } => Some(reload),
            _ => None,
        }
    }
}

/// What every measurement needs.
#[derive(Debug, Args)]
pub(crate) struct Common {
    /// The relay's configuration file, with its table beside it
    pub(crate) config: PathBuf,
    /// Our port on the relay's external link: a PCI address or a DPDK device argument
    #[arg(long, value_name = "DEVICE")]
    pub(crate) external_port: String,
    /// Our port on its internal link; the same where the relay has both sides on one port
    #[arg(long, value_name = "DEVICE")]
    pub(crate) internal_port: String,
    /// CPUs of the generator: 1 does everything, 2 send and receive, 4 do so for each port
    #[arg(long, value_name = "CPU,...", value_delimiter = ',', default_value = "0")]
    pub(crate) cpus: Vec<usize>,
    /// Frame sizes on the IPv4 side, FCS included, or imix [default: 64,128,256,512,1024,1280,
    /// 1518,imix; 64 for profile and reload]
    #[arg(long, value_name = "SIZE,...", value_delimiter = ',')]
    pub(crate) frame_sizes: Vec<Mix>,
    /// encap, decap, both [default: encap,decap,both; both for latency, profile and reload]
    #[arg(long, value_name = "WAY,...", value_delimiter = ',')]
    pub(crate) directions: Vec<Directions>,
    /// Flows: random subscribers, ports and remote hosts (RFC 4814)
    #[arg(long, default_value = "16384", value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    pub(crate) flows: u32,
    /// Another seed makes other flows
    #[arg(long, default_value = "0")]
    pub(crate) seed: u64,
    /// What the links carry, in Gbit/s
    #[arg(long, value_name = "GBIT", default_value = "10", value_parser = positive)]
    pub(crate) line_rate: f64,
    /// The highest rate to try in each direction, such as 100%, 2M or 300k
    #[arg(long, value_name = "RATE", default_value = "100%")]
    pub(crate) max_rate: Rate,
    /// How long each trial sends
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = seconds)]
    pub(crate) trial_duration: Duration,
    /// How long frames may take to come back after the last one that did
    #[arg(long, value_name = "SECONDS", default_value = "2", value_parser = seconds)]
    pub(crate) drain: Duration,
    /// Rest before each trial
    #[arg(long, value_name = "SECONDS", default_value = "5", value_parser = seconds_or_none)]
    pub(crate) settle: Duration,
    /// The length of an interval of time series
    #[arg(long, value_name = "SECONDS", default_value = "0.1", value_parser = seconds)]
    pub(crate) interval: Duration,
    /// A trial counts when all threads got so many per cent of their cores
    #[arg(long, value_name = "PERCENT", default_value = "99", value_parser = percent)]
    pub(crate) min_cpu_share: f64,
    /// How often a trial is made until that is so
    #[arg(long, default_value = "5", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) attempts: u32,
    /// The relay's process on this machine: its workers must get their share, too
    #[arg(long)]
    pub(crate) pid: Option<u32>,
    /// Use no hugepages even if some are free
    #[arg(long)]
    pub(crate) no_huge: bool,
    /// How long to wait for links and for the relay to answer
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = seconds)]
    pub(crate) wait: Duration,
    /// Write the results as JSON
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// Write a report with plots that needs nothing but a browser
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
}

/// How throughput is searched for.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct SearchArgs {
    /// How close to come to the throughput, in per cent of the highest rate
    #[arg(long, value_name = "PERCENT", default_value = "0.5", value_parser = percent)]
    pub(crate) resolution: f64,
    /// The per cent of the frames that may be lost
    #[arg(long, value_name = "PERCENT", default_value = "0", value_parser = percent_or_none)]
    pub(crate) loss_tolerance: f64,
    /// How often a rate with loss is tried again
    #[arg(long, value_name = "TIMES", default_value = "2")]
    pub(crate) verify_loss: u32,
}

/// How loss is measured.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct LossArgs {
    /// Between two rates of the curve, in per cent of the highest
    #[arg(long, value_name = "PERCENT", default_value = "10", value_parser = percent)]
    pub(crate) step: f64,
}

/// How bursts are measured.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct BurstArgs {
    /// The longest burst to try; RFC 2544 asks for 2 s at least
    #[arg(long, value_name = "SECONDS", default_value = "2", value_parser = seconds)]
    pub(crate) longest: Duration,
    /// How close to come to the longest without loss, in per cent of the longest to try
    #[arg(long, value_name = "PERCENT", default_value = "0.1", value_parser = percent)]
    pub(crate) burst_resolution: f64,
    /// How often to search; RFC 2544 asks for 50 times
    #[arg(long, default_value = "50", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) repeats: u32,
}

/// How latency is measured.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct LatencyArgs {
    /// At this rate in each direction, instead of at the throughput
    #[arg(long)]
    pub(crate) rate: Option<Rate>,
    /// Streams, each as long as a trial; RFC 8219 asks for 20 of 120 s
    #[arg(long, default_value = "20", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) streams: u32,
}

/// How the relay is made to reload.
#[derive(Debug, Clone, Args)]
pub(crate) struct ReloadArgs {
    /// Tables that take turns; the first is the one in force now
    #[arg(long, value_name = "CSV,...", value_delimiter = ',')]
    pub(crate) tables: Vec<PathBuf>,
    /// Reload by this command for the shell, which finds the table to put in place in $LWAFTR_TABLE
    #[arg(long, value_name = "COMMAND", conflicts_with = "socket")]
    pub(crate) reload_command: Option<String>,
    /// The relay's control socket, if not the one of its configuration
    #[arg(long, value_name = "PATH")]
    pub(crate) socket: Option<PathBuf>,
}

fn number(text: &str, range: std::ops::RangeInclusive<f64>, words: &str) -> Result<f64, String> {
    let number = text.parse::<f64>().ok().filter(|number| range.contains(number));
    number.ok_or_else(|| words.to_owned())
}

fn positive(text: &str) -> Result<f64, String> {
    number(text, 1e-6..=1e6, "a number above 0, like 10 or 2.5")
}

/// As a part of 1.
fn percent(text: &str) -> Result<f64, String> {
    number(text, 1e-6..=100.0, "per cent, above 0 and up to 100").map(|number| number / 100.0)
}

fn percent_or_none(text: &str) -> Result<f64, String> {
    number(text, 0.0..=100.0, "per cent, from 0 to 100").map(|number| number / 100.0)
}

fn seconds(text: &str) -> Result<Duration, String> {
    number(text, 0.001..=1e6, "a number of seconds from 0.001, like 60 or 0.5")
        .map(Duration::from_secs_f64)
}

fn seconds_or_none(text: &str) -> Result<Duration, String> {
    number(text, 0.0..=1e6, "a number of seconds, like 5 or 0").map(Duration::from_secs_f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_sound_and_explained() {
        Cli::command().debug_assert();
        for verb in Cli::command().get_subcommands() {
            assert!(verb.get_about().is_some(), "{}", verb.get_name());
            for argument in verb.get_arguments() {
                assert!(argument.get_help().is_some(), "{}", argument.get_id());
            }
        }
    }

    #[test]
    fn numbers_have_their_limits() {
        assert_eq!(percent("99"), Ok(0.99));
        assert!(percent("0").is_err() && percent("101").is_err());
        assert_eq!(percent_or_none("0"), Ok(0.0));
        assert_eq!(seconds("0.5"), Ok(Duration::from_millis(500)));
        assert!(seconds("0").is_err() && seconds("-1").is_err() && seconds("soon").is_err());
        assert_eq!(seconds_or_none("0"), Ok(Duration::ZERO));
        assert!(positive("0").is_err());
    }
}
