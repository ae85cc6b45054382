//! What the model knows of the relay's configuration: plain data, and nothing of the relay's own
//! types.

use std::cell::RefCell;
use std::collections::HashMap;
use std::net::{Ipv4Addr, Ipv6Addr};

use crate::fragments::{Limits, State};
use crate::verdict::{Passed, drop};

/// An entry of the binding table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Softwire {
    pub(crate) ipv4: Ipv4Addr,
    /// PSID offset, length and value.
    pub(crate) a: u32,
    pub(crate) k: u32,
    pub(crate) psid: u32,
    pub(crate) b4: Ipv6Addr,
    pub(crate) br: Ipv6Addr,
}

impl Softwire {
    /// RFC 7597 section 5.1 with E1 and E2: | a bits | k bits PSID | m bits |.
    pub(crate) fn owns(&self, port: u16) -> bool {
        let (port, m) = (u32::from(port), 16 - self.a - self.k);
        if self.k == 0 {
            return true;
        }
        let excluded = self.a > 0 && port < 1 << (16 - self.a);
        !excluded && (port >> m) % (1 << self.k) == self.psid
    }
}

/// What each side has.
#[derive(Debug, Clone)]
pub(crate) struct Link {
    pub(crate) mac: [u8; 6],
    pub(crate) next_hop: [u8; 6],
    pub(crate) vlan: Option<u16>,
    pub(crate) mtu: usize,
    pub(crate) promiscuous: bool,
}

/// What becomes of packets between B4s (D6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hairpinning {
    Local,
    External,
    Drop,
}

/// What TCP may announce (E10).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MssClamp {
    Auto,
    Off,
    Most(u16),
}

/// The choices (Q2).
#[derive(Debug, Clone)]
pub(crate) struct Policy {
    pub(crate) hop_limit: u8,
    /// `None` copies.
    pub(crate) dscp: Option<u8>,
    pub(crate) ecn_compatibility: bool,
    pub(crate) flow_label: u32,
    pub(crate) decap_dscp_copy: bool,
    pub(crate) decap_ttl_keep: bool,
    pub(crate) hairpinning: Hairpinning,
    pub(crate) fragment_inner: bool,
    pub(crate) fragment_despite_df: bool,
    pub(crate) mss_clamp: MssClamp,
    pub(crate) generate_icmpv4_errors: bool,
    pub(crate) generate_icmpv6_errors: bool,
    pub(crate) allow_incoming_icmpv4: bool,
    pub(crate) allow_source_route: bool,
    pub(crate) icmpv4_source: Option<Ipv4Addr>,
}

/// A filter (Q1): what the relay is told, and what the model makes of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Filter {
    pub(crate) expression: &'static str,
    /// Whether a packet passes, from its IP header to its end.
    pub(crate) passes: fn(&[u8]) -> bool,
}

/// What is asked about packets that come in and go out on a side (Q1).
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Filters {
    pub(crate) ingress: Option<Filter>,
    pub(crate) egress: Option<Filter>,
}

impl Filters {
    pub(crate) fn admit(&self, packet: &[u8]) -> Passed<()> {
        if self.ingress.is_some_and(|filter| !(filter.passes)(packet)) {
            return drop("filter-ingress");
        }
        Ok(())
    }

    pub(crate) fn let_out(&self, packet: &[u8]) -> Passed<()> {
        if self.egress.is_some_and(|filter| !(filter.passes)(packet)) {
            return drop("filter-egress");
        }
        Ok(())
    }
}

/// A whole configuration.
#[derive(Debug, Clone)]
pub(crate) struct World {
    pub(crate) external: Link,
    pub(crate) internal: Link,
    pub(crate) external_addresses: Vec<Ipv4Addr>,
    pub(crate) internal_addresses: Vec<Ipv6Addr>,
    pub(crate) link_local: Ipv6Addr,
    pub(crate) br_addresses: Vec<Ipv6Addr>,
    pub(crate) softwires: HashMap<Ipv4Addr, Vec<Softwire>>,
    pub(crate) policy: Policy,
    pub(crate) external_filters: Filters,
    pub(crate) internal_filters: Filters,
    pub(crate) fragments: Limits,
    /// What was learned of paths to B4s (M1): this changes, as does what follows.
    pub(crate) path_mtus: RefCell<HashMap<Ipv6Addr, usize>>,
    /// What waits for fragments.
    pub(crate) state: State,
}

impl World {
    /// The largest IPv6 packet to this B4 (E8, M1).
    pub(crate) fn tunnel_mtu(&self, b4: Ipv6Addr) -> usize {
        let learned = self.path_mtus.borrow().get(&b4).copied();
        learned.map_or(self.internal.mtu, |mtu| mtu.min(self.internal.mtu))
    }

    /// M1: it never grows by what a router says.
    pub(crate) fn learn(&self, b4: Ipv6Addr, mtu: usize) {
        let mut learned = self.path_mtus.borrow_mut();
        let known = learned.entry(b4).or_insert(mtu);
        *known = mtu.min(*known);
    }

    /// The largest segment that TCP may announce (E10).
    pub(crate) fn most_segment(&self) -> Option<u16> {
        let (external, internal) = (self.external.mtu, self.internal.mtu);
        match self.policy.mss_clamp {
            MssClamp::Off => None,
            MssClamp::Most(most) => Some(most),
            MssClamp::Auto if internal >= external + 40 => None,
            MssClamp::Auto => Some((external.min(internal - 40) - 40) as u16),
        }
    }

    /// The softwire that owns this address and port.
    pub(crate) fn owner(&self, address: Ipv4Addr, port: u16) -> Option<&Softwire> {
        self.softwires.get(&address)?.iter().find(|softwire| softwire.owns(port))
    }

    /// The softwire that has this address for itself (k = 0).
    pub(crate) fn whole(&self, address: Ipv4Addr) -> Option<&Softwire> {
        self.softwires.get(&address)?.iter().find(|softwire| softwire.k == 0)
    }

    /// True for addresses in the table (D6).
    pub(crate) fn in_table(&self, address: Ipv4Addr) -> bool {
        self.softwires.contains_key(&address)
    }

    /// True for our own IPv4 addresses.
    pub(crate) fn is_our_ipv4(&self, address: Ipv4Addr) -> bool {
        self.external_addresses.contains(&address)
    }

    /// True for our own IPv6 addresses, BR addresses included.
    pub(crate) fn is_our_ipv6(&self, address: Ipv6Addr) -> bool {
        self.internal_addresses.contains(&address)
            || self.br_addresses.contains(&address)
            || self.link_local == address
    }

    /// Source of the ICMPv4 we make (I5).
    pub(crate) fn icmpv4_source(&self) -> Ipv4Addr {
        self.policy.icmpv4_source.unwrap_or(self.external_addresses[0])
    }
}
