//! P2 and P3: is this an IPv4 packet that may be forwarded at all?

use std::net::Ipv4Addr;

use crate::bytes::{be16, checksum, ipv4_at};
use crate::verdict::{Passed, drop};
use crate::world::World;

/// A packet, without whatever followed it in its frame.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Packet<'a> {
    pub(crate) bytes: &'a [u8],
}

impl<'a> Packet<'a> {
    pub(crate) fn header_len(self) -> usize {
        usize::from(self.bytes[0] & 15) * 4
    }

    pub(crate) fn payload(self) -> &'a [u8] {
        &self.bytes[self.header_len()..]
    }

    pub(crate) fn tos(self) -> u8 {
        self.bytes[1]
    }

    pub(crate) fn dont_fragment(self) -> bool {
        self.bytes[6] & 0x40 != 0
    }

    /// First, middle or last.
    pub(crate) fn is_fragment(self) -> bool {
        be16(self.bytes, 6) & 0x3fff != 0
    }

    /// Not the first.
    pub(crate) fn is_later_fragment(self) -> bool {
        be16(self.bytes, 6) & 0x1fff != 0
    }

    pub(crate) fn ttl(self) -> u8 {
        self.bytes[8]
    }

    pub(crate) fn protocol(self) -> u8 {
        self.bytes[9]
    }

    pub(crate) fn source(self) -> Ipv4Addr {
        ipv4_at(self.bytes, 12)
    }

    pub(crate) fn destination(self) -> Ipv4Addr {
        ipv4_at(self.bytes, 16)
    }

    fn has_source_route(self) -> bool {
        let mut options = &self.bytes[20..self.header_len()];
        while let Some(&kind) = options.first() {
            let len = match kind {
                0 => return false,
                1 => 1,
                131 | 137 => return true,
                _ => options.get(1).map_or(0, |&len| usize::from(len)),
            };
            if len == 0 || kind != 1 && len < 2 || len > options.len() {
                return false;
            }
            options = &options[len..];
        }
        false
    }
}

/// P2 and the first half of P3: lengths, version, checksum.
pub(crate) fn well_formed(bytes: &[u8]) -> Passed<Packet<'_>> {
    if bytes.len() < 20 {
        return drop("ipv4-truncated");
    }
    let header_len = usize::from(bytes[0] & 15) * 4;
    let total_len = usize::from(be16(bytes, 2));
    if bytes[0] >> 4 != 4 || header_len < 20 || total_len < header_len {
        return drop("ipv4-bad-header");
    }
    if total_len > bytes.len() {
        return drop("ipv4-truncated");
    }
    if checksum(&bytes[..header_len]) != 0 {
        return drop("ipv4-bad-checksum");
    }
    Ok(Packet { bytes: &bytes[..total_len] })
}

/// The second half of P3: addresses that are neither source nor destination.
pub(crate) fn no_martians(packet: Packet<'_>) -> Passed<()> {
    if is_martian(packet.source()) || is_martian(packet.destination()) {
        return drop("ipv4-martian");
    }
    Ok(())
}

/// P3: our own address comes from nobody else.
pub(crate) fn source_not_ours(world: &World, packet: Packet<'_>) -> Passed<()> {
    if world.is_our_ipv4(packet.source()) {
        return drop("ipv4-source-is-ours");
    }
    Ok(())
}

/// P3: source routes.
pub(crate) fn no_source_route(world: &World, packet: Packet<'_>) -> Passed<()> {
    if !world.policy.allow_source_route && packet.has_source_route() {
        return drop("ipv4-source-route");
    }
    Ok(())
}

/// 0/8, 127/8, 169.254/16, 224/4, 240/4.
fn is_martian(address: Ipv4Addr) -> bool {
    let [a, b, ..] = address.octets();
    a == 0 || a == 127 || a == 169 && b == 254 || a >= 224
}
