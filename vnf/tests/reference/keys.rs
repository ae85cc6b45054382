//! E1, I1 and I3: which port (or identifier) says whose packet this is. One rule for both
//! directions: a packet's own port is its destination's on the way in, its source's on the way
//! out; in an ICMP error it is the other one, for the embedded packet went the other way.

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::bytes::{ICMP, be16, checksum, has_ports, ipv4_at};
use crate::fragments;
use crate::ipv4::Packet;
use crate::verdict::{Passed, drop};
use crate::world::{Softwire, World};

/// Whose end of the packet is the subscriber's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Subscriber {
    Destination,
    Source,
}

/// The softwire of the subscriber's address and port in this packet; `Ok(None)` when nobody owns
/// them.
pub(crate) fn softwire<'a>(
    world: &'a World,
    packet: Packet<'_>,
    subscriber: Subscriber,
    tunnel: Option<(Ipv6Addr, Ipv6Addr)>,
) -> Passed<Option<&'a Softwire>> {
    let address = match subscriber {
        Subscriber::Destination => packet.destination(),
        Subscriber::Source => packet.source(),
    };
    if !world.in_table(address) {
        return Ok(None);
    }
    if let Some(softwire) = world.whole(address) {
        return Ok(Some(softwire));
    }
    if packet.protocol() == ICMP {
        icmp_intact(packet)?;
    }
    let carries_ports = has_ports(packet.protocol()) || packet.protocol() == ICMP;
    let port = if carries_ports && packet.is_later_fragment() {
        fragments::told(world, packet, subscriber, tunnel)?
    } else {
        port(packet, subscriber, address)?
    };
    Ok(world.owner(address, port))
}

/// The same of a packet that an ICMPv6 error quotes, perhaps not whole, perhaps a first fragment.
pub(crate) fn quoted<'a>(
    world: &'a World,
    packet: Packet<'_>,
    subscriber: Subscriber,
) -> Option<&'a Softwire> {
    let address = match subscriber {
        Subscriber::Destination => packet.destination(),
        Subscriber::Source => packet.source(),
    };
    if let Some(softwire) = world.whole(address) {
        return Some(softwire);
    }
    if packet.is_later_fragment() {
        return None;
    }
    world.owner(address, port(packet, subscriber, address).ok()?)
}

/// The subscriber's port of a packet to or from a shared address.
pub(crate) fn port(packet: Packet<'_>, subscriber: Subscriber, address: Ipv4Addr) -> Passed<u16> {
    let payload = packet.payload();
    if packet.protocol() == ICMP {
        if payload.len() < 8 {
            return drop("icmp-truncated");
        }
        return icmp_port(payload, subscriber, address);
    }
    if !has_ports(packet.protocol()) {
        return drop("port-less-protocol");
    }
    if payload.len() < 4 {
        return drop("transport-truncated");
    }
    Ok(match subscriber {
        Subscriber::Source => be16(payload, 0),
        Subscriber::Destination => be16(payload, 2),
    })
}

/// I1: the message is whole and its checksum right, unless it is a fragment.
pub(crate) fn icmp_intact(packet: Packet<'_>) -> Passed<()> {
    if packet.is_fragment() {
        return Ok(());
    }
    if packet.payload().len() < 8 {
        return drop("icmp-truncated");
    }
    if checksum(packet.payload()) != 0 {
        return drop("icmp-bad-checksum");
    }
    Ok(())
}

/// I1, I3: the identifier of an echo, or what the packet in an error says.
fn icmp_port(message: &[u8], subscriber: Subscriber, address: Ipv4Addr) -> Passed<u16> {
    match message[0] {
        0 | 8 => Ok(be16(message, 4)),
        3 | 11 | 12 => embedded_port(&message[8..], subscriber, address),
        _ => drop("icmp-type"),
    }
}

/// The subscriber's port in the packet that an error is about.
fn embedded_port(embedded: &[u8], subscriber: Subscriber, address: Ipv4Addr) -> Passed<u16> {
    if embedded.len() < 20 {
        return drop("icmp-truncated");
    }
    let header_len = usize::from(embedded[0] & 15) * 4;
    let total_len = usize::from(be16(embedded, 2));
    if embedded[0] >> 4 != 4 || header_len < 20 || total_len < header_len {
        return drop("icmp-embedded");
    }
    if header_len > embedded.len() {
        return drop("icmp-truncated");
    }
    // The embedded packet went the other way: from the subscriber if the error goes to it.
    let its_address = match subscriber {
        Subscriber::Destination => ipv4_at(embedded, 12),
        Subscriber::Source => ipv4_at(embedded, 16),
    };
    if its_address != address {
        return drop("icmp-embedded");
    }
    let later_fragment = be16(embedded, 6) & 0x1fff != 0;
    let protocol = embedded[9];
    if later_fragment || protocol != ICMP && !has_ports(protocol) {
        return drop("icmp-embedded");
    }
    let transport = &embedded[header_len..];
    if protocol == ICMP {
        // RFC 792 promises eight bytes.
        return match transport {
            [0 | 8, _, _, _, high, low, _, _, ..] => Ok(u16::from_be_bytes([*high, *low])),
            [_, _, _, _, _, _, _, _, ..] => drop("icmp-embedded"),
            _ => drop("icmp-truncated"),
        };
    }
    if transport.len() < 4 {
        return drop("icmp-truncated");
    }
    Ok(match subscriber {
        Subscriber::Destination => be16(transport, 0),
        Subscriber::Source => be16(transport, 2),
    })
}
