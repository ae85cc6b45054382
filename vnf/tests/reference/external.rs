//! E0, first half: a packet from the Internet.

use crate::bytes::{ICMP, UDP, checksum, fix_ipv4_checksum};
use crate::ipv4::{self, Packet};
use crate::keys::{self, Subscriber};
use crate::verdict::{Passed, Verdict, drop};
use crate::world::{Softwire, World};
use crate::{cut, errors, fragments, mss};

/// What leaves because of an IP packet: the model of the link puts Ethernet around it.
pub(crate) fn from_internet(world: &World, bytes: &[u8]) -> Passed<Verdict> {
    let packet = ipv4::well_formed(bytes)?;
    ipv4::no_martians(packet)?;
    ipv4::source_not_ours(world, packet)?;
    ipv4::no_source_route(world, packet)?;
    if world.is_our_ipv4(packet.destination()) {
        return Ok(Verdict::Answer(to_ourselves(world, packet, world.external.mtu)?));
    }
    world.external_filters.admit(packet.bytes)?;
    icmp_admitted(world, packet)?;
    if packet.is_fragment() {
        fragments::identify(world, packet, Subscriber::Destination, None, bytes)?;
    }
    let Some(softwire) = keys::softwire(world, packet, Subscriber::Destination, None)? else {
        return Err(no_softwire(world, packet));
    };
    alive(packet, errors::time_exceeded(world, packet))?;
    let mut out = aged(packet);
    mss::clamp(world, &mut out);
    let too_big = |mtu| errors::too_big(world, packet, mtu);
    Ok(Verdict::Forward(cut::into_tunnel(world, softwire, packet, &out, too_big)?))
}

/// I1: is ICMP let in, and is it intact?
fn icmp_admitted(world: &World, packet: Packet<'_>) -> Passed<()> {
    if packet.protocol() != ICMP {
        return Ok(());
    }
    if !world.policy.allow_incoming_icmpv4 {
        return drop("icmp-not-allowed");
    }
    keys::icmp_intact(packet)
}

/// E7 and I2: nobody has this address and port.
pub(crate) fn no_softwire(world: &World, packet: Packet<'_>) -> Verdict {
    if packet.protocol() == ICMP {
        return Verdict::Drop("icmp-no-softwire", None);
    }
    Verdict::Drop("no-softwire", errors::host_unreachable(world, packet))
}

/// E6 and D4: a TTL of 0 or 1 ends here.
pub(crate) fn alive(packet: Packet<'_>, error: Option<Vec<u8>>) -> Passed<()> {
    if packet.ttl() <= 1 {
        return Err(Verdict::Drop("ttl-expired", error));
    }
    Ok(())
}

/// E6: the packet with its TTL one lower.
pub(crate) fn aged(packet: Packet<'_>) -> Vec<u8> {
    let mut bytes = packet.bytes.to_vec();
    bytes[8] -= 1;
    fix_ipv4_checksum(&mut bytes);
    bytes
}

/// N4: a packet to one of our own IPv4 addresses: the answer, if there is one and it has room.
pub(crate) fn to_ourselves(world: &World, packet: Packet<'_>, room: usize) -> Passed<Vec<u8>> {
    if packet.is_fragment() {
        return drop("ipv4-fragment-to-us");
    }
    match packet.protocol() {
        ICMP => echo(packet, room),
        UDP => {
            let error = errors::port_unreachable(world, packet);
            Err(Verdict::Drop("unsupported-protocol", error))
        }
        _ => drop("unsupported-protocol"),
    }
}

/// The reply to an echo request: the same datagram turned around, with a TTL of our own.
fn echo(packet: Packet<'_>, room: usize) -> Passed<Vec<u8>> {
    keys::icmp_intact(packet)?;
    if packet.payload()[0] != 8 {
        return drop("icmp-type");
    }
    if packet.bytes.len() > room {
        return drop("too-big");
    }
    let mut reply = packet.bytes.to_vec();
    let start = packet.header_len();
    reply[8] = 64;
    reply[12..16].copy_from_slice(&packet.destination().octets());
    reply[16..20].copy_from_slice(&packet.source().octets());
    fix_ipv4_checksum(&mut reply);
    reply[start] = 0;
    reply[start + 2..start + 4].fill(0);
    let sum = checksum(&reply[start..]);
    reply[start + 2..start + 4].copy_from_slice(&sum.to_be_bytes());
    Ok(reply)
}

/// A softwire's share of an error or answer that goes back to its B4.
pub(crate) fn back_through(
    world: &World,
    softwire: &Softwire,
    packet: Option<Vec<u8>>,
) -> Option<Vec<u8>> {
    packet.map(|packet| errors::encapsulated(world, softwire, &packet))
}
