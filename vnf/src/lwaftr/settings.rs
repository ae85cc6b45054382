//! What the relay is told to do, validated: the part of a snapshot that is not the binding table.
//! `config` makes it from TOML; nothing here can be wrong in itself any more.

use std::net::{Ipv4Addr, Ipv6Addr};

use ipnet::{Ipv4Net, Ipv6Net};

use crate::filter::Filter;
use crate::side::Side;
use crate::wire::MacAddr;

/// Everything that decides a packet's fate besides the binding table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The Internet's side.
    pub external: External,
    /// The B4s' side.
    pub internal: Internal,
    /// Both sides share one port; frames are told apart by VLAN, or by EtherType (P5).
    pub on_a_stick: bool,
    /// Tunnel endpoints of ours, at least one.
    pub br_addresses: Vec<Ipv6Addr>,
    /// The rules that have a choice in them.
    pub policy: Policy,
    /// What fragments may cost.
    pub fragments: Fragments,
    /// What may come in and go out (Q1).
    pub filters: Filters,
}

/// What may come in and go out (Q1): the packets that match; all, where there is no filter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filters {
    /// Packets received, by side.
    pub ingress: [Option<Filter>; 2],
    /// Packets to be sent, by side.
    pub egress: [Option<Filter>; 2],
}

impl Filters {
    /// May this packet, which side `side` has received, come in?
    #[inline(always)]
    pub(super) fn admits(&self, side: Side, packet: &[u8]) -> bool {
        passes(&self.ingress[side.index()], packet)
    }

    /// May this packet leave by side `side`?
    #[inline(always)]
    pub(super) fn lets_out(&self, side: Side, packet: &[u8]) -> bool {
        passes(&self.egress[side.index()], packet)
    }

    /// Each filter there is, and its key.
    pub fn each(&mut self) -> impl Iterator<Item = (String, &mut Filter)> {
        let Self { ingress, egress } = self;
        let named = |name| move |(side, filter)| Some((format!("{side}.{name}"), filter?));
        let sides = |filters: [Option<_>; 2]| Side::BOTH.into_iter().zip(filters);
        let ingress = sides(ingress.each_mut().map(Option::as_mut));
        let egress = sides(egress.each_mut().map(Option::as_mut));
        ingress.filter_map(named("ingress-filter")).chain(egress.filter_map(named("egress-filter")))
    }
}

#[inline(always)]
fn passes(filter: &Option<Filter>, packet: &[u8]) -> bool {
    match filter {
        None => true,
        Some(filter) => asked(filter, packet),
    }
}

/// Out of line: without filters, only the question whether there are any is on the fast path.
#[inline(never)]
pub(super) fn asked(filter: &Filter, packet: &[u8]) -> bool {
    filter.matches(packet)
}

impl Settings {
    /// Where there is nobody to ask: next hops that are given by address have this MAC address.
    pub fn know_next_hops(&mut self, mac: MacAddr) {
        if let NextHop::Addresses(_) = self.external.next_hop {
            self.external.next_hop = NextHop::Fixed(mac);
        }
        if let NextHop::Addresses(_) = self.internal.next_hop {
            self.internal.next_hop = NextHop::Fixed(mac);
        }
    }
}

/// What both interfaces have: the link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Link {
    /// Our MAC address on this side.
    pub mac: MacAddr,
    /// The 802.1Q VLAN of this side, 1 to 4094; `None` for untagged (P1).
    pub vlan: Option<u16>,
    /// IP bytes, without Ethernet header, tag and FCS (P6): 1280 to 9000.
    pub mtu: u16,
    /// Take unicast frames to any MAC address.
    pub promiscuous: bool,
}

/// The IPv4 side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct External {
    /// The link.
    pub link: Link,
    /// Our addresses with their prefixes, at least one; the first is the source of what we send.
    pub addresses: Vec<Ipv4Net>,
    /// Answer ARP for every IPv4 address in the binding table (N1).
    pub proxy_arp: bool,
    /// The router towards the Internet, or several.
    pub next_hop: NextHop<Ipv4Addr>,
}

/// The IPv6 side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Internal {
    /// The link.
    pub link: Link,
    /// Our global addresses with their prefixes, at least one.
    pub addresses: Vec<Ipv6Net>,
    /// Our link-local address: from the MAC unless given (N2).
    pub link_local: Ipv6Addr,
    /// Other relays may have our BR addresses too: they are not defended (N2).
    pub br_anycast: bool,
    /// The router towards the B4s, or several.
    pub next_hop: NextHop<Ipv6Addr>,
}

impl Internal {
    /// The side's own addresses, its link-local one the last.
    pub(super) fn own(&self) -> impl Iterator<Item = Ipv6Addr> {
        self.addresses.iter().map(Ipv6Net::addr).chain([self.link_local])
    }

    /// Is this one of them?
    pub(super) fn has(&self, address: Ipv6Addr) -> bool {
        self.own().any(|own| own == address)
    }
}

/// Where everything that leaves by an interface is sent (N3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NextHop<A> {
    /// Resolved by ARP or NDP; the first of them that answers.
    Addresses(Vec<A>),
    /// A MAC address that never changes.
    Fixed(MacAddr),
}

/// The rules that have a choice in them (Q2): keys of the table `[policy]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// Hop limit of the outer header (E3).
    pub hop_limit: u8,
    /// DSCP of the outer header (E4).
    pub dscp: Dscp,
    /// ECN of the outer header (E4).
    pub ecn: Ecn,
    /// Flow label of the outer header (E5).
    pub flow_label: FlowLabel,
    /// DSCP of a decapsulated packet (D3).
    pub decap_dscp: DecapDscp,
    /// TTL of a decapsulated packet (D4).
    pub decap_ttl: DecapTtl,
    /// What becomes of a packet from one B4 to another (D6).
    pub hairpinning: Hairpinning,
    /// What is cut when a packet must be fragmented on its way to a B4 (E8).
    pub fragment: Fragment,
    /// What becomes of a packet to a B4 that is too big and must not be fragmented (E8).
    pub too_big_df: TooBigDf,
    /// The largest segment that TCP may announce (E10).
    pub mss_clamp: MssClamp,
    /// Answer with ICMPv4 3/1 where there is no softwire (E7).
    pub generate_icmpv4_errors: bool,
    /// Answer with ICMPv6 1/5 where the source check fails (D2).
    pub generate_icmpv6_errors: bool,
    /// Let ICMPv4 from the Internet in (I1).
    pub allow_incoming_icmpv4: bool,
    /// ICMPv4 packets a second from the Internet that are let in; 0 is no limit (I1).
    pub icmpv4_rate: u32,
    /// Let packets with source-route options pass (P3).
    pub allow_source_route: bool,
    /// Networks that are no source and no destination (P3).
    pub martians: Vec<Ipv4Net>,
    /// Say nothing on a side while the other one cannot forward (N1, N2).
    pub stop_answering_when_down: bool,
    /// Source of ICMPv4 that we make; the first external address unless given (I5).
    pub icmpv4_source: Option<Ipv4Addr>,
    /// Rates of what we send of our own accord (I6), in packets per second; 0 is never.
    pub rates: Rates,
}

/// What fragments may cost (F1, F2, F6): keys of the table `[fragments]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fragments {
    /// Fragments of one tunnelled packet.
    pub max_fragments: u16,
    /// Packets of one outer source that may wait for fragments.
    pub packets_per_source: u32,
    /// Bytes of these.
    pub bytes_per_source: u32,
    /// Packets in all, per process: those that wait for fragments, and as many IPv4 packets whose
    /// ports are remembered.
    pub packets: u32,
    /// Bytes that wait for fragments in all, per process.
    pub bytes: u32,
    /// Seconds that a packet may wait for its fragments.
    pub timeout: u32,
    /// Seconds for which the ports that a first IPv4 fragment told are remembered.
    pub port_memory: u32,
    /// Seconds that other IPv4 fragments wait for the first.
    pub hold: u32,
    /// Fragments of one IPv4 packet that may do so.
    pub held_per_packet: u8,
}

impl Fragments {
    /// What each of so many workers may take of a limit for the process.
    #[must_use]
    pub fn share(limit: u32, workers: usize) -> usize {
        (limit as usize / workers.max(1)).max(1)
    }
}

impl Default for Fragments {
    fn default() -> Self {
        Self {
            max_fragments: 64,
            packets_per_source: 16,
            bytes_per_source: 256 << 10,
            packets: 16_384,
            bytes: 64 << 20,
            timeout: 60,
            port_memory: 30,
            hold: 1,
            held_per_packet: 4,
        }
    }
}

/// Token buckets' rates (I6), packets per second per process; 0 is never.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rates {
    /// ICMPv4 3/4.
    pub too_big: u32,
    /// ICMPv4 11/0.
    pub time_exceeded: u32,
    /// Other ICMPv4 errors.
    pub icmpv4_error: u32,
    /// ICMPv6 errors.
    pub icmpv6: u32,
    /// Echo replies.
    pub echo: u32,
    /// Errors to one destination.
    pub per_destination: u32,
}

/// DSCP of the outer header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dscp {
    /// The inner packet's.
    Copy,
    /// Always this, 0 to 63.
    Fixed(u8),
}

/// ECN of the outer header (RFC 6040 section 4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ecn {
    /// The inner packet's.
    Normal,
    /// Always Not-ECT.
    Compatibility,
}

/// Flow label of the outer header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FlowLabel {
    /// A hash of the inner 5-tuple (RFC 6438).
    Hash,
    /// Always this, 0 to 0xfffff.
    Fixed(u32),
}

/// DSCP of a decapsulated packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DecapDscp {
    /// As the B4 sent it.
    Keep,
    /// The outer header's.
    Copy,
}

/// TTL of a decapsulated packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DecapTtl {
    /// The relay is an IPv4 hop.
    Decrement,
    /// The relay is invisible.
    Keep,
}

/// What becomes of a packet from one B4 to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hairpinning {
    /// Straight to that B4.
    Local,
    /// Out to the external next hop, like any other packet.
    External,
    /// Dropped.
    Drop,
}

/// What is cut when a packet must be fragmented on its way to a B4.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fragment {
    /// The IPv6 packet: the B4 puts it together again.
    Outer,
    /// The IPv4 packet: the host does.
    Inner,
}

/// What becomes of a packet to a B4 that is too big and must not be fragmented.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TooBigDf {
    /// Dropped, and its sender is told what fits.
    Drop,
    /// The IPv6 packet around it is fragmented.
    Fragment,
}

/// The largest segment that TCP may announce, either way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MssClamp {
    /// What fits both sides; nothing is done when the internal side carries whatever the external
    /// side does.
    Auto,
    /// Nothing is done.
    Off,
    /// This many bytes.
    Most(u16),
}

impl Settings {
    /// The largest segment that TCP may announce, if there is a limit (E10).
    #[must_use]
    pub fn most_segment(&self) -> Option<u16> {
        /// IPv4 and TCP headers.
        const HEADERS: u16 = 40;
        const TUNNEL: u16 = 40;
        let (external, internal) = (self.external.link.mtu, self.internal.link.mtu);
        match self.policy.mss_clamp {
            MssClamp::Auto if internal >= external + TUNNEL => None,
            MssClamp::Auto => Some(external.min(internal - TUNNEL) - HEADERS),
            MssClamp::Off => None,
            MssClamp::Most(bytes) => Some(bytes),
        }
    }
}

impl Default for Rates {
    fn default() -> Self {
        Self {
            too_big: 10_000,
            time_exceeded: 1_000,
            icmpv4_error: 100,
            icmpv6: 100,
            echo: 1_000,
            per_destination: 10,
        }
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            hop_limit: 64,
            dscp: Dscp::Copy,
            ecn: Ecn::Normal,
            flow_label: FlowLabel::Hash,
            decap_dscp: DecapDscp::Keep,
            decap_ttl: DecapTtl::Decrement,
            hairpinning: Hairpinning::Local,
            fragment: Fragment::Outer,
            too_big_df: TooBigDf::Drop,
            mss_clamp: MssClamp::Auto,
            generate_icmpv4_errors: true,
            generate_icmpv6_errors: true,
            allow_incoming_icmpv4: true,
            icmpv4_rate: 0,
            allow_source_route: false,
            martians: default_martians(),
            stop_answering_when_down: false,
            icmpv4_source: None,
            rates: Rates::default(),
        }
    }
}

/// 0/8, 127/8, 169.254/16, 224/4 and 240/4 (P3).
fn default_martians() -> Vec<Ipv4Net> {
    [
        ([0, 0, 0, 0], 8),
        ([127, 0, 0, 0], 8),
        ([169, 254, 0, 0], 16),
        ([224, 0, 0, 0], 4),
        ([240, 0, 0, 0], 4),
    ]
    .map(|(octets, length)| Ipv4Net::new_assert(octets.into(), length))
    .to_vec()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Two ports on documentation addresses, next hops by address.
    pub(in crate::lwaftr) fn settings() -> Settings {
        let link = |last| Link {
            mac: MacAddr([2, 0, 0, 0, 0, last]),
            vlan: None,
            mtu: 1500,
            promiscuous: false,
        };
        Settings {
            external: External {
                link: link(1),
                addresses: vec!["192.0.2.1/24".parse().unwrap()],
                proxy_arp: false,
                next_hop: NextHop::Addresses(vec![Ipv4Addr::new(192, 0, 2, 254)]),
            },
            internal: Internal {
                link: link(2),
                addresses: vec!["2001:db8:1::1/64".parse().unwrap()],
                link_local: link(2).mac.link_local(),
                br_anycast: true,
                next_hop: NextHop::Addresses(vec!["2001:db8:1::fe".parse().unwrap()]),
            },
            on_a_stick: false,
            br_addresses: vec!["2001:db8::1".parse().unwrap()],
            policy: Policy::default(),
            filters: Filters::default(),
            fragments: Fragments::default(),
        }
    }
}
