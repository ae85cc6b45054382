//! The immutable configuration that all workers read, replaced as a whole.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use ipnet::Ipv4Net;

use super::alarms;
use super::neighbours::Neighbours;
use super::settings::{NextHop, Settings};
use crate::side::Side;
use crate::softwire::BindingTable;
use crate::telemetry::{Alarm, NextHopStatus};
use crate::wire::MacAddr;
use crate::wire::ipv6::solicited_node;

/// Settings, the binding table, and what the fast path wants to have worked out beforehand.
#[derive(Debug)]
pub struct Snapshot {
    /// What the relay is told to do.
    pub settings: Settings,
    /// All softwires.
    pub table: Arc<BindingTable>,
    /// What is known of the stations on both links: shared with the snapshots before and after.
    pub(super) neighbours: Neighbours,
    /// The largest segment that TCP may announce (E10).
    pub(super) most_segment: Option<u16>,
    martians: Martians,
    /// Which first octets a martian network or an external address of ours has: asked twice of every
    /// packet, so that each has a byte.
    special_octets: [bool; 256],
    own_ipv4: Box<[u32]>,
    br_addresses: Box<[u128]>,
    /// Internal and link-local addresses, then BR addresses.
    own_ipv6: Box<[u128]>,
    /// Groups that we must listen to.
    groups: Box<[u128]>,
}

/// Networks that are neither source nor destination, with a bit for each first octet that some of
/// them has: most addresses need no more than that bit.
#[derive(Debug)]
struct Martians {
    octets: [u64; 4],
    networks: Box<[Ipv4Net]>,
}

impl Snapshot {
    /// Works out what the fast path needs.
    #[must_use]
    pub fn new(settings: Settings, table: Arc<BindingTable>) -> Self {
        Self::following(None, settings, table)
    }

    /// The same for what takes the place of `self`: what is known of the neighbours stays known.
    #[must_use]
    pub fn successor(&self, settings: Settings, table: Arc<BindingTable>) -> Self {
        Self::following(Some(self), settings, table)
    }

    fn following(old: Option<&Self>, settings: Settings, table: Arc<BindingTable>) -> Self {
        let br_addresses = settings.br_addresses.iter().copied();
        let own: Vec<Ipv6Addr> = settings.internal.own().chain(br_addresses).collect();
        let mut groups: Vec<u128> =
            own.iter().map(|&address| solicited_node(address).into()).collect();
        groups.push(ALL_NODES.into());
        let martians = Martians::new(&settings.policy.martians);
        let mut special_octets = [false; 256];
        for octet in 0..=u8::MAX {
            special_octets[usize::from(octet)] = is_marked(&martians.octets, octet);
        }
        for net in &settings.external.addresses {
            special_octets[usize::from(net.addr().octets()[0])] = true;
        }
        Self {
            neighbours: Neighbours::new(&settings, old.map(|old| &old.neighbours)),
            most_segment: settings.most_segment(),
            martians,
            special_octets,
            own_ipv4: settings.external.addresses.iter().map(|net| net.addr().into()).collect(),
            br_addresses: settings.br_addresses.iter().map(|&br| br.into()).collect(),
            own_ipv6: own.into_iter().map(Into::into).collect(),
            groups: groups.into(),
            settings,
            table,
        }
    }

    /// Is this address surely neither martian nor ours? Most are, and need no further question.
    #[inline]
    pub(super) fn is_ordinary(&self, address: Ipv4Addr) -> bool {
        self.is_ordinary_octet(address.octets()[0])
    }

    /// The same, asked of an address's first octet.
    #[inline(always)]
    pub(super) fn is_ordinary_octet(&self, octet: u8) -> bool {
        !self.special_octets[usize::from(octet)]
    }

    /// Is this one of our external addresses?
    #[inline]
    pub(super) fn is_own_ipv4(&self, address: Ipv4Addr) -> bool {
        self.own_ipv4.contains(&address.into())
    }

    /// Is this one of our tunnel endpoints?
    #[inline]
    pub(super) fn is_br(&self, address: u128) -> bool {
        self.br_addresses.contains(&address)
    }

    /// Is this one of our IPv6 addresses, BR addresses among them?
    pub(super) fn is_own_ipv6(&self, address: u128) -> bool {
        self.own_ipv6.contains(&address)
    }

    /// May other relays have this BR address too (N2)? Not if it is an internal address as well.
    pub(super) fn is_anycast(&self, address: u128) -> bool {
        let internal = &self.settings.internal;
        internal.br_anycast && self.is_br(address) && !internal.has(address.into())
    }

    /// Is this ff02::1, or the solicited-node group of an address of ours?
    pub(super) fn is_own_group(&self, address: u128) -> bool {
        self.groups.contains(&address)
    }

    /// Is this address in a network that is no source and no destination (P3)?
    #[inline]
    pub(super) fn is_martian(&self, address: Ipv4Addr) -> bool {
        self.martians.contains(address)
    }

    /// Is this the broadcast address, of all networks or of one that we are on?
    pub(super) fn is_broadcast(&self, address: Ipv4Addr) -> bool {
        address.is_broadcast()
            || self.settings.external.addresses.iter().any(|net| {
                net.prefix_len() < 31 && (net.broadcast() == address || net.network() == address)
            })
    }

    /// The source of ICMPv4 that we make (I5).
    pub(super) fn icmpv4_source(&self) -> Ipv4Addr {
        let first = || self.settings.external.addresses.first().map(Ipv4Net::addr);
        self.settings.policy.icmpv4_source.or_else(first).unwrap_or(Ipv4Addr::UNSPECIFIED)
    }

    /// The MAC address of what gets everything that leaves on this side, fixed or resolved (N3).
    #[inline]
    #[must_use]
    pub(super) fn next_hop_mac(&self, side: Side) -> Option<MacAddr> {
        self.fixed_next_hop(side).or_else(|| self.neighbours.chosen(side)?.mac())
    }

    /// The MAC address that is given for a side's next hop.
    pub(super) fn fixed_next_hop(&self, side: Side) -> Option<MacAddr> {
        match side {
            Side::External => fixed(&self.settings.external.next_hop),
            Side::Internal => fixed(&self.settings.internal.next_hop),
        }
    }

    /// What is wrong on the links now, for somebody to look after (N1, N2, N3).
    #[must_use]
    pub fn alarms(&self) -> Vec<Alarm> {
        alarms::of(self)
    }

    /// A side's link carries frames again: what is at its other end may be new, and is told once
    /// more which addresses are ours (N1, N2).
    pub fn link_returned(&self, side: Side) {
        self.neighbours.introduce_us_again(side);
    }

    /// How a side's next hops are, the preferred one first.
    #[must_use]
    pub fn next_hops(&self, side: Side) -> Vec<NextHopStatus> {
        alarms::next_hops(self, side)
    }

    /// Tells a side to be silent, or not any more, for as long as the policy says
    /// `stop-answering-when-down`; the snapshots that follow this one are told as well.
    pub fn silence(&self, side: Side, silent: bool) {
        self.neighbours.silence(side, silent);
    }

    /// Shall neighbours on this side hear nothing of us, so that they turn to another relay?
    pub(super) fn is_silent(&self, side: Side) -> bool {
        self.settings.policy.stop_answering_when_down && self.neighbours.is_silenced(side)
    }

    /// The link of one side.
    pub(super) fn link(&self, side: Side) -> &super::settings::Link {
        match side {
            Side::External => &self.settings.external.link,
            Side::Internal => &self.settings.internal.link,
        }
    }
}

fn fixed<A>(next_hop: &NextHop<A>) -> Option<MacAddr> {
    match next_hop {
        NextHop::Fixed(mac) => Some(*mac),
        NextHop::Addresses(_) => None,
    }
}

/// ff02::1
pub(super) const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);

impl Martians {
    fn new(networks: &[Ipv4Net]) -> Self {
        let mut octets = [0; 4];
        for network in networks {
            let [first, last] = [network.network(), network.broadcast()].map(|net| net.octets()[0]);
            for octet in first..=last {
                mark(&mut octets, octet);
            }
        }
        Self { octets, networks: networks.into() }
    }

    #[inline]
    fn contains(&self, address: Ipv4Addr) -> bool {
        is_marked(&self.octets, address.octets()[0])
            && self.networks.iter().any(|network| network.contains(&address))
    }
}

/// Marks a first octet.
fn mark(octets: &mut [u64; 4], octet: u8) {
    octets[usize::from(octet / 64)] |= 1 << (octet % 64);
}

/// Is this first octet marked?
#[inline]
fn is_marked(octets: &[u64; 4], octet: u8) -> bool {
    octets[usize::from(octet / 64)] >> (octet % 64) & 1 == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn martians_are_exactly_the_networks() {
        let networks: Vec<Ipv4Net> =
            ["0.0.0.0/8", "169.254.0.0/16", "224.0.0.0/3"].map(|net| net.parse().unwrap()).into();
        let martians = Martians::new(&networks);
        for (text, expected) in [
            ("0.0.0.0", true),
            ("0.255.255.255", true),
            ("1.0.0.0", false),
            ("169.253.255.255", false),
            ("169.254.0.1", true),
            ("223.255.255.255", false),
            ("224.0.0.0", true),
            ("255.255.255.255", true),
        ] {
            assert_eq!(martians.contains(text.parse().unwrap()), expected, "{text}");
        }
    }
}
