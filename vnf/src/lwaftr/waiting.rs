//! Packets of one batch that await the binding table's answer, so that all are looked up at once.

use arrayvec::ArrayVec;

use crate::frame::BATCH;
use crate::softwire::{BindingTable, Key, Slot, SoftwireCounter};

/// Frames and what to look up for each, and what was found out about those that need a closer look:
/// columns, so that every stage goes over little memory.
#[derive(Debug)]
pub(super) struct Waiting<F, T> {
    frames: ArrayVec<F, BATCH>,
    keys: [Key; BATCH],
    slots: [Slot; BATCH],
    /// Of those that are not usual ones, in order.
    unusual: ArrayVec<T, BATCH>,
    /// A bit for each: is it not a usual one?
    are_unusual: u64,
}

const _: () = assert!(BATCH <= u64::BITS as usize);

impl<F, T> Waiting<F, T> {
    /// Nobody yet.
    #[inline(always)]
    pub(super) fn new() -> Self {
        Self {
            frames: ArrayVec::new(),
            keys: [Key::address_only(0); BATCH],
            slots: [Slot::NOBODY; BATCH],
            unusual: ArrayVec::new(),
            are_unusual: 0,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// What will be looked up.
    pub(super) fn keys(&self) -> impl Iterator<Item = Key> {
        self.keys.iter().take(self.frames.len()).copied()
    }

    /// Adds a packet that is a usual one.
    #[inline(always)]
    pub(super) fn push_usual(&mut self, frame: F, key: Key) {
        self.add(frame, key);
    }

    /// Adds a packet that is not, with what was found out about it.
    pub(super) fn push(&mut self, frame: F, packet: T, key: Key) {
        let _ = self.unusual.try_push(packet);
        self.are_unusual |= 1 << (self.frames.len() % BATCH);
        self.add(frame, key);
    }

    /// They all come from one batch, so there is room.
    #[inline(always)]
    fn add(&mut self, frame: F, key: Key) {
        self.keys[self.frames.len() % BATCH] = key;
        let _ = self.frames.try_push(frame);
    }

    /// Looks all of them up, and gives each out in order, with what was found out about it, unless it
    /// is a usual one, and its answer. `counter` is for what they will be counted by.
    #[inline(always)]
    pub(super) fn answered(
        &mut self,
        table: &BindingTable,
        counter: SoftwireCounter<'_>,
    ) -> impl Iterator<Item = (F, Option<T>, Slot)> {
        let Self { frames, keys, slots, unusual, are_unusual } = self;
        let keys = keys.get(..frames.len()).unwrap_or_default();
        let slots = slots.get_mut(..frames.len()).unwrap_or_default();
        table.locate_batch(keys, |key| *key, slots);
        table.entries().prefetch(slots);
        counter.prefetch(slots);
        let (mut unusual, mut bits) = (unusual.drain(..), std::mem::take(are_unusual));
        frames.drain(..).zip(&*slots).map(move |(frame, &slot)| {
            let is_unusual = bits & 1 == 1;
            bits >>= 1;
            (frame, if is_unusual { unusual.next() } else { None }, slot)
        })
    }
}
