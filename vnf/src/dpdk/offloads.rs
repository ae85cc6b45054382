//! What a port can do of a packet's work, and what of it is asked for.
//!
//! | offload | asked for | why |
//! | --- | --- | --- |
//! | `ipv4-checksum` | yes | the header checksum of a usual packet from the Internet need not be verified again |
//! | `rss` | with several workers | spreads packets over them, by addresses alone |
//! | `ipv4-checksum-tx` | no | the relay changes checksums incrementally (RFC 1624), in two additions; a request is three writes to the mbuf |
//! | `vlan-strip`, `vlan-insert` | no | the tag is on the cache line that is read anyway, and a new Ethernet header is written whole |
//!
//! A port that strips tags all the same is understood (`queue`). What was not granted, and whatever
//! a port does not vouch for in a packet's flags, is done in software.

use dpdk_sys::rte_eth_dev_info;

/// What a port offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Offers {
    /// It verifies the checksum of received IPv4 headers.
    pub ipv4_checksum: bool,
    /// It makes that of sent ones.
    pub ipv4_checksum_tx: bool,
    /// It takes VLAN tags off.
    pub vlan_strip: bool,
    /// It puts VLAN tags on.
    pub vlan_insert: bool,
    /// It spreads packets over queues by their addresses alone.
    pub rss: bool,
}

/// What a port does, because it was asked to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Offloads {
    /// It verifies the checksum of received IPv4 headers.
    pub ipv4_checksum: bool,
    /// It spreads packets over its queues.
    pub rss: bool,
}

impl Offers {
    pub(super) fn of(can: &rte_eth_dev_info, rss: bool) -> Self {
        let rx = |bit| can.rx_offload_capa & u64::from(bit) != 0;
        let tx = |bit| can.tx_offload_capa & u64::from(bit) != 0;
        Self {
            ipv4_checksum: rx(dpdk_sys::RTE_ETH_RX_OFFLOAD_IPV4_CKSUM),
            ipv4_checksum_tx: tx(dpdk_sys::RTE_ETH_TX_OFFLOAD_IPV4_CKSUM),
            vlan_strip: rx(dpdk_sys::RTE_ETH_RX_OFFLOAD_VLAN_STRIP),
            vlan_insert: tx(dpdk_sys::RTE_ETH_TX_OFFLOAD_VLAN_INSERT),
            rss,
        }
    }

    /// What is asked of a port with so many queues.
    #[must_use]
    pub fn wanted(self, queues: u16) -> Offloads {
        Offloads { ipv4_checksum: self.ipv4_checksum, rss: self.rss && queues > 1 }
    }

    /// Their names, for people.
    #[must_use]
    pub fn names(self) -> Vec<&'static str> {
        let all = [
            ("ipv4-checksum", self.ipv4_checksum),
            ("ipv4-checksum-tx", self.ipv4_checksum_tx),
            ("vlan-strip", self.vlan_strip),
            ("vlan-insert", self.vlan_insert),
            ("rss", self.rss),
        ];
        all.into_iter().filter_map(|(name, offered)| offered.then_some(name)).collect()
    }
}

impl Offloads {
    /// The receive side's, as DPDK wants them.
    pub(super) fn rx_flags(self) -> u64 {
        if self.ipv4_checksum { u64::from(dpdk_sys::RTE_ETH_RX_OFFLOAD_IPV4_CKSUM) } else { 0 }
    }

    /// Their names, in the counters' JSON and for people.
    #[must_use]
    pub const fn names(self) -> &'static [&'static str] {
        match (self.ipv4_checksum, self.rss) {
            (true, true) => &["ipv4-checksum", "rss"],
            (true, false) => &["ipv4-checksum"],
            (false, true) => &["rss"],
            (false, false) => &[],
        }
    }
}
