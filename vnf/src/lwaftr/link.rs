//! What P1 says of frames before their packet is looked at.

use super::others;
use super::settings::Link;
use super::snapshot::Snapshot;
use super::usual;
use super::verdict::Verdict;
use crate::side::Side;
use crate::telemetry::{DropReason, IgnoreReason};
use crate::wire::ethernet::{Ethernet, ethertype};
use crate::wire::ipv4::Ipv4;

/// A frame that is for us, with something that its side carries.
#[derive(Debug, Clone, Copy)]
pub(super) struct Received {
    /// Where its packet starts.
    pub(super) start: usize,
    /// It came to a group rather than to our MAC address.
    pub(super) to_group: bool,
    /// ARP rather than IP.
    pub(super) is_arp: bool,
}

/// Checks a frame's header (P1).
#[inline]
pub(super) fn check(frame: &[u8], side: Side, link: &Link) -> Result<Received, Verdict> {
    match usual::packet_start(link, side, frame) {
        Some(start) => Ok(Received { start, to_group: false, is_arp: false }),
        None => check_unusual(frame, side, link),
    }
}

#[inline(never)]
fn check_unusual(frame: &[u8], side: Side, link: &Link) -> Result<Received, Verdict> {
    let ethernet = Ethernet::parse(frame).ok_or(DropReason::FrameTooShort)?;
    let (carried, arp) = match side {
        Side::External => (ethertype::IPV4, ethertype::ARP),
        Side::Internal => (ethertype::IPV6, ethertype::IPV6),
    };
    let to_group = ethernet.destination.is_multicast();
    if ethernet.is_link_control() {
        return Err(Verdict::Ignore(IgnoreReason::LinkControl));
    }
    if !is_tagged_for(&ethernet, link) {
        return Err(DropReason::VlanMismatch.into());
    }
    if ethernet.ethertype != carried && ethernet.ethertype != arp {
        let is_other_ip =
            matches!(ethernet.ethertype, ethertype::IPV4 | ethertype::IPV6 | ethertype::ARP);
        return Err(if is_other_ip && to_group {
            Verdict::Ignore(IgnoreReason::OtherProtocol)
        } else {
            DropReason::UnknownEthertype.into()
        });
    }
    if !to_group && ethernet.destination != link.mac && !link.promiscuous {
        return Err(DropReason::NotOurMac.into());
    }
    if ethernet.source.is_multicast() {
        return Err(DropReason::BadSourceMac.into());
    }
    let is_arp = ethernet.ethertype == ethertype::ARP;
    Ok(Received { start: ethernet.header_len(), to_group, is_arp })
}

/// The tag that the interface requires, or none; VID 0 counts as none.
#[inline]
fn is_tagged_for(ethernet: &Ethernet, link: &Link) -> bool {
    ethernet.vlan.unwrap_or(0) == link.vlan.unwrap_or(0)
}

/// Which side a frame belongs to when both share one port (P5): the tag tells, or where both have
/// the same, the EtherType. A frame with neither side's tag is the external side's to drop.
pub(crate) fn side_of(frame: &[u8], snapshot: &Snapshot) -> Side {
    let Some(ethernet) = Ethernet::parse(frame) else { return Side::External };
    let [external, internal] = Side::BOTH.map(|side| is_tagged_for(&ethernet, snapshot.link(side)));
    match (external, internal) {
        (false, true) => Side::Internal,
        (true, true) if ethernet.ethertype == ethertype::IPV6 => Side::Internal,
        _ => Side::External,
    }
}

/// What becomes of an IPv4 packet in a broadcast or multicast frame: it is never forwarded.
#[cold]
pub(super) fn group_fate(packet: &[u8], snapshot: &Snapshot) -> Verdict {
    let Ok(packet) = Ipv4::parse_embedded(packet) else { return DropReason::MulticastFrame.into() };
    let destination = packet.destination();
    if !destination.is_multicast() && !snapshot.is_broadcast(destination) {
        return DropReason::MulticastFrame.into();
    }
    Verdict::Ignore(others::of_ipv4(&packet))
}
