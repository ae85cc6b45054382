//! Capture files: pcap and pcapng in, classic pcap with nanoseconds out.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use pcap_file::pcap::{PcapHeader, PcapPacket, PcapReader, PcapWriter};
use pcap_file::pcapng::blocks::enhanced_packet::EnhancedPacketOption;
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
    /// The name of the interface, if the capture tells.
    pub interface: Option<String>,
    /// True when the capture says that its maker sent the frame.
    pub is_outbound: bool,
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
    /// Nothing stands in it.
    #[error("{path}: an empty file: a capture has at least a header (pcap or pcapng)")]
    Empty {
        /// Which.
        path: PathBuf,
    },
    /// It does not begin as a capture does.
    #[error("{path}: not a capture that can be read: {problem}: write one as pcap or pcapng")]
    Format {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// A record that makes no sense.
    #[error("{path}: record {number} {problem}")]
    Record {
        /// Which file.
        path: PathBuf,
        /// Which record, counted from 1.
        number: u64,
        /// What is wrong.
        problem: String,
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
        let in_header = |error| match ran_out(&error) {
            true => CaptureError::Format {
                path: path.to_owned(),
                problem: "its header is cut short".to_owned(),
            },
            false => in_format(path, error),
        };
        let mut file = File::open(path).map_err(in_file)?;
        let mut magic = [0; 4];
        let got = file.read(&mut magic).map_err(in_file)?;
        if got == 0 {
            return Err(CaptureError::Empty { path: path.to_owned() });
        }
        file.seek(SeekFrom::Start(0)).map_err(in_file)?;
        let file = BufReader::with_capacity(1 << 18, file);
        let format = if magic[..got] == [0x0a, 0x0d, 0x0d, 0x0a] {
            Format::PcapNg(PcapNgReader::new(file).map_err(in_header)?)
        } else {
            Format::Pcap(PcapReader::new(file).map_err(in_header)?)
        };
        let reader = Self { path: path.to_owned(), format, number: 0 };
        if let Format::Pcap(pcap) = &reader.format {
            reader.check_link_type(pcap.header().datalink)?;
        }
        Ok(reader)
    }

    /// The next frame; `None` at the end.
    pub fn next_record(&mut self) -> Result<Option<Record>, CaptureError> {
        self.number += 1;
        let found = match self.format {
            Format::Pcap(_) => self.next_packet()?,
            Format::PcapNg(_) => self.next_packet_block()?,
        };
        let Some((original, record)) = found else { return Ok(None) };
        if (original as usize) < record.frame.len() {
            let captured = record.frame.len();
            let problem = format!(
                "holds {captured} bytes of a frame that had {original}: a damaged capture: write \
                 it anew"
            );
            return Err(CaptureError::Record {
                path: self.path.clone(),
                number: self.number,
                problem,
            });
        }
        if (original as usize) > record.frame.len() {
            return Err(CaptureError::Truncated {
                path: self.path.clone(),
                number: self.number,
                captured: record.frame.len(),
                original,
            });
        }
        Ok(Some(record))
    }

    /// The raw packet: the crate refuses what is longer than the capture's snap length, without a
    /// word about where.
    fn next_packet(&mut self) -> Result<Option<(u32, Record)>, CaptureError> {
        let Format::Pcap(reader) = &mut self.format else { return Ok(None) };
        let unit = match reader.header().ts_resolution {
            TsResolution::MicroSecond => 1_000,
            TsResolution::NanoSecond => 1,
        };
        match reader.next_raw_packet() {
            None => Ok(None),
            Some(Err(error)) => Err(self.in_record(error)),
            Some(Ok(packet)) => {
                let time =
                    u64::from(packet.ts_sec) * 1_000_000_000 + u64::from(packet.ts_frac) * unit;
                let frame = packet.data.into_owned();
                let record = Record { time, frame, interface: None, is_outbound: false };
                Ok(Some((packet.orig_len, record)))
            }
        }
    }

    fn next_packet_block(&mut self) -> Result<Option<(u32, Record)>, CaptureError> {
        let Format::PcapNg(reader) = &mut self.format else { return Ok(None) };
        loop {
            let packet = match reader.next_block() {
                None => return Ok(None),
                Some(Err(error)) => return Err(self.in_record(error)),
                Some(Ok(Block::EnhancedPacket(packet))) => packet.into_owned(),
                Some(Ok(_)) => continue,
            };
            let interface = reader.packet_interface(&packet);
            let link_type = interface.map_or(DataLink::ETHERNET, |interface| interface.linktype);
            // The crate hands over the raw count of the interface's units.
            let ticks = packet.timestamp.as_nanos();
            let per_second =
                interface.map_or(1_000_000, |interface| ticks_per_second(&interface.options));
            let name = interface.and_then(|interface| name(&interface.options));
            self.check_link_type(link_type)?;
            let time = (ticks * 1_000_000_000 / per_second) as u64;
            let record = Record {
                time,
                frame: packet.data.into_owned(),
                interface: name,
                is_outbound: is_outbound(&packet.options),
            };
            return Ok(Some((packet.original_len, record)));
        }
    }

    fn check_link_type(&self, found: DataLink) -> Result<(), CaptureError> {
        if found == DataLink::ETHERNET {
            return Ok(());
        }
        Err(CaptureError::LinkType { path: self.path.clone(), found })
    }

    fn in_record(&self, error: PcapError) -> CaptureError {
        let problem = match ran_out(&error) {
            true => "is cut short: the file ends in the middle of it".to_owned(),
            false => format!("cannot be read: {}", words(error)),
        };
        CaptureError::Record { path: self.path.clone(), number: self.number, problem }
    }
}

/// The file ended where more was promised.
fn ran_out(error: &PcapError) -> bool {
    match error {
        PcapError::IoError(error) => error.kind() == io::ErrorKind::UnexpectedEof,
        PcapError::IncompleteBuffer => true,
        _ => false,
    }
}

/// What the crate says, or the system under it.
fn words(error: PcapError) -> String {
    match error {
        PcapError::IoError(error) => error.to_string(),
        error => error.to_string(),
    }
}

fn in_format(path: &Path, error: PcapError) -> CaptureError {
    match error {
        PcapError::IoError(error) => CaptureError::File { path: path.to_owned(), error },
        error => CaptureError::Format { path: path.to_owned(), problem: words(error) },
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

fn name(options: &[InterfaceDescriptionOption<'_>]) -> Option<String> {
    options.iter().find_map(|option| match option {
        InterfaceDescriptionOption::IfName(name) => Some(name.to_string()),
        _ => None,
    })
}

/// Whether the flags of a packet say that it was sent.
fn is_outbound(options: &[EnhancedPacketOption<'_>]) -> bool {
    options.iter().any(|option| match option {
        EnhancedPacketOption::Flags(flags) => flags & 3 == 2,
        _ => false,
    })
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
            .map_err(|error| in_format(path, error))?;
        Ok(Self { path: path.to_owned(), writer })
    }

    /// Adds a frame.
    pub fn write(&mut self, time: u64, frame: &[u8]) -> Result<(), CaptureError> {
        let packet = PcapPacket::new(Duration::from_nanos(time), frame.len() as u32, frame);
        match self.writer.write_packet(&packet) {
            Ok(_) => Ok(()),
            Err(error) => Err(in_format(&self.path, error)),
        }
    }

    /// Writes what is still in memory.
    pub fn finish(self) -> Result<(), CaptureError> {
        let path = self.path;
        self.writer.into_writer().flush().map_err(|error| CaptureError::File { path, error })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A classic pcap of two frames of 60 bytes, the second one said to have been longer.
    fn capture(snap_length: u32, second: u32) -> Vec<u8> {
        let mut bytes = Vec::new();
        for field in [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, snap_length, 1] {
            bytes.extend(field.to_le_bytes());
        }
        for (micros, original) in [(1, 60), (2, second)] {
            for field in [5, micros, 60, original] {
                bytes.extend(u32::to_le_bytes(field));
            }
            bytes.extend([0x42; 60]);
        }
        bytes
    }

    /// Reads until something is wrong or the file ends.
    fn read(bytes: &[u8]) -> Result<Vec<Record>, String> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.pcap");
        std::fs::write(&path, bytes).unwrap();
        let mut reader = CaptureReader::open(&path).map_err(|error| error.to_string())?;
        let mut records = Vec::new();
        while let Some(record) = reader.next_record().map_err(|error| error.to_string())? {
            records.push(record);
        }
        Ok(records)
    }

    #[test]
    fn whole_frames_are_read_with_their_times() {
        let records = read(&capture(65_535, 60)).unwrap();
        assert_eq!(records.len(), 2);
        assert_eq!(records[1].time, 5_000_002_000);
        assert_eq!(records[1].frame, [0x42; 60]);
    }

    #[test]
    fn truncated_records_are_named_by_number_whatever_the_snap_length() {
        for snap_length in [60, 65_535] {
            let error = read(&capture(snap_length, 1514)).unwrap_err();
            assert!(error.contains("record 2 holds 60 of 1514 bytes"), "{error}");
        }
        // A record longer than the file's own snap length is all there.
        assert_eq!(read(&capture(40, 60)).unwrap().len(), 2);
    }

    #[test]
    fn a_record_of_more_bytes_than_its_frame_had_is_refused() {
        let error = read(&capture(65_535, 59)).unwrap_err();
        assert!(error.contains("record 2 holds 60 bytes of a frame that had 59: "), "{error}");
    }

    #[test]
    fn a_file_that_ends_too_early_says_where() {
        let whole = capture(65_535, 60);
        for cut in 24 + 76 + 1..whole.len() {
            let error = read(&whole[..cut]).unwrap_err();
            assert!(error.contains("record 2 is cut short"), "{cut}: {error}");
        }
        assert!(read(&whole[..20]).unwrap_err().contains("header is cut short"));
        assert!(read(&[]).unwrap_err().contains("an empty file"));
        assert!(read(b"[external]\nport = 1\n[internal]").unwrap_err().contains("not a capture"));
    }
}
