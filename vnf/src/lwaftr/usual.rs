//! What nearly all packets look like, told by a few loads and compares: IP to our MAC address, an
//! IPv4 header without options or fragmentation, TCP or UDP, addresses with nothing special about
//! them. What is not like that is classified the careful way, in `external` and `internal`, where
//! every packet can go; a packet is usual only if the careful way would say the same of it.
//!
//! One thing is put off: a tunnelled packet's outer addresses. If they are the ends of its softwire
//! they are right, because no softwire has others; if not, `internal` finds out why.

use super::rewrite::Place;
use super::settings::Link;
use super::snapshot::Snapshot;
use crate::frame::Frame;
use crate::side::Side;
use crate::softwire::Key;
use crate::wire::checksum;
use crate::wire::ethernet::{HEADER, TAGGED, ethertype};
use crate::wire::{ipv4, ipv6, protocol};

/// An IPv4 header without options and the ports behind it.
const IPV4_AND_PORTS: usize = ipv4::HEADER + 4;

/// Which end of an IPv4 packet is looked up: where its address and port stand behind the header's
/// start.
#[derive(Debug, Clone, Copy)]
struct End {
    address: usize,
    port: usize,
}

const SOURCE: End = End { address: 12, port: ipv4::HEADER };
const DESTINATION: End = End { address: 16, port: ipv4::HEADER + 2 };

/// Where a tunnelled packet is, and its key.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tunnelled {
    /// Where the outer packet starts.
    pub(super) outer: u16,
    /// Where the inner packet is.
    pub(super) inner: Place,
    pub(super) key: Key,
}

/// A usual packet from the Internet.
#[inline(always)]
#[cfg_attr(lwaftr_no_panic, no_panic::no_panic)]
pub(super) fn from_internet<F: Frame>(snapshot: &Snapshot, frame: &F) -> Option<(Place, Key)> {
    let verified = frame.ipv4_checksum_verified();
    let frame = frame.bytes();
    let start = packet_start(&snapshot.settings.external.link, Side::External, frame)?;
    let (head, len) = ipv4(frame.get(start..)?, verified)?;
    let ordinary = snapshot.is_ordinary_octet(head[12]) & snapshot.is_ordinary_octet(head[16]);
    let usual = ordinary
        && snapshot.settings.filters.admits(Side::External, frame.get(start..start + len)?);
    usual.then(|| (Place { start, len }, key(head, DESTINATION)))
}

/// A usual packet from a B4.
#[inline(always)]
#[cfg_attr(lwaftr_no_panic, no_panic::no_panic)]
pub(super) fn from_b4(snapshot: &Snapshot, frame: &[u8]) -> Option<Tunnelled> {
    let outer = packet_start(&snapshot.settings.internal.link, Side::Internal, frame)?;
    let packet = frame.get(outer..)?;
    let (head, payload) = packet.split_first_chunk::<{ ipv6::HEADER }>()?;
    let payload = payload.get(..usize::from(u16::from_be_bytes([head[4], head[5]])))?;
    if (head[0] >> 4 != 6) | (head[6] != protocol::IPV4) {
        return None;
    }
    let (inner, len) = ipv4(payload, false)?;
    let packet = packet.get(..ipv6::HEADER + payload.len())?;
    if !snapshot.settings.filters.admits(Side::Internal, packet) {
        return None;
    }
    let inner_place = Place { start: outer + ipv6::HEADER, len };
    Some(Tunnelled { outer: outer as u16, inner: inner_place, key: key(inner, SOURCE) })
}

/// Where the packet starts in a frame that is simply IP to our MAC address.
#[inline(always)]
pub(super) fn packet_start(link: &Link, side: Side, frame: &[u8]) -> Option<usize> {
    let head: &[u8; TAGGED] = frame.first_chunk()?;
    let word = |at: usize| u16::from_be_bytes([head[at], head[at + 1]]);
    let (tag_fits, kind, start) = match link.vlan {
        None => (true, word(12), HEADER),
        Some(vlan) => (word(12) == ethertype::VLAN && word(14) & 0x0fff == vlan, word(16), TAGGED),
    };
    let carried = match side {
        Side::External => ethertype::IPV4,
        Side::Internal => ethertype::IPV6,
    };
    // All of the destination, and the source's bit that would make it a group.
    let is_ours = first_eight(head) & 0xffff_ffff_ffff_0100 == link.mac.to_u64() << 16;
    (is_ours & tag_fits & (kind == carried)).then_some(start)
}

#[inline(always)]
fn first_eight(head: &[u8; TAGGED]) -> u64 {
    let [a, b, c, d, e, f, g, h, ..] = *head;
    u64::from_be_bytes([a, b, c, d, e, f, g, h])
}

/// The header and ports of a usual packet at the start of `bytes`, and its length. The port may
/// have verified its checksum.
#[inline(always)]
fn ipv4(bytes: &[u8], verified: bool) -> Option<(&[u8; IPV4_AND_PORTS], usize)> {
    let head: &[u8; IPV4_AND_PORTS] = bytes.first_chunk()?;
    let len = usize::from(u16::from_be_bytes([head[2], head[3]]));
    let fits = len >= IPV4_AND_PORTS && len <= bytes.len();
    let no_options = head[0] == 0x45;
    let whole = u16::from_ne_bytes([head[6], head[7]]) & u16::from_be(0x3fff) == 0;
    let has_ports = head[9] == protocol::UDP || head[9] == protocol::TCP;
    let usual = fits & no_options & whole & has_ports;
    (usual && (verified || checksum::verifies_header(head.first_chunk()?))).then_some((head, len))
}

#[inline(always)]
fn key(head: &[u8; IPV4_AND_PORTS], End { address, port }: End) -> Key {
    let octets = [head[address], head[address + 1], head[address + 2], head[address + 3]];
    Key::with_port(u32::from_be_bytes(octets), u16::from_be_bytes([head[port], head[port + 1]]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checksum_that_the_port_has_verified_is_not_verified_again() {
        let mut packet = [0; 28];
        let head = packet.first_chunk_mut().unwrap();
        let (from, to) = ([198, 18, 0, 1].into(), [203, 0, 113, 7].into());
        ipv4::write_header(head, 28, 64, protocol::UDP, from, to);
        assert!(ipv4(&packet, false).is_some() && ipv4(&packet, true).is_some());
        packet[10] ^= 1;
        assert!(ipv4(&packet, false).is_none(), "software finds it wrong");
        assert!(ipv4(&packet, true).is_some(), "whoever vouches for it is believed");
        packet[0] = 0x46;
        assert!(ipv4(&packet, true).is_none(), "for nothing but the checksum");
    }
}
