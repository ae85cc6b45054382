//! What the relay says of its own accord, by the timers: that it is there (N1, N2), who else has
//! its addresses, and where its next hops are (N3).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{Ipv4Net, Ipv6Net};

use super::context::Context;
use super::own_addresses::Saying;
use super::relay::Relay;
use crate::frame::FramePool;
use crate::side::Side;
use crate::wire::mld::Record;

impl<P: FramePool> Relay<P> {
    /// Says what is due. Groups come first: a probe's answer must find its way here.
    #[cold]
    pub(super) fn speak(&mut self, cx: &Context<'_>) {
        let neighbours = &cx.snapshot.neighbours;
        if self.announces {
            let due = neighbours.groups().iter().filter(|group| group.is_due(cx.now));
            let record = |joined: bool| if joined { Record::Joined } else { Record::Left };
            self.report_all(cx, due.map(|group| (record(group.is_joined()), group.address())));
        }
        for (side, own) in neighbours.own() {
            while let Some(saying) = own.due(cx.now, self.announces) {
                let sent = self.say(cx, saying, own.address());
                self.note(*side, sent);
            }
        }
        for side in Side::BOTH {
            for hop in neighbours.next_hops(side).iter().filter(|hop| hop.is_due(cx.now)) {
                let sent = self.ask(cx, hop.address());
                self.note(side, sent);
            }
        }
    }

    /// What could not be sent is counted.
    pub(super) fn note(&self, side: Side, sent: Option<()>) {
        if sent.is_none() {
            self.counters.of(side).suppressed_errors.add(1);
        }
    }

    fn say(&mut self, cx: &Context<'_>, saying: Saying, address: IpAddr) -> Option<()> {
        match (address, saying) {
            (IpAddr::V4(address), Saying::Probe) => {
                self.request_arp(cx, Ipv4Addr::UNSPECIFIED, address)
            }
            (IpAddr::V4(address), Saying::Announce) => self.request_arp(cx, address, address),
            (IpAddr::V6(address), _) => self.solicit(cx, Ipv6Addr::UNSPECIFIED, address),
        }
    }

    /// Asks the link for a next hop, from an address of ours on the same network if there is one.
    fn ask(&mut self, cx: &Context<'_>, next_hop: IpAddr) -> Option<()> {
        match next_hop {
            IpAddr::V4(target) => {
                let addresses = &cx.snapshot.settings.external.addresses;
                let on_link = addresses.iter().find(|net| net.contains(&target));
                let source = on_link.or(addresses.first()).map(Ipv4Net::addr)?;
                self.request_arp(cx, source, target)
            }
            IpAddr::V6(target) => {
                let internal = &cx.snapshot.settings.internal;
                let global = internal.addresses.first().map(Ipv6Net::addr);
                let global = global.filter(|_| !target.is_unicast_link_local());
                self.solicit(cx, global.unwrap_or(internal.link_local), target)
            }
        }
    }
}
