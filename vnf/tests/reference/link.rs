//! P1 and N1: Ethernet on both sides, and ARP.

use std::net::Ipv4Addr;

use crate::bytes::{be16, ethernet, ipv4_at};
use crate::external::from_internet;
use crate::verdict::{Passed, Verdict, drop};
use crate::world::{Link, World};
use crate::{ndp, others};

/// Which side a frame arrived on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Arrived {
    External,
    Internal,
}

const IPV4: u16 = 0x0800;
const ARP: u16 = 0x0806;
const IPV6: u16 = 0x86dd;

/// What must happen to a frame.
pub(crate) fn receive(world: &World, side: Arrived, frame: &[u8]) -> Verdict {
    let verdict = match side {
        Arrived::External => external(world, frame),
        Arrived::Internal => internal(world, frame),
    };
    either(verdict)
}

/// What must happen to a packet that has waited.
pub(crate) fn receive_again(world: &World, side: Arrived, packet: &[u8]) -> Verdict {
    match side {
        Arrived::External => {
            let verdict = either(from_internet(world, packet));
            verdict.framed(world, side, world.external.next_hop)
        }
        Arrived::Internal => either(ndp::from_link(world, packet, world.internal.next_hop, false)),
    }
}

/// A packet's way ends with a verdict either way.
fn either(passed: Passed<Verdict>) -> Verdict {
    passed.unwrap_or_else(|ended| ended)
}

/// A frame without its Ethernet header.
struct Payload<'a> {
    to_group: bool,
    source: [u8; 6],
    ethertype: u16,
    bytes: &'a [u8],
}

/// P1: length, tag, EtherType, MAC address.
fn strip<'a>(link: &Link, carried: &[u16], frame: &'a [u8]) -> Passed<Payload<'a>> {
    if frame.len() < 14 {
        return drop("frame-too-short");
    }
    let mut ethertype = be16(frame, 12);
    let mut bytes = &frame[14..];
    let mut vlan = 0;
    if ethertype == 0x8100 {
        if frame.len() < 18 {
            return drop("frame-too-short");
        }
        vlan = be16(frame, 14) & 0x0fff;
        ethertype = be16(frame, 16);
        bytes = &frame[18..];
    }
    if is_link_control(&frame[..6], ethertype) {
        return Err(Verdict::Ignore("link-control"));
    }
    if vlan != link.vlan.unwrap_or(0) {
        return drop("vlan-mismatch");
    }
    let to_group = frame[0] & 1 == 1;
    if !carried.contains(&ethertype) {
        if to_group && [IPV4, ARP, IPV6].contains(&ethertype) {
            return Err(Verdict::Ignore("other-protocol"));
        }
        return drop("unknown-ethertype");
    }
    if !to_group && frame[..6] != link.mac && !link.promiscuous {
        return drop("not-our-mac");
    }
    if frame[6] & 1 == 1 {
        return drop("bad-source-mac");
    }
    Ok(Payload { to_group, source: frame[6..12].try_into().unwrap(), ethertype, bytes })
}

/// Spanning tree and others of 802.1D, Cisco's discovery and VLAN protocols, LLDP, LACP.
fn is_link_control(destination: &[u8], ethertype: u16) -> bool {
    destination[..5] == [0x01, 0x80, 0xc2, 0, 0] && matches!(destination[5], 0..=15 | 20 | 21)
        || destination[..5] == [0x09, 0x00, 0x2b, 0, 0] && matches!(destination[5], 4 | 5)
        || destination[..5] == [0x01, 0x00, 0x0c, 0xcc, 0xcc]
            && matches!(destination[5], 0xcc | 0xcd)
        || matches!(ethertype, 0x88cc | 0x8809)
}

fn external(world: &World, frame: &[u8]) -> Passed<Verdict> {
    let payload = strip(&world.external, &[IPV4, ARP], frame)?;
    if payload.ethertype == ARP {
        return arp(world, payload.bytes);
    }
    if payload.to_group {
        return group_ipv4(world, payload.bytes);
    }
    let verdict = either(from_internet(world, payload.bytes));
    Ok(verdict.framed(world, Arrived::External, payload.source))
}

fn internal(world: &World, frame: &[u8]) -> Passed<Verdict> {
    let payload = strip(&world.internal, &[IPV6], frame)?;
    let header = &frame[..frame.len() - payload.bytes.len()];
    world.state.link_header.replace(header.to_vec());
    ndp::from_link(world, payload.bytes, payload.source, payload.to_group)
}

/// P1: IPv4 in a group frame is somebody else's, or nobody's.
fn group_ipv4(world: &World, bytes: &[u8]) -> Passed<Verdict> {
    if bytes.len() < 20 || bytes[0] >> 4 != 4 || bytes[0] & 15 < 5 {
        return drop("multicast-frame");
    }
    let header_len = u16::from(bytes[0] & 15) * 4;
    let destination: Ipv4Addr = ipv4_at(bytes, 16);
    let to_all = destination.is_broadcast() || is_our_broadcast(world, destination);
    if be16(bytes, 2) < header_len || !destination.is_multicast() && !to_all {
        return drop("multicast-frame");
    }
    let later_fragment = be16(bytes, 6) & 0x1fff != 0;
    // What is claimed and is not there says nothing.
    let payload = bytes.get(usize::from(header_len)..).unwrap_or_default();
    let end = usize::from(be16(bytes, 2) - header_len).min(payload.len());
    let payload = if later_fragment { &[] } else { &payload[..end] };
    let last = destination.octets()[3];
    let on_link = destination.octets()[..3] == [224, 0, 0];
    Ok(Verdict::Ignore(others::kind(bytes[9], payload, on_link.then_some(last))))
}

/// The broadcast address of a network that we are on, the old one with zeros too.
pub(crate) fn is_our_broadcast(world: &World, address: Ipv4Addr) -> bool {
    let [a, b, c, d] = address.octets();
    // The worlds of this test are on networks of /24.
    (d == 0 || d == 255)
        && world.external_addresses.iter().any(|ours| ours.octets()[..3] == [a, b, c])
}

/// N1, N2: somebody has an address of ours, or our own words came back.
pub(crate) fn claim(whose: [u8; 6], ours: [u8; 6], about: &'static str) -> Verdict {
    if whose == ours { Verdict::Ignore(about) } else { Verdict::Conflict }
}

/// N1: who has our address?
fn arp(world: &World, bytes: &[u8]) -> Passed<Verdict> {
    if bytes.len() < 28 {
        return drop("frame-too-short");
    }
    let operation = be16(bytes, 6);
    if bytes[..6] != [0, 1, 8, 0, 6, 4] || !matches!(operation, 1 | 2) {
        return drop("arp-malformed");
    }
    let asker: [u8; 6] = bytes[8..14].try_into().unwrap();
    let sender = ipv4_at(bytes, 14);
    if asker[0] & 1 == 1 || sender.is_multicast() || sender.is_broadcast() {
        return drop("arp-malformed");
    }
    if world.is_our_ipv4(sender) {
        return Ok(claim(asker, world.external.mac, "arp"));
    }
    if asker == world.external.mac {
        return Ok(Verdict::Ignore("arp"));
    }
    let target = ipv4_at(bytes, 24);
    if !world.is_our_ipv4(target) {
        return Ok(Verdict::Ignore("arp"));
    }
    if operation == 2 {
        return Ok(Verdict::Consume(None));
    }
    let mut reply = vec![0, 1, 8, 0, 6, 4, 0, 2];
    reply.extend(world.external.mac);
    reply.extend(target.octets());
    reply.extend(asker);
    reply.extend(&bytes[14..18]);
    let link = &world.external;
    Ok(Verdict::Answer(ethernet(asker, link.mac, link.vlan, ARP, &reply)))
}

impl Verdict {
    /// Puts Ethernet around the IP packets that leave: to the next hop, but for answers to whoever
    /// asks on the link, which go back to `asker`.
    pub(crate) fn framed(self, world: &World, side: Arrived, asker: [u8; 6]) -> Self {
        let (here, there) = match side {
            Arrived::External => ((&world.external, IPV4), (&world.internal, IPV6)),
            Arrived::Internal => ((&world.internal, IPV6), (&world.external, IPV4)),
        };
        let wrap = |(link, ethertype): (&Link, u16), packet: Vec<u8>| {
            ethernet(link.next_hop, link.mac, link.vlan, ethertype, &packet)
        };
        // What a tunnel gives back goes by the next hop, like all that leaves for B4s.
        let back = |packet: Vec<u8>| {
            let (link, ethertype) = here;
            if is_tunnelled(&packet) {
                return wrap(here, packet);
            }
            ethernet(asker, link.mac, link.vlan, ethertype, &packet)
        };
        match self {
            Self::Forward(pieces) => {
                Self::Forward(pieces.into_iter().map(|piece| wrap(there, piece)).collect())
            }
            Self::Hairpin(pieces) => {
                Self::Hairpin(pieces.into_iter().map(|piece| wrap(here, piece)).collect())
            }
            Self::Consume(Some((to, report))) => {
                let out = if to == side { here } else { there };
                Self::Consume(Some((to, wrap(out, report))))
            }
            Self::Answer(packet) => Self::Answer(back(packet)),
            Self::Drop(reason, Some(error)) if is_for_the_asker(reason, &error) => {
                Self::Drop(reason, Some(back(error)))
            }
            Self::Drop(reason, error) => Self::Drop(reason, error.map(|error| wrap(here, error))),
            Self::Assembled(frames, verdict) => {
                Self::Assembled(frames, Box::new(verdict.framed(world, side, asker)))
            }
            other => other,
        }
    }
}

/// N4: what is about ourselves goes back to the station that asked, and so does what no router would
/// carry: what is for a link-local address.
fn is_for_the_asker(reason: &str, error: &[u8]) -> bool {
    let to_link_local = error[0] >> 4 == 6 && error[24] == 0xfe && error[25] & 0xc0 == 0x80;
    reason == "unsupported-protocol" || to_link_local && !is_tunnelled(error)
}

/// IPv4 in IPv6.
fn is_tunnelled(packet: &[u8]) -> bool {
    packet[0] >> 4 == 6 && packet[6] == 4
}

/// P5: which side's a frame is where both share a port: the tag tells, or else the EtherType. What
/// is neither's is the external side's to drop.
pub(crate) fn side_of(world: &World, frame: &[u8]) -> Arrived {
    if frame.len() < 14 {
        return Arrived::External;
    }
    let (vlan, ethertype) = match be16(frame, 12) {
        0x8100 if frame.len() < 18 => return Arrived::External,
        0x8100 => (be16(frame, 14) & 0x0fff, be16(frame, 16)),
        ethertype => (0, ethertype),
    };
    let [external, internal] =
        [&world.external, &world.internal].map(|link| link.vlan.unwrap_or(0) == vlan);
    if internal && (!external || ethertype == IPV6) { Arrived::Internal } else { Arrived::External }
}
