//! What is right, by etherparse's judgement.

use etherparse::checksum::Sum16BitWords;
use etherparse::{
    EtherType, Icmpv4Slice, Icmpv6Slice, Ipv4Slice, Ipv6FragmentHeader, Ipv6Header, Ipv6Slice,
    SlicedPacket,
};
use proptest::prelude::*;
use vnf::replay::Session;
use vnf::side::Side;

/// A1 on both interfaces, for what came and for what left.
pub(crate) fn balanced(session: &Session) -> Result<(), TestCaseError> {
    let [external, internal] = Side::BOTH.map(|side| session.totals(side));
    for (here, there) in [(&external, &internal), (&internal, &external)] {
        prop_assert_eq!(here.unaccounted(), 0);
        let sent = there.forwarded
            + here.hairpinned
            + here.answered
            + here.originated
            + here.extra_fragments;
        prop_assert_eq!(here.out_packets, sent);
    }
    Ok(())
}

/// The flow label of an IPv6 packet.
pub(crate) fn flow_label(packet: &[u8]) -> u32 {
    Ipv6Slice::from_slice(packet).unwrap().header().flow_label().value()
}

/// The identification of an IPv6 fragment, and whether it is the first of its packet.
pub(crate) fn identification(packet: &[u8]) -> (u32, bool) {
    let (header, _) = Ipv6FragmentHeader::from_slice(&packet[40..]).unwrap();
    (header.identification, header.fragment_offset.value() == 0)
}

/// A frame that may leave on this side: whole, as long as it says, checksums right, and its packet
/// no longer than the MTU.
pub(crate) fn well_formed(side: Side, frame: &[u8], mtu: usize) -> Result<(), TestCaseError> {
    let tagged = frame[12..14] == [0x81, 0];
    let start = if tagged { 18 } else { 14 };
    let ethertype = EtherType(u16::from_be_bytes([frame[start - 2], frame[start - 1]]));
    let packet = &frame[start..];
    prop_assert!(packet.len() <= mtu, "{} bytes on a link of {mtu}", packet.len());
    match (side, ethertype) {
        (Side::External, EtherType::ARP) => {
            let parsed = SlicedPacket::from_ethernet(frame);
            prop_assert!(parsed.is_ok_and(|parsed| parsed.net.is_some()));
            prop_assert_eq!(packet.len(), 28);
        }
        (Side::External, EtherType::IPV4) => ipv4(packet)?,
        (Side::Internal, EtherType::IPV6) => ipv6(packet)?,
        _ => prop_assert!(false, "{ethertype:?} on the {side} side"),
    }
    Ok(())
}

fn ipv4(packet: &[u8]) -> Result<(), TestCaseError> {
    // An authentication header is the subscriber's affair, and may be cut short: to the oracle the
    // packet is one of a protocol it does not know.
    const AUTHENTICATION: u8 = 51;
    let mut opaque = packet.to_vec();
    if opaque.get(9) == Some(&AUTHENTICATION) {
        opaque[9] = 253;
    }
    let parsed = Ipv4Slice::from_slice(&opaque);
    prop_assert!(parsed.is_ok(), "{parsed:?}");
    let parsed = parsed.unwrap();
    let header = parsed.header().to_header();
    prop_assert_eq!(usize::from(header.total_len), packet.len());
    // Over the bytes: a header that was taken apart has lost the reserved flag.
    let sum = Sum16BitWords::new().add_slice(&packet[..header.header_len()]);
    prop_assert_eq!(sum.ones_complement(), 0);
    prop_assert!(header.time_to_live > 0);
    // The relay's own words; what it carries for others is theirs to get right.
    if header.source == [192, 0, 2, 1] && header.protocol == etherparse::IpNumber::ICMP {
        let message = &packet[header.header_len()..];
        let parsed = Icmpv4Slice::from_slice(message);
        prop_assert!(parsed.is_ok(), "{parsed:?}");
        let parsed = parsed.unwrap();
        let sum = parsed.icmp_type().calc_checksum(parsed.payload());
        prop_assert_eq!(parsed.checksum(), sum);
    }
    Ok(())
}

/// A fragment of a tunnelled packet (F5).
fn fragment(bytes: &[u8]) -> Result<(), TestCaseError> {
    let parsed = Ipv6FragmentHeader::from_slice(bytes);
    prop_assert!(parsed.is_ok(), "{parsed:?}");
    let (header, payload) = parsed.unwrap();
    prop_assert_eq!(header.next_header, etherparse::IpNumber::IPV4);
    prop_assert!(header.is_fragmenting_payload());
    prop_assert!(!payload.is_empty());
    prop_assert!(!header.more_fragments || payload.len() % 8 == 0);
    Ok(())
}

fn icmpv6(message: &[u8], header: &Ipv6Header) -> Result<(), TestCaseError> {
    let message = Icmpv6Slice::from_slice(message);
    let valid =
        message.is_ok_and(|message| message.is_checksum_valid(header.source, header.destination));
    prop_assert!(valid, "ICMPv6 checksum");
    Ok(())
}

fn ipv6(packet: &[u8]) -> Result<(), TestCaseError> {
    let parsed = Ipv6Slice::from_slice(packet);
    prop_assert!(parsed.is_ok(), "{parsed:?}");
    let header = parsed.unwrap().header().to_header();
    prop_assert_eq!(usize::from(header.payload_length) + 40, packet.len());
    prop_assert!(header.hop_limit > 0);
    match header.next_header {
        etherparse::IpNumber::IPV4 => ipv4(&packet[40..]),
        etherparse::IpNumber::IPV6_FRAGMENTATION_HEADER => fragment(&packet[40..]),
        etherparse::IpNumber::IPV6_ICMP => icmpv6(&packet[40..], &header),
        etherparse::IpNumber::IPV6_HEADER_HOP_BY_HOP => {
            // Of all that the relay says only a report of groups has one (RFC 3810 section 5.2).
            const ICMPV6_BEHIND_ROUTER_ALERT: [u8; 8] = [58, 0, 5, 2, 0, 0, 1, 0];
            const ROUTERS: [u8; 16] = [0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x16];
            prop_assert!(packet.get(40..48) == Some(&ICMPV6_BEHIND_ROUTER_ALERT));
            prop_assert_eq!((header.hop_limit, header.destination), (1, ROUTERS));
            prop_assert_eq!(packet.get(48), Some(&143));
            icmpv6(&packet[48..], &header)
        }
        other => {
            prop_assert!(false, "next header {other:?}");
            Ok(())
        }
    }
}
