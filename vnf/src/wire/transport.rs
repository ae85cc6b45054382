//! What transport protocols have in common: two ports in their first four bytes.

use super::protocol;

/// Source and destination port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ports {
    /// Source port.
    pub source: u16,
    /// Destination port.
    pub destination: u16,
}

/// True for the protocols whose header starts with two ports.
#[inline]
#[must_use]
pub const fn has_ports(protocol: u8) -> bool {
    matches!(
        protocol,
        protocol::TCP | protocol::UDP | protocol::DCCP | protocol::SCTP | protocol::UDP_LITE
    )
}

impl Ports {
    /// Reads them; `None` when the header is cut short.
    #[inline]
    #[must_use]
    pub fn parse(header: &[u8]) -> Option<Self> {
        let &[s0, s1, d0, d1] = header.first_chunk()?;
        Some(Self {
            source: u16::from_be_bytes([s0, s1]),
            destination: u16::from_be_bytes([d0, d1]),
        })
    }
}
