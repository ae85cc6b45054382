//! Packets of one burst that await the binding table's answer, so that all are looked up at once.

use arrayvec::ArrayVec;

use crate::frame::BURST;
use crate::softwire::{Approach, BindingTable, Key, Slot};

/// Frames, what was found out about each, and what to look up: a column of each, so that every
/// stage goes over little memory.
#[derive(Debug)]
pub(super) struct Waiting<F, T> {
    frames: ArrayVec<F, BURST>,
    packets: [T; BURST],
    keys: [Key; BURST],
    /// A bit for each: is it a usual one?
    usual: u64,
}

/// Packets that are looked up before the one that is worked on.
const AHEAD: usize = 16;

const _: () = assert!(BURST <= u64::BITS as usize);

impl<F, T: Copy + Default> Waiting<F, T> {
    /// Nobody yet.
    #[inline(always)]
    pub(super) fn new() -> Self {
        let keys = [Key::address_only(0); BURST];
        Self { frames: ArrayVec::new(), packets: [T::default(); BURST], keys, usual: 0 }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// Adds a packet. They all come from one burst, so there is room.
    #[inline(always)]
    pub(super) fn push(&mut self, frame: F, packet: T, key: Key) {
        self.add(frame, packet, key, false);
    }

    /// What will be looked up.
    pub(super) fn keys(&self) -> impl Iterator<Item = Key> {
        self.keys.iter().take(self.frames.len()).copied()
    }

    /// Adds a packet that is a usual one.
    #[inline(always)]
    pub(super) fn push_usual(&mut self, frame: F, packet: T, key: Key) {
        self.add(frame, packet, key, true);
    }

    #[inline(always)]
    fn add(&mut self, frame: F, packet: T, key: Key, is_usual: bool) {
        let number = self.frames.len();
        if number < BURST {
            self.packets[number] = packet;
            self.keys[number] = key;
            self.usual |= u64::from(is_usual) << number;
            let _ = self.frames.try_push(frame);
        }
    }

    /// Looks all of them up, and gives each out with what was found out about it, its answer, and
    /// whether it is a usual one; in order. `worker` is who may count what the softwires carry.
    #[inline(always)]
    pub(super) fn answered<'a>(
        &'a mut self,
        table: &'a BindingTable,
        worker: usize,
    ) -> impl Iterator<Item = (F, &'a T, Slot, bool)> {
        let Self { frames, packets, keys, usual } = self;
        let keys = keys.get(..frames.len()).unwrap_or_default();
        let mut lookups = Lookups::new(table, worker, keys);
        let (packets, usual) = (&*packets, std::mem::take(usual));
        frames.drain(..).enumerate().map(move |(number, frame)| {
            lookups.locate(number + AHEAD);
            // Never more than that, and the compiler knows.
            let number = number % BURST;
            (frame, &packets[number], lookups.slots[number], usual >> number & 1 == 1)
        })
    }
}

/// The lookups of a burst, each ended a little before its packet is worked on: so that the entries
/// of the next few are on their way into the cache, and no more than the CPU can fetch at once.
struct Lookups<'a> {
    table: &'a BindingTable,
    worker: usize,
    keys: &'a [Key],
    approach: Approach<'a>,
    slots: [Slot; BURST],
}

impl<'a> Lookups<'a> {
    /// The first few have ended.
    #[inline(always)]
    fn new(table: &'a BindingTable, worker: usize, keys: &'a [Key]) -> Self {
        let approach = table.approach(keys, |key| *key);
        let mut lookups = Self { table, worker, keys, approach, slots: [Slot::NOBODY; BURST] };
        for number in 0..AHEAD {
            lookups.locate(number);
        }
        lookups
    }

    /// Ends one, if there are so many.
    #[inline(always)]
    fn locate(&mut self, number: usize) {
        if let (Some(&key), Some(slot)) = (self.keys.get(number), self.slots.get_mut(number)) {
            *slot = self.approach.locate(number, key);
            self.table.prefetch_counts(self.worker, *slot);
        }
    }
}
