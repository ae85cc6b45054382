//! N2, N4 and the rest of what ICMPv6 and IPv6 groups bring to the internal side.

use std::net::Ipv6Addr;

use crate::bytes::{
    ICMPV6, Ipv6Fields, checksum6, ethernet, icmp6_message, ipv6_at,
};
use crate::internal::{self, Packet6};
use crate::link::{Arrived, group_reason};
use crate::verdict::{Passed, Verdict, drop};
use crate::world::World;

/// Multicast listener discovery.
const LISTENER: [u8; 4] = [130, 131, 132, 143];

/// An IPv6 packet in a frame from this source.
pub(crate) fn from_link(
    world: &World,
    bytes: &[u8],
    frame_source: [u8; 6],
    to_group: bool,
) -> Passed<Verdict> {
    let packet = internal::well_formed(world, bytes)?;
    let destination = packet.destination();
    if destination.is_multicast() && !is_our_group(world, destination) {
        return Ok(Verdict::Ignore(multicast(packet)));
    }
    if packet.protocol == ICMPV6 && (destination.is_multicast() || world.is_our_ipv6(destination)) {
        return icmpv6(world, packet, frame_source, to_group);
    }
    if destination.is_multicast() {
        return Ok(Verdict::Ignore(multicast(packet)));
    }
    if to_group {
        return drop("multicast-frame");
    }
    let verdict = internal::from_b4(world, packet).unwrap_or_else(|ended| ended);
    Ok(verdict.framed(world, Arrived::Internal))
}

/// P1: whose multicast is it?
fn multicast(packet: Packet6<'_>) -> &'static str {
    match (packet.protocol, packet.payload.first()) {
        (ICMPV6, Some(133 | 134)) => "router-discovery",
        (ICMPV6, Some(135 | 136)) => "ndp",
        (ICMPV6, Some(kind)) if LISTENER.contains(kind) => "multicast",
        (protocol, _) => group_reason(protocol, &[]),
    }
}

/// ff02::1 and the solicited-node groups of our addresses.
fn is_our_group(world: &World, group: Ipv6Addr) -> bool {
    let all_nodes: Ipv6Addr = "ff02::1".parse().unwrap();
    let ours = world.internal_addresses.iter().chain(&world.br_addresses);
    group == all_nodes
        || ours.chain([&world.link_local]).any(|address| {
            let [.., a, b, c] = address.octets();
            let [.., x, y, z] = group.octets();
            group.octets()[..13] == [0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff]
                && [a, b, c] == [x, y, z]
        })
}

/// ICMPv6 to an address or group of ours.
fn icmpv6(
    world: &World,
    packet: Packet6<'_>,
    frame_source: [u8; 6],
    to_group: bool,
) -> Passed<Verdict> {
    let message = packet.payload;
    if message.len() < 8 || checksum6(packet.source(), packet.destination(), message) != 0 {
        return drop("icmpv6-bad-checksum");
    }
    match message[0] {
        128 => echo(world, packet, to_group),
        135 | 136 => neighbour(world, packet, frame_source),
        133 | 134 => Ok(Verdict::Ignore("router-discovery")),
        kind if LISTENER.contains(&kind) => Ok(Verdict::Ignore("multicast")),
        _ => drop("icmpv6-type"),
    }
}

/// N4: ping of our addresses.
fn echo(world: &World, packet: Packet6<'_>, to_group: bool) -> Passed<Verdict> {
    let (source, destination) = (packet.source(), packet.destination());
    if to_group || destination.is_multicast() || source.is_unspecified() {
        return drop("icmpv6-type");
    }
    let message = icmp6_message(destination, source, 129, 0, &packet.payload[4..]);
    let reply = Ipv6Fields::new(destination, source, ICMPV6, 64).with(&message);
    Ok(Verdict::Answer(reply).framed(world, Arrived::Internal))
}

/// N2: RFC 4861 section 7.1, and who is asked for.
fn neighbour(world: &World, packet: Packet6<'_>, frame_source: [u8; 6]) -> Passed<Verdict> {
    let message = packet.payload;
    if packet.hop_limit() != 255 || message[1] != 0 || message.len() < 24 {
        return drop("ndp-malformed");
    }
    let target = ipv6_at(message, 8);
    if target.is_multicast() {
        return drop("ndp-malformed");
    }
    let wanted = if message[0] == 135 { 1 } else { 2 };
    let link_layer = link_layer(&message[24..], wanted)?;
    if message[0] == 136 {
        return advertisement(world, packet, target);
    }
    let probe = packet.source().is_unspecified();
    let solicited_node = packet.destination().octets()[..13]
        == [0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff];
    if probe && (link_layer.is_some() || !solicited_node) {
        return drop("ndp-malformed");
    }
    if !world.is_our_ipv6(target) {
        return Ok(Verdict::Ignore("ndp"));
    }
    Ok(Verdict::Answer(advertise(world, packet, target, link_layer.unwrap_or(frame_source))))
}

/// An advertisement is news, if it is about a next hop; in these worlds next hops are fixed.
fn advertisement(world: &World, packet: Packet6<'_>, target: Ipv6Addr) -> Passed<Verdict> {
    let solicited = packet.payload[4] & 0x40 != 0;
    if solicited && packet.destination().is_multicast() {
        return drop("ndp-malformed");
    }
    if world.is_our_ipv6(target) || !packet.destination().is_multicast() {
        return Ok(Verdict::Consume);
    }
    Ok(Verdict::Ignore("ndp"))
}

/// The link-layer address option, if there is one; options are checked to their end.
fn link_layer(mut options: &[u8], wanted: u8) -> Passed<Option<[u8; 6]>> {
    let mut found = None;
    while !options.is_empty() {
        let len = options.get(1).map_or(0, |&units| usize::from(units) * 8);
        if len == 0 || len > options.len() {
            return drop("ndp-malformed");
        }
        if options[0] == wanted && len == 8 {
            found = Some(options[2..8].try_into().unwrap());
        }
        options = &options[len..];
    }
    Ok(found)
}

/// N2: our answer. BR addresses are anycast: override is 0. A probe (from ::) is answered to all.
fn advertise(world: &World, packet: Packet6<'_>, target: Ipv6Addr, mac: [u8; 6]) -> Vec<u8> {
    let probe = packet.source().is_unspecified();
    let anycast = world.br_addresses.contains(&target);
    let flags = 0x80 | u8::from(!probe) << 6 | u8::from(!anycast) << 5;
    let (to, mac) = if probe {
        ("ff02::1".parse().unwrap(), [0x33, 0x33, 0, 0, 0, 1])
    } else {
        (packet.source(), mac)
    };
    let mut body = vec![flags, 0, 0, 0];
    body.extend(target.octets());
    body.extend([2, 1]);
    body.extend(world.internal.mac);
    let message = icmp6_message(target, to, 136, 0, &body);
    let packet = Ipv6Fields::new(target, to, ICMPV6, 255).with(&message);
    let link = &world.internal;
    ethernet(mac, link.mac, link.vlan, 0x86dd, &packet)
}
