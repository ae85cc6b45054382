//! ARP for IPv4 over Ethernet (RFC 826).

use std::net::Ipv4Addr;

use super::MacAddr;

/// Bytes of a packet.
pub const LEN: usize = 28;

/// Hardware Ethernet, protocol IPv4, address lengths 6 and 4.
const FIXED: [u8; 6] = [0, 1, 8, 0, 6, 4];

/// What a packet does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// Who has the target's address?
    Request = 1,
    /// The sender has.
    Reply = 2,
}

/// A packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arp {
    /// What it does.
    pub operation: Operation,
    /// The sender's MAC address.
    pub sender_mac: MacAddr,
    /// The sender's IPv4 address.
    pub sender: Ipv4Addr,
    /// The target's MAC address; meaningless in a request.
    pub target_mac: MacAddr,
    /// The target's IPv4 address.
    pub target: Ipv4Addr,
}

impl Arp {
    /// Reads a packet; `None` when it is short or not of this kind.
    #[must_use]
    pub fn parse(payload: &[u8]) -> Option<Self> {
        let body = payload.first_chunk::<LEN>()?.strip_prefix(&FIXED)?;
        let (operation, body) = body.split_first_chunk::<2>()?;
        let operation = match operation {
            [0, 1] => Operation::Request,
            [0, 2] => Operation::Reply,
            _ => return None,
        };
        let (sender_mac, body) = body.split_first_chunk()?;
        let (sender, body) = body.split_first_chunk::<4>()?;
        let (target_mac, body) = body.split_first_chunk()?;
        let target = body.first_chunk::<4>()?;
        Some(Self {
            operation,
            sender_mac: MacAddr(*sender_mac),
            sender: (*sender).into(),
            target_mac: MacAddr(*target_mac),
            target: (*target).into(),
        })
    }

    /// The packet's bytes.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; LEN] {
        let mut bytes = [0; LEN];
        bytes[..6].copy_from_slice(&FIXED);
        bytes[7] = self.operation as u8;
        bytes[8..14].copy_from_slice(&self.sender_mac.0);
        bytes[14..18].copy_from_slice(&self.sender.octets());
        bytes[18..24].copy_from_slice(&self.target_mac.0);
        bytes[24..28].copy_from_slice(&self.target.octets());
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_was_written() {
        let arp = Arp {
            operation: Operation::Reply,
            sender_mac: MacAddr([2, 0, 0, 0, 0, 1]),
            sender: Ipv4Addr::new(192, 0, 2, 1),
            target_mac: MacAddr([2, 0, 0, 0, 0, 2]),
            target: Ipv4Addr::new(192, 0, 2, 254),
        };
        let bytes = arp.to_bytes();
        assert_eq!(Arp::parse(&bytes), Some(arp));
        assert_eq!(Arp::parse(&bytes[..27]), None);
        for (at, wrong) in [(1, 6), (4, 8), (7, 3)] {
            let mut bytes = bytes;
            bytes[at] = wrong;
            assert_eq!(Arp::parse(&bytes), None);
        }
    }
}
