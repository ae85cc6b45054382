//! Test material of any size: a configuration, its table, and traffic that fits it, so that a
//! replay gives exactly one frame out for each frame in. The same request gives the same files.

mod flood;
mod frames;
mod network;
mod random;
mod sizes;

pub use flood::Flood;
pub use network::{Network, NetworkError};
pub use sizes::{FrameSizes, FrameSizesError, LARGEST_FRAME, SMALLEST_FRAME};

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use pcap_file::pcap::{PcapPacket, PcapWriter};
use pcap_file::{DataLink, PcapError};

use self::frames::Flow;
use self::random::Random;
use crate::softwire::file;

/// What is wanted.
#[derive(Debug, Clone)]
pub struct Request {
    /// The softwires.
    pub network: Network,
    /// The sizes of the frames, in the order of the flows.
    pub sizes: FrameSizes,
    /// How many flows: one frame each in either direction.
    pub flows: u32,
    /// Another seed gives other flows.
    pub seed: u64,
}

/// A file that could not be written.
#[derive(Debug, thiserror::Error)]
#[error("{} cannot be written: {source}", path.display())]
pub struct WriteError {
    path: PathBuf,
    source: io::Error,
}

/// Writes `lwaftr.toml`, `softwires.csv`, `external.pcap` and `internal.pcap` to a directory,
/// which is made if it is not there.
pub fn generate(request: &Request, directory: &Path) -> Result<(), WriteError> {
    let at = |path: &Path| {
        let path = path.to_owned();
        move |source| WriteError { path, source }
    };
    fs::create_dir_all(directory).map_err(at(directory))?;
    let path = directory.join("lwaftr.toml");
    fs::write(&path, configuration(request)).map_err(at(&path))?;
    let path = directory.join("softwires.csv");
    File::create(&path)
        .and_then(|out| file::write(out, request.network.softwires()))
        .map_err(at(&path))?;
    for (name, frame) in [
        ("external.pcap", frames::external as fn(&Flow) -> Vec<u8>),
        ("internal.pcap", frames::internal),
    ] {
        let path = directory.join(name);
        File::create(&path)
            .and_then(|out| write_capture(out, flows(request).map(|flow| frame(&flow))))
            .map_err(at(&path))?;
    }
    Ok(())
}

/// The flows: each of a random port of a random softwire, with a remote host and port of its own.
fn flows(request: &Request) -> impl Iterator<Item = Flow> {
    let mut random = Random::new(request.seed);
    (0..request.flows).zip(request.sizes.cycle()).map(move |(number, size)| {
        let softwire = request.network.softwire(random.below(request.network.len()));
        let port = network::random_port(softwire.port_set, &mut random);
        Flow {
            softwire,
            port,
            remote: network::remote_host(number),
            remote_port: network::remote_port(number),
            packet_len: size.packet_len(),
        }
    })
}

/// Writes frames a microsecond apart.
fn write_capture(out: File, frames: impl Iterator<Item = Vec<u8>>) -> io::Result<()> {
    let header = pcap_file::pcap::PcapHeader {
        datalink: DataLink::ETHERNET,
        endianness: pcap_file::Endianness::Little,
        ..Default::default()
    };
    let mut writer = PcapWriter::with_header(BufWriter::with_capacity(1 << 16, out), header)
        .map_err(io_error)?;
    for (frame, micros) in frames.zip(0..) {
        let packet = PcapPacket::new(Duration::from_micros(micros), frame.len() as u32, &frame);
        writer.write_packet(&packet).map_err(io_error)?;
    }
    writer.into_writer().flush()
}

fn io_error(error: PcapError) -> io::Error {
    match error {
        PcapError::IoError(error) => error,
        other => io::Error::other(other),
    }
}

/// The configuration that goes with the table and the traffic.
fn configuration(request: &Request) -> String {
    let external_mtu = request.sizes.largest_packet().max(1500);
    format!(
        include_str!("template.toml"),
        softwires = request.network.len(),
        flows = request.flows,
        external_mac = network::EXTERNAL_MAC,
        external_next_hop_mac = network::EXTERNAL_NEXT_HOP_MAC,
        external_address = network::EXTERNAL_ADDRESS,
        external_prefix = network::EXTERNAL_PREFIX,
        external_mtu = external_mtu,
        internal_mac = network::INTERNAL_MAC,
        internal_next_hop_mac = network::INTERNAL_NEXT_HOP_MAC,
        internal_address = network::INTERNAL_ADDRESS,
        internal_mtu = external_mtu + 40,
        br = network::BR_ADDRESS,
    )
}
