//! IPv6 packets, made by etherparse: tunnels and ICMPv6.

use std::net::Ipv6Addr;

use etherparse::{
    Icmpv6Header, Icmpv6Type, IpFragOffset, IpNumber, Ipv6FragmentHeader, Ipv6Header,
    Ipv6RawExtHeader,
};

use crate::packets::{Bytes, Ipv4};

/// An IPv6 packet; its length is filled in when its bytes are asked for.
#[derive(Debug, Clone)]
pub(crate) struct Ipv6 {
    pub(crate) header: Ipv6Header,
    pub(crate) payload: Vec<u8>,
}

impl Bytes for Ipv6 {
    fn bytes(&self) -> Vec<u8> {
        let mut header = self.header.clone();
        header.set_payload_length(self.payload.len()).unwrap();
        [&header.to_bytes()[..], &self.payload].concat()
    }
}

impl Ipv6 {
    /// A packet with hop limit 64 and everything else 0.
    pub(crate) fn new(next_header: u8, from: Ipv6Addr, to: Ipv6Addr, payload: &[u8]) -> Self {
        let header = Ipv6Header {
            next_header: IpNumber(next_header),
            hop_limit: 64,
            source: from.octets(),
            destination: to.octets(),
            ..Ipv6Header::default()
        };
        Self { header, payload: payload.to_vec() }
    }

    /// An IPv4 packet in a tunnel, with the traffic class that a B4, or the relay, gives it (E4).
    pub(crate) fn tunnel(from: Ipv6Addr, to: Ipv6Addr, inner: &Ipv4) -> Self {
        let tos = inner.header.dscp.value() << 2 | inner.header.ecn.value();
        Self::carrying(from, to, inner).traffic_class(tos)
    }

    /// Anything in a tunnel.
    pub(crate) fn carrying(from: Ipv6Addr, to: Ipv6Addr, inner: &impl Bytes) -> Self {
        Self::new(4, from, to, &inner.bytes())
    }

    /// An ICMPv6 message: type, code, the rest of its header and what follows.
    pub(crate) fn icmp(
        from: Ipv6Addr,
        to: Ipv6Addr,
        (type_u8, code_u8): (u8, u8),
        bytes5to8: [u8; 4],
        body: &[u8],
    ) -> Self {
        let kind = Icmpv6Type::Unknown { type_u8, code_u8, bytes5to8 };
        let icmp = Icmpv6Header::with_checksum(kind, from.octets(), to.octets(), body).unwrap();
        Self::new(58, from, to, &[icmp.to_bytes().as_slice(), body].concat())
    }

    /// An ICMPv6 message with two words of header, such as an error with its parameter.
    pub(crate) fn error(
        from: Ipv6Addr,
        to: Ipv6Addr,
        kind: (u8, u8),
        parameter: u32,
        about: &impl Bytes,
    ) -> Self {
        Self::icmp(from, to, kind, parameter.to_be_bytes(), &about.bytes())
    }

    pub(crate) fn hop_limit(mut self, hop_limit: u8) -> Self {
        self.header.hop_limit = hop_limit;
        self
    }

    pub(crate) fn traffic_class(mut self, class: u8) -> Self {
        self.header.traffic_class = class;
        self
    }

    pub(crate) fn flow_label(mut self, label: u32) -> Self {
        self.header.flow_label = label.try_into().unwrap();
        self
    }

    /// Puts an extension header in front of the payload: `content` is what is behind its length.
    pub(crate) fn extended(mut self, kind: u8, content: &[u8]) -> Self {
        let next = self.header.next_header;
        let extension = Ipv6RawExtHeader::new_raw(next, content).unwrap();
        self.header.next_header = IpNumber(kind);
        self.payload = [extension.to_bytes().as_slice(), &self.payload].concat();
        self
    }

    /// The fragment with these bytes of the payload.
    pub(crate) fn piece(&self, range: std::ops::Range<usize>, identification: u32) -> Self {
        let more = range.end < self.payload.len();
        let offset = IpFragOffset::try_new((range.start / 8) as u16).unwrap();
        let next = self.header.next_header;
        let extension = Ipv6FragmentHeader::new(next, offset, more, identification);
        let mut piece = self.clone();
        piece.header.next_header = IpNumber(44);
        piece.payload = [&extension.to_bytes()[..], &self.payload[range]].concat();
        piece
    }
}
