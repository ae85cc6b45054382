//! An address of ours that nobody else on the link may have (N1, N2): when to announce it or ask
//! for others that have it, and whether there are any.

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use super::settings::Link;
use crate::wire::MacAddr;

const SECOND: u64 = 1_000_000_000;

/// Between questions while somebody else has the address.
const RECHECK: u64 = 10 * SECOND;

/// Questions without an answer after which the other one counts as gone.
const PATIENCE: u64 = 3;

/// Bit of an address that somebody else has; the other's MAC address stands below.
const DUPLICATE: u64 = 1 << 48;

/// What to say about an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Saying {
    /// Who else has it?
    Probe,
    /// It is mine.
    Announce,
}

/// What is said of an IPv4 address at start (RFC 5227 section 2.3), each with the time before the
/// next: traffic does not wait for the probe's answer.
const IPV4: &[(Saying, u64)] =
    &[(Saying::Probe, 0), (Saying::Announce, 2 * SECOND), (Saying::Announce, 0)];

/// The same of an IPv6 address (RFC 4862 section 5.4).
const IPV6: &[(Saying, u64)] = &[(Saying::Probe, 0)];

/// An address of ours on a link.
#[derive(Debug)]
pub(super) struct OwnAddress {
    address: IpAddr,
    mac: MacAddr,
    vlan: Option<u16>,
    word: AtomicU64,
    /// How often somebody else was heard to have it.
    evidence: AtomicU64,
    /// What is said at start is to be said again.
    again: AtomicBool,
    saying: Notes,
}

/// What the asking worker notes; only that worker writes it.
#[derive(Debug, Default)]
struct Notes {
    said: AtomicU64,
    next: AtomicU64,
    evidence: AtomicU64,
    unanswered: AtomicU64,
}

impl OwnAddress {
    /// An address that nothing was said of yet.
    pub(super) fn new(address: IpAddr, link: &Link) -> Self {
        let (word, evidence) = (AtomicU64::default(), AtomicU64::default());
        let Link { mac, vlan, .. } = *link;
        let again = AtomicBool::default();
        Self { address, mac, vlan, word, evidence, again, saying: Notes::default() }
    }

    /// What is said at start will be said once more.
    pub(super) fn say_again(&self) {
        self.again.store(true, Relaxed);
    }

    /// Are both the same to the link?
    pub(super) fn is_like(&self, other: &Self) -> bool {
        (self.address, self.mac, self.vlan) == (other.address, other.mac, other.vlan)
    }

    pub(super) fn address(&self) -> IpAddr {
        self.address
    }

    /// Somebody else was heard to have it.
    pub(super) fn collides(&self, with: MacAddr) {
        self.word.store(DUPLICATE | with.to_u64(), Relaxed);
        self.evidence.fetch_add(1, Relaxed);
    }

    /// Who else has it.
    pub(super) fn duplicate(&self) -> Option<MacAddr> {
        let word = self.word.load(Relaxed);
        let [_, _, mac @ ..] = word.to_be_bytes();
        (word & DUPLICATE != 0).then_some(MacAddr(mac))
    }

    /// What to say now, if anything: to be asked until there is nothing. Without `announces` the
    /// start is passed over in silence. For the asking worker.
    pub(super) fn due(&self, now: u64, announces: bool) -> Option<Saying> {
        let Notes { said, next, evidence, unanswered } = &self.saying;
        let script = if self.address.is_ipv4() { IPV4 } else { IPV6 };
        if self.again.load(Relaxed) {
            self.again.store(false, Relaxed);
            said.store(0, Relaxed);
            next.store(now, Relaxed);
        }
        let steps = said.load(Relaxed);
        if announces && let Some(&(saying, pause)) = script.get(steps as usize) {
            if now < next.load(Relaxed) {
                return None;
            }
            said.store(steps + 1, Relaxed);
            next.store(now + pause, Relaxed);
            return Some(saying);
        }
        self.duplicate()?;
        let heard = self.evidence.load(Relaxed);
        if heard != evidence.load(Relaxed) {
            evidence.store(heard, Relaxed);
            unanswered.store(0, Relaxed);
            next.store(now + RECHECK, Relaxed);
        }
        if now < next.load(Relaxed) {
            return None;
        }
        let asked = unanswered.load(Relaxed);
        if asked == PATIENCE {
            self.word.store(0, Relaxed);
            return None;
        }
        unanswered.store(asked + 1, Relaxed);
        next.store(now + RECHECK, Relaxed);
        Some(Saying::Probe)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lwaftr::settings::tests::settings;

    const OTHER: MacAddr = MacAddr([2, 0, 0, 0, 0, 9]);

    /// What is said between two times, in seconds.
    fn said(own: &OwnAddress, from: u64, to: u64) -> Vec<(u64, Saying)> {
        let mut said = Vec::new();
        for second in from..to {
            while let Some(saying) = own.due(second * SECOND, true) {
                said.push((second, saying));
            }
        }
        said
    }

    #[test]
    fn ipv4_is_probed_and_announced_twice_ipv6_is_probed_once() {
        let settings = settings();
        let ipv4 = OwnAddress::new([192, 0, 2, 1].into(), &settings.external.link);
        assert_eq!(
            said(&ipv4, 5, 100),
            [(5, Saying::Probe), (5, Saying::Announce), (7, Saying::Announce)]
        );
        let ipv6 = OwnAddress::new("fe80::1".parse().unwrap(), &settings.internal.link);
        assert_eq!(said(&ipv6, 5, 100), [(5, Saying::Probe)]);
        let silent = OwnAddress::new([192, 0, 2, 1].into(), &settings.external.link);
        assert_eq!(silent.due(0, false), None);
    }

    #[test]
    fn n1_what_was_said_at_start_is_said_again_when_the_link_returns() {
        let ipv4 = OwnAddress::new([192, 0, 2, 1].into(), &settings().external.link);
        assert_eq!(said(&ipv4, 5, 100).len(), 3);
        ipv4.say_again();
        assert_eq!(
            said(&ipv4, 100, 200),
            [(100, Saying::Probe), (100, Saying::Announce), (102, Saying::Announce)]
        );
    }

    #[test]
    fn a_duplicate_is_asked_for_until_it_is_gone() {
        let own = OwnAddress::new("fe80::1".parse().unwrap(), &settings().internal.link);
        said(&own, 0, 1);
        own.collides(OTHER);
        assert_eq!(own.duplicate(), Some(OTHER));
        assert_eq!(said(&own, 1, 12), [(11, Saying::Probe)]);
        own.collides(OTHER);
        let probes = [(22, Saying::Probe), (32, Saying::Probe), (42, Saying::Probe)];
        assert_eq!(said(&own, 12, 52), probes);
        assert_eq!(own.duplicate(), Some(OTHER));
        assert_eq!(said(&own, 52, 100), []);
        assert_eq!(own.duplicate(), None);
    }
}
