//! The start of a frame that is simply IP to our MAC address, told by a few loads and compares.

use super::head::word;
use crate::lwaftr::settings::Link;
use crate::side::Side;
use crate::wire::ethernet::{HEADER, TAGGED, ethertype};

/// What the start of a frame that is simply IP to our MAC address looks like: two words of it, at 0
/// and at 12, and the bits of them that matter.
#[derive(Debug)]
pub(super) struct Start {
    address: Match,
    kind: Match,
    /// Where the packet begins.
    pub(super) len: usize,
}

#[derive(Debug)]
struct Match {
    bits: u64,
    mask: u64,
}

impl Match {
    #[inline(always)]
    fn differs(&self, word: u64) -> u64 {
        (word ^ self.bits) & self.mask
    }
}

impl Start {
    /// Bytes that are looked at.
    const BYTES: usize = 20;

    pub(super) fn new(link: &Link, side: Side) -> Self {
        let carried = u64::from(match side {
            Side::External => ethertype::IPV4,
            Side::Internal => ethertype::IPV6,
        });
        // All of the destination, and the source's bit that would make it a group.
        let address = Match { bits: link.mac.to_u64() << 16, mask: 0xffff_ffff_ffff_0100 };
        let (kind, len) = match link.vlan {
            None => (Match { bits: carried << 48, mask: 0xffff << 48 }, HEADER),
            Some(vlan) => {
                let tag = u64::from(ethertype::VLAN) << 48 | u64::from(vlan) << 32;
                (Match { bits: tag | carried << 16, mask: 0xffff_0fff_ffff_0000 }, TAGGED)
            }
        };
        Self { address, kind, len }
    }

    /// Does the frame start like this?
    #[inline(always)]
    fn matches(&self, frame: &[u8]) -> bool {
        frame.first_chunk::<{ Self::BYTES }>().is_some_and(|head| {
            self.address.differs(word(head, 0)) | self.kind.differs(word(head, 12)) == 0
        })
    }

    /// What follows its `LEN` bytes, if the frame starts like this.
    #[inline(always)]
    pub(super) fn packet<'a, const LEN: usize>(&self, frame: &'a [u8]) -> Option<&'a [u8]> {
        if self.matches(frame) { frame.get(LEN..) } else { None }
    }
}

/// Where the packet starts in a frame that is simply IP to our MAC address.
#[inline(always)]
pub(in crate::lwaftr) fn packet_start(link: &Link, side: Side, frame: &[u8]) -> Option<usize> {
    let start = Start::new(link, side);
    start.matches(frame).then_some(start.len)
}
