//! The two links to the relay, and what it does to packets: all that decides how a frame is sent
//! and how it must come back.

use vnf::config::Config;
use vnf::lwaftr::{DecapTtl, Dscp, FlowLabel};
use vnf::wire::MacAddr;

/// One link, seen from here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Link {
    /// Our MAC address: the relay's next hop has it.
    pub(crate) ours: MacAddr,
    /// The relay's.
    pub(crate) relay: MacAddr,
    pub(crate) vlan: Option<u16>,
}

/// What the relay changes in a packet, by its configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Treatment {
    pub(crate) hop_limit: u8,
    pub(crate) traffic_class: u8,
    /// The flow label, where it is no hash.
    pub(crate) flow_label: Option<u32>,
    pub(crate) decrements_ttl: bool,
}

impl Treatment {
    /// As the relay's configuration has it, for packets whose DSCP and ECN are 0.
    pub(crate) fn of(config: &Config) -> Self {
        let policy = &config.policy;
        Self {
            hop_limit: policy.hop_limit,
            traffic_class: match policy.dscp {
                Dscp::Copy => 0,
                Dscp::Fixed(dscp) => dscp << 2,
            },
            flow_label: match policy.flow_label {
                FlowLabel::Hash => None,
                FlowLabel::Fixed(label) => Some(label),
            },
            decrements_ttl: policy.decap_ttl == DecapTtl::Decrement,
        }
    }
}

/// Both links and the relay between them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Links {
    pub(crate) external: Link,
    pub(crate) internal: Link,
    pub(crate) treatment: Treatment,
}
