//! Multicast listener discovery: what a listener hears and says (RFC 3810, and RFC 2710 where a
//! router asks in the old way).

use std::net::Ipv6Addr;

use super::ipv6::Ipv6;
use super::{be16, icmpv6, protocol};

/// The hop-by-hop header of every message: an MLD router alert (RFC 2711) and padding.
pub const ROUTER_ALERT: [u8; 8] = [protocol::ICMPV6, 0, 5, 2, 0, 0, 1, 0];

/// Hop limit of every message: none leaves its link.
pub const HOP_LIMIT: u8 = 1;

/// Where version 2's reports go: all MLDv2-capable routers.
pub const ROUTERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0x16);

/// Bytes of a report of version 2 before its records.
const REPORT: usize = 8;

/// Bytes of a record without sources.
const RECORD: usize = 20;

/// Bytes of a message of version 1.
const VERSION_1: usize = 24;

/// Bytes of a query of version 2 without sources.
const VERSION_2: usize = 28;

/// Which protocol a router speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// RFC 2710.
    One,
    /// RFC 3810.
    Two,
}

/// A router asks who listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Query {
    /// How it asks, and is to be answered.
    pub version: Version,
    /// To which group; unspecified: to any.
    pub group: Ipv6Addr,
    /// An answer comes within so many milliseconds.
    pub most_delay: u32,
}

impl Query {
    /// Reads the ICMPv6 message (its checksum is the caller's to check); `None` when it is no
    /// query, or no whole one. Which sources a router asks about does not matter to a listener
    /// that hears all of them.
    #[must_use]
    pub fn parse(message: &[u8]) -> Option<Self> {
        let (fixed, rest) = message.split_first_chunk::<VERSION_1>()?;
        let group: [u8; 16] = *fixed[8..].first_chunk()?;
        let group = Ipv6Addr::from(group);
        if fixed[0] != icmpv6::LISTENER_QUERY || !(group.is_unspecified() || group.is_multicast()) {
            return None;
        }
        let code = be16(fixed, 4);
        let (version, most_delay) = if rest.is_empty() {
            (Version::One, code.into())
        } else {
            let rest: &[u8; VERSION_2 - VERSION_1] = rest.first_chunk()?;
            let sources = usize::from(be16(rest, 2));
            if message.len() < VERSION_2 + sources * 16 {
                return None;
            }
            (Version::Two, decoded(code))
        };
        Some(Self { version, group, most_delay })
    }
}

/// RFC 3810 section 5.1.3: a number, or a floating-point number.
fn decoded(code: u16) -> u32 {
    let code = u32::from(code);
    if code < 0x8000 { code } else { (code & 0xfff | 0x1000) << ((code >> 12 & 7) + 3) }
}

/// True when a packet's hop-by-hop header has the router alert that marks MLD.
#[must_use]
pub fn has_router_alert(packet: &Ipv6<'_>) -> bool {
    const PAD: u8 = 0;
    const ALERT: u8 = 5;
    let &[_, units, ..] = packet.payload() else { return false };
    let header = packet.payload().get(2..(usize::from(units) + 1) * 8).unwrap_or_default();
    if packet.next_header() != protocol::HOP_BY_HOP {
        return false;
    }
    let mut options = header;
    while let Some((&kind, rest)) = options.split_first() {
        if kind == PAD {
            options = rest;
            continue;
        }
        let Some((&len, rest)) = rest.split_first() else { return false };
        let Some((value, rest)) = rest.split_at_checked(len.into()) else { return false };
        if kind == ALERT && value == [0, 0] {
            return true;
        }
        options = rest;
    }
    false
}

/// What a record says of a group whose sources are all heard, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Record {
    /// Still listening: answers a query.
    Listening = 2,
    /// No longer listening.
    Left = 3,
    /// Listening from now on.
    Joined = 4,
}

/// Bytes of a report of version 2 with so many records.
#[must_use]
pub const fn report_len(records: usize) -> usize {
    REPORT + RECORD * records
}

/// Writes a report of version 2 to [`ROUTERS`], its checksum included; `None` when `message` is not
/// [`report_len`] bytes long.
pub fn write_report(
    message: &mut [u8],
    records: &[(Record, Ipv6Addr)],
    source: Ipv6Addr,
) -> Option<()> {
    let (head, rest) = message.split_first_chunk_mut::<REPORT>()?;
    if rest.len() != RECORD * records.len() {
        return None;
    }
    *head = [0; REPORT];
    head[6..].copy_from_slice(&(records.len() as u16).to_be_bytes());
    for ((kind, group), record) in records.iter().zip(rest.chunks_exact_mut(RECORD)) {
        record[..4].copy_from_slice(&[*kind as u8, 0, 0, 0]);
        record[4..].copy_from_slice(&group.octets());
    }
    icmpv6::write(message, icmpv6::LISTENER_REPORT_2, 0, source, ROUTERS);
    Some(())
}

/// Bytes of a report of version 1.
pub const REPORT_1: usize = VERSION_1;

/// Writes a report of version 1, which goes to the group it is about, its checksum included.
pub fn write_report_1(message: &mut [u8; REPORT_1], group: Ipv6Addr, source: Ipv6Addr) {
    *message = [0; REPORT_1];
    message[8..].copy_from_slice(&group.octets());
    icmpv6::write(message, icmpv6::LISTENER_REPORT_1, 0, source, group);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(len: usize, code: u16) -> Vec<u8> {
        let mut message = vec![0; len];
        message[0] = icmpv6::LISTENER_QUERY;
        message[4..6].copy_from_slice(&code.to_be_bytes());
        message
    }

    #[test]
    fn the_length_tells_the_version() {
        let version = |len| Query::parse(&query(len, 1)).map(|query| query.version);
        assert_eq!(version(23), None);
        assert_eq!(version(24), Some(Version::One));
        for len in 25..28 {
            assert_eq!(version(len), None);
        }
        assert_eq!(version(28), Some(Version::Two));
        let mut with_sources = query(28 + 32, 1);
        with_sources[27] = 2;
        assert!(Query::parse(&with_sources).is_some());
        with_sources[27] = 3;
        assert_eq!(Query::parse(&with_sources), None);
    }

    #[test]
    fn long_delays_are_floating_point_numbers() {
        let delay = |code| Query::parse(&query(28, code)).unwrap().most_delay;
        assert_eq!(delay(1000), 1000);
        assert_eq!(delay(0x7fff), 0x7fff);
        assert_eq!(delay(0x8000), 0x1000 << 3);
        assert_eq!(delay(0xffff), 0x1fff << 10);
        assert_eq!(Query::parse(&query(24, 0xffff)).unwrap().most_delay, 0xffff);
    }

    #[test]
    fn a_router_alert_is_found_among_options() {
        let packet = |options: &[u8]| {
            let mut packet = [0; 40].to_vec();
            packet[0] = 0x60;
            packet[5] = options.len() as u8 + 2;
            packet.extend([58, (options.len() / 8) as u8]);
            packet.extend(options);
            packet
        };
        let found = |options: &[u8]| has_router_alert(&Ipv6::parse(&packet(options)).unwrap());
        assert!(found(&[5, 2, 0, 0, 1, 0]));
        assert!(found(&[0, 0, 5, 2, 0, 0]));
        assert!(found(&[1, 1, 0, 4, 1, 9, 5, 2, 0, 0, 1, 2, 0, 0]));
        assert!(!found(&[5, 2, 0, 1, 1, 0]), "for RSVP");
        assert!(!found(&[1, 4, 0, 0, 0, 0]));
        assert!(!found(&[1, 200, 5, 2, 0, 0]));
        let mut other = packet(&[5, 2, 0, 0, 1, 0]);
        other[6] = 60;
        assert!(!has_router_alert(&Ipv6::parse(&other).unwrap()));
    }

    #[test]
    fn a_report_has_its_records_and_a_right_checksum() {
        let (source, group) = ("fe80::1".parse().unwrap(), "ff02::1:ff00:1".parse().unwrap());
        let mut message = vec![9; report_len(2)];
        let records = [(Record::Joined, group), (Record::Left, group)];
        write_report(&mut message, &records, source).unwrap();
        assert!(icmpv6::Icmpv6::parse(&message, source, ROUTERS).is_some());
        assert_eq!((message[0], &message[4..9]), (143, &[0, 0, 0, 2, 4][..]));
        assert_eq!((message[28], &message[32..]), (3, &group.octets()[..]));
        assert_eq!(write_report(&mut message, &records[..1], source), None);
    }
}
