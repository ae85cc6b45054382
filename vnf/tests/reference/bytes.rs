//! Numbers in bytes, the Internet checksum, and packets put together from their parts: all that
//! the model and the frame generator know of formats, spelled out field by field.

use std::net::{Ipv4Addr, Ipv6Addr};

pub(crate) const ICMP: u8 = 1;
pub(crate) const IPIP: u8 = 4;
pub(crate) const TCP: u8 = 6;
pub(crate) const UDP: u8 = 17;
pub(crate) const ICMPV6: u8 = 58;

/// Protocols whose first four bytes are a source and a destination port (E1).
pub(crate) fn has_ports(protocol: u8) -> bool {
    const DCCP: u8 = 33;
    const SCTP: u8 = 132;
    const UDP_LITE: u8 = 136;
    [TCP, UDP, DCCP, SCTP, UDP_LITE].contains(&protocol)
}

/// The 16-bit number at an offset; the caller knows that it is there.
pub(crate) fn be16(bytes: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([bytes[at], bytes[at + 1]])
}

/// The IPv4 address at an offset.
pub(crate) fn ipv4_at(bytes: &[u8], at: usize) -> Ipv4Addr {
    let octets: [u8; 4] = bytes[at..at + 4].try_into().unwrap();
    octets.into()
}

/// The IPv6 address at an offset.
pub(crate) fn ipv6_at(bytes: &[u8], at: usize) -> Ipv6Addr {
    let octets: [u8; 16] = bytes[at..at + 16].try_into().unwrap();
    octets.into()
}

/// The Internet checksum of some bytes (RFC 1071): 0 when they include a right one.
pub(crate) fn checksum(bytes: &[u8]) -> u16 {
    let mut sum = 0_u32;
    for pair in bytes.chunks(2) {
        sum += u32::from(u16::from_be_bytes([pair[0], *pair.get(1).unwrap_or(&0)]));
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

/// The checksum of an ICMPv6 message with its pseudo-header (RFC 8200 section 8.1).
pub(crate) fn checksum6(source: Ipv6Addr, destination: Ipv6Addr, message: &[u8]) -> u16 {
    let mut bytes = Vec::new();
    bytes.extend(source.octets());
    bytes.extend(destination.octets());
    bytes.extend((message.len() as u32).to_be_bytes());
    bytes.extend([0, 0, 0, ICMPV6]);
    bytes.extend(message);
    checksum(&bytes)
}

/// The checksum of a segment with its pseudo-header (RFC 9293 section 3.1).
pub(crate) fn checksum4(
    source: Ipv4Addr,
    destination: Ipv4Addr,
    protocol: u8,
    segment: &[u8],
) -> u16 {
    let mut bytes = Vec::new();
    bytes.extend(source.octets());
    bytes.extend(destination.octets());
    bytes.extend([0, protocol]);
    bytes.extend((segment.len() as u16).to_be_bytes());
    bytes.extend(segment);
    checksum(&bytes)
}

/// An IPv4 header's fields, those that are not computed.
#[derive(Debug, Clone)]
pub(crate) struct Ipv4Fields {
    pub(crate) tos: u8,
    pub(crate) identification: u16,
    pub(crate) dont_fragment: bool,
    pub(crate) more_fragments: bool,
    pub(crate) fragment_offset: u16,
    pub(crate) ttl: u8,
    pub(crate) protocol: u8,
    pub(crate) source: Ipv4Addr,
    pub(crate) destination: Ipv4Addr,
    pub(crate) options: Vec<u8>,
}

impl Ipv4Fields {
    /// A plain packet.
    pub(crate) fn new(source: Ipv4Addr, destination: Ipv4Addr, protocol: u8, ttl: u8) -> Self {
        Self {
            tos: 0,
            identification: 0,
            dont_fragment: false,
            more_fragments: false,
            fragment_offset: 0,
            ttl,
            protocol,
            source,
            destination,
            options: Vec::new(),
        }
    }

    /// The packet with this payload.
    pub(crate) fn with(&self, payload: &[u8]) -> Vec<u8> {
        let header = 20 + self.options.len();
        let flags = u16::from(self.dont_fragment) << 14 | u16::from(self.more_fragments) << 13;
        let mut bytes = vec![0x40 | (header / 4) as u8, self.tos];
        bytes.extend(((header + payload.len()) as u16).to_be_bytes());
        bytes.extend(self.identification.to_be_bytes());
        bytes.extend((flags | self.fragment_offset).to_be_bytes());
        bytes.extend([self.ttl, self.protocol, 0, 0]);
        bytes.extend(self.source.octets());
        bytes.extend(self.destination.octets());
        bytes.extend(&self.options);
        fix_ipv4_checksum(&mut bytes);
        bytes.extend(payload);
        bytes
    }
}

/// Computes the header checksum anew, for a header that is wholly there.
pub(crate) fn fix_ipv4_checksum(packet: &mut [u8]) {
    let header = usize::from(packet[0] & 15) * 4;
    packet[10..12].fill(0);
    let sum = checksum(&packet[..header]);
    packet[10..12].copy_from_slice(&sum.to_be_bytes());
}

/// An ICMPv4 message: type, code, the four bytes after the checksum, the rest.
pub(crate) fn icmp_message(kind: u8, code: u8, rest: [u8; 4], body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![kind, code, 0, 0];
    bytes.extend(rest);
    bytes.extend(body);
    let sum = checksum(&bytes);
    bytes[2..4].copy_from_slice(&sum.to_be_bytes());
    bytes
}

/// An ICMPv6 message, with its addresses for the checksum.
pub(crate) fn icmp6_message(
    source: Ipv6Addr,
    destination: Ipv6Addr,
    kind: u8,
    code: u8,
    body: &[u8],
) -> Vec<u8> {
    let mut bytes = vec![kind, code, 0, 0];
    bytes.extend(body);
    let sum = checksum6(source, destination, &bytes);
    bytes[2..4].copy_from_slice(&sum.to_be_bytes());
    bytes
}

/// An IPv6 header's fields, those that are not computed.
#[derive(Debug, Clone)]
pub(crate) struct Ipv6Fields {
    pub(crate) traffic_class: u8,
    pub(crate) flow_label: u32,
    pub(crate) next_header: u8,
    pub(crate) hop_limit: u8,
    pub(crate) source: Ipv6Addr,
    pub(crate) destination: Ipv6Addr,
}

impl Ipv6Fields {
    /// A plain packet.
    pub(crate) fn new(source: Ipv6Addr, destination: Ipv6Addr, next: u8, hop_limit: u8) -> Self {
        Self { traffic_class: 0, flow_label: 0, next_header: next, hop_limit, source, destination }
    }

    /// The packet with this payload.
    pub(crate) fn with(&self, payload: &[u8]) -> Vec<u8> {
        let first = 6 << 28 | u32::from(self.traffic_class) << 20 | self.flow_label;
        let mut bytes = first.to_be_bytes().to_vec();
        bytes.extend((payload.len() as u16).to_be_bytes());
        bytes.extend([self.next_header, self.hop_limit]);
        bytes.extend(self.source.octets());
        bytes.extend(self.destination.octets());
        bytes.extend(payload);
        bytes
    }
}

/// An Ethernet frame with an optional tag of priority 0.
pub(crate) fn ethernet(
    to: [u8; 6],
    from: [u8; 6],
    vlan: Option<u16>,
    ethertype: u16,
    payload: &[u8],
) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(18 + payload.len());
    bytes.extend(to);
    bytes.extend(from);
    if let Some(vlan) = vlan {
        bytes.extend([0x81, 0x00]);
        bytes.extend(vlan.to_be_bytes());
    }
    bytes.extend(ethertype.to_be_bytes());
    bytes.extend(payload);
    bytes
}
