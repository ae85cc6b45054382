//! N2, N4 and the rest of what ICMPv6 and IPv6 groups bring to the internal side.

use std::net::Ipv6Addr;

use crate::bytes::{ICMPV6, IPIP, Ipv6Fields, be16, checksum6, ethernet, icmp6_message, ipv6_at};
use crate::internal::{self, Packet6};
use crate::link::{Arrived, claim};
use crate::others;
use crate::tunnel_errors;
use crate::verdict::{Passed, Verdict, drop};
use crate::world::World;

/// Multicast listener discovery: query, report, done, report of version 2.
const LISTENER: [u8; 4] = [130, 131, 132, 143];

/// An IPv6 packet in a frame from this source.
pub(crate) fn from_link(
    world: &World,
    bytes: &[u8],
    frame_source: [u8; 6],
    to_group: bool,
) -> Passed<Verdict> {
    let framed = |verdict: Verdict| verdict.framed(world, Arrived::Internal, frame_source);
    if let Some(verdict) = namesake(world, bytes, frame_source, to_group) {
        return Ok(verdict);
    }
    let packet = match internal::well_formed(world, bytes, to_group) {
        Ok(packet) => packet,
        Err(ended) => return Err(framed(between_others(world, bytes, &ended).unwrap_or(ended))),
    };
    let destination = packet.destination();
    if packet.protocol == ICMPV6 && (destination.is_multicast() || world.is_our_ipv6(destination)) {
        return icmpv6(world, packet, frame_source);
    }
    if destination.is_multicast() && packet.protocol != IPIP {
        return Ok(Verdict::Ignore(others::kind6(packet.bytes)));
    }
    Ok(framed(internal::from_b4(world, packet).unwrap_or_else(|ended| ended)))
}

/// P1: extension headers that we would not have do not matter in what is not for us.
fn between_others(world: &World, bytes: &[u8], ended: &Verdict) -> Option<Verdict> {
    const HEADERS: [&str; 3] =
        ["ipv6-unknown-option", "ipv6-routing-header", "ipv6-extension-chain"];
    let Verdict::Drop(reason, _) = ended else { return None };
    let group = ipv6_at(bytes.get(..40)?, 24);
    if !HEADERS.contains(reason) || !group.is_multicast() {
        return None;
    }
    let packet = &bytes[..40 + usize::from(be16(bytes, 4))];
    if others::protocol6(packet) == Some(IPIP) {
        return None;
    }
    let kind = others::kind6(packet);
    let of_routers = ["multicast", "router-discovery", "routing"].contains(&kind);
    (of_routers || !is_our_group(world, group)).then_some(Verdict::Ignore(kind))
}

/// P1: ICMPv6 that is between others, by its type or its group.
fn others(world: &World, packet: Packet6<'_>) -> Option<&'static str> {
    let to_others =
        packet.destination().is_multicast() && !is_our_group(world, packet.destination());
    match packet.payload.first() {
        Some(kind) if LISTENER.contains(kind) => Some("multicast"),
        Some(133 | 134 | 137) => Some("router-discovery"),
        Some(135 | 136) if to_others => Some("ndp"),
        Some(_) if to_others => Some("other-multicast"),
        _ => None,
    }
}

/// ff02::1 and the solicited-node groups of our addresses.
fn is_our_group(world: &World, group: Ipv6Addr) -> bool {
    let all_nodes: Ipv6Addr = "ff02::1".parse().unwrap();
    let ours = world.internal_addresses.iter().chain(&world.br_addresses);
    group == all_nodes
        || ours.chain([&world.link_local]).any(|&address| group == solicited_node(address))
}

/// ICMPv6 to an address or group of ours.
fn icmpv6(world: &World, packet: Packet6<'_>, frame_source: [u8; 6]) -> Passed<Verdict> {
    if is_query_for_us(world, packet) {
        return Ok(Verdict::Consume(None));
    }
    if let Some(whose) = others(world, packet) {
        return Ok(Verdict::Ignore(whose));
    }
    let message = packet.payload;
    if message.len() < 8 || checksum6(packet.source(), packet.destination(), message) != 0 {
        return drop("icmpv6-bad-checksum");
    }
    match message[0] {
        135 | 136 => neighbour(world, packet, frame_source),
        _ if packet.destination().is_multicast() => Ok(Verdict::Ignore("other-multicast")),
        128 => echo(world, packet, frame_source),
        1..=4 => {
            Ok(tunnel_errors::judge(world, packet)?.framed(world, Arrived::Internal, frame_source))
        }
        _ => drop("icmpv6-type"),
    }
}

/// N4: ping of our addresses.
fn echo(world: &World, packet: Packet6<'_>, frame_source: [u8; 6]) -> Passed<Verdict> {
    let (source, destination) = (packet.source(), packet.destination());
    if source.is_unspecified() {
        return drop("ipv6-bad-source");
    }
    let code = packet.payload[1];
    let message = icmp6_message(destination, source, 129, code, &packet.payload[4..]);
    let header = Ipv6Fields {
        traffic_class: packet.traffic_class(),
        ..Ipv6Fields::new(destination, source, ICMPV6, 64)
    };
    let reply = header.with(&message);
    if reply.len() > world.internal.mtu {
        return drop("too-big");
    }
    Ok(Verdict::Answer(reply).framed(world, Arrived::Internal, frame_source))
}

/// N2: RFC 4861 section 7.1, and who is asked for.
fn neighbour(world: &World, packet: Packet6<'_>, frame_source: [u8; 6]) -> Passed<Verdict> {
    let message = packet.payload;
    // RFC 6980: never in a fragment.
    let in_fragment = internal::any_source(world, packet.bytes)
        .is_some_and(|packet| packet.protocol == internal::FRAGMENT);
    if packet.hop_limit() != 255 || message[1] != 0 || message.len() < 24 || in_fragment {
        return drop("ndp-malformed");
    }
    let target = ipv6_at(message, 8);
    if target.is_multicast() {
        return drop("ndp-malformed");
    }
    let wanted = if message[0] == 135 { 1 } else { 2 };
    let link_layer = link_layer(&message[24..], wanted)?;
    if message[0] == 136 {
        return advertisement(world, packet, target, link_layer.unwrap_or(frame_source));
    }
    let probe = packet.source().is_unspecified();
    if probe && (link_layer.is_some() || packet.destination() != solicited_node(target)) {
        return drop("ndp-malformed");
    }
    if !world.is_our_ipv6(target) {
        return Ok(Verdict::Ignore("ndp"));
    }
    // Anycast addresses are not defended.
    if probe && world.br_addresses.contains(&target) {
        return Ok(Verdict::Consume(None));
    }
    if probe && frame_source == world.internal.mac {
        return Ok(Verdict::Ignore("ndp"));
    }
    Ok(Verdict::Answer(advertise(world, packet, target, link_layer.unwrap_or(frame_source))))
}

/// An advertisement is news if it is about a next hop (in these worlds next hops are fixed) or about
/// an address that is ours alone.
fn advertisement(
    world: &World,
    packet: Packet6<'_>,
    target: Ipv6Addr,
    whose: [u8; 6],
) -> Passed<Verdict> {
    let solicited = packet.payload[4] & 0x40 != 0;
    if solicited && packet.destination().is_multicast() {
        return drop("ndp-malformed");
    }
    if is_ours_alone(world, target) {
        return Ok(claim(whose, world.internal.mac, "ndp"));
    }
    Ok(Verdict::Ignore("ndp"))
}

/// BR addresses are anycast: other relays may have them.
fn is_ours_alone(world: &World, address: Ipv6Addr) -> bool {
    world.internal_addresses.contains(&address) || world.link_local == address
}

/// N2: who answers a probe for an address does so from that address, which would otherwise be no
/// source (P4) where it is ours: an unsolicited advertisement, in good form, to us or to all.
fn namesake(world: &World, bytes: &[u8], frame_source: [u8; 6], to_group: bool) -> Option<Verdict> {
    let packet = internal::any_source(world, bytes)?;
    let (source, destination) = (packet.source(), packet.destination());
    let for_us = world.is_our_ipv6(destination) || is_our_group(world, destination);
    let message = packet.payload;
    if !world.is_our_ipv6(source)
        || !for_us
        || to_group && !destination.is_multicast()
        || packet.protocol != ICMPV6
        || packet.hop_limit() != 255
        || message.len() < 24
        || checksum6(source, destination, message) != 0
        || message[..2] != [136, 0]
        || message[4] & 0x40 != 0
    {
        return None;
    }
    let target = ipv6_at(message, 8);
    let whose = link_layer(&message[24..], 2).ok()?.unwrap_or(frame_source);
    if is_ours_alone(world, target) {
        return Some(claim(whose, world.internal.mac, "ndp"));
    }
    world.br_addresses.contains(&target).then_some(Verdict::Ignore("ndp"))
}

/// N2, RFC 3810 section 6.2: a query of a neighbour, marked as the protocol wants it, that asks
/// about all groups or one that we listen to because of an address of ours.
fn is_query_for_us(world: &World, packet: Packet6<'_>) -> bool {
    let (source, destination) = (packet.source(), packet.destination());
    let message = packet.payload;
    let sources = |message: &[u8]| usize::from(be16(message, 26));
    let whole =
        message.len() == 24 || message.len() >= 28 && message.len() >= 28 + 16 * sources(message);
    let link_local = source.segments()[0] & 0xffc0 == 0xfe80;
    if !whole || message[0] != 130 || !link_local || packet.hop_limit() != 1 {
        return false;
    }
    let group = ipv6_at(message, 8);
    let all_nodes: Ipv6Addr = "ff02::1".parse().unwrap();
    let asks_us = group.is_unspecified() || group != all_nodes && is_our_group(world, group);
    let reaches_us = world.is_our_ipv6(destination) || is_our_group(world, destination);
    asks_us && reaches_us && router_alert(packet) && checksum6(source, destination, message) == 0
}

/// RFC 2711: an option of a hop-by-hop header with the value for MLD.
fn router_alert(packet: Packet6<'_>) -> bool {
    if packet.bytes[6] != 0 {
        return false;
    }
    let len = (usize::from(packet.bytes[41]) + 1) * 8;
    let options = &packet.bytes[42..40 + len];
    let mut at = 0;
    while at < options.len() {
        if options[at] == 0 {
            at += 1;
            continue;
        }
        if options[at..].starts_with(&[5, 2, 0, 0]) {
            return true;
        }
        at += 2 + usize::from(options[at + 1]);
    }
    false
}

/// RFC 4291 section 2.7.1.
fn solicited_node(address: Ipv6Addr) -> Ipv6Addr {
    let mut octets = [0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, 0, 0, 0];
    octets[13..].copy_from_slice(&address.octets()[13..]);
    octets.into()
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
    // Frames come from one station.
    if found.is_some_and(|mac: [u8; 6]| mac[0] & 1 == 1) {
        return drop("ndp-malformed");
    }
    Ok(found)
}

/// N2: our answer. BR addresses are anycast: override is 0. A probe (from ::) is answered to all.
fn advertise(world: &World, packet: Packet6<'_>, target: Ipv6Addr, mac: [u8; 6]) -> Vec<u8> {
    let probe = packet.source().is_unspecified();
    let anycast = world.br_addresses.contains(&target);
    // Not a router: IPv6 packets for others are not forwarded.
    let flags = u8::from(!probe) << 6 | u8::from(!anycast) << 5;
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
