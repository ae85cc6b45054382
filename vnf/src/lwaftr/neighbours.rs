//! The other stations of the two links, as far as they matter: the next hops' MAC addresses (N3),
//! who else has an address of ours (N1, N2), and which groups routers know us to listen to (N2).
//!
//! All of it is atomics that any worker reads and writes; what only the asking worker writes is
//! named so. It hangs on the snapshot and outlives it: a new snapshot shares what is about the same
//! address on the same link with the old one, and whatever else is heard of an address that is no
//! longer there never reaches the one that took its place.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use ipnet::Ipv4Net;

use super::groups::Group;
use super::own_addresses::OwnAddress;
use super::settings::{Link, NextHop, Settings};
use crate::side::Side;
use crate::wire::MacAddr;
use crate::wire::ipv6::solicited_node;

const SECOND: u64 = 1_000_000_000;

/// Between questions while there is no answer: doubled up to 2 to the power of this, in seconds.
const SLOWEST_RETRY: u64 = 3;

/// Between questions to a lone next hop that has answered.
const REFRESH: u64 = 20 * SECOND;

/// The same in a list: another next hop is to take over soon.
const REFRESH_IN_LIST: u64 = 2 * SECOND;

/// Questions without an answer after which a next hop counts as silent: three seconds.
const PATIENCE: u64 = 2;

/// Bit that tells an address of six zeros from none.
const KNOWN: u64 = 1 << 48;

/// Bit of a next hop that does not answer.
const SILENT: u64 = 1 << 49;

/// What is known of the stations on both links.
#[derive(Debug)]
pub(super) struct Neighbours {
    next_hops: [Box<[Arc<Hop>]>; 2],
    own: Box<[(Side, Arc<OwnAddress>)]>,
    groups: Box<[Arc<Group>]>,
    /// Sides on which routers are to turn away; written by the control side.
    silenced: Arc<[AtomicBool; 2]>,
}

impl Neighbours {
    /// What these settings make neighbours of; `old` is what was known before.
    pub(super) fn new(settings: &Settings, old: Option<&Self>) -> Self {
        let (external, internal) = (&settings.external, &settings.internal);
        let old_hops = |side: Side| old.map_or(&[][..], |old| old.next_hops(side));
        let ipv4 = external.addresses.iter().map(|net| (Side::External, Ipv4Net::addr(net).into()));
        let br_addresses = settings.br_addresses.iter().copied();
        // A BR address may be an internal address as well.
        let undivided =
            br_addresses.clone().filter(|br| !internal.br_anycast && !internal.has(*br));
        let ipv6 = internal.own().chain(undivided).map(|address| (Side::Internal, address.into()));
        let own = ipv4.chain(ipv6);
        let old_own = old.map_or(&[][..], |old| &old.own);
        let own = own.map(|(side, address)| {
            let link = match side {
                Side::External => &external.link,
                Side::Internal => &internal.link,
            };
            let new = OwnAddress::new(address, link);
            let known = old_own.iter().find(|(there, own)| *there == side && own.is_like(&new));
            (side, known.map_or_else(|| Arc::new(new), |(_, known)| Arc::clone(known)))
        });
        let listening = internal.own().chain(br_addresses).map(solicited_node);
        Self {
            next_hops: [
                hops(&external.next_hop, &external.link, old_hops(Side::External)),
                hops(&internal.next_hop, &internal.link, old_hops(Side::Internal)),
            ],
            own: own.collect(),
            groups: Group::all(listening, &internal.link, old.map_or(&[], |old| &old.groups)),
            silenced: old.map(|old| Arc::clone(&old.silenced)).unwrap_or_default(),
        }
    }

    /// From now on, should this side be silent?
    pub(super) fn silence(&self, side: Side, silent: bool) {
        self.silenced[side.index()].store(silent, Relaxed);
    }

    /// Should it?
    pub(super) fn is_silenced(&self, side: Side) -> bool {
        self.silenced[side.index()].load(Relaxed)
    }

    /// The next hops that are to be asked for, the preferred one first.
    pub(super) fn next_hops(&self, side: Side) -> &[Arc<Hop>] {
        &self.next_hops[side.index()]
    }

    /// The next hop with this address.
    pub(super) fn next_hop(&self, side: Side, address: IpAddr) -> Option<&Hop> {
        self.next_hops(side).iter().map(|hop| &**hop).find(|hop| hop.address == address)
    }

    /// The one that packets go to: the first that answers, or, while none does, the first that
    /// ever did.
    pub(super) fn chosen(&self, side: Side) -> Option<&Hop> {
        let words = || self.next_hops(side).iter().map(|hop| (&**hop, hop.word.load(Relaxed)));
        let answering = words().find(|(_, word)| word & (KNOWN | SILENT) == KNOWN);
        answering.or_else(|| words().find(|(_, word)| word & KNOWN != 0)).map(|(hop, _)| hop)
    }

    /// Has all that was said of us on a side said once more. Any thread may ask for that.
    pub(super) fn introduce_us_again(&self, side: Side) {
        self.own.iter().filter(|(on, _)| *on == side).for_each(|(_, own)| own.say_again());
        if side == Side::Internal {
            self.groups.iter().for_each(|group| group.report_again());
        }
    }

    /// Our addresses that nobody else may have, each with its side: not BR addresses that are
    /// anycast.
    pub(super) fn own(&self) -> &[(Side, Arc<OwnAddress>)] {
        &self.own
    }

    /// One of them.
    pub(super) fn own_address(&self, address: IpAddr) -> Option<&OwnAddress> {
        let mut own = self.own.iter().map(|(_, own)| &**own);
        own.find(|own| own.address() == address)
    }

    /// The groups that we listen to, or no longer do, for their routers to know.
    pub(super) fn groups(&self) -> &[Arc<Group>] {
        &self.groups
    }

    /// Do we listen to this solicited-node group?
    pub(super) fn listens_to(&self, group: Ipv6Addr) -> bool {
        self.groups.iter().any(|known| known.is_joined() && known.address() == group)
    }
}

fn hops<A: Copy + Into<IpAddr>>(
    next_hop: &NextHop<A>,
    link: &Link,
    old: &[Arc<Hop>],
) -> Box<[Arc<Hop>]> {
    let NextHop::Addresses(addresses) = next_hop else { return Box::default() };
    let refresh = if addresses.len() > 1 { REFRESH_IN_LIST } else { REFRESH };
    let hop = |&address: &A| {
        let address = address.into();
        let known = old.iter().find(|old| old.address == address && old.vlan == link.vlan);
        let hop = known.map_or_else(|| Arc::new(Hop::new(address, link.vlan)), Arc::clone);
        hop.refresh.store(refresh, Relaxed);
        hop
    };
    addresses.iter().map(hop).collect()
}

/// A next hop that is asked for.
#[derive(Debug)]
pub(super) struct Hop {
    address: IpAddr,
    vlan: Option<u16>,
    /// Its MAC address, [`KNOWN`] and [`SILENT`].
    word: AtomicU64,
    /// How often it answered.
    answers: AtomicU64,
    refresh: AtomicU64,
    asking: Asking,
}

/// What the asking worker notes about a next hop; only that worker writes it.
#[derive(Debug, Default)]
struct Asking {
    next: AtomicU64,
    unanswered: AtomicU64,
    answers: AtomicU64,
}

impl Hop {
    fn new(address: IpAddr, vlan: Option<u16>) -> Self {
        let (word, answers) = (AtomicU64::default(), AtomicU64::default());
        Self { address, vlan, word, answers, refresh: REFRESH.into(), asking: Asking::default() }
    }

    pub(super) fn address(&self) -> IpAddr {
        self.address
    }

    /// Its MAC address, once it was heard.
    #[inline]
    pub(super) fn mac(&self) -> Option<MacAddr> {
        mac_of(self.word.load(Relaxed))
    }

    /// True when it was asked again and again and did not answer.
    pub(super) fn is_silent(&self) -> bool {
        self.word.load(Relaxed) & SILENT != 0
    }

    /// It has said its MAC address. `asked_for` is false for what could be news only of a
    /// neighbour already known: received packets never make one known (N2), nor does unasked news
    /// show that it hears us. Without `over_ride` another address than the known one is not
    /// believed (RFC 4861 section 7.2.5).
    pub(super) fn heard(&self, mac: MacAddr, asked_for: bool, over_ride: bool) {
        let before = self.word.load(Relaxed);
        let is_believed = match mac_of(before) {
            None => asked_for,
            Some(known) => over_ride || known == mac,
        };
        if mac.is_multicast() || mac == MacAddr::default() || !is_believed {
            return;
        }
        let silent = if asked_for { 0 } else { before & SILENT };
        let word = KNOWN | silent | mac.to_u64();
        if before != word {
            self.word.store(word, Relaxed);
        }
        if asked_for {
            self.answers.fetch_add(1, Relaxed);
        }
    }

    /// True when it is to be asked for now: at once, then slower for ever, and now and then once
    /// it has answered. For the asking worker.
    pub(super) fn is_due(&self, now: u64) -> bool {
        let Asking { next, unanswered, answers } = &self.asking;
        let answered = self.answers.load(Relaxed);
        if answered != answers.load(Relaxed) {
            answers.store(answered, Relaxed);
            unanswered.store(0, Relaxed);
            next.store(now + self.refresh.load(Relaxed), Relaxed);
        }
        if now < next.load(Relaxed) {
            return false;
        }
        let asked = unanswered.load(Relaxed);
        if asked >= PATIENCE {
            let word = self.word.load(Relaxed);
            // An answer that comes this moment wins.
            _ = self.word.compare_exchange(word, word | SILENT, Relaxed, Relaxed);
        }
        unanswered.store(asked + 1, Relaxed);
        next.store(now + (SECOND << asked.min(SLOWEST_RETRY)), Relaxed);
        true
    }
}

fn mac_of(word: u64) -> Option<MacAddr> {
    let [_, _, mac @ ..] = word.to_be_bytes();
    (word & KNOWN != 0).then_some(MacAddr(mac))
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;
    use crate::lwaftr::settings::tests::settings;

    const MAC: MacAddr = MacAddr([2, 0, 0, 0, 0, 0xfe]);

    fn list(last: &[u8]) -> Settings {
        let addresses = last.iter().map(|&last| Ipv4Addr::new(192, 0, 2, last)).collect();
        let mut settings = settings();
        settings.external.next_hop = NextHop::Addresses(addresses);
        settings
    }

    /// When it asks between two times, in milliseconds.
    fn asked(hop: &Hop, from: u64, to: u64) -> Vec<u64> {
        (from..to).step_by(100).filter(|ms| hop.is_due(ms * 1_000_000)).collect()
    }

    #[test]
    fn asks_at_once_then_slower_for_ever_and_refreshes_what_it_knows() {
        let neighbours = Neighbours::new(&settings(), None);
        let hop = &neighbours.next_hops(Side::External)[0];
        assert_eq!(asked(hop, 0, 3_000), [0, 1_000]);
        assert!(!hop.is_silent());
        assert_eq!(asked(hop, 3_000, 40_000), [3_000, 7_000, 15_000, 23_000, 31_000, 39_000]);
        assert!(hop.is_silent());
        hop.heard(MAC, false, true);
        assert_eq!(hop.mac(), None);
        hop.heard(MAC, true, true);
        assert_eq!((hop.mac(), hop.is_silent()), (Some(MAC), false));
        assert_eq!(asked(hop, 40_000, 63_000), [60_000, 61_000]);
        assert!(!hop.is_silent());
        assert_eq!(asked(hop, 63_000, 64_000), [63_000]);
        // It no longer answers, and nobody is better: packets still go there.
        assert!(hop.is_silent());
        assert_eq!(neighbours.chosen(Side::External).and_then(Hop::mac), Some(MAC));
    }

    #[test]
    fn the_first_of_a_list_that_answers_is_used() {
        let neighbours = Neighbours::new(&list(&[1, 2]), None);
        let [first, second] = neighbours.next_hops(Side::External) else { panic!("two hops") };
        let chosen = || neighbours.chosen(Side::External).map(Hop::address);
        assert_eq!(chosen(), None);
        second.heard(MAC, true, true);
        assert_eq!(chosen(), Some(second.address()));
        first.heard(MAC, true, true);
        assert_eq!(chosen(), Some(first.address()));
        // In a list an answer counts for two seconds, and silence is noticed three later.
        assert_eq!(asked(first, 0, 5_000), [2_000, 3_000]);
        assert_eq!(chosen(), Some(first.address()));
        assert_eq!(asked(first, 5_000, 6_000), [5_000]);
        assert_eq!(chosen(), Some(second.address()));
        first.heard(MAC, false, true);
        assert_eq!(chosen(), Some(second.address()), "unasked news is no answer");
        first.heard(MAC, true, true);
        assert_eq!(chosen(), Some(first.address()));
    }

    #[test]
    fn an_answer_for_an_old_next_hop_never_fills_the_new_one() {
        let old = Neighbours::new(&list(&[1, 2]), None);
        let new = Neighbours::new(&list(&[3, 2]), Some(&old));
        // A worker that still has the old snapshot hears both.
        for hop in old.next_hops(Side::External) {
            hop.heard(MAC, true, true);
        }
        let macs: Vec<_> = new.next_hops(Side::External).iter().map(|hop| hop.mac()).collect();
        assert_eq!(macs, [None, Some(MAC)]);
        // The same address in another VLAN is another station.
        let mut moved = list(&[2]);
        moved.external.link.vlan = Some(7);
        let moved = Neighbours::new(&moved, Some(&new));
        assert_eq!(moved.next_hops(Side::External)[0].mac(), None);
    }

    #[test]
    fn only_the_known_address_or_an_override_is_believed() {
        let hop = Hop::new(Ipv4Addr::new(192, 0, 2, 1).into(), None);
        for nobodys in [MacAddr::BROADCAST, MacAddr::default()] {
            hop.heard(nobodys, true, true);
            assert_eq!(hop.mac(), None);
        }
        hop.heard(MAC, true, false);
        let other = MacAddr([2, 0, 0, 0, 0, 9]);
        hop.heard(other, true, false);
        assert_eq!(hop.mac(), Some(MAC));
        hop.heard(other, false, true);
        assert_eq!(hop.mac(), Some(other));
    }
}
