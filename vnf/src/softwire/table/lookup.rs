//! Reading the table: one key, or a batch in stages so that cache misses overlap.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Acquire};

use super::BindingTable;
use super::entry::{Endpoints, Entry};
use super::layout::{AddressWord, ChunkRef};
use crate::frame::BATCH;
use crate::memory::prefetch;

/// What a packet is looked up by: an IPv4 address and, if its protocol has one, a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key(u64);

/// Where a lookup ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slot(pub(super) u32);

/// References in the index: one for each /24.
const INDEX: usize = 1 << 24;

const HAS_PORT: u64 = 1 << 16;

impl Key {
    /// An address and a port (or an ICMP identifier), in host order.
    #[inline]
    #[must_use]
    pub const fn with_port(address: u32, port: u16) -> Self {
        Self((address as u64) << 32 | HAS_PORT | port as u64)
    }

    /// An address alone: finds whole-address softwires only.
    #[inline]
    #[must_use]
    pub const fn address_only(address: u32) -> Self {
        Self((address as u64) << 32)
    }

    #[inline]
    pub(crate) fn address(self) -> u32 {
        (self.0 >> 32) as u32
    }

    pub(crate) fn port(self) -> Option<u16> {
        (self.0 & HAS_PORT != 0).then_some(self.0 as u16)
    }
}

impl Slot {
    /// Nobody has this address and port.
    pub const NOBODY: Self = Self(u32::MAX);
    /// The address is shared, and the packet has no port to tell whose it is.
    pub const PORT_NEEDED: Self = Self(u32::MAX - 1);

    /// The entry it names, if it names one.
    #[inline]
    pub(super) fn entry(self) -> Option<u32> {
        (self.0 < Self::PORT_NEEDED.0).then_some(self.0)
    }
}

impl BindingTable {
    /// Looks one key up.
    #[inline]
    #[must_use]
    #[cfg_attr(lwaftr_no_panic, no_panic::no_panic)]
    pub fn locate(&self, key: Key) -> Slot {
        slot_in(&self.words, chunk_of(&self.index, key.address()), key)
    }

    /// Looks up to [`BATCH`] things up by their keys, in stages, so that their cache misses
    /// overlap. `slots` must be as long as `items`.
    #[inline(always)]
    #[cfg_attr(lwaftr_no_panic, no_panic::no_panic)]
    pub fn locate_batch<T>(&self, items: &[T], key: impl Fn(&T) -> Key, slots: &mut [Slot]) {
        let (words, mut chunks) = (&*self.words, [None; BATCH]);
        // As long as this, every /24 is in it.
        let Some(index) = self.index.first_chunk::<INDEX>() else {
            return slots.fill(Slot::NOBODY);
        };
        for item in items {
            prefetch(&index[(key(item).address() >> 8) as usize]);
        }
        for (item, chunk) in items.iter().zip(&mut chunks) {
            let address = key(item).address();
            *chunk = ChunkRef::from_bits(index[(address >> 8) as usize].load(Acquire));
            if let Some(word) = chunk.and_then(|chunk| words.get(chunk.first_read(address))) {
                prefetch(word);
            }
        }
        for ((item, chunk), slot) in items.iter().zip(&chunks).zip(slots) {
            *slot = slot_in(words, *chunk, key(item));
        }
    }

    /// Its entries, to be read by slot.
    #[inline(always)]
    pub(crate) fn entries(&self) -> Entries<'_> {
        Entries(&self.entries)
    }

    /// The softwire's ends at a slot, or nothing when nobody is there.
    #[inline]
    #[must_use]
    #[cfg_attr(lwaftr_no_panic, no_panic::no_panic)]
    pub fn endpoints(&self, slot: Slot) -> Option<Endpoints> {
        self.entries().endpoints(slot)
    }

    /// Remembers the path MTU towards the B4 of a softwire for ten minutes (M1). A table built anew
    /// has forgotten it, as has a softwire whose address was edited.
    pub fn learn_path_mtu(&self, slot: Slot, path_mtu: u16, now: u64) {
        if let Some(entry) = self.entries.get(slot.0 as usize) {
            entry.learn(path_mtu, now);
        }
    }

    /// True when some softwire has this address: the word of one that nobody has any more is 0.
    #[inline(always)]
    #[must_use]
    #[cfg_attr(lwaftr_no_panic, no_panic::no_panic)]
    pub fn has_address(&self, address: u32) -> bool {
        self.is_populated(address) && self.block_of(address).is_some()
    }
}

/// The entries of a table, as a burst reads them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entries<'a>(&'a [Entry]);

impl Entries<'_> {
    /// Asks the CPU for the entries at these slots, and does nothing else meanwhile: each may cost a
    /// walk through the page tables, which other instructions wait for, but other requests do not.
    #[inline(always)]
    pub(crate) fn prefetch(self, slots: &[Slot]) {
        for slot in slots {
            if let Some(entry) = self.0.get(slot.0 as usize) {
                prefetch(entry);
            }
        }
    }

    /// The ends of the softwire at a slot, if there is one.
    #[inline(always)]
    pub(crate) fn endpoints(self, slot: Slot) -> Option<Endpoints> {
        self.0.get(slot.0 as usize)?.endpoints()
    }

    /// The same, if nothing was learned of the path to the B4.
    #[inline(always)]
    pub(crate) fn plain_endpoints(self, slot: Slot) -> Option<Endpoints> {
        self.0.get(slot.0 as usize)?.plain_endpoints()
    }
}

#[inline(always)]
fn chunk_of(index: &[AtomicU32], address: u32) -> Option<ChunkRef> {
    ChunkRef::from_bits(index.get((address >> 8) as usize)?.load(Acquire))
}

#[inline(always)]
fn slot_in(words: &[AtomicU64], chunk: Option<ChunkRef>, key: Key) -> Slot {
    let word = chunk
        .and_then(|chunk| chunk.position_of(words, key.address()))
        .and_then(|position| words.get(position))
        .and_then(|word| AddressWord::from_bits(word.load(Acquire)));
    let Some(word) = word else { return Slot::NOBODY };
    if key.0 & HAS_PORT == 0 && !word.is_whole_address() {
        return Slot::PORT_NEEDED;
    }
    word.entry_of(key.0 as u16).map_or(Slot::NOBODY, Slot)
}
