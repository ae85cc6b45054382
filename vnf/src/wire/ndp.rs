//! Neighbour solicitation and advertisement (RFC 4861).

use std::net::Ipv6Addr;

use super::{MacAddr, icmpv6};

/// Hop limit that shows a message has not crossed a router.
pub const HOP_LIMIT: u8 = 255;

/// Bytes before the options.
const FIXED: usize = 24;

/// Bytes of a link-layer address option.
const OPTION: usize = 8;

const SOURCE_LINK_LAYER: u8 = 1;
const TARGET_LINK_LAYER: u8 = 2;

/// A solicitation or advertisement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Neighbour {
    /// Who has this address? Or: I have it.
    pub kind: Kind,
    /// The address it is about.
    pub target: Ipv6Addr,
    /// The sender's (solicitation) or target's (advertisement) link-layer address, if it is said.
    pub link_layer: Option<MacAddr>,
}

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Neighbour solicitation.
    Solicitation,
    /// Neighbour advertisement.
    Advertisement {
        /// The sender is a router.
        router: bool,
        /// It answers a solicitation.
        solicited: bool,
        /// It replaces what is known.
        over_ride: bool,
    },
}

impl Neighbour {
    /// Reads the ICMPv6 message of either type; `None` when RFC 4861 sections 7.1.1 and 7.1.2 say
    /// to discard it for its form (hop limit and addresses are the caller's to check).
    #[must_use]
    pub fn parse(message: &[u8]) -> Option<Self> {
        let (fixed, mut options) = message.split_first_chunk::<FIXED>()?;
        let (kind, wanted) = match fixed[0] {
            icmpv6::NEIGHBOUR_SOLICITATION => (Kind::Solicitation, SOURCE_LINK_LAYER),
            icmpv6::NEIGHBOUR_ADVERTISEMENT => {
                let flag = |bit: u8| fixed[4] & bit != 0;
                let kind = Kind::Advertisement {
                    router: flag(0x80),
                    solicited: flag(0x40),
                    over_ride: flag(0x20),
                };
                (kind, TARGET_LINK_LAYER)
            }
            _ => return None,
        };
        let target: [u8; 16] = *fixed[8..].first_chunk()?;
        let target = Ipv6Addr::from(target);
        if fixed[1] != 0 || target.is_multicast() {
            return None;
        }
        let mut link_layer = None;
        while let Some(&[option, units]) = options.first_chunk() {
            let len = usize::from(units) * 8;
            if len == 0 {
                return None;
            }
            let (body, rest) = options.split_at_checked(len)?;
            if option == wanted && len == 8 {
                link_layer = body[2..].first_chunk().map(|mac| MacAddr(*mac));
            }
            options = rest;
        }
        if link_layer.is_some_and(MacAddr::is_multicast) {
            return None;
        }
        options.is_empty().then_some(Self { kind, target, link_layer })
    }

    /// Bytes of the message.
    #[must_use]
    pub const fn message_len(&self) -> usize {
        if self.link_layer.is_some() { FIXED + OPTION } else { FIXED }
    }

    /// Writes the message, its checksum included; `None` when `message` is not [`Self::message_len`]
    /// bytes long.
    #[must_use]
    pub fn write(&self, message: &mut [u8], source: Ipv6Addr, destination: Ipv6Addr) -> Option<()> {
        let (fixed, options) = message.split_first_chunk_mut::<FIXED>()?;
        *fixed = [0; FIXED];
        fixed[8..].copy_from_slice(&self.target.octets());
        let (kind, option) = match self.kind {
            Kind::Solicitation => (icmpv6::NEIGHBOUR_SOLICITATION, SOURCE_LINK_LAYER),
            Kind::Advertisement { router, solicited, over_ride } => {
                fixed[4] =
                    u8::from(router) << 7 | u8::from(solicited) << 6 | u8::from(over_ride) << 5;
                (icmpv6::NEIGHBOUR_ADVERTISEMENT, TARGET_LINK_LAYER)
            }
        };
        match (self.link_layer, options) {
            (Some(MacAddr([a, b, c, d, e, f])), option_bytes) => {
                let option_bytes: &mut [u8; OPTION] = option_bytes.try_into().ok()?;
                *option_bytes = [option, 1, a, b, c, d, e, f];
            }
            (None, []) => {}
            (None, _) => return None,
        }
        icmpv6::write(message, kind, 0, source, destination);
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_was_written_and_refuses_bad_options() {
        let solicitation = Neighbour {
            kind: Kind::Solicitation,
            target: "2001:db8::1".parse().unwrap(),
            link_layer: Some(MacAddr([2, 0, 0, 0, 0, 7])),
        };
        let kind = Kind::Advertisement { router: true, solicited: true, over_ride: false };
        for neighbour in [solicitation, Neighbour { kind, ..solicitation }] {
            let mut message = [0; 32];
            let (from, to) = ("fe80::1".parse().unwrap(), "fe80::2".parse().unwrap());
            let bare = Neighbour { link_layer: None, ..neighbour };
            assert_eq!(bare.write(&mut message, from, to), None);
            assert_eq!(neighbour.write(&mut message[..31], from, to), None);
            bare.write(&mut message[..bare.message_len()], from, to).unwrap();
            assert_eq!(Neighbour::parse(&message[..bare.message_len()]), Some(bare));
            neighbour.write(&mut message, from, to).unwrap();
            assert_eq!(Neighbour::parse(&message), Some(neighbour));
            assert_eq!(Neighbour::parse(&message[..24]).unwrap().link_layer, None);
            assert_eq!(Neighbour::parse(&message[..31]), None);
            assert_eq!(Neighbour::parse(&message[..25]), None);
            message[25] = 0;
            assert_eq!(Neighbour::parse(&message), None);
        }
    }
}
