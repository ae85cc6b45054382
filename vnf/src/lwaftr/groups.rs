//! Multicast groups as the link's routers know them (N2): which we listen to, which no longer, and
//! whether that was said yet (RFC 3810 section 6.1).

use std::net::Ipv6Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use super::settings::Link;
use crate::wire::MacAddr;

/// Between the two reports of a change, in nanoseconds: the robustness variable is 2, the interval
/// at most a second (RFC 3810 sections 9.1 and 9.11).
const PAUSE: u64 = 700_000_000;

/// How often a change is reported.
const REPORTS: u64 = 2;

/// A solicited-node group.
#[derive(Debug)]
pub(super) struct Group {
    address: Ipv6Addr,
    mac: MacAddr,
    vlan: Option<u16>,
    joined: bool,
    /// It is to be reported as at start.
    again: AtomicBool,
    /// Only the asking worker writes these.
    reported: AtomicU64,
    next: AtomicU64,
}

impl Group {
    fn new(address: Ipv6Addr, link: &Link, joined: bool) -> Self {
        let Link { mac, vlan, .. } = *link;
        let again = AtomicBool::default();
        Self { address, mac, vlan, joined, again, reported: 0.into(), next: 0.into() }
    }

    /// Every group in `listening` once, and those that were left and not yet reported.
    pub(super) fn all(
        listening: impl Iterator<Item = Ipv6Addr>,
        link: &Link,
        old: &[Arc<Self>],
    ) -> Box<[Arc<Self>]> {
        let mut groups: Vec<Arc<Self>> = Vec::new();
        let on_link = |group: &&Arc<Self>| (group.mac, group.vlan) == (link.mac, link.vlan);
        for address in listening {
            if groups.iter().any(|group| group.address == address) {
                continue;
            }
            let known = old.iter().filter(on_link);
            let known = known.clone().find(|group| group.joined && group.address == address);
            groups.push(known.map_or_else(|| Arc::new(Self::new(address, link, true)), Arc::clone));
        }
        for group in old.iter().filter(on_link) {
            if groups.iter().any(|there| there.address == group.address) {
                continue;
            }
            if group.joined {
                groups.push(Arc::new(Self::new(group.address, link, false)));
            } else if group.reported.load(Relaxed) < REPORTS {
                groups.push(Arc::clone(group));
            }
        }
        groups.into()
    }

    pub(super) fn address(&self) -> Ipv6Addr {
        self.address
    }

    /// Do we listen to it, or no longer?
    pub(super) fn is_joined(&self) -> bool {
        self.joined
    }

    /// If we listen to it, that will be reported once more.
    pub(super) fn report_again(&self) {
        self.again.store(self.joined, Relaxed);
    }

    /// True when its change is to be reported now. For the asking worker.
    pub(super) fn is_due(&self, now: u64) -> bool {
        if self.again.load(Relaxed) {
            self.again.store(false, Relaxed);
            self.reported.store(0, Relaxed);
            self.next.store(now, Relaxed);
        }
        let reported = self.reported.load(Relaxed);
        if reported >= REPORTS || now < self.next.load(Relaxed) {
            return false;
        }
        self.reported.store(reported + 1, Relaxed);
        self.next.store(now + PAUSE, Relaxed);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lwaftr::settings::tests::settings;

    #[test]
    fn a_group_is_there_once_and_both_its_changes_are_reported_twice() {
        let link = settings().internal.link;
        let group = |last| Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xff00, last);
        let first = Group::all([group(1), group(2), group(1)].into_iter(), &link, &[]);
        assert_eq!(first.len(), 2);
        let due = |groups: &[Arc<Group>], ms: u64| -> Vec<(u16, bool)> {
            let due = groups.iter().filter(|group| group.is_due(ms * 1_000_000));
            due.map(|group| (group.address.segments()[7], group.joined)).collect()
        };
        assert_eq!(due(&first, 5), [(1, true), (2, true)]);
        assert_eq!(due(&first, 600), []);
        // The second is left and a third joined before all was said.
        let second = Group::all([group(1), group(3)].into_iter(), &link, &first);
        assert_eq!(due(&second, 800), [(1, true), (3, true), (2, false)]);
        let third = Group::all([group(1), group(3)].into_iter(), &link, &second);
        assert_eq!(due(&third, 1_600), [(3, true), (2, false)]);
        assert_eq!(due(&third, 9_000), []);
        let fourth = Group::all([group(1), group(3)].into_iter(), &link, &third);
        assert_eq!(fourth.len(), 2, "what was left and reported is forgotten");
    }
}
