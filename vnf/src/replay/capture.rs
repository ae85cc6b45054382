//! Capture files: pcap and pcapng in, classic pcap with nanoseconds out.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use pcap_file::pcap::{PcapHeader, PcapPacket, PcapReader, PcapWriter};
use pcap_file::pcapng::blocks::interface_description::InterfaceDescriptionOption;
use pcap_file::pcapng::{Block, PcapNgReader};
use pcap_file::{DataLink, PcapError, TsResolution};

/// One captured frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Nanoseconds since the epoch.
    pub time: u64,
    /// The whole frame, without FCS.
    pub frame: Vec<u8>,
}

/// Why a capture cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum CaptureError {
    /// The file itself.
    #[error("{path}: {error}")]
    File {
        /// Which.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// What stands in it.
    #[error("{path}: not a capture that can be read: {error}")]
    Format {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        error: PcapError,
    },
    /// Frames of something else than Ethernet.
    #[error("{path}: link type {found:?}: only Ethernet captures can be replayed")]
    LinkType {
        /// Which.
        path: PathBuf,
        /// What it has.
        found: DataLink,
    },
    /// A frame of which the capture holds only a part.
    #[error(
        "{path}: record {number} holds {captured} of {original} bytes: capture whole frames \
         (tcpdump -s 0)"
    )]
    Truncated {
        /// Which file.
        path: PathBuf,
        /// Which record, counted from 1.
        number: u64,
        /// Bytes there are.
        captured: usize,
        /// Bytes there were.
        original: u32,
    },
}

/// Reads a capture from its beginning.
#[allow(missing_debug_implementations)]
pub struct CaptureReader {
    path: PathBuf,
    format: Format,
    number: u64,
}

enum Format {
    Pcap(PcapReader<BufReader<File>>),
    PcapNg(PcapNgReader<BufReader<File>>),
}

impl CaptureReader {
    /// Opens a capture of either format.
    pub fn open(path: &Path) -> Result<Self, CaptureError> {
        let in_file = |error| CaptureError::File { path: path.to_owned(), error };
        let in_format = |error| CaptureError::Format { path: path.to_owned(), error };
        let mut file = File::open(path).map_err(in_file)?;
        let mut magic = [0; 4];
        let got = file.read(&mut magic).map_err(in_file)?;
        file.seek(SeekFrom::Start(0)).map_err(in_file)?;
        let file = BufReader::with_capacity(1 << 18, file);
        let format = if magic[..got] == [0x0a, 0x0d, 0x0d, 0x0a] {
            Format::PcapNg(PcapNgReader::new(file).map_err(in_format)?)
        } else {
            Format::Pcap(PcapReader::new(file).map_err(in_format)?)
        };
        let reader = Self { path: path.to_owned(), format, number: 0 };
        if let Format::Pcap(pcap) = &reader.format {
            reader.check_link_type(pcap.header().datalink)?;
        }
        Ok(reader)
    }

    /// The next frame; `None` at the end.
    pub fn next_record(&mut self) -> Result<Option<Record>, CaptureError> {
        let (time, original, frame) = match &mut self.format {
            Format::Pcap(reader) => match reader.next_packet() {
                None => return Ok(None),
                Some(Err(error)) => return Err(self.in_format(error)),
                Some(Ok(packet)) => {
                    (nanoseconds(packet.timestamp), packet.orig_len, packet.data.into_owned())
                }
            },
            Format::PcapNg(_) => match self.next_packet_block()? {
                None => return Ok(None),
                Some(packet) => packet,
            },
        };
        self.number += 1;
        if (original as usize) > frame.len() {
            return Err(CaptureError::Truncated {
                path: self.path.clone(),
                number: self.number,
                captured: frame.len(),
                original,
            });
        }
        Ok(Some(Record { time, frame }))
    }

    fn next_packet_block(&mut self) -> Result<Option<(u64, u32, Vec<u8>)>, CaptureError> {
        let Format::PcapNg(reader) = &mut self.format else { return Ok(None) };
        loop {
            let packet = match reader.next_block() {
                None => return Ok(None),
                Some(Err(error)) => return Err(self.in_format(error)),
                Some(Ok(Block::EnhancedPacket(packet))) => packet.into_owned(),
                Some(Ok(_)) => continue,
            };
            let interface = reader.packet_interface(&packet);
            let link_type = interface.map_or(DataLink::ETHERNET, |interface| interface.linktype);
            // The crate hands over the raw count of the interface's units.
            let ticks = packet.timestamp.as_nanos();
            let per_second =
                interface.map_or(1_000_000, |interface| ticks_per_second(&interface.options));
            self.check_link_type(link_type)?;
            let time = (ticks * 1_000_000_000 / per_second) as u64;
            return Ok(Some((time, packet.original_len, packet.data.into_owned())));
        }
    }

    fn check_link_type(&self, found: DataLink) -> Result<(), CaptureError> {
        if found == DataLink::ETHERNET {
            return Ok(());
        }
        Err(CaptureError::LinkType { path: self.path.clone(), found })
    }

    fn in_format(&self, error: PcapError) -> CaptureError {
        CaptureError::Format { path: self.path.clone(), error }
    }
}

/// The unit of an interface's timestamps: microseconds unless it says otherwise.
fn ticks_per_second(options: &[InterfaceDescriptionOption<'_>]) -> u128 {
    let resolution = options.iter().find_map(|option| match option {
        InterfaceDescriptionOption::IfTsResol(resolution) => Some(*resolution),
        _ => None,
    });
    match resolution {
        None => 1_000_000,
        Some(resolution) if resolution & 0x80 != 0 => 1 << (resolution & 0x7f).min(100),
        Some(resolution) => 10_u128.pow(u32::from(resolution).min(30)),
    }
}

/// Writes a classic pcap with nanoseconds.
#[derive(Debug)]
pub struct CaptureWriter {
    path: PathBuf,
    writer: PcapWriter<BufWriter<File>>,
}

impl CaptureWriter {
    /// Makes the file, or empties it.
    pub fn create(path: &Path) -> Result<Self, CaptureError> {
        let file = File::create(path)
            .map_err(|error| CaptureError::File { path: path.to_owned(), error })?;
        let header =
            PcapHeader { ts_resolution: TsResolution::NanoSecond, ..PcapHeader::default() };
        let writer = PcapWriter::with_header(BufWriter::with_capacity(1 << 18, file), header)
            .map_err(|error| CaptureError::Format { path: path.to_owned(), error })?;
        Ok(Self { path: path.to_owned(), writer })
    }

    /// Adds a frame.
    pub fn write(&mut self, time: u64, frame: &[u8]) -> Result<(), CaptureError> {
        let packet = PcapPacket::new(Duration::from_nanos(time), frame.len() as u32, frame);
        match self.writer.write_packet(&packet) {
            Ok(_) => Ok(()),
            Err(error) => Err(CaptureError::Format { path: self.path.clone(), error }),
        }
    }

    /// Writes what is still in memory.
    pub fn finish(self) -> Result<(), CaptureError> {
        let path = self.path;
        self.writer.into_writer().flush().map_err(|error| CaptureError::File { path, error })
    }
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
