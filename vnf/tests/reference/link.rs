//! P1 and N1: Ethernet on both sides, and ARP.

use std::net::Ipv4Addr;

use crate::bytes::{be16, ethernet, ipv4_at};
use crate::external::from_internet;
use crate::ndp;
use crate::verdict::{Passed, Verdict, drop};
use crate::world::{Link, World};

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

/// P1: length, tag, MAC address.
fn strip<'a>(link: &Link, frame: &'a [u8]) -> Passed<Payload<'a>> {
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
    if !to_group && frame[..6] != link.mac && !link.promiscuous {
        return drop("not-our-mac");
    }
    Ok(Payload { to_group, source: frame[6..12].try_into().unwrap(), ethertype, bytes })
}

/// Spanning tree and others of 802.1D, Cisco's discovery and VLAN protocols, LLDP, LACP.
fn is_link_control(destination: &[u8], ethertype: u16) -> bool {
    destination[..5] == [0x01, 0x80, 0xc2, 0, 0] && destination[5] < 16
        || destination[..5] == [0x01, 0x00, 0x0c, 0xcc, 0xcc]
            && matches!(destination[5], 0xcc | 0xcd)
        || matches!(ethertype, 0x88cc | 0x8809)
}

fn external(world: &World, frame: &[u8]) -> Passed<Verdict> {
    let payload = strip(&world.external, frame)?;
    match payload.ethertype {
        IPV4 if payload.to_group => group_ipv4(payload.bytes),
        IPV4 => Ok(either(from_internet(world, payload.bytes)).framed(world, Arrived::External)),
        ARP => arp(world, payload.bytes),
        IPV6 if payload.to_group => Ok(Verdict::Ignore("other-protocol")),
        _ => drop("unknown-ethertype"),
    }
}

fn internal(world: &World, frame: &[u8]) -> Passed<Verdict> {
    let payload = strip(&world.internal, frame)?;
    match payload.ethertype {
        IPV6 => ndp::from_link(world, payload.bytes, payload.source, payload.to_group),
        IPV4 | ARP if payload.to_group => Ok(Verdict::Ignore("other-protocol")),
        _ => drop("unknown-ethertype"),
    }
}

/// P1: IPv4 in a group frame is somebody else's, or nobody's.
fn group_ipv4(bytes: &[u8]) -> Passed<Verdict> {
    if bytes.len() < 20 {
        return drop("ipv4-truncated");
    }
    let destination: Ipv4Addr = ipv4_at(bytes, 16);
    if !destination.is_multicast() && !destination.is_broadcast() {
        return drop("multicast-frame");
    }
    Ok(Verdict::Ignore(group_reason(bytes[9], &[2])))
}

/// Whose multicast a protocol is.
pub(crate) fn group_reason(protocol: u8, listeners: &[u8]) -> &'static str {
    const EIGRP: u8 = 88;
    const OSPF: u8 = 89;
    const PIM: u8 = 103;
    const VRRP: u8 = 112;
    match protocol {
        EIGRP | OSPF | PIM | VRRP => "routing",
        _ if listeners.contains(&protocol) => "multicast",
        _ => "other-multicast",
    }
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
    let target = ipv4_at(bytes, 24);
    if !world.is_our_ipv4(target) {
        return Ok(Verdict::Ignore("arp"));
    }
    if operation == 2 {
        return Ok(Verdict::Consume);
    }
    let asker: [u8; 6] = bytes[8..14].try_into().unwrap();
    let mut reply = vec![0, 1, 8, 0, 6, 4, 0, 2];
    reply.extend(world.external.mac);
    reply.extend(target.octets());
    reply.extend(asker);
    reply.extend(&bytes[14..18]);
    let link = &world.external;
    Ok(Verdict::Answer(ethernet(asker, link.mac, link.vlan, ARP, &reply)))
}

impl Verdict {
    /// Puts Ethernet around the IP packets that leave for a next hop.
    pub(crate) fn framed(self, world: &World, side: Arrived) -> Self {
        let (here, there) = match side {
            Arrived::External => ((&world.external, IPV4), (&world.internal, IPV6)),
            Arrived::Internal => ((&world.internal, IPV6), (&world.external, IPV4)),
        };
        let wrap = |(link, ethertype): (&Link, u16), packet: Vec<u8>| {
            ethernet(link.next_hop, link.mac, link.vlan, ethertype, &packet)
        };
        match self {
            Self::Forward(packet) => Self::Forward(wrap(there, packet)),
            Self::Hairpin(packet) => Self::Hairpin(wrap(here, packet)),
            Self::Answer(packet) => Self::Answer(wrap(here, packet)),
            Self::Drop(reason, error) => Self::Drop(reason, error.map(|error| wrap(here, error))),
            other => other,
        }
    }
}
