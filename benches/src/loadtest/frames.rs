//! Frames as they are offered to the relay and as they must come back.

use vnf::wire::checksum::Sum;
use vnf::wire::ethernet::{self, Template, ethertype};
use vnf::wire::ipv6::Outer;
use vnf::wire::{ipv4, ipv6, protocol};

use super::direction::Direction;
use super::flows::{Flow, Tunnel};
use super::links::{Link, Links};
use super::mix::Shape;
use super::stamp;

/// Hosts and B4s send with this TTL and hop limit.
const TTL: u8 = 64;

const UDP: usize = 8;

/// IPv4 and UDP headers.
pub(crate) const INNER: usize = ipv4::HEADER + UDP;

/// The longest headers: tag, tunnel, IPv4, UDP.
pub(crate) const MOST_HEADERS: usize = ethernet::TAGGED + ipv6::HEADER + INNER;

/// Bytes of a frame's headers, up to its stamp.
#[inline]
pub(crate) fn headers_len(tagged: bool, tunnelled: bool) -> usize {
    let ethernet = if tagged { ethernet::TAGGED } else { ethernet::HEADER };
    ethernet + if tunnelled { ipv6::HEADER } else { 0 } + INNER
}

/// Makes frames for both links.
#[derive(Debug, Clone)]
pub(crate) struct Framer {
    links: Links,
    /// What we send with, external link first.
    to_relay: [Template; 2],
    /// What the relay sends with.
    from_relay: [Template; 2],
}

impl Framer {
    pub(crate) fn new(links: Links) -> Self {
        let to = |link: Link, kind| Template::new(link.relay, link.ours, link.vlan, kind);
        let from = |link: Link, kind| Template::new(link.ours, link.relay, link.vlan, kind);
        let Links { external, internal, .. } = links;
        Self {
            links,
            to_relay: [to(external, ethertype::IPV4), to(internal, ethertype::IPV6)],
            from_relay: [from(external, ethertype::IPV4), from(internal, ethertype::IPV6)],
        }
    }

    /// Bytes of a frame that we offer.
    #[inline]
    pub(crate) fn offered_len(&self, direction: Direction, shape: &Shape) -> usize {
        let headers = match direction {
            Direction::Encap => headers_len(self.links.external.vlan.is_some(), false),
            Direction::Decap => headers_len(self.links.internal.vlan.is_some(), true),
        };
        headers - INNER + usize::from(shape.packet_len)
    }

    /// Fills `frame`, which has [`Self::offered_len`] bytes, but for its stamp. Returns where that
    /// belongs.
    #[inline]
    pub(crate) fn write_offered(
        &self,
        frame: &mut [u8],
        direction: Direction,
        flow: &Flow,
        tunnel: Tunnel,
        shape: &Shape,
    ) -> Option<usize> {
        let len = frame.len();
        let [to_external, to_internal] = &self.to_relay;
        let packet = match direction {
            Direction::Encap => to_external.write(frame)?,
            Direction::Decap => {
                let (head, packet) = to_internal.write(frame)?.split_first_chunk_mut()?;
                let outer = Outer {
                    traffic_class: 0,
                    flow_label: 0,
                    payload_len: shape.packet_len,
                    next_header: protocol::IPV4,
                    hop_limit: TTL,
                    source: tunnel.b4,
                    destination: tunnel.br,
                };
                ipv6::write_header(head, &outer);
                packet
            }
        };
        let (head, payload) = packet.split_first_chunk_mut()?;
        write_inner(head, direction, flow, shape, TTL);
        payload.get_mut(stamp::LEN..)?.copy_from_slice(shape.fill());
        Some(len - payload.len())
    }

    /// Writes the headers with which a frame must come back, all but a flow label that is a hash,
    /// and returns them.
    #[inline]
    pub(crate) fn expected<'a>(
        &self,
        buffer: &'a mut [u8; MOST_HEADERS],
        direction: Direction,
        flow: &Flow,
        tunnel: Tunnel,
        shape: &Shape,
    ) -> Option<&'a [u8]> {
        let [from_external, from_internal] = &self.from_relay;
        let treatment = self.links.treatment;
        let (len, head, ttl) = match direction {
            Direction::Encap => {
                let len = headers_len(self.links.internal.vlan.is_some(), true);
                let rest = from_internal.write(&mut buffer[..len])?;
                let (head, rest) = rest.split_first_chunk_mut()?;
                let outer = Outer {
                    traffic_class: treatment.traffic_class,
                    flow_label: treatment.flow_label.unwrap_or(0),
                    payload_len: shape.packet_len,
                    next_header: protocol::IPV4,
                    hop_limit: treatment.hop_limit,
                    source: tunnel.br,
                    destination: tunnel.b4,
                };
                ipv6::write_header(head, &outer);
                (len, rest, TTL - 1)
            }
            Direction::Decap => {
                let len = headers_len(self.links.external.vlan.is_some(), false);
                let rest = from_external.write(&mut buffer[..len])?;
                (len, rest, TTL - u8::from(treatment.decrements_ttl))
            }
        };
        write_inner(head.first_chunk_mut()?, direction, flow, shape, ttl);
        Some(&buffer[..len])
    }

    /// Where the flow label is, if it is a hash: first byte, of three.
    #[inline]
    pub(crate) fn free_label_at(&self, direction: Direction) -> Option<usize> {
        let is_free = direction == Direction::Encap && self.links.treatment.flow_label.is_none();
        is_free.then(|| {
            headers_len(self.links.internal.vlan.is_some(), true) - INNER - ipv6::HEADER + 1
        })
    }

    /// Is the link on which such frames come back a tagged one?
    #[inline]
    pub(crate) fn returns_tagged(&self, direction: Direction) -> bool {
        match direction {
            Direction::Encap => self.links.internal.vlan.is_some(),
            Direction::Decap => self.links.external.vlan.is_some(),
        }
    }
}

/// IPv4 and UDP headers of a flow's packet. The stamp adds nothing to the checksum.
#[inline]
fn write_inner(head: &mut [u8; INNER], direction: Direction, flow: &Flow, shape: &Shape, ttl: u8) {
    let (from, to) = match direction {
        Direction::Encap => (flow.remote, flow.local),
        Direction::Decap => (flow.local, flow.remote),
    };
    let len = shape.packet_len - ipv4::HEADER as u16;
    let (ip, udp) = head.split_at_mut(ipv4::HEADER);
    if let Some(ip) = ip.first_chunk_mut() {
        ipv4::write_header(ip, shape.packet_len, ttl, protocol::UDP, from.0, to.0);
    }
    let sum = Sum::default()
        .pseudo_v4(from.0, to.0, protocol::UDP, len.into())
        .word(from.1)
        .word(to.1)
        .word(len)
        .word(shape.fill_sum)
        .finish();
    udp[..2].copy_from_slice(&from.1.to_be_bytes());
    udp[2..4].copy_from_slice(&to.1.to_be_bytes());
    udp[4..6].copy_from_slice(&len.to_be_bytes());
    // RFC 768: a sum of zero is sent as all ones.
    let sum = if sum == 0 { 0xffff } else { sum };
    udp[6..8].copy_from_slice(&sum.to_be_bytes());
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::links::Treatment;
    use crate::mix::{LARGEST, Mix, SMALLEST};
    use crate::stamp::Stamp;
    use etherparse::{NetSlice, SlicedPacket, TransportSlice};
    use vnf::wire::MacAddr;

    pub(crate) const LINKS: Links = Links {
        external: Link {
            ours: MacAddr([2, 0, 0, 0, 0, 2]),
            relay: MacAddr([2, 0, 0, 0, 0, 1]),
            vlan: None,
        },
        internal: Link {
            ours: MacAddr([2, 0, 0, 0, 0, 4]),
            relay: MacAddr([2, 0, 0, 0, 0, 3]),
            vlan: None,
        },
        treatment: Treatment {
            hop_limit: 64,
            traffic_class: 0,
            flow_label: None,
            decrements_ttl: true,
        },
    };

    fn flow(number: u16) -> Flow {
        Flow {
            local: ([10, 0, (number >> 8) as u8, number as u8].into(), 1024 + number),
            remote: ([198, 18, 1, 2].into(), 49_151 - number),
        }
    }

    const TUNNEL: Tunnel = Tunnel { b4: 0x2001_0db8 << 96 | 7, br: 0x2001_0db8_ffff << 80 | 1 };

    /// The frame must be what another library takes it for, checksums included.
    fn check(
        frame: &[u8],
        direction: Direction,
        tunnelled: bool,
        flow: &Flow,
        ttl: u8,
        vlan: Option<u16>,
    ) {
        let packet = SlicedPacket::from_ethernet(frame).unwrap();
        let tag = packet.vlan_ids().first().map(|id| id.value());
        assert_eq!(tag, vlan);
        let inner = if tunnelled {
            let Some(NetSlice::Ipv6(outer)) = packet.net else { panic!("no IPv6") };
            let (b4, br) = (TUNNEL.b4.to_be_bytes(), TUNNEL.br.to_be_bytes());
            let ends = if direction == Direction::Encap { (br, b4) } else { (b4, br) };
            assert_eq!((outer.header().source(), outer.header().destination()), ends);
            assert_eq!(outer.header().next_header().0, 4);
            assert_eq!(usize::from(outer.header().payload_length()), outer.payload().payload.len());
            SlicedPacket::from_ip(outer.payload().payload).unwrap()
        } else {
            packet
        };
        let Some(NetSlice::Ipv4(ip)) = inner.net else { panic!("no IPv4") };
        let header = ip.header().to_header();
        assert_eq!(header.calc_header_checksum(), header.header_checksum);
        assert_eq!(header.time_to_live, ttl);
        let (from, to) = if direction == Direction::Encap {
            (flow.remote, flow.local)
        } else {
            (flow.local, flow.remote)
        };
        assert_eq!((header.source, header.destination), (from.0.octets(), to.0.octets()));
        let Some(TransportSlice::Udp(udp)) = inner.transport else { panic!("no UDP") };
        let parsed = udp.to_header();
        assert_eq!((parsed.source_port, parsed.destination_port), (from.1, to.1));
        assert_eq!(parsed.calc_checksum_ipv4(&header, udp.payload()).unwrap(), parsed.checksum);
        let stamp = udp.payload().first_chunk().unwrap();
        assert_eq!(Stamp::read(stamp).unwrap().sequence, 99);
    }

    #[test]
    fn frames_are_what_etherparse_reads() {
        for vlan in [None, Some(7)] {
            let mut links = LINKS;
            (links.external.vlan, links.internal.vlan) = (vlan, vlan);
            let framer = Framer::new(links);
            for size in [SMALLEST, 65, 570, 1518, LARGEST] {
                let mix = Mix::fixed(size).unwrap();
                let shape = mix.shape(0);
                for direction in [Direction::Encap, Direction::Decap] {
                    for number in [0, 1, 999, 40_000] {
                        let flow = flow(number);
                        let mut frame = vec![0; framer.offered_len(direction, shape)];
                        let at = framer
                            .write_offered(&mut frame, direction, &flow, TUNNEL, shape)
                            .unwrap();
                        let stamp = Stamp { direction, trial: 3, sequence: 99, time: 12_345 };
                        stamp.write(frame[at..].first_chunk_mut().unwrap());
                        let tunnelled = direction == Direction::Decap;
                        let extra = if tunnelled { 40 } else { 0 } + vlan.map_or(0, |_| 4);
                        assert_eq!(frame.len(), usize::from(size) - 4 + extra);
                        check(&frame, direction, tunnelled, &flow, 64, vlan);

                        let mut buffer = [0; MOST_HEADERS];
                        let head =
                            framer.expected(&mut buffer, direction, &flow, TUNNEL, shape).unwrap();
                        let back = [head, &frame[at..]].concat();
                        check(&back, direction, !tunnelled, &flow, 63, vlan);
                    }
                }
            }
        }
    }

    #[test]
    fn a_hashed_flow_label_is_where_it_is_said_to_be() {
        let framer = Framer::new(LINKS);
        let at = framer.free_label_at(Direction::Encap).unwrap();
        let mut fixed = LINKS;
        fixed.treatment.flow_label = Some(0xabcde);
        let fixed = Framer::new(fixed);
        assert_eq!(fixed.free_label_at(Direction::Encap), None);
        assert_eq!(framer.free_label_at(Direction::Decap), None);
        let (mut one, mut other) = ([0; MOST_HEADERS], [0; MOST_HEADERS]);
        let mix = Mix::imix();
        let shape = mix.shape(0);
        for (framer, buffer) in [(&framer, &mut one), (&fixed, &mut other)] {
            framer.expected(buffer, Direction::Encap, &flow(1), TUNNEL, shape).unwrap();
        }
        assert_eq!(other[at..at + 3], [0x0a, 0xbc, 0xde]);
        other[at..at + 3].fill(0);
        assert_eq!(one, other);
    }
}
