//! What waits for a next hop's MAC address (N3): frames as they were received, so that they are
//! simply decided about once more when the address is known. Bounded in number and in time.

use arrayvec::ArrayVec;

use super::context::Context;
use super::relay::Relay;
use crate::frame::{Burst, Frame, FramePool};
use crate::side::Side;
use crate::telemetry::DropReason;

/// Frames that one worker holds for each side.
pub const MOST_HELD: usize = 64;

/// How long one waits, in nanoseconds.
const PATIENCE: u64 = 3_000_000_000;

/// A frame that waits.
#[derive(Debug)]
struct Waiting<F> {
    frame: F,
    received_on: Side,
    since: u64,
}

/// The frames that wait for each side's next hop, in the order they came.
#[derive(Debug)]
pub(super) struct Held<F> {
    sides: [ArrayVec<Waiting<F>, MOST_HELD>; 2],
}

impl<F> Held<F> {
    pub(super) fn new() -> Self {
        Self { sides: [ArrayVec::new(), ArrayVec::new()] }
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.sides.iter().all(ArrayVec::is_empty)
    }
}

impl<P: FramePool> Relay<P> {
    /// Keeps a frame until the next hop on the side it is `to` leave by is known.
    #[cold]
    #[cfg_attr(lwaftr_no_panic, no_panic::no_panic)]
    pub(super) fn hold(&mut self, cx: &Context<'_>, frame: P::Frame, received_on: Side, to: Side) {
        let len = frame.bytes().len();
        match self.held.sides[to.index()].try_push(Waiting { frame, received_on, since: cx.now }) {
            Ok(()) => self.counters.of(received_on).held.add(1),
            Err(full) => {
                let Waiting { frame, .. } = full.element();
                self.count_drop(received_on, DropReason::NextHopUnresolved, &frame, len);
            }
        }
    }

    /// Decides once more about what waited for a next hop that is known by now, and gives up what
    /// has waited too long.
    #[cold]
    pub(super) fn release(&mut self, cx: &Context<'_>) {
        for side in Side::BOTH {
            if cx.to_next_hop(side).is_some() {
                self.release_to(cx, side);
            }
            let overdue =
                |waiting: &Waiting<P::Frame>| cx.now.saturating_sub(waiting.since) > PATIENCE;
            while self.held.sides[side.index()].first().is_some_and(overdue) {
                let Waiting { frame, received_on, .. } = self.held.sides[side.index()].remove(0);
                self.counters.of(received_on).held.sub(1);
                let len = frame.bytes().len();
                self.count_drop(received_on, DropReason::NextHopUnresolved, &frame, len);
            }
        }
    }

    fn release_to(&mut self, cx: &Context<'_>, side: Side) {
        let waiting = std::mem::take(&mut self.held.sides[side.index()]);
        for Waiting { frame, received_on, since } in waiting {
            self.counters.of(received_on).held.sub(1);
            let mut burst = Burst::<P::Frame>::new();
            burst.extend([frame]);
            self.decide(cx, received_on, &mut burst, Some(since));
        }
    }
}
