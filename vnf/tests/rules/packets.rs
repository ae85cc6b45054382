//! IPv4 packets, made by etherparse.

use std::net::Ipv4Addr;

use etherparse::{
    Icmpv4Header, Icmpv4Type, IpFragOffset, IpNumber, Ipv4Header, Ipv4Options, TcpHeader, UdpHeader,
};

/// Something with bytes: a packet, or bytes.
pub(crate) trait Bytes {
    fn bytes(&self) -> Vec<u8>;
}

impl Bytes for Vec<u8> {
    fn bytes(&self) -> Vec<u8> {
        self.clone()
    }
}

impl<B: Bytes> Bytes for &B {
    fn bytes(&self) -> Vec<u8> {
        (*self).bytes()
    }
}

/// An address and a port.
pub(crate) type Endpoint = (Ipv4Addr, u16);

/// An IPv4 packet; length and checksum of its header are filled in when its bytes are asked for.
#[derive(Debug, Clone)]
pub(crate) struct Ipv4 {
    pub(crate) header: Ipv4Header,
    pub(crate) payload: Vec<u8>,
}

impl Bytes for Ipv4 {
    fn bytes(&self) -> Vec<u8> {
        let mut header = self.header.clone();
        header.set_payload_len(self.payload.len()).unwrap();
        header.header_checksum = header.calc_header_checksum();
        [header.to_bytes().as_slice(), &self.payload].concat()
    }
}

impl Ipv4 {
    /// A packet with this payload, TTL 60, and an identification that is not zero.
    pub(crate) fn new(protocol: u8, from: Ipv4Addr, to: Ipv4Addr, payload: &[u8]) -> Self {
        let mut header =
            Ipv4Header::new(0, 60, IpNumber(protocol), from.octets(), to.octets()).unwrap();
        header.identification = 0x1f2e;
        header.dont_fragment = false;
        Self { header, payload: payload.to_vec() }
    }

    /// A UDP datagram with so many bytes of data.
    pub(crate) fn udp(from: Endpoint, to: Endpoint, size: usize) -> Self {
        let mut packet = Self::new(17, from.0, to.0, &[]);
        let data = data(size);
        let udp = UdpHeader::with_ipv4_checksum(from.1, to.1, &packet.header, &data).unwrap();
        packet.payload = [&udp.to_bytes()[..], &data].concat();
        packet
    }

    /// A TCP segment, which `change` makes what it shall be.
    pub(crate) fn tcp(from: Endpoint, to: Endpoint, change: impl Fn(&mut TcpHeader)) -> Self {
        let mut packet = Self::new(6, from.0, to.0, &[]);
        let mut tcp = TcpHeader::new(from.1, to.1, 1, 4096);
        change(&mut tcp);
        let data = data(20);
        tcp.checksum = tcp.calc_checksum_ipv4(&packet.header, &data).unwrap();
        packet.payload = [tcp.to_bytes().as_slice(), &data].concat();
        packet
    }

    /// A packet of any protocol that starts with its ports.
    pub(crate) fn with_ports(protocol: u8, from: Endpoint, to: Endpoint) -> Self {
        let ports = [from.1.to_be_bytes(), to.1.to_be_bytes()].concat();
        Self::new(protocol, from.0, to.0, &[ports, data(28)].concat())
    }

    /// An ICMP message: type, code, the rest of its header and what follows.
    pub(crate) fn icmp(
        from: Ipv4Addr,
        to: Ipv4Addr,
        (type_u8, code_u8): (u8, u8),
        bytes5to8: [u8; 4],
        body: &[u8],
    ) -> Self {
        let kind = Icmpv4Type::Unknown { type_u8, code_u8, bytes5to8 };
        let icmp = Icmpv4Header::with_checksum(kind, body);
        Self::new(1, from, to, &[icmp.to_bytes().as_slice(), body].concat())
    }

    /// An echo request (8) or reply (0).
    pub(crate) fn echo(kind: u8, from: Ipv4Addr, to: Ipv4Addr, identifier: u16) -> Self {
        let [high, low] = identifier.to_be_bytes();
        Self::icmp(from, to, (kind, 0), [high, low, 0, 7], &data(24))
    }

    /// The error that somebody sends about a packet: header and all that was behind it.
    pub(crate) fn error(from: Ipv4Addr, to: Ipv4Addr, kind: (u8, u8), about: &impl Bytes) -> Self {
        Self::icmp(from, to, kind, [0; 4], &about.bytes())
    }

    pub(crate) fn ttl(mut self, ttl: u8) -> Self {
        self.header.time_to_live = ttl;
        self
    }

    pub(crate) fn tos(mut self, tos: u8) -> Self {
        self.header.dscp = (tos >> 2).try_into().unwrap();
        self.header.ecn = (tos & 3).try_into().unwrap();
        self
    }

    pub(crate) fn dont_fragment(mut self) -> Self {
        self.header.dont_fragment = true;
        self
    }

    pub(crate) fn identification(mut self, number: u16) -> Self {
        self.header.identification = number;
        self
    }

    pub(crate) fn options(mut self, options: &[u8]) -> Self {
        self.header.options = Ipv4Options::try_from(options).unwrap();
        self
    }

    /// Marks it as a fragment; `offset` is in units of 8 bytes.
    pub(crate) fn fragment(mut self, more: bool, offset: u16) -> Self {
        self.header.more_fragments = more;
        self.header.fragment_offset = IpFragOffset::try_new(offset).unwrap();
        self
    }

    /// The fragment with these bytes of its payload.
    pub(crate) fn piece(&self, range: std::ops::Range<usize>) -> Self {
        let more = range.end < self.payload.len();
        let offset = (range.start / 8) as u16;
        let piece = Self { payload: self.payload[range].to_vec(), ..self.clone() };
        piece.fragment(more, offset)
    }

    /// The packet behind one more router.
    pub(crate) fn aged(&self) -> Self {
        self.clone().ttl(self.header.time_to_live - 1)
    }

    /// Its bytes with some of them replaced, checksums left alone.
    pub(crate) fn with_bytes(&self, changes: &[(usize, u8)]) -> Vec<u8> {
        with_bytes(self, changes)
    }
}

/// A packet's bytes with some of them replaced.
pub(crate) fn with_bytes(packet: &impl Bytes, changes: &[(usize, u8)]) -> Vec<u8> {
    let mut bytes = packet.bytes();
    for &(at, byte) in changes {
        bytes[at] = byte;
    }
    bytes
}

/// Bytes that differ, so that a shifted copy is seen.
pub(crate) fn data(size: usize) -> Vec<u8> {
    (0..size).map(|at| (at * 7 + 3) as u8).collect()
}
