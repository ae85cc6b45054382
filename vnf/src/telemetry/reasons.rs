//! Why a frame was dropped, or not our business. Each reason stands here once; its counter, its
//! name in `lwaftr stats` and its documentation derive from this table. To add one, add a line.

use std::fmt;

macro_rules! reasons {
    ($(#[$doc:meta])* $name:ident { $($(#[doc = $text:literal])+ $variant:ident = $key:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum $name { $($(#[doc = $text])+ $variant,)+ }

        impl $name {
            /// All of them, in the order of the documentation.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// How many there are.
            pub const COUNT: usize = Self::ALL.len();

            /// Its name in counters.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $key),+ }
            }

            /// The one of this name.
            #[must_use]
            pub fn named(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|reason| reason.name() == name)
            }

            /// What it means, for people.
            #[must_use]
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$variant => concat!($($text),+)),+ }
            }

            /// What it means, without the rules.
            #[must_use]
            pub fn words(self) -> &'static str {
                let meaning = self.meaning().trim();
                meaning.rsplit_once(" (").map_or(meaning, |(words, _)| words)
            }

            /// The rules it comes from, by their numbers in docs/behaviour.md, as far as it has any.
            #[must_use]
            pub fn rules(self) -> Vec<&'static str> {
                rules_of(self.meaning())
            }

            /// Its position in arrays of counters.
            #[inline]
            #[must_use]
            pub const fn index(self) -> usize {
                self as usize
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.name())
            }
        }
    };
}

/// The numbers of rules at the end of a meaning: `... (E7, D6).`
fn rules_of(meaning: &'static str) -> Vec<&'static str> {
    let Some((_, end)) = meaning.rsplit_once(" (") else { return Vec::new() };
    let is_rule = |word: &&str| {
        let mut letters = word.chars();
        letters.next().is_some_and(|letter| letter.is_ascii_uppercase())
            && letters.clone().count() > 0
            && letters.all(|letter| letter.is_ascii_digit())
    };
    end.split([',', ')', ' ']).filter(is_rule).collect()
}

reasons! {
    /// Why a frame was dropped.
    DropReason {
        /// Shorter than an Ethernet header, or than the VLAN tag or ARP body it announces (P1, P2).
        FrameTooShort = "frame-too-short",
        /// No VLAN tag where one is required, a wrong one, or one where none is expected (P1).
        VlanMismatch = "vlan-mismatch",
        /// A unicast frame to a MAC address that is not ours (P1).
        NotOurMac = "not-our-mac",
        /// A frame whose source is a group address: nobody to answer (P1).
        BadSourceMac = "bad-source-mac",
        /// An IP packet to forward in a broadcast or multicast frame (P1).
        MulticastFrame = "multicast-frame",
        /// An EtherType this side does not carry (P1).
        UnknownEthertype = "unknown-ethertype",
        /// IPv4 header or packet longer than the bytes present (P2).
        Ipv4Truncated = "ipv4-truncated",
        /// IPv4 version not 4, or header length below 20 or above the total length (P3).
        Ipv4BadHeader = "ipv4-bad-header",
        /// IPv4 header checksum wrong (P3).
        Ipv4BadChecksum = "ipv4-bad-checksum",
        /// IPv4 source or destination in a network that is neither (P3, key `martians`).
        Ipv4Martian = "ipv4-martian",
        /// IPv4 source address is one of our own (P3).
        Ipv4SourceIsOurs = "ipv4-source-is-ours",
        /// A source-route option (P3, key `allow-source-route`).
        Ipv4SourceRoute = "ipv4-source-route",
        /// IPv6 header, extension header or packet longer than the bytes present (P2).
        Ipv6Truncated = "ipv6-truncated",
        /// IPv6 version not 6 (P4).
        Ipv6BadHeader = "ipv6-bad-header",
        /// IPv6 source is multicast, loopback or one of our own (P4).
        Ipv6BadSource = "ipv6-bad-source",
        /// More extension headers than the relay walks (P4).
        Ipv6ExtensionChain = "ipv6-extension-chain",
        /// A routing header of type 0, or with segments left (P4).
        Ipv6RoutingHeader = "ipv6-routing-header",
        /// An unknown IPv6 option whose action bits say to discard (P4).
        Ipv6UnknownOption = "ipv6-unknown-option",
        /// IPv6 packet to an address that is not ours (D1).
        NotForUs = "not-for-us",
        /// A protocol that our own addresses do not serve (D1, N4).
        UnsupportedProtocol = "unsupported-protocol",
        /// An IPv6 fragment that is none: no data, an odd length in the middle, or an end beyond 65535 (F1).
        Ipv6FragmentMalformed = "ipv6-fragment-malformed",
        /// Fragments of a tunnelled packet that overlap or contradict each other, and all others of it (F1).
        Ipv6FragmentOverlap = "ipv6-fragment-overlap",
        /// An exact copy of a fragment that waits already (F1).
        Ipv6FragmentDuplicate = "ipv6-fragment-duplicate",
        /// A tunnelled packet in more fragments than `max-fragments` (F1).
        Ipv6FragmentTooMany = "ipv6-fragment-too-many",
        /// A fragment that had to make room for newer ones of its source, or of all (F1, `[fragments]`).
        Ipv6FragmentLimit = "ipv6-fragment-limit",
        /// A fragment whose packet was not complete in time (F1, key `timeout`).
        Ipv6FragmentTimeout = "ipv6-fragment-timeout",
        /// A transport header shorter than its ports (P2).
        TransportTruncated = "transport-truncated",
        /// A protocol without ports to or from a shared address (E1, D2).
        PortLessProtocol = "port-less-protocol",
        /// An IPv4 first fragment, to or from a shared address, too short for the header it should tell (F4).
        Ipv4FragmentTiny = "ipv4-fragment-tiny",
        /// A TCP fragment, to or from a shared address, that would overwrite its packet's header (F4).
        Ipv4FragmentOverlap = "ipv4-fragment-overlap",
        /// An IPv4 fragment that would have to wait for its first while too many wait (F2, F3).
        Ipv4FragmentLimit = "ipv4-fragment-limit",
        /// An IPv4 fragment whose first did not come in time, so that nobody knows whose it is (F2, F3).
        Ipv4FragmentTimeout = "ipv4-fragment-timeout",
        /// An IPv4 fragment to an address of our own, where nothing is reassembled (N4).
        Ipv4FragmentToUs = "ipv4-fragment-to-us",
        /// Nobody owns the destination address and port (E7, D6).
        NoSoftwire = "no-softwire",
        /// Congestion was marked on a tunnel header whose inner packet knows no such mark (D3).
        EcnMismatch = "ecn-mismatch",
        /// A tunnelled packet whose inner source address and port nobody owns (D2).
        SourceNoSoftwire = "source-no-softwire",
        /// A tunnelled packet from an address that is not that softwire's B4 (D2).
        SourceWrongB4 = "source-wrong-b4",
        /// A tunnelled packet to a BR address that is not that softwire's (D2).
        SourceWrongBr = "source-wrong-br",
        /// TTL 0 or 1 on arrival (E6, D4).
        TtlExpired = "ttl-expired",
        /// Larger than the MTU ahead, and must not or cannot be fragmented (E8, D5).
        TooBig = "too-big",
        /// From one B4 to another, with `hairpinning = "drop"` (D6).
        HairpinDenied = "hairpin-denied",
        /// ICMPv4 checksum wrong (I1, I3).
        IcmpBadChecksum = "icmp-bad-checksum",
        /// ICMPv4 message, or the packet embedded in it, cut short (I1, I3).
        IcmpTruncated = "icmp-truncated",
        /// ICMPv4 from the Internet while `allow-incoming-icmpv4` is off (I1).
        IcmpNotAllowed = "icmp-not-allowed",
        /// An ICMPv4 type that is not carried to or from shared addresses (I1, I3).
        IcmpType = "icmp-type",
        /// ICMPv4 for an address and identifier or port that nobody owns (I2).
        IcmpNoSoftwire = "icmp-no-softwire",
        /// An ICMPv4 error whose embedded packet is not one it could be about (I1, I3).
        IcmpEmbedded = "icmp-embedded",
        /// ICMPv6 checksum wrong, or the message cut short (I4, N2).
        Icmpv6BadChecksum = "icmpv6-bad-checksum",
        /// An ICMPv6 error that is not about a packet we could have sent to a B4 (I4).
        Icmpv6Embedded = "icmpv6-embedded",
        /// An ICMPv6 type that is not handled (I4).
        Icmpv6Type = "icmpv6-type",
        /// An ARP packet that contradicts itself (N1).
        ArpMalformed = "arp-malformed",
        /// A neighbour discovery message that RFC 4861 says to discard (N2).
        NdpMalformed = "ndp-malformed",
        /// It does not match the `ingress-filter` of the interface it came by (Q1).
        FilterIngress = "filter-ingress",
        /// It does not match the `egress-filter` of the interface it would have left by (Q1).
        FilterEgress = "filter-egress",
        /// The next hop's MAC address is not known (yet) (N3).
        NextHopUnresolved = "next-hop-unresolved",
        /// Over a rate limit: an echo request to ourselves, or `icmpv4-rate` (I1, I6).
        RateLimited = "rate-limited",
        /// No buffer to make the packet in, or no room in it.
        NoBuffer = "no-buffer",
        /// The port refused to send it (A1).
        TxFull = "tx-full",
    }
}

reasons! {
    /// Other people's traffic, and none of our business: never an alarm (P1).
    IgnoreReason {
        /// Spanning tree, LLDP, LACP and other frames to 01:80:c2:00:00:0x, hellos of IS-IS.
        LinkControl = "link-control",
        /// ARP about others.
        Arp = "arp",
        /// Neighbour solicitations and advertisements about others.
        Ndp = "ndp",
        /// Router advertisements and solicitations, IPv4's too.
        RouterDiscovery = "router-discovery",
        /// Multicast listener discovery and IGMP.
        Multicast = "multicast",
        /// What routers say to each other's groups: routing protocols, VRRP, HSRP.
        Routing = "routing",
        /// Other IP multicast and broadcast.
        OtherMulticast = "other-multicast",
        /// IPv6 on the external side, IPv4 or ARP on the internal side, in group frames.
        OtherProtocol = "other-protocol",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_meaning_is_words_and_rules() {
        assert_eq!(DropReason::NoSoftwire.rules(), ["E7", "D6"]);
        assert_eq!(DropReason::NoSoftwire.words(), "Nobody owns the destination address and port");
        assert_eq!(DropReason::Ipv4Martian.rules(), ["P3"]);
        assert_eq!(DropReason::NoBuffer.rules(), [""; 0]);
    }

    #[test]
    fn every_rule_is_one_of_the_documentation() {
        let rules = include_str!("../../../docs/behaviour.md");
        for reason in DropReason::ALL {
            for rule in reason.rules() {
                assert!(rules.contains(&format!("### {rule}. ")), "{reason}: {rule}");
            }
            // All but the two that are about resources follow from a rule.
            assert!(!reason.rules().is_empty() || *reason == DropReason::NoBuffer, "{reason}");
        }
    }
}
