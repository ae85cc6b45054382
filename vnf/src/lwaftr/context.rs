//! What a burst is handled with: read once, before its first frame.

use std::net::Ipv6Addr;

use super::snapshot::Snapshot;
use crate::side::Side;
use crate::wire::ethernet::{Template, ethertype};

/// The snapshot, the time and the Ethernet headers of what leaves.
#[derive(Debug)]
pub(super) struct Context<'a> {
    pub(super) snapshot: &'a Snapshot,
    /// What softwires refer to by number.
    pub(super) br_addresses: &'a [Ipv6Addr],
    /// Nanoseconds of a clock that only moves forward.
    pub(super) now: u64,
    /// Towards each side's next hop, when it is known.
    to_next_hop: [Option<Template>; 2],
}

impl<'a> Context<'a> {
    pub(super) fn new(snapshot: &'a Snapshot, now: u64) -> Self {
        let template = |side: Side| {
            let link = snapshot.link(side);
            let mac = snapshot.next_hop_mac(side)?;
            Some(Template::new(mac, link.mac, link.vlan, ethertype_of(side)))
        };
        let br_addresses = snapshot.table.br_addresses();
        Self { snapshot, br_addresses, now, to_next_hop: Side::BOTH.map(template) }
    }

    /// The header of IP packets to the next hop on this side.
    #[inline]
    pub(super) fn to_next_hop(&self, side: Side) -> Option<&Template> {
        self.to_next_hop[side.index()].as_ref()
    }

    /// The header of IP packets to a station on this side.
    pub(super) fn to_station(&self, side: Side, mac: crate::wire::MacAddr) -> Template {
        let link = self.snapshot.link(side);
        Template::new(mac, link.mac, link.vlan, ethertype_of(side))
    }
}

/// What a side carries.
fn ethertype_of(side: Side) -> u16 {
    match side {
        Side::External => ethertype::IPV4,
        Side::Internal => ethertype::IPV6,
    }
}
