//! IPv6 (RFC 8200) and the extension headers in front of a tunnelled packet.

use std::net::Ipv6Addr;

use super::{be16, protocol};

/// Bytes of the fixed header.
pub const HEADER: usize = 40;

/// Bytes of a fragment header.
pub const FRAGMENT_HEADER: usize = 8;

/// Extension headers that are walked, at most.
const CHAIN_HEADERS: usize = 8;

/// Bytes of extension headers that are walked, at most.
const CHAIN_BYTES: usize = 256;

/// A packet whose fixed header is whole and whose payload is there.
#[derive(Debug, Clone, Copy)]
pub struct Ipv6<'a> {
    head: &'a [u8; HEADER],
    payload: &'a [u8],
}

/// Why bytes are not an IPv6 packet, or not one that can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Malformed {
    /// Fewer bytes than a header, or than the header says.
    Truncated,
    /// The version is not 6.
    BadVersion,
    /// More extension headers than are walked.
    ChainTooLong,
    /// A routing header that is forbidden or not finished.
    RoutingHeader,
    /// An unknown option that says to discard.
    UnknownOption {
        /// Where in the packet its type stands, if it says to tell the sender.
        report_at: Option<u32>,
    },
}

/// What stands behind the extension headers.
#[derive(Debug, Clone, Copy)]
pub struct Upper<'a> {
    /// What it is: a protocol number, or [`protocol::FRAGMENT`].
    pub protocol: u8,
    /// Its bytes.
    pub payload: &'a [u8],
}

impl<'a> Ipv6<'a> {
    /// The packet at the start of `bytes`, which may be longer.
    #[inline]
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let (head, rest) = bytes.split_first_chunk::<HEADER>().ok_or(Malformed::Truncated)?;
        if head[0] >> 4 != 6 {
            return Err(Malformed::BadVersion);
        }
        let payload = rest.get(..usize::from(be16(head, 4))).ok_or(Malformed::Truncated)?;
        Ok(Self { head, payload })
    }

    /// A packet that was parsed before, to find the fields of its fixed header again.
    #[inline]
    #[must_use]
    pub fn parsed_before(bytes: &'a [u8]) -> Option<Self> {
        let (head, payload) = bytes.split_first_chunk::<HEADER>()?;
        Some(Self { head, payload })
    }

    /// A packet as it stands in an ICMPv6 error, perhaps cut short.
    pub fn parse_embedded(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let (head, payload) = bytes.split_first_chunk::<HEADER>().ok_or(Malformed::Truncated)?;
        let packet = Self { head, payload };
        if head[0] >> 4 != 6 {
            return Err(Malformed::BadVersion);
        }
        Ok(Self { payload: payload.get(..packet.payload_len()).unwrap_or(payload), ..packet })
    }

    /// Bytes behind the fixed header, as it says.
    #[inline]
    #[must_use]
    pub fn payload_len(&self) -> usize {
        usize::from(be16(self.head, 4))
    }

    /// What follows the fixed header, up to the payload length.
    #[inline]
    #[must_use]
    pub fn payload(&self) -> &'a [u8] {
        self.payload
    }

    /// DSCP and ECN.
    #[inline]
    #[must_use]
    pub fn traffic_class(&self) -> u8 {
        self.head[0] << 4 | self.head[1] >> 4
    }

    /// What follows the fixed header.
    #[inline]
    #[must_use]
    pub fn next_header(&self) -> u8 {
        self.head[6]
    }

    /// Hop limit.
    #[must_use]
    pub fn hop_limit(&self) -> u8 {
        self.head[7]
    }

    /// Source address, its first octet in the highest byte.
    #[inline]
    #[must_use]
    pub fn source(&self) -> u128 {
        self.address(8)
    }

    /// Destination address, its first octet in the highest byte.
    #[inline]
    #[must_use]
    pub fn destination(&self) -> u128 {
        self.address(24)
    }

    #[inline]
    fn address(&self, at: usize) -> u128 {
        let mut octets = [0; 16];
        octets.copy_from_slice(&self.head[at..at + 16]);
        u128::from_be_bytes(octets)
    }

    /// Walks hop-by-hop, destination-options and routing headers.
    #[inline]
    pub fn upper(&self) -> Result<Upper<'a>, Malformed> {
        let upper = Upper { protocol: self.next_header(), payload: self.payload };
        match upper.protocol {
            protocol::HOP_BY_HOP | protocol::DESTINATION_OPTIONS | protocol::ROUTING => {
                walk(upper, Some(HEADER))
            }
            _ => Ok(upper),
        }
    }

    /// The same without a look at what the headers say: what would this packet carry?
    pub fn upper_unchecked(&self) -> Result<Upper<'a>, Malformed> {
        walk(Upper { protocol: self.next_header(), payload: self.payload }, None)
    }
}

/// Walks from `at` on, and checks what the headers say if told where in the packet they start.
#[cold]
fn walk(mut at: Upper<'_>, check_from: Option<usize>) -> Result<Upper<'_>, Malformed> {
    let mut walked = 0;
    for count in 0..=CHAIN_HEADERS {
        let kind = at.protocol;
        if !matches!(kind, protocol::HOP_BY_HOP | protocol::DESTINATION_OPTIONS | protocol::ROUTING)
        {
            return Ok(at);
        }
        // Hop-by-hop options come first or not at all (RFC 8200 section 4.1).
        if count == CHAIN_HEADERS || kind == protocol::HOP_BY_HOP && count > 0 {
            break;
        }
        let &[next, units, ..] = at.payload else { return Err(Malformed::Truncated) };
        let len = (usize::from(units) + 1) * 8;
        let (header, rest) = at.payload.split_at_checked(len).ok_or(Malformed::Truncated)?;
        walked += len;
        if walked > CHAIN_BYTES {
            break;
        }
        if let Some(from) = check_from {
            if kind == protocol::ROUTING {
                check_routing(header)?;
            } else {
                let start = from + walked - len + 2;
                check_options(header.get(2..).unwrap_or_default(), start as u32)?;
            }
        }
        at = Upper { protocol: next, payload: rest };
    }
    Err(Malformed::ChainTooLong)
}

/// Type 0 is forbidden (RFC 5095); other types must have been used up.
fn check_routing(header: &[u8]) -> Result<(), Malformed> {
    match header {
        [_, _, kind, 0, ..] if *kind != 0 => Ok(()),
        _ => Err(Malformed::RoutingHeader),
    }
}

/// What to do with an unknown option is in its two highest bits (RFC 8200 section 4.2): 00 skip it,
/// 01 discard the packet, 10 and 11 also tell the sender. The tunnel encapsulation limit (RFC 2473
/// section 4.1.1) is known. `start` is where in the packet the options begin.
fn check_options(options: &[u8], start: u32) -> Result<(), Malformed> {
    const PAD1: u8 = 0;
    const TUNNEL_ENCAPSULATION_LIMIT: u8 = 4;
    let mut rest = options;
    loop {
        let at = start + (options.len() - rest.len()) as u32;
        rest = match rest {
            [] => return Ok(()),
            [PAD1, rest @ ..] => rest,
            [kind, len, rest @ ..] => {
                if kind >> 6 != 0 && *kind != TUNNEL_ENCAPSULATION_LIMIT {
                    return Err(Malformed::UnknownOption {
                        report_at: (kind >> 7 != 0).then_some(at),
                    });
                }
                rest.get(usize::from(*len)..).ok_or(Malformed::Truncated)?
            }
            [_] => return Err(Malformed::Truncated),
        };
    }
}

/// What makes one outer header differ from another.
#[derive(Debug, Clone, Copy)]
pub struct Outer {
    /// Traffic class.
    pub traffic_class: u8,
    /// Flow label, 20 bits.
    pub flow_label: u32,
    /// Bytes behind the header.
    pub payload_len: u16,
    /// What they are.
    pub next_header: u8,
    /// Hop limit.
    pub hop_limit: u8,
    /// Source, its first octet in the highest byte.
    pub source: u128,
    /// Destination, its first octet in the highest byte.
    pub destination: u128,
}

/// Writes a header.
#[inline(always)]
pub fn write_header(head: &mut [u8; HEADER], outer: &Outer) {
    let first = 6 << 28 | u32::from(outer.traffic_class) << 20 | outer.flow_label & 0xf_ffff;
    let second = u32::from(outer.payload_len) << 16
        | u32::from(outer.next_header) << 8
        | u32::from(outer.hop_limit);
    head[0..8].copy_from_slice(&(u64::from(first) << 32 | u64::from(second)).to_be_bytes());
    head[8..24].copy_from_slice(&outer.source.to_be_bytes());
    head[24..40].copy_from_slice(&outer.destination.to_be_bytes());
}

/// Does this header say that the packet goes from here to there?
#[inline(always)]
#[must_use]
pub fn is_between(head: &[u8; HEADER], source: u128, destination: u128) -> bool {
    let ends = [source.to_be_bytes(), destination.to_be_bytes()];
    head[8..24] == ends[0] && head[24..40] == ends[1]
}

/// Writes a fragment header (RFC 8200 section 4.5). `offset` is in bytes.
pub fn write_fragment_header(
    head: &mut [u8; FRAGMENT_HEADER],
    next_header: u8,
    offset: usize,
    more: bool,
    identification: u32,
) {
    head[..2].copy_from_slice(&[next_header, 0]);
    head[2..4].copy_from_slice(&((offset & !7) as u16 | u16::from(more)).to_be_bytes());
    head[4..8].copy_from_slice(&identification.to_be_bytes());
}

/// A fragment header and what follows it (RFC 8200 section 4.5).
#[derive(Debug, Clone, Copy)]
pub struct Fragment<'a> {
    /// What the fragmented part starts with, if this is the first fragment.
    pub next_header: u8,
    /// Where in the fragmented part its data belong, in bytes.
    pub offset: usize,
    /// More fragments follow.
    pub more: bool,
    /// What fragments of one packet have in common, besides addresses.
    pub identification: u32,
    /// The fragment's data.
    pub data: &'a [u8],
}

impl<'a> Fragment<'a> {
    /// Reads the header at the start of `payload`; `None` when it is cut short.
    #[must_use]
    pub fn parse(payload: &'a [u8]) -> Option<Self> {
        let (head, data) = payload.split_first_chunk::<FRAGMENT_HEADER>()?;
        let field = be16(head, 2);
        Some(Self {
            next_header: head[0],
            offset: usize::from(field & !7),
            more: field & 1 != 0,
            identification: u32::from_be_bytes([head[4], head[5], head[6], head[7]]),
            data,
        })
    }

    /// A whole packet with a fragment header (RFC 6946).
    #[must_use]
    pub fn is_atomic(&self) -> bool {
        self.offset == 0 && !self.more
    }
}

/// Walks the headers of a fragmented part that is whole again, and starts with `next_header` at
/// `start` in its packet. Hop-by-hop options are never fragmented.
pub fn upper_of_fragments(
    next_header: u8,
    payload: &[u8],
    start: usize,
) -> Result<Upper<'_>, Malformed> {
    if next_header == protocol::HOP_BY_HOP {
        return Err(Malformed::ChainTooLong);
    }
    walk(Upper { protocol: next_header, payload }, Some(start))
}

/// What a first fragment's header and payload are: the protocol and what follows. `None` for later
/// fragments and what is cut short.
#[must_use]
pub fn first_fragment(payload: &[u8]) -> Option<Upper<'_>> {
    let (head, payload) = payload.split_first_chunk::<FRAGMENT_HEADER>()?;
    (be16(head, 2) & !7 == 0).then_some(Upper { protocol: head[0], payload })
}

/// Is this a group's address (RFC 4291 section 2.7)?
#[inline]
#[must_use]
pub const fn is_group(address: u128) -> bool {
    address >> 120 == 0xff
}

/// The solicited-node multicast address of an address (RFC 4291 section 2.7.1).
#[must_use]
pub fn solicited_node(address: Ipv6Addr) -> Ipv6Addr {
    const PREFIX: u128 = 0xff02_0000_0000_0000_0000_0001_ff00_0000;
    Ipv6Addr::from(PREFIX | u128::from(address) & 0x00ff_ffff)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(next_header: u8, payload: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0; HEADER];
        let outer = Outer {
            traffic_class: 0xb8,
            flow_label: 0x12345,
            payload_len: payload.len() as u16,
            next_header,
            hop_limit: 64,
            source: 1,
            destination: 2,
        };
        write_header(bytes.first_chunk_mut().unwrap(), &outer);
        bytes.extend_from_slice(payload);
        bytes
    }

    fn upper(next_header: u8, payload: &[u8]) -> Result<(u8, usize), Malformed> {
        let bytes = packet(next_header, payload);
        let ipv6 = Ipv6::parse(&bytes)?;
        ipv6.upper().map(|upper| (upper.protocol, upper.payload.len()))
    }

    #[test]
    fn reads_what_was_written() {
        let bytes = packet(4, &[0; 20]);
        let ipv6 = Ipv6::parse(&bytes).unwrap();
        assert_eq!((ipv6.traffic_class(), ipv6.hop_limit(), ipv6.next_header()), (0xb8, 64, 4));
        assert_eq!((ipv6.source(), ipv6.destination()), (1, 2));
        assert_eq!(upper(4, &[0; 20]), Ok((4, 20)));
        assert_eq!(Ipv6::parse(&bytes[..59]).err(), Some(Malformed::Truncated));
    }

    #[test]
    fn walks_extension_headers_within_bounds() {
        // The option Linux tunnels send: limit 4, padded.
        let limit = [4, 0, 4, 1, 4, 1, 1, 0];
        assert_eq!(upper(protocol::DESTINATION_OPTIONS, &limit), Ok((4, 0)));
        let unknown = |report_at| Err(Malformed::UnknownOption { report_at });
        assert_eq!(upper(60, &[4, 0, 0x40, 0, 0, 0, 0, 0]), unknown(None));
        assert_eq!(upper(60, &[4, 0, 0, 0x80, 0, 0, 0, 0]), unknown(Some(43)));
        let second = [60, 0, 1, 4, 0, 0, 0, 0, 4, 0, 1, 1, 0, 0xc0, 0, 0];
        assert_eq!(upper(60, &second), unknown(Some(53)));
        assert_eq!(upper(60, &[4, 0, 0x1e, 0, 0, 0, 0, 0]), Ok((4, 0)));
        assert_eq!(upper(60, &[4, 0, 1, 9, 0, 0, 0, 0]), Err(Malformed::Truncated));
        assert_eq!(upper(60, &[4, 1, 0, 0, 0, 0, 0, 0]), Err(Malformed::Truncated));
        assert_eq!(upper(43, &[4, 0, 0, 0, 0, 0, 0, 0]), Err(Malformed::RoutingHeader));
        assert_eq!(upper(43, &[4, 0, 2, 1, 0, 0, 0, 0]), Err(Malformed::RoutingHeader));
        assert_eq!(upper(43, &[4, 0, 2, 0, 0, 0, 0, 0]), Ok((4, 0)));
        let mut chain = [60, 0, 1, 4, 0, 0, 0, 0].repeat(7);
        chain.extend([4, 0, 1, 4, 0, 0, 0, 0]);
        assert_eq!(upper(60, &chain), Ok((4, 0)));
        chain.splice(0..0, [60, 0, 1, 4, 0, 0, 0, 0]);
        assert_eq!(upper(60, &chain), Err(Malformed::ChainTooLong));
        assert_eq!(upper(60, &[&[4, 31], &[0; 254][..]].concat()), Ok((4, 0)));
        assert_eq!(upper(60, &[&[4, 32], &[0; 262][..]].concat()), Err(Malformed::ChainTooLong));
        // What claims more than is there is that first of all.
        assert_eq!(upper(60, &[&[4, 32], &[0; 261][..]].concat()), Err(Malformed::Truncated));
        assert_eq!(
            upper(60, &[0, 0, 1, 4, 0, 0, 0, 0, 4, 0, 1, 4, 0, 0, 0, 0]),
            Err(Malformed::ChainTooLong)
        );
    }

    #[test]
    fn solicited_node_keeps_the_last_24_bits() {
        let node = solicited_node("2001:db8::12:3456".parse().unwrap());
        assert_eq!(node, "ff02::1:ff12:3456".parse::<Ipv6Addr>().unwrap());
    }
}
