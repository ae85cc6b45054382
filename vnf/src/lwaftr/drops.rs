//! Counting what is dropped (A1), with an example of each reason (A2).

use super::tap::Tap;
use crate::side::Side;
use crate::telemetry::{DropReason, Examples, InterfaceCounters, WorkerCounters};

/// Where one interface's drops are counted.
#[derive(Debug)]
pub(super) struct Drops<'a> {
    pub(super) counters: &'a InterfaceCounters,
    examples: &'a Examples,
    exemplified: &'a mut Exemplified,
    /// Who wants to see them.
    pub(super) tap: &'a mut Tap,
    side: Side,
}

impl<'a> Drops<'a> {
    #[inline]
    pub(super) fn new(
        side: Side,
        counters: &'a WorkerCounters,
        exemplified: &'a mut Exemplified,
        tap: &'a mut Tap,
    ) -> Self {
        let (examples, counters) = (counters.examples(side), counters.of(side));
        Self { counters, examples, exemplified, tap, side }
    }

    /// Counts dropped frames and their bytes. The first of a reason in a burst is kept as an
    /// example: how it begins, and how long it is.
    #[inline]
    #[cfg_attr(lwaftr_no_panic, no_panic::no_panic)]
    pub(super) fn count<'b>(
        &mut self,
        reason: DropReason,
        (frames, bytes): (u64, u64),
        example: impl FnOnce() -> (&'b [u8], usize),
    ) {
        if let Some(counter) = self.counters.drops.get(reason.index()) {
            counter.add(frames, bytes);
        }
        if frames > 0 && self.exemplified.is_first(self.side, reason) {
            let (start, len) = example();
            self.examples.put(reason, start, len);
        }
    }
}

/// Reasons that the present burst gave an example of.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Exemplified([u128; 2]);

impl Exemplified {
    #[inline]
    fn is_first(&mut self, side: Side, reason: DropReason) -> bool {
        const { assert!(DropReason::COUNT <= u128::BITS as usize) };
        let bit = 1 << reason.index();
        let seen = &mut self.0[side.index()];
        let is_first = *seen & bit == 0;
        *seen |= bit;
        is_first
    }
}
