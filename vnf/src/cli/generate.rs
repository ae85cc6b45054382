//! `lwaftr generate`: makes a configuration, its table and traffic that fits them.

use std::path::PathBuf;

use super::Failure;
use super::output::print;
use crate::generate::{self, FrameSizes, Network, Request};

/// Make a configuration of any size, with traffic that fits it
///
/// Writes to a directory: lwaftr.toml, softwires.csv, and external.pcap and internal.pcap with one
/// UDP frame for each of a number of flows, from the Internet and from the B4s. A replay of the
/// captures forwards every frame:
///
///   lwaftr generate --softwires 1000000 --out /tmp/million
///   lwaftr check /tmp/million/lwaftr.toml
///   lwaftr replay /tmp/million/lwaftr.toml --external-in /tmp/million/external.pcap
///       --internal-out /tmp/to-b4s.pcap
///
/// The same arguments always give the same files. Files of these names are overwritten.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// How many softwires the table has
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub softwires: u32,

    /// PSID length k: 2^K softwires share an IPv4 address (0: each has one for itself)
    #[arg(long, value_name = "K", default_value_t = 6, value_parser = clap::value_parser!(u8).range(0..=16))]
    pub psid_len: u8,

    /// PSID offset a: above 0, the ports below 2^(16-A) belong to nobody
    #[arg(long, value_name = "A", default_value_t = 0, value_parser = clap::value_parser!(u8).range(0..=16))]
    pub psid_offset: u8,

    /// Size of the Ethernet frames on the IPv4 side, FCS included (64 to 8978), or imix: 64, 570
    /// and 1518 bytes as 7:4:1. Frames of the IPv6 side are 40 bytes longer
    #[arg(long, value_name = "BYTES|imix", default_value = "64")]
    pub frame_size: FrameSizes,

    /// How many flows, of one frame in either direction
    #[arg(long, value_name = "F", default_value_t = 16_384, value_parser = clap::value_parser!(u32).range(1..))]
    pub flows: u32,

    /// Spread the IPv4 addresses all over IPv4, instead of one after another from 10.0.0.0
    #[arg(long)]
    pub scattered: bool,

    /// Another number makes other flows
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    pub seed: u64,

    /// The directory to write to; made if it is not there
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
}

/// Runs the verb.
pub fn run(args: Args) -> Result<(), Failure> {
    let Args { softwires, psid_len, psid_offset, frame_size, flows, scattered, seed, out } = args;
    let network = Network::new(softwires, psid_offset, psid_len, scattered)
        .map_err(|error| Failure::Usage(error.to_string()))?;
    let request = Request { network, sizes: frame_size, flows, seed };
    generate::generate(&request, &out).map_err(|error| Failure::Refused(error.to_string()))?;
    let written = "lwaftr.toml, softwires.csv, external.pcap and internal.pcap";
    print(&format!("{}: {written}: {softwires} softwires, {flows} flows\n", out.display()))
        .map(|_| ())
}
