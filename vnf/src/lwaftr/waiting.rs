//! Packets of one burst that await the binding table's answer, so that all are looked up at once.

use arrayvec::ArrayVec;

use crate::frame::BURST;
use crate::softwire::{BindingTable, Key, Reading, Slot, SoftwireCounter};

/// Frames and what to look up for each, and what was found out about those that need a closer look:
/// columns, so that every stage goes over little memory.
#[derive(Debug)]
pub(super) struct Waiting<F, T> {
    frames: ArrayVec<F, BURST>,
    keys: [Key; BURST],
    /// Of those that are not usual ones, in order.
    unusual: ArrayVec<T, BURST>,
    /// A bit for each: is it a usual one?
    usual: u64,
}

const _: () = assert!(BURST <= u64::BITS as usize);

impl<F, T> Waiting<F, T> {
    /// Nobody yet.
    #[inline(always)]
    pub(super) fn new() -> Self {
        let keys = [Key::address_only(0); BURST];
        Self { frames: ArrayVec::new(), keys, unusual: ArrayVec::new(), usual: 0 }
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
        self.usual |= 1 << (self.frames.len() % BURST);
        self.add(frame, key);
    }

    /// Adds a packet that is not, with what was found out about it.
    pub(super) fn push(&mut self, frame: F, packet: T, key: Key) {
        let _ = self.unusual.try_push(packet);
        self.add(frame, key);
    }

    /// They all come from one burst, so there is room.
    #[inline(always)]
    fn add(&mut self, frame: F, key: Key) {
        self.keys[self.frames.len() % BURST] = key;
        let _ = self.frames.try_push(frame);
    }

    /// Looks all of them up, and gives each out in order, with what was found out about it, unless it
    /// is a usual one, and its answer. `counter` is for what they will be counted by.
    #[inline(always)]
    pub(super) fn answered<'a>(
        &'a mut self,
        table: &BindingTable,
        counter: SoftwireCounter<'_>,
    ) -> impl Iterator<Item = (F, Option<T>, Slot, Reading)> {
        let Self { frames, keys, unusual, usual } = self;
        let mut slots = [Slot::NOBODY; BURST];
        let mut readings = [Reading::default(); BURST];
        let count = frames.len();
        table.locate_batch(keys.get(..count).unwrap_or_default(), |key| *key, &mut slots);
        table.read_batch(slots.get(..count).unwrap_or_default(), &mut readings);
        counter.prefetch(slots.get(..count).unwrap_or_default());
        let (mut unusual, usual) = (unusual.drain(..), std::mem::take(usual));
        frames.drain(..).enumerate().map(move |(number, frame)| {
            // Never more than that, and the compiler knows.
            let number = number % BURST;
            let packet = if usual >> number & 1 == 1 { None } else { unusual.next() };
            (frame, packet, slots[number], readings[number])
        })
    }
}
