//! IPv4 (RFC 791).

use std::net::Ipv4Addr;

use super::{be16, be32, checksum, checksum::Sum};

/// Bytes of a header without options.
pub const HEADER: usize = 20;

const MORE_FRAGMENTS: u16 = 0x2000;
const DONT_FRAGMENT: u16 = 0x4000;
const OFFSET: u16 = 0x1fff;

/// A packet whose header is whole, consistent and, unless said otherwise, verified.
#[derive(Debug, Clone, Copy)]
pub struct Ipv4<'a> {
    head: &'a [u8; HEADER],
    /// Exactly the packet: header, options and payload, without what followed it in the frame.
    packet: &'a [u8],
}

/// Why bytes are not an IPv4 packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Malformed {
    /// Fewer bytes than a header, or than the header says.
    Truncated,
    /// Version, header length or total length impossible.
    BadHeader,
    /// The header's checksum is wrong.
    BadChecksum,
}

impl<'a> Ipv4<'a> {
    /// The packet at the start of `bytes`, which may be longer.
    #[inline]
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let packet = Self::parse_embedded(bytes)?;
        let claimed = usize::from(packet.total_len());
        let packet = Self { packet: bytes.get(..claimed).ok_or(Malformed::Truncated)?, ..packet };
        let verified = if packet.header_len() == HEADER {
            checksum::verifies_header(packet.head)
        } else {
            Sum::default().bytes(packet.header()).verifies()
        };
        if verified { Ok(packet) } else { Err(Malformed::BadChecksum) }
    }

    /// A packet as it stands in an ICMP error: perhaps cut short, its checksum perhaps stale.
    #[inline]
    pub fn parse_embedded(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let head: &[u8; HEADER] = bytes.first_chunk().ok_or(Malformed::Truncated)?;
        let claimed = usize::from(be16(head, 2));
        let packet = Self { head, packet: bytes.get(..claimed).unwrap_or(bytes) };
        let header_len = packet.header_len();
        if head[0] >> 4 != 4 || header_len < HEADER || header_len > usize::from(packet.total_len())
        {
            return Err(Malformed::BadHeader);
        }
        if header_len > bytes.len() {
            return Err(Malformed::Truncated);
        }
        Ok(packet)
    }

    /// A packet that was parsed before, to find its fields again. Every question can be asked of
    /// any bytes, so nothing but their number is checked.
    #[inline]
    #[must_use]
    pub fn parsed_before(bytes: &'a [u8]) -> Option<Self> {
        Some(Self { head: bytes.first_chunk()?, packet: bytes })
    }

    /// All of it.
    #[inline]
    #[must_use]
    pub fn bytes(&self) -> &'a [u8] {
        self.packet
    }

    /// Bytes of the header with its options.
    #[inline]
    #[must_use]
    pub fn header_len(&self) -> usize {
        usize::from(self.head[0] & 0x0f) * 4
    }

    /// The header with its options.
    #[inline]
    #[must_use]
    pub fn header(&self) -> &'a [u8] {
        self.packet.get(..self.header_len()).unwrap_or(self.head)
    }

    /// What follows the header.
    #[inline]
    #[must_use]
    pub fn payload(&self) -> &'a [u8] {
        self.packet.get(self.header_len()..).unwrap_or_default()
    }

    /// Total length, as the header says.
    #[inline]
    #[must_use]
    pub fn total_len(&self) -> u16 {
        be16(self.head, 2)
    }

    /// DSCP and ECN.
    #[inline]
    #[must_use]
    pub fn tos(&self) -> u8 {
        self.head[1]
    }

    /// Must not be fragmented on its way.
    #[inline]
    #[must_use]
    pub fn dont_fragment(&self) -> bool {
        be16(self.head, 6) & DONT_FRAGMENT != 0
    }

    /// One of several fragments, the first among them.
    #[inline]
    #[must_use]
    pub fn is_fragment(&self) -> bool {
        be16(self.head, 6) & (MORE_FRAGMENTS | OFFSET) != 0
    }

    /// A fragment that does not start the packet.
    #[must_use]
    pub fn is_later_fragment(&self) -> bool {
        be16(self.head, 6) & OFFSET != 0
    }

    /// Where in its packet a fragment's payload starts, in bytes.
    #[must_use]
    pub fn fragment_offset(&self) -> usize {
        usize::from(be16(self.head, 6) & OFFSET) * 8
    }

    /// What fragments of one packet have in common, besides addresses and protocol.
    #[must_use]
    pub fn identification(&self) -> u16 {
        be16(self.head, 4)
    }

    /// Time to live.
    #[inline]
    #[must_use]
    pub fn ttl(&self) -> u8 {
        self.head[8]
    }

    /// What the payload is.
    #[inline]
    #[must_use]
    pub fn protocol(&self) -> u8 {
        self.head[9]
    }

    /// Source address.
    #[inline]
    #[must_use]
    pub fn source(&self) -> Ipv4Addr {
        Ipv4Addr::from(be32(self.head, 12))
    }

    /// Destination address.
    #[inline]
    #[must_use]
    pub fn destination(&self) -> Ipv4Addr {
        Ipv4Addr::from(be32(self.head, 16))
    }

    /// True when there is more to its header than the fixed part.
    #[inline]
    #[must_use]
    pub fn has_options(&self) -> bool {
        self.header_len() > HEADER
    }

    /// True when a loose or strict source-route option is among the options.
    #[must_use]
    pub fn has_source_route(&self) -> bool {
        const END: u8 = 0;
        const NOP: u8 = 1;
        let mut options = self.header().get(HEADER..).unwrap_or_default();
        loop {
            match options {
                [] | [END, ..] => return false,
                [NOP, rest @ ..] => options = rest,
                [131 | 137, ..] => return true,
                [_, len, ..] if usize::from(*len) >= 2 => {
                    options = options.get(usize::from(*len)..).unwrap_or_default();
                }
                _ => return false,
            }
        }
    }
}

/// Lowers the TTL, which is not 0, of the header at the start of `packet` by one, and its checksum
/// with it.
#[inline(always)]
pub fn decrement_ttl(packet: &mut [u8]) {
    if let Some(head) = packet.first_chunk_mut::<HEADER>() {
        head[8] = head[8].wrapping_sub(1);
        let sum = decremented(be16(head, 10));
        head[10..12].copy_from_slice(&sum.to_be_bytes());
    }
}

/// A header's checksum after its TTL was lowered by one.
#[inline(always)]
#[must_use]
pub fn decremented(sum: u16) -> u16 {
    checksum::update_by(sum, TTL_STEP)
}

/// One step of the TTL in its word, subtracted in one's complement.
const TTL_STEP: u16 = !0x0100;

/// Replaces DSCP and ECN of the header at the start of `packet`, and its checksum.
pub fn set_tos(packet: &mut [u8], tos: u8) {
    if let Some(head) = packet.first_chunk_mut::<HEADER>() {
        let old = be16(head, 0);
        head[1] = tos;
        let sum = checksum::update(be16(head, 10), old, be16(head, 0));
        head[10..12].copy_from_slice(&sum.to_be_bytes());
    }
}

/// The TCP header and what follows it, unless the packet is something else or a later fragment.
#[inline]
pub fn tcp_segment(packet: &mut [u8]) -> Option<&mut [u8]> {
    let head = packet.first_chunk::<HEADER>()?;
    if head[9] != super::protocol::TCP || be16(head, 6) & OFFSET != 0 {
        return None;
    }
    let header_len = usize::from(head[0] & 0x0f) * 4;
    packet.get_mut(header_len..)
}

/// The header of a fragment that is cut out of a packet, with its options.
#[derive(Debug, Clone)]
pub struct FragmentHeader {
    bytes: [u8; 60],
    len: usize,
}

impl FragmentHeader {
    /// The header of the first fragment: the packet's own.
    #[must_use]
    pub fn first(packet: &Ipv4<'_>) -> Self {
        let header = packet.header();
        let mut bytes = [0; 60];
        for (to, from) in bytes.iter_mut().zip(header) {
            *to = *from;
        }
        Self { bytes, len: header.len() }
    }

    /// The header of the others: without the options that are not copied (RFC 791 section 3.1).
    #[must_use]
    pub fn later(packet: &Ipv4<'_>) -> Self {
        const COPIED: u8 = 0x80;
        const NOP: u8 = 1;
        let mut header = Self { bytes: [0; 60], len: HEADER };
        header.bytes[..HEADER].copy_from_slice(packet.head);
        let mut options = packet.header().get(HEADER..).unwrap_or_default();
        while let [kind, rest @ ..] = options {
            let len = match rest {
                _ if *kind == 0 => break,
                _ if *kind == NOP => 1,
                [len, ..] if *len >= 2 => usize::from(*len),
                _ => break,
            };
            let Some((option, rest)) = options.split_at_checked(len) else { break };
            if kind & COPIED != 0
                && let Some(place) = header.bytes.get_mut(header.len..header.len + len)
            {
                place.copy_from_slice(option);
                header.len += len;
            }
            options = rest;
        }
        header.len = header.len.next_multiple_of(4);
        header.bytes[0] = 0x40 | (header.len / 4) as u8;
        header
    }

    /// Bytes of it.
    #[must_use]
    pub const fn header_len(&self) -> usize {
        self.len
    }

    /// Writes it for a fragment of `payload` bytes, `offset` bytes into the packet that is cut, and
    /// returns what follows. A fragment that is cut further keeps its place in the whole; `None`
    /// when that is beyond what an offset can say.
    pub fn write<'a>(
        &self,
        out: &'a mut [u8],
        offset: usize,
        payload: usize,
        is_last: bool,
    ) -> Option<&'a mut [u8]> {
        let (header, rest) = out.split_at_mut_checked(self.len)?;
        header.copy_from_slice(self.bytes.get(..self.len)?);
        let head = header.first_chunk_mut::<HEADER>()?;
        let old = be16(head, 6);
        let more = if is_last { old & MORE_FRAGMENTS } else { MORE_FRAGMENTS };
        let place = (old & OFFSET) + (offset / 8) as u16;
        if place > OFFSET {
            return None;
        }
        head[2..4].copy_from_slice(&((self.len + payload) as u16).to_be_bytes());
        head[6..8].copy_from_slice(&(more | place).to_be_bytes());
        head[10..12].fill(0);
        let sum = Sum::default().bytes(header).finish();
        header.get_mut(10..12)?.copy_from_slice(&sum.to_be_bytes());
        Some(rest)
    }
}

/// Makes the packet one from its destination to its source, with this TTL, and its checksum right.
pub fn turn_around(packet: &mut [u8], ttl: u8) {
    let Some(header_len) = packet.first().map(|first| usize::from(first & 0x0f) * 4) else {
        return;
    };
    let Some(header) = packet.get_mut(..header_len) else { return };
    if let Some(head) = header.first_chunk_mut::<HEADER>() {
        let (source, destination) = head[12..20].split_at_mut(4);
        source.swap_with_slice(destination);
        head[8] = ttl;
        head[10..12].fill(0);
    }
    let sum = Sum::default().bytes(header).finish();
    if let Some(head) = header.first_chunk_mut::<HEADER>() {
        head[10..12].copy_from_slice(&sum.to_be_bytes());
    }
}

/// Writes a header without options. `total_len` counts it in.
pub fn write_header(
    head: &mut [u8; HEADER],
    total_len: u16,
    ttl: u8,
    protocol: u8,
    source: Ipv4Addr,
    destination: Ipv4Addr,
) {
    *head = [0; HEADER];
    head[0] = 0x45;
    head[2..4].copy_from_slice(&total_len.to_be_bytes());
    // An atomic datagram, so that its identification of 0 need not be unique (RFC 6864).
    head[6..8].copy_from_slice(&DONT_FRAGMENT.to_be_bytes());
    head[8] = ttl;
    head[9] = protocol;
    head[12..16].copy_from_slice(&source.octets());
    head[16..20].copy_from_slice(&destination.octets());
    let sum = Sum::default().bytes(head).finish();
    head[10..12].copy_from_slice(&sum.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet() -> Vec<u8> {
        let mut bytes = vec![0; 28];
        let (source, destination) = (Ipv4Addr::new(192, 0, 2, 1), Ipv4Addr::new(203, 0, 113, 7));
        write_header(
            bytes.first_chunk_mut().unwrap(),
            28,
            64,
            super::super::protocol::UDP,
            source,
            destination,
        );
        bytes
    }

    #[test]
    fn reads_what_was_written() {
        let bytes = packet();
        let ipv4 = Ipv4::parse(&bytes).unwrap();
        assert_eq!((ipv4.ttl(), ipv4.protocol(), ipv4.total_len()), (64, 17, 28));
        assert_eq!(ipv4.source(), Ipv4Addr::new(192, 0, 2, 1));
        assert_eq!(ipv4.destination(), Ipv4Addr::new(203, 0, 113, 7));
        assert!(!ipv4.is_fragment() && ipv4.dont_fragment() && !ipv4.has_source_route());
        assert_eq!(ipv4.payload().len(), 8);
    }

    #[test]
    fn a_claim_is_checked_against_what_is_there() {
        let bytes = packet();
        assert_eq!(Ipv4::parse(&bytes[..27]).unwrap_err(), Malformed::Truncated);
        assert_eq!(Ipv4::parse(&bytes[..19]).unwrap_err(), Malformed::Truncated);
        let with = |at: usize, value| {
            let mut bytes = packet();
            bytes[at] = value;
            Ipv4::parse(&bytes).unwrap_err()
        };
        assert_eq!(with(0, 0x65), Malformed::BadHeader);
        assert_eq!(with(0, 0x44), Malformed::BadHeader);
        assert_eq!(with(0, 0x4f), Malformed::BadHeader);
        assert_eq!(with(3, 19), Malformed::BadHeader);
        assert_eq!(with(11, 0), Malformed::BadChecksum);
    }

    #[test]
    fn changes_keep_the_checksum_right() {
        let mut bytes = packet();
        decrement_ttl(&mut bytes);
        set_tos(&mut bytes, 0xb9);
        assert_eq!(Ipv4::parse(&bytes).map(|ipv4| (ipv4.ttl(), ipv4.tos())), Ok((63, 0xb9)));
        turn_around(&mut bytes, 33);
        let ipv4 = Ipv4::parse(&bytes).unwrap();
        assert_eq!((ipv4.ttl(), ipv4.destination()), (33, Ipv4Addr::new(192, 0, 2, 1)));
    }

    impl PartialEq for Ipv4<'_> {
        fn eq(&self, other: &Self) -> bool {
            self.packet == other.packet
        }
    }
}
