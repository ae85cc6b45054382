//! I5: errors of the relay's own making, as IP packets; and the tunnel header (E3, E4), which some
//! of them wear.

use crate::bytes::{ICMP, ICMPV6, IPIP, Ipv4Fields, Ipv6Fields, icmp_message, icmp6_message};
use crate::internal::Packet6;
use crate::ipv4::Packet;
use crate::link::is_our_broadcast;
use crate::world::{Softwire, World};

/// The largest ICMPv4 error (RFC 1812 section 4.3.2.3).
const ICMPV4_MOST: usize = 576;

/// The largest ICMPv6 error (RFC 4443 section 2.4 c).
const ICMPV6_MOST: usize = 1280;

/// Host unreachable, for E7.
pub(crate) fn host_unreachable(world: &World, about: Packet<'_>) -> Option<Vec<u8>> {
    if !world.policy.generate_icmpv4_errors {
        return None;
    }
    icmpv4(world, about, 3, 1, 0)
}

/// Host unreachable, for I4.
pub(crate) fn tunnel_broken(world: &World, about: Packet<'_>) -> Option<Vec<u8>> {
    icmpv4(world, about, 3, 1, 0)
}

/// Port unreachable, for N4.
pub(crate) fn port_unreachable(world: &World, about: Packet<'_>) -> Option<Vec<u8>> {
    icmpv4(world, about, 3, 3, 0)
}

/// Too big, for E8 and D5.
pub(crate) fn too_big(world: &World, about: Packet<'_>, mtu: usize) -> Option<Vec<u8>> {
    icmpv4(world, about, 3, 4, mtu as u16)
}

/// Time exceeded, for E6 and D4.
pub(crate) fn time_exceeded(world: &World, about: Packet<'_>) -> Option<Vec<u8>> {
    icmpv4(world, about, 11, 0, 0)
}

/// Never about ICMP errors, later fragments, multicast, broadcast, or sources that are no hosts.
fn may_be_answered(world: &World, about: Packet<'_>) -> bool {
    !about.is_later_fragment()
        && !is_icmp_error(about)
        && !is_our_broadcast(world, about.source())
        && !is_our_broadcast(world, about.destination())
}

/// A message about another packet, or one that cannot be told not to be.
pub(crate) fn is_icmp_error(packet: Packet<'_>) -> bool {
    packet.protocol() == ICMP
        && matches!(packet.payload().first(), None | Some(3 | 4 | 5 | 11 | 12))
}

fn icmpv4(world: &World, about: Packet<'_>, kind: u8, code: u8, mtu: u16) -> Option<Vec<u8>> {
    if !may_be_answered(world, about) {
        return None;
    }
    let quoted = &about.bytes[..about.bytes.len().min(ICMPV4_MOST - 28)];
    let [high, low] = mtu.to_be_bytes();
    let message = icmp_message(kind, code, [0, 0, high, low], quoted);
    let header = Ipv4Fields {
        // Precedence 6 (RFC 1812 section 4.3.2.5); an atomic datagram (RFC 6864).
        tos: 0xc0,
        dont_fragment: true,
        ..Ipv4Fields::new(world.icmpv4_source(), about.source(), ICMP, 64)
    };
    Some(header.with(&message))
}

/// ICMPv6 destination unreachable (RFC 4443 section 3.1).
pub(crate) fn unreachable6(world: &World, about: Packet6<'_>, code: u8) -> Option<Vec<u8>> {
    icmpv6(world, about, 1, code, 0)
}

/// ICMPv6 time exceeded: fragments were missing (RFC 4443 section 3.3).
pub(crate) fn reassembly_timeout(world: &World, about: Packet6<'_>) -> Option<Vec<u8>> {
    icmpv6(world, about, 3, 1, 0)
}

/// ICMPv6 parameter problem about an option (RFC 4443 section 3.4).
pub(crate) fn unknown_option(world: &World, about: Packet6<'_>, at: usize) -> Option<Vec<u8>> {
    icmpv6(world, about, 4, 2, at as u32)
}

/// An error about an IPv6 packet to us, from the address it was sent to.
fn icmpv6(world: &World, about: Packet6<'_>, kind: u8, code: u8, last: u32) -> Option<Vec<u8>> {
    let (from, to) = (about.destination(), about.source());
    if to.is_unspecified() || to.is_multicast() || from.is_multicast() {
        return None;
    }
    let mut body = last.to_be_bytes().to_vec();
    body.extend(&about.bytes[..about.bytes.len().min(ICMPV6_MOST - 48)]);
    let message = icmp6_message(from, to, kind, code, &body);
    Some(Ipv6Fields::new(from, to, ICMPV6, world.policy.hop_limit).with(&message))
}

/// E3 to E5: an IPv4 packet in a softwire.
pub(crate) fn encapsulated(world: &World, softwire: &Softwire, packet: &[u8]) -> Vec<u8> {
    let policy = &world.policy;
    let inner = packet[1];
    let dscp = policy.dscp.unwrap_or(inner >> 2);
    let ecn = if policy.ecn_compatibility { 0 } else { inner & 3 };
    let header = Ipv6Fields {
        traffic_class: dscp << 2 | ecn,
        flow_label: policy.flow_label,
        ..Ipv6Fields::new(softwire.br, softwire.b4, IPIP, policy.hop_limit)
    };
    header.with(packet)
}
