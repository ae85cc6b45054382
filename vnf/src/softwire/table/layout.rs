//! The bits of the two reference words: from a /24 to its chunk, from an address to its block.

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::softwire::PortSet;
use crate::softwire::port_set::psid_mask;

/// Words in a cache line, the unit chunks are allocated in.
pub(super) const LINE: usize = 8;

/// Words of a packed chunk's map.
const MAP: usize = 4;

/// Lines of a chunk with a word for each of its 256 addresses.
const FULL_LINES: usize = 256 / LINE;

/// A packed chunk beyond this many addresses costs more than it saves.
const PACKED_MOST: usize = 60;

/// Where a /24's chunk is: as bits, 1 (there is a chunk), then whether it is packed, then the number
/// of its first line. Zero bits are no chunk, so that an `Option` of it is one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ChunkRef(NonZeroU32);

impl ChunkRef {
    /// Lines of a chunk for `addresses` addresses, and whether it is packed.
    pub(super) fn lines_for(addresses: usize) -> (usize, bool) {
        if addresses <= PACKED_MOST {
            ((MAP + addresses).div_ceil(LINE), true)
        } else {
            (FULL_LINES, false)
        }
    }

    pub(super) fn new(line: u32, packed: bool) -> Self {
        Self(NonZeroU32::MIN | line << 2 | u32::from(packed) << 1)
    }

    #[inline]
    pub(super) fn from_bits(bits: u32) -> Option<Self> {
        NonZeroU32::new(bits).map(Self)
    }

    pub(super) fn bits(self) -> u32 {
        self.0.get()
    }

    #[inline]
    pub(super) fn line(self) -> u32 {
        self.0.get() >> 2
    }

    #[inline]
    fn is_packed(self) -> bool {
        self.0.get() & 2 != 0
    }

    /// The number of its first word.
    #[inline]
    fn start(self) -> usize {
        self.line() as usize * LINE
    }

    /// The place that a lookup of `address` reads first.
    #[inline]
    pub(super) fn first_read(self, address: u32) -> usize {
        if self.is_packed() { self.start() } else { self.start() + (address & 0xff) as usize }
    }

    /// The place of `address`'s word, if the chunk has one for it.
    #[inline]
    pub(super) fn position_of(self, words: &[AtomicU64], address: u32) -> Option<usize> {
        let (start, low) = (self.start(), (address & 0xff) as usize);
        if !self.is_packed() {
            return Some(start + low);
        }
        let map = words.get(start..start + MAP)?;
        let (word, bit) = (low / 64, low % 64);
        let bits = map.get(word)?.load(Relaxed);
        if bits >> bit & 1 == 0 {
            return None;
        }
        let before = map.iter().take(word).map(|bits| bits.load(Relaxed).count_ones()).sum::<u32>()
            + (bits & ((1 << bit) - 1)).count_ones();
        Some(start + MAP + before as usize)
    }

    /// The low bytes of the addresses that have a place in this chunk.
    pub(super) fn addresses(self, words: &[AtomicU64]) -> impl Iterator<Item = u32> {
        let map = if self.is_packed() { words.get(self.start()..self.start() + MAP) } else { None };
        let part = move |number: usize| {
            map.and_then(|map| map.get(number)).map_or(u64::MAX, |bits| bits.load(Relaxed))
        };
        (0..MAP).flat_map(move |number| {
            let lowest_gone = |bits: &u64| Some(bits & bits.wrapping_sub(1));
            std::iter::successors(Some(part(number)), lowest_gone)
                .take_while(|&bits| bits != 0)
                .map(move |bits| number as u32 * 64 + bits.trailing_zeros())
        })
    }

    /// Lines this chunk takes.
    pub(super) fn lines(self, words: &[AtomicU64]) -> usize {
        if self.is_packed() { Self::lines_for(self.addresses(words).count()).0 } else { FULL_LINES }
    }

    /// Writes the map of a fresh, zeroed chunk.
    pub(super) fn set_map(self, words: &[AtomicU64], addresses: impl Iterator<Item = u32>) {
        if self.is_packed() {
            let start = self.start();
            for low in addresses.map(|address| (address & 0xff) as usize) {
                if let Some(map) = words.get(start + low / 64) {
                    map.store(map.load(Relaxed) | 1 << (low % 64), Relaxed);
                }
            }
        }
    }
}

/// What one IPv4 address needs for a lookup. Zero bits are no softwires.
///
/// ```text
///  63      57..53  52..48   47..32     31..0
///  present 16 - a    m     PSID mask   number of the block's first entry
/// ```
/// The whole address is stored with a = 0, so that no port is excluded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct AddressWord(u64);

impl AddressWord {
    pub(super) fn new(block: u32, layout: PortSet) -> Self {
        let a = if layout.is_whole_address() { 0 } else { layout.offset() };
        Self(
            1 << 63
                | u64::from(16 - a) << 53
                | u64::from(layout.m()) << 48
                | u64::from(psid_mask(layout.length())) << 32
                | u64::from(block),
        )
    }

    #[inline]
    pub(super) fn from_bits(bits: u64) -> Option<Self> {
        (bits != 0).then_some(Self(bits))
    }

    pub(super) fn bits(self) -> u64 {
        self.0
    }

    pub(super) fn block(self) -> u32 {
        self.0 as u32
    }

    /// k.
    pub(super) fn length(self) -> u8 {
        self.psid_mask().count_ones() as u8
    }

    #[inline]
    fn psid_mask(self) -> u16 {
        (self.0 >> 32) as u16
    }

    #[inline]
    pub(super) fn is_whole_address(self) -> bool {
        self.psid_mask() == 0
    }

    /// The entry of `port`'s owner, unless nobody can own that port.
    #[inline]
    pub(super) fn entry_of(self, port: u16) -> Option<u32> {
        // Shifts go by the lowest five bits of what they are given.
        let (m, first_owned) = ((self.0 >> 48) as u32, 1_u32.wrapping_shl((self.0 >> 53) as u32));
        let psid = u32::from(port).wrapping_shr(m) & u32::from(self.psid_mask());
        (port >= first_owned as u16).then(|| self.block().wrapping_add(psid))
    }

    /// The numbers of all its entries.
    pub(super) fn entries(self) -> std::ops::RangeInclusive<u32> {
        self.block()..=self.block() + u32::from(self.psid_mask())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_word_finds_the_psid_that_contains_the_port(
            (offset, length) in (0..=16_u8).prop_flat_map(|a| (Just(a), 0..=16 - a)),
            block in 0..=u32::MAX >> 1,
            port: u16,
        ) {
            let word = AddressWord::new(block, PortSet::new(offset, length, 0).unwrap());
            let owner = (0..=psid_mask(length))
                .find(|&psid| PortSet::new(offset, length, psid).unwrap().contains(port));
            prop_assert_eq!(word.entry_of(port), owner.map(|psid| block + u32::from(psid)));
            prop_assert_eq!(word.length(), length);
            prop_assert_eq!(AddressWord::from_bits(word.bits()), Some(word));
        }
    }
}
