//! Packets of one burst that await the binding table's answer, so that all are looked up at once.

use arrayvec::ArrayVec;

use crate::frame::BURST;
use crate::softwire::{BindingTable, Key, Slot};

/// Frames, what was found out about each, and what to look up.
#[derive(Debug)]
pub(super) struct Waiting<F, T>(ArrayVec<Item<F, T>, BURST>);

#[derive(Debug)]
struct Item<F, T> {
    frame: F,
    packet: T,
    key: Key,
}

impl<F, T> Waiting<F, T> {
    /// Nobody yet.
    #[inline]
    pub(super) fn new() -> Self {
        Self(ArrayVec::new())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds a packet. They all come from one burst, so there is room.
    #[inline(always)]
    pub(super) fn push(&mut self, frame: F, packet: T, key: Key) {
        let _ = self.0.try_push(Item { frame, packet, key });
    }

    /// What will be looked up.
    pub(super) fn keys(&self) -> impl Iterator<Item = Key> {
        self.0.iter().map(|item| item.key)
    }

    /// Looks all of them up and gives each, with its answer, to `each`; in order. `worker` is who
    /// may count what the softwires carry.
    #[inline(always)]
    pub(super) fn answered(
        mut self,
        table: &BindingTable,
        worker: usize,
        mut each: impl FnMut(F, &T, Slot),
    ) {
        let mut slots = [Slot::NOBODY; BURST];
        table.locate_batch(&self.0, |item| item.key, &mut slots);
        table.prefetch_counts(worker, slots.get(..self.0.len()).unwrap_or_default());
        for (Item { frame, packet, .. }, slot) in self.0.drain(..).zip(&slots) {
            each(frame, &packet, *slot);
        }
    }
}
