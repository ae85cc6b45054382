//! What becomes of a frame.

use crate::side::Side;
use crate::telemetry::{DropReason, IgnoreReason};
use crate::wire::{ipv4, ipv6};

/// What becomes of a frame. It has been rewritten accordingly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It leaves by the other interface.
    Forward,
    /// It leaves by the interface it came from, to another B4.
    Hairpin,
    /// It was made an answer, and leaves by the interface it came from.
    Answer,
    /// It was for the relay itself and ends here.
    Consume,
    /// It waits until the next hop on this side is known; it has not been rewritten (N3).
    Wait(Side),
    /// It is none of our business.
    Ignore(IgnoreReason),
    /// It ends here, for a reason to count.
    Drop(DropReason),
}

/// Why a packet is not looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    /// Its fate is known without that.
    Ends(Verdict),
    /// It waits for the first fragment of its packet, which has the port (F2, F3).
    AwaitsFirst,
}

impl From<Verdict> for Stop {
    fn from(verdict: Verdict) -> Self {
        Self::Ends(verdict)
    }
}

impl From<DropReason> for Stop {
    fn from(reason: DropReason) -> Self {
        Self::Ends(reason.into())
    }
}

impl From<DropReason> for Verdict {
    fn from(reason: DropReason) -> Self {
        Self::Drop(reason)
    }
}

impl From<ipv4::Malformed> for DropReason {
    fn from(malformed: ipv4::Malformed) -> Self {
        match malformed {
            ipv4::Malformed::Truncated => Self::Ipv4Truncated,
            ipv4::Malformed::BadHeader => Self::Ipv4BadHeader,
            ipv4::Malformed::BadChecksum => Self::Ipv4BadChecksum,
        }
    }
}

impl From<ipv6::Malformed> for DropReason {
    fn from(malformed: ipv6::Malformed) -> Self {
        match malformed {
            ipv6::Malformed::Truncated => Self::Ipv6Truncated,
            ipv6::Malformed::BadVersion => Self::Ipv6BadHeader,
            ipv6::Malformed::ChainTooLong => Self::Ipv6ExtensionChain,
            ipv6::Malformed::RoutingHeader => Self::Ipv6RoutingHeader,
            ipv6::Malformed::UnknownOption { .. } => Self::Ipv6UnknownOption,
        }
    }
}
