//! The next hops' MAC addresses (N3): one atomic word each, which any worker may read and any
//! worker that sees an answer may write. The first worker asks for them.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::settings::{NextHop, Settings};
use crate::side::Side;
use crate::wire::MacAddr;

const SECOND: u64 = 1_000_000_000;

/// Between questions while there is no answer: doubled up to this.
const SLOWEST_RETRY: u64 = 8 * SECOND;

/// Between questions once there is one.
const REFRESH: u64 = 20 * SECOND;

/// Bit that tells an address of six zeros from none.
const KNOWN: u64 = 1 << 48;

/// What is known of the next hops, shared by all workers; outlives reloads.
#[derive(Debug, Default)]
pub struct NextHops {
    macs: [AtomicU64; 2],
    /// How often an answer came, so that the asking worker knows.
    answers: [AtomicU64; 2],
}

impl NextHops {
    /// The next hop's MAC address on this side, resolved or fixed.
    #[inline]
    #[must_use]
    pub fn mac(&self, settings: &Settings, side: Side) -> Option<MacAddr> {
        let fixed = match side {
            Side::External => fixed(settings.external.next_hop),
            Side::Internal => fixed(settings.internal.next_hop),
        };
        fixed.or_else(|| self.resolved(side))
    }

    fn resolved(&self, side: Side) -> Option<MacAddr> {
        let word = self.macs[side.index()].load(Relaxed);
        let [_, _, mac @ ..] = word.to_be_bytes();
        (word & KNOWN != 0).then_some(MacAddr(mac))
    }

    /// The next hop has said its MAC address. `asked_for` is false for what could be news only of
    /// a neighbour already known: received packets never make one known (N2). Without `over_ride`
    /// another address than the known one is not believed (RFC 4861 section 7.2.5).
    pub(super) fn heard(&self, side: Side, mac: MacAddr, asked_for: bool, over_ride: bool) {
        let known = self.resolved(side);
        let is_believed = match known {
            None => asked_for,
            Some(known) => over_ride || known == mac,
        };
        if mac.is_multicast() || !is_believed {
            return;
        }
        let word = KNOWN | mac.to_u64();
        if self.macs[side.index()].load(Relaxed) != word {
            self.macs[side.index()].store(word, Relaxed);
        }
        self.answers[side.index()].fetch_add(1, Relaxed);
    }

    fn forget(&self, side: Side) {
        self.macs[side.index()].store(0, Relaxed);
    }
}

fn fixed<A: Copy>(next_hop: NextHop<A>) -> Option<MacAddr> {
    match next_hop {
        NextHop::Fixed(mac) => Some(mac),
        NextHop::Address(_) => None,
    }
}

/// What to ask the link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Question {
    /// An ARP request for this address.
    Arp(Ipv4Addr),
    /// A neighbour solicitation for this address.
    Solicit(Ipv6Addr),
}

/// The first worker's part: when to ask.
#[derive(Debug, Default)]
pub(super) struct Resolver {
    sides: [Asking; 2],
}

#[derive(Debug, Default)]
struct Asking {
    about: Option<Question>,
    next: u64,
    wait: u64,
    answers: u64,
}

impl Resolver {
    /// What to ask on this side now, if anything.
    pub(super) fn due(
        &mut self,
        side: Side,
        settings: &Settings,
        hops: &NextHops,
        now: u64,
    ) -> Option<Question> {
        let about = match side {
            Side::External => match settings.external.next_hop {
                NextHop::Address(address) => Some(Question::Arp(address)),
                NextHop::Fixed(_) => None,
            },
            Side::Internal => match settings.internal.next_hop {
                NextHop::Address(address) => Some(Question::Solicit(address)),
                NextHop::Fixed(_) => None,
            },
        };
        let asking = &mut self.sides[side.index()];
        let answers = hops.answers[side.index()].load(Relaxed);
        if asking.about != about {
            if asking.about.is_some() {
                hops.forget(side);
            }
            *asking = Asking { about, next: now, wait: SECOND, answers };
        }
        if answers != asking.answers {
            *asking = Asking { about, next: now + REFRESH, wait: SECOND, answers };
        }
        if now < asking.next {
            return None;
        }
        asking.next = now + asking.wait;
        asking.wait = (asking.wait * 2).min(SLOWEST_RETRY);
        about
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lwaftr::settings::tests::settings;

    #[test]
    fn asks_at_once_then_slower_for_ever_and_refreshes_what_it_knows() {
        let settings = settings();
        let (hops, mut resolver) = (NextHops::default(), Resolver::default());
        let mut asked = Vec::new();
        let ask = |resolver: &mut Resolver, ms: u64| {
            resolver.due(Side::External, &settings, &hops, ms * 1_000_000).is_some()
        };
        for ms in (0..40_000).step_by(100) {
            if ask(&mut resolver, ms) {
                asked.push(ms);
            }
        }
        assert_eq!(asked, [0, 1_000, 3_000, 7_000, 15_000, 23_000, 31_000, 39_000]);
        let mac = MacAddr([2, 0, 0, 0, 0, 0xfe]);
        hops.heard(Side::External, mac, false, true);
        assert_eq!(hops.mac(&settings, Side::External), None);
        hops.heard(Side::External, mac, true, true);
        assert_eq!(hops.mac(&settings, Side::External), Some(mac));
        assert!(!ask(&mut resolver, 40_000));
        assert!(!ask(&mut resolver, 59_900));
        assert!(ask(&mut resolver, 60_000));
        assert!(!ask(&mut resolver, 60_900));
        assert!(ask(&mut resolver, 61_000));
        assert_eq!(hops.mac(&settings, Side::External), Some(mac));
    }

    #[test]
    fn another_next_hop_starts_anew() {
        let mut settings = settings();
        let (hops, mut resolver) = (NextHops::default(), Resolver::default());
        assert!(resolver.due(Side::External, &settings, &hops, 0).is_some());
        hops.heard(Side::External, MacAddr([2, 0, 0, 0, 0, 0xfe]), true, true);
        settings.external.next_hop = NextHop::Address(Ipv4Addr::new(192, 0, 2, 253));
        let question = resolver.due(Side::External, &settings, &hops, 1);
        assert_eq!(question, Some(Question::Arp(Ipv4Addr::new(192, 0, 2, 253))));
        assert_eq!(hops.mac(&settings, Side::External), None);
    }
}
