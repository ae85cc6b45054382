//! Other people's traffic to groups (P1): of which kind it is. It is ignored, never a drop.

use super::snapshot::Snapshot;
use crate::telemetry::IgnoreReason;
use crate::wire::ipv4::Ipv4;
use crate::wire::ipv6::{self, Ipv6};
use crate::wire::{icmpv4, icmpv6, protocol};

/// Routing protocols over UDP, by their port: RIP, RIPng, LDP, OLSR, HSRP over IPv4 and IPv6, GLBP,
/// Babel.
const ROUTING_PORTS: [u16; 8] = [520, 521, 646, 698, 1985, 2029, 3222, 6696];

/// Groups of one link that only routers listen to, by the last octet that they have in 224.0.0.0/24
/// and in ff02::/120: OSPF (two), RIP, EIGRP, PIM, VRRP, HSRP, mobile routers.
const ROUTING_GROUPS: [u8; 8] = [5, 6, 9, 10, 13, 18, 102, 109];

/// Bytes of the fixed part of an authentication header (RFC 4302), of which the second counts words
/// of four bytes, less two.
const AUTHENTICATION_WORD: usize = 4;

/// A packet to an IPv4 group, or to everybody.
pub(super) fn of_ipv4(packet: &Ipv4<'_>) -> IgnoreReason {
    let group = match packet.destination().octets() {
        [224, 0, 0, last] => Some(last),
        _ => None,
    };
    let payload = if packet.is_later_fragment() { &[] } else { packet.payload() };
    kind_of(packet.protocol(), payload, group)
}

/// A packet to an IPv6 group, whatever its extension headers say.
pub(super) fn of_ipv6(packet: &Ipv6<'_>) -> IgnoreReason {
    let group = match packet.destination().to_be_bytes() {
        [0xff, 2, middle @ .., last] if middle == [0; 13] => Some(last),
        _ => None,
    };
    let (mut protocol, mut payload) = (packet.next_header(), &[][..]);
    if let Ok(upper) = packet.upper_unchecked() {
        (protocol, payload) = (upper.protocol, upper.payload);
    }
    if protocol == protocol::FRAGMENT {
        (protocol, payload) = match ipv6::first_fragment(payload) {
            Some(first) => (first.protocol, first.payload),
            None => (payload.first().copied().unwrap_or(protocol), &[][..]),
        };
    }
    kind_of(protocol, payload, group)
}

/// ICMPv6 by its type.
pub(super) fn of_icmpv6(kind: u8) -> IgnoreReason {
    match kind {
        _ if icmpv6::LISTENER.contains(&kind) => IgnoreReason::Multicast,
        icmpv6::ROUTER_SOLICITATION | icmpv6::ROUTER_ADVERTISEMENT | icmpv6::REDIRECT => {
            IgnoreReason::RouterDiscovery
        }
        icmpv6::NEIGHBOUR_SOLICITATION | icmpv6::NEIGHBOUR_ADVERTISEMENT => IgnoreReason::Ndp,
        _ => IgnoreReason::OtherMulticast,
    }
}

/// Is a packet of this kind to this address between others? What routers say is, and what is said of
/// groups, whoever hears it.
pub(super) fn is_between_others(
    snapshot: &Snapshot,
    destination: u128,
    kind: IgnoreReason,
) -> bool {
    match kind {
        IgnoreReason::Multicast | IgnoreReason::RouterDiscovery | IgnoreReason::Routing => true,
        _ => ipv6::is_group(destination) && !snapshot.is_own_group(destination),
    }
}

/// By protocol, behind an authentication header if there is one, then by port, then by group.
fn kind_of(mut protocol: u8, mut payload: &[u8], group: Option<u8>) -> IgnoreReason {
    if protocol == protocol::AUTHENTICATION
        && let &[next, words, ..] = payload
    {
        let len = (usize::from(words) + 2) * AUTHENTICATION_WORD;
        (protocol, payload) = (next, payload.get(len..).unwrap_or_default());
    }
    let to_routers = group.is_some_and(|group| ROUTING_GROUPS.contains(&group));
    match (protocol, payload) {
        (protocol::IGMP, _) => IgnoreReason::Multicast,
        (protocol::EIGRP | protocol::OSPF | protocol::PIM | protocol::VRRP, _) => {
            IgnoreReason::Routing
        }
        (protocol::ICMPV6, &[kind, ..]) => of_icmpv6(kind),
        (protocol::ICMPV4, &[icmpv4::ROUTER_ADVERTISEMENT | icmpv4::ROUTER_SOLICITATION, ..]) => {
            IgnoreReason::RouterDiscovery
        }
        (protocol::UDP, &[_, _, high, low, ..])
            if ROUTING_PORTS.contains(&u16::from_be_bytes([high, low])) =>
        {
            IgnoreReason::Routing
        }
        (protocol::ICMPV4 | protocol::ICMPV6, _) => IgnoreReason::OtherMulticast,
        _ if to_routers => IgnoreReason::Routing,
        _ => IgnoreReason::OtherMulticast,
    }
}
