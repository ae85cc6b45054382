//! The network that is made up: the relay's addresses, its softwires, and who talks to them.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::random::{Random, shuffled};
use crate::lwaftr::Policy;
use crate::softwire::{PortSet, PortSetError, Softwire};
use crate::wire::MacAddr;

pub(super) const EXTERNAL_MAC: MacAddr = MacAddr([0x02, 0, 0, 0, 0, 0x01]);
pub(super) const EXTERNAL_NEXT_HOP_MAC: MacAddr = MacAddr([0x02, 0, 0, 0, 0, 0x02]);
pub(super) const EXTERNAL_ADDRESS: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);
pub(super) const EXTERNAL_PREFIX: u8 = 24;
pub(super) const INTERNAL_MAC: MacAddr = MacAddr([0x02, 0, 0, 0, 0, 0x03]);
pub(super) const INTERNAL_NEXT_HOP_MAC: MacAddr = MacAddr([0x02, 0, 0, 0, 0, 0x04]);
pub(super) const INTERNAL_ADDRESS: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0xffff, 1, 0, 0, 0, 2);
pub(super) const BR_ADDRESS: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0xffff, 0, 0, 0, 0, 1);

/// The most softwires: their B4 addresses end before the relay's begin.
const MOST_SOFTWIRES: u32 = 0xffff_0000;

/// 10.0.0.0/8, where dense addresses are.
const DENSE_START: u32 = 10 << 24;
const DENSE_ADDRESSES: u32 = 1 << 24;

/// 198.18.0.0/15, the network for measurements (RFC 2544), where remote hosts are.
const REMOTE_START: u32 = 198 << 24 | 18 << 16;
const REMOTE_HOSTS: u32 = 1 << 17;

/// Softwires, numbered; each address is filled before the next begins.
#[derive(Debug, Clone)]
pub struct Network {
    softwires: u32,
    offset: u8,
    length: u8,
    /// Where addresses are all over IPv4, each; where they are dense, none.
    scattered: Option<Vec<u32>>,
}

/// A network that cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NetworkError {
    /// No softwires.
    #[error("at least one softwire")]
    Empty,
    /// More than there is room for.
    #[error("at most {0} softwires with this psid-len")]
    TooMany(u64),
    /// Port sets that do not exist.
    #[error(transparent)]
    PortSet(#[from] PortSetError),
}

impl Network {
    /// Plans so many softwires with 2^`length` on an address. Their addresses start at 10.0.0.0
    /// without gaps, or are all over IPv4 when `scattered`.
    pub fn new(
        softwires: u32,
        offset: u8,
        length: u8,
        scattered: bool,
    ) -> Result<Self, NetworkError> {
        PortSet::new(offset, length, 0)?;
        if softwires == 0 {
            return Err(NetworkError::Empty);
        }
        // A quarter of IPv4 is easily found outside of what is kept free.
        let room = if scattered { 1 << 30 } else { DENSE_ADDRESSES };
        let most = (u64::from(room) << length).min(MOST_SOFTWIRES.into());
        if u64::from(softwires) > most {
            return Err(NetworkError::TooMany(most));
        }
        let addresses = softwires.div_ceil(1 << length) as usize;
        let scattered = scattered.then(|| all_over_ipv4().take(addresses).collect());
        Ok(Self { softwires, offset, length, scattered })
    }

    /// How many softwires it has.
    #[must_use]
    pub const fn len(&self) -> u32 {
        self.softwires
    }

    /// Never true: there is at least one.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.softwires == 0
    }

    /// The softwire of this number.
    pub(super) fn softwire(&self, number: u32) -> Softwire {
        let index = number >> self.length;
        let address = match &self.scattered {
            Some(addresses) => addresses[index as usize],
            None => DENSE_START + index,
        };
        // Fits: 2^length PSIDs are numbered from 0, and `new` has tried the other two.
        let psid = (number & ((1 << self.length) - 1)) as u16;
        let port_set =
            PortSet::new(self.offset, self.length, psid).unwrap_or(PortSet::WHOLE_ADDRESS);
        Softwire { ipv4: address.into(), port_set, b4: b4(number), br: BR_ADDRESS }
    }

    /// All softwires.
    pub(super) fn softwires(&self) -> impl Iterator<Item = Softwire> {
        (0..self.softwires).map(|number| self.softwire(number))
    }
}

/// 2001:db8:X:Y::1, X and Y from the number.
fn b4(number: u32) -> Ipv6Addr {
    Ipv6Addr::new(0x2001, 0xdb8, (number >> 16) as u16, number as u16, 0, 0, 0, 1)
}

/// Addresses all over IPv4 but for martians, the relay's link and the remote hosts.
fn all_over_ipv4() -> impl Iterator<Item = u32> {
    let martians = Policy::default().martians;
    (0..=u32::MAX).map(shuffled).filter(move |&address| {
        let taken =
            address >> 8 == u32::from(EXTERNAL_ADDRESS) >> 8 || address >> 17 == REMOTE_START >> 17;
        !taken && !martians.iter().any(|network| network.contains(&Ipv4Addr::from(address)))
    })
}

/// The remote host of a flow: no softwire's address.
pub(super) fn remote_host(flow: u32) -> Ipv4Addr {
    (REMOTE_START + flow % REMOTE_HOSTS).into()
}

/// The remote port of a flow: with the host, different for each of 2^32 flows.
pub(super) fn remote_port(flow: u32) -> u16 {
    1024 + (flow / REMOTE_HOSTS) as u16
}

/// A random port of the set.
pub(super) fn random_port(set: PortSet, random: &mut Random) -> u16 {
    if set.is_whole_address() {
        return random.below(1 << 16) as u16;
    }
    // RFC 7597 section 5.1: A, the PSID, j; with a > 0, A = 0 is nobody's.
    let first = u32::from(set.offset() > 0);
    let a = first + random.below((1 << set.offset()) - first);
    let j = random.below(1 << set.m());
    (a << (16 - set.offset()) | u32::from(set.psid()) << set.m() | j) as u16
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn random_ports_are_in_their_set(
            offset in 0..=16_u8, length in 0..=16_u8, psid: u16, seed: u64,
        ) {
            prop_assume!(offset + length <= 16);
            let psid = psid & ((1_u32 << length) - 1) as u16;
            let set = PortSet::new(offset, length, psid).unwrap();
            prop_assert!(set.contains(random_port(set, &mut Random::new(seed))));
        }
    }

    #[test]
    fn limits() {
        let most = |length| Network::new(u32::MAX, 0, length, false).unwrap_err();
        assert_eq!(most(0), NetworkError::TooMany(1 << 24));
        assert_eq!(most(6), NetworkError::TooMany(1 << 30));
        assert_eq!(most(16), NetworkError::TooMany(0xffff_0000));
        assert!(Network::new(1 << 24, 0, 0, false).is_ok());
        assert_eq!(Network::new(0, 0, 6, false).unwrap_err(), NetworkError::Empty);
        assert!(matches!(Network::new(1, 11, 6, false), Err(NetworkError::PortSet(_))));
    }

    #[test]
    fn remote_hosts_are_in_their_network() {
        assert_eq!(remote_host(0).to_string(), "198.18.0.0");
        assert_eq!(remote_host(131_071).to_string(), "198.19.255.255");
        assert_eq!((remote_host(131_072), remote_port(131_072)), (remote_host(0), 1025));
        assert_eq!(remote_port(u32::MAX), 1024 + 32_767);
    }
}
