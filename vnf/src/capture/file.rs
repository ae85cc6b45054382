//! The file of a capture: pcapng, an interface for each side, each frame with its direction and, as
//! a comment, what the relay did to it.

use std::borrow::Cow;
use std::io::{self, Write};
use std::time::Duration;

use pcap_file::pcapng::PcapNgWriter;
use pcap_file::pcapng::blocks::enhanced_packet::{EnhancedPacketBlock, EnhancedPacketOption};
use pcap_file::pcapng::blocks::interface_description::{
    InterfaceDescriptionBlock, InterfaceDescriptionOption,
};
use pcap_file::pcapng::blocks::section_header::{SectionHeaderBlock, SectionHeaderOption};
use pcap_file::{DataLink, Endianness, PcapError};

use super::record::{Event, Record, Way};
use crate::side::Side;

/// The direction in a packet's flags (draft-ietf-opsawg-pcapng section 4.3.1).
pub const INBOUND: u32 = 1;
const OUTBOUND: u32 = 2;

/// Units of time are nanoseconds.
const NANOSECONDS: u8 = 9;

/// Writes captured frames.
#[allow(missing_debug_implementations)]
pub struct Writer<W: Write>(PcapNgWriter<W>);

impl<W: Write> Writer<W> {
    /// Writes the beginning of the file.
    pub fn new(out: W, snap_length: u32) -> io::Result<Self> {
        let program = format!("lwaftr {}", env!("CARGO_PKG_VERSION"));
        let section = SectionHeaderBlock {
            endianness: Endianness::native(),
            options: vec![SectionHeaderOption::UserApplication(Cow::Owned(program))],
            ..SectionHeaderBlock::default()
        };
        let mut writer = PcapNgWriter::with_section_header(out, section).map_err(system_error)?;
        for (side, towards) in Side::BOTH.into_iter().zip(["the Internet, IPv4", "the B4s, IPv6"]) {
            let options = vec![
                InterfaceDescriptionOption::IfName(Cow::Borrowed(side.name())),
                InterfaceDescriptionOption::IfDescription(Cow::Borrowed(towards)),
                InterfaceDescriptionOption::IfTsResol(NANOSECONDS),
            ];
            let interface = InterfaceDescriptionBlock {
                linktype: DataLink::ETHERNET,
                snaplen: snap_length,
                options,
            };
            writer.write_pcapng_block(interface).map_err(system_error)?;
        }
        Ok(Self(writer))
    }

    /// Adds a frame.
    pub fn write(&mut self, record: &Record) -> io::Result<()> {
        let direction = if record.event.is_inbound() { INBOUND } else { OUTBOUND };
        let mut options = vec![EnhancedPacketOption::Flags(direction)];
        if let Some(comment) = comment(record.event) {
            options.push(EnhancedPacketOption::Comment(Cow::Owned(comment)));
        }
        let block = EnhancedPacketBlock {
            interface_id: record.side.index() as u32,
            timestamp: Duration::from_nanos(record.time),
            original_len: record.length,
            data: Cow::Borrowed(&record.frame),
            options,
        };
        self.0.write_pcapng_block(block).map(|_| ()).map_err(system_error)
    }

    /// Hands what was written to the system.
    pub fn flush(&mut self) -> io::Result<()> {
        self.0.get_mut().flush()
    }
}

impl Writer<Vec<u8>> {
    /// What has been written since the last call.
    pub fn take(&mut self) -> Vec<u8> {
        std::mem::take(self.0.get_mut())
    }
}

/// What a reader of the file is told of a frame.
fn comment(event: Event) -> Option<String> {
    let with_meaning =
        |what: &str, name: &str, meaning: &str| Some(format!("{what}: {name}: {}", meaning.trim()));
    match event {
        Event::Received | Event::Sent(Way::Forwarded) => None,
        Event::Dropped(reason) => with_meaning("dropped", reason.name(), reason.meaning()),
        Event::Ignored(reason) => with_meaning("ignored", reason.name(), reason.meaning()),
        Event::Refused => {
            let reason = event.drop_reason()?;
            with_meaning("not sent, dropped", reason.name(), reason.meaning())
        }
        Event::Sent(Way::Fragment) => Some("sent: a fragment, cut by the relay".to_owned()),
        Event::Sent(Way::Hairpinned) => Some("sent: hairpinned, from one B4 to another".to_owned()),
        Event::Sent(Way::Answer) => Some("sent: the relay's answer to a frame".to_owned()),
        Event::Sent(Way::Originated) => Some("sent: the relay's own".to_owned()),
    }
}

fn system_error(error: PcapError) -> io::Error {
    match error {
        PcapError::IoError(error) => error,
        other => io::Error::other(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::DropReason;

    #[test]
    fn a_drop_says_why_in_words_with_its_rule() {
        let comment = comment(Event::Dropped(DropReason::NoSoftwire)).unwrap();
        assert_eq!(
            comment,
            "dropped: no-softwire: Nobody owns the destination address and port (E7, D6)."
        );
    }
}
