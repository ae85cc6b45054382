//! Packets of one burst that await the binding table's answer, so that all are looked up at once.

use arrayvec::ArrayVec;

use crate::frame::{BURST, Burst};
use crate::softwire::{BindingTable, Key, Slot};

/// Frames, what was found out about each, and what to look up.
#[derive(Debug)]
pub(super) struct Waiting<F, T> {
    frames: Burst<F>,
    packets: ArrayVec<T, BURST>,
    keys: ArrayVec<Key, BURST>,
}

impl<F, T> Waiting<F, T> {
    /// Nobody yet.
    #[inline]
    pub(super) fn new() -> Self {
        Self { frames: Burst::new(), packets: ArrayVec::new(), keys: ArrayVec::new() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// Adds a packet. They all come from one burst, so there is room.
    #[inline(always)]
    pub(super) fn push(&mut self, frame: F, packet: T, key: Key) {
        let _ = self.frames.try_push(frame);
        let _ = self.packets.try_push(packet);
        let _ = self.keys.try_push(key);
    }

    /// Looks all of them up and gives each, with its answer, to `each`; in order.
    #[inline(always)]
    pub(super) fn answered(mut self, table: &BindingTable, mut each: impl FnMut(F, &T, Slot)) {
        let mut slots = [Slot::NOBODY; BURST];
        table.locate_batch(&self.keys, &mut slots);
        for ((frame, packet), slot) in self.frames.drain(..).zip(&self.packets).zip(&slots) {
            each(frame, packet, *slot);
        }
    }
}
