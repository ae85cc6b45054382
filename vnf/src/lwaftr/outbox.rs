//! Frames on their way to a port, and what their being sent will mean for the counters: a frame
//! is forwarded only once the port accepted it (A1).

use arrayvec::ArrayVec;

use super::held::MOST_HELD;
use crate::frame::{Frame, TX_BURST, TxBurst, TxQueue};
use crate::side::Side;
use crate::telemetry::{DropReason, WorkerCounters};

/// What a frame to be sent is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// Received on the other interface.
    Forwarded,
    /// A fragment of a received frame, but for its last.
    Piece,
    /// Received on this interface, for another B4.
    Hairpinned,
    /// A received frame made an answer.
    Answered,
    /// Ours.
    Originated,
}

/// What to count when a frame was sent, or was not.
#[derive(Debug, Clone, Copy)]
struct Origin {
    fate: Fate,
    len: u32,
    received: Received,
}

/// How a frame came.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Received {
    /// Its bytes as it was received.
    pub(super) len: u32,
    /// When it was received, if it had to wait.
    pub(super) since: Option<u64>,
}

/// Frames waiting for one port.
#[derive(Debug)]
pub(super) struct Outbox<F> {
    frames: TxBurst<F>,
    origins: ArrayVec<Origin, TX_BURST>,
    /// When those of the packets sent were received that had to wait.
    waits: ArrayVec<u64, MOST_WAITS>,
}

/// Waits that are remembered until somebody takes them.
const MOST_WAITS: usize = 2 * MOST_HELD;

/// Packets that a port accepted without their having waited, by what was done to them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sent {
    /// Received on the other interface: encapsulated if sent on the internal one, decapsulated if
    /// sent on the external one.
    pub forwarded: u64,
    /// From one B4 to another.
    pub hairpinned: u64,
}

impl<F: Frame> Outbox<F> {
    pub(super) fn new() -> Self {
        Self { frames: TxBurst::new(), origins: ArrayVec::new(), waits: ArrayVec::new() }
    }

    /// Frames that can still be added.
    pub(super) fn room(&self) -> usize {
        self.frames.remaining_capacity()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// Adds a frame; gives it back when there is no room.
    #[inline]
    pub(super) fn push(&mut self, frame: F, fate: Fate, received: Received) -> Result<(), F> {
        let origin = Origin { fate, len: frame.bytes().len() as u32, received };
        self.frames.try_push(frame).map_err(arrayvec::CapacityError::element)?;
        // Both have the same capacity and length.
        let _ = self.origins.try_push(origin);
        Ok(())
    }

    /// When the packets were received that waited and were sent since the last call.
    pub(super) fn take_waits(&mut self) -> impl Iterator<Item = u64> {
        self.waits.drain(..)
    }

    /// Hands everything to the port and counts: what it accepted as sent, the rest as dropped by
    /// the interface it was received on.
    pub(super) fn flush(
        &mut self,
        side: Side,
        queue: &mut impl TxQueue<Frame = F>,
        counters: &WorkerCounters,
    ) -> Sent {
        let mut accepted = 0;
        loop {
            let more = queue.transmit(&mut self.frames);
            accepted += more;
            if more == 0 || self.frames.is_empty() {
                break;
            }
        }
        self.frames.clear();
        let here = counters.of(side);
        let (mut sent, mut pieces, mut answered, mut originated, mut bytes) =
            (Sent::default(), 0, 0, 0, 0);
        let accepted = accepted.min(self.origins.len());
        let (mut late_forwarded, mut late_hairpinned) = (0, 0);
        for origin in &self.origins[..accepted] {
            bytes += u64::from(origin.len);
            if let Some(since) = origin.received.since {
                let _ = self.waits.try_push(since);
                late_forwarded += u64::from(origin.fate == Fate::Forwarded);
                late_hairpinned += u64::from(origin.fate == Fate::Hairpinned);
            }
            match origin.fate {
                Fate::Forwarded => sent.forwarded += 1,
                Fate::Hairpinned => sent.hairpinned += 1,
                Fate::Piece => pieces += 1,
                Fate::Answered => answered += 1,
                Fate::Originated => originated += 1,
            }
        }
        here.out_packets.add(accepted as u64);
        here.out_bytes.add(bytes);
        counters.of(side.other()).forwarded.add(sent.forwarded);
        here.hairpinned.add(sent.hairpinned);
        sent.forwarded -= late_forwarded;
        sent.hairpinned -= late_hairpinned;
        here.extra_fragments.add(pieces);
        here.answered.add(answered);
        here.originated.add(originated);
        for origin in &self.origins[accepted..] {
            count_refused(*origin, side, counters);
        }
        self.origins.clear();
        sent
    }
}

/// Counts a frame that could not be sent.
fn count_refused(origin: Origin, side: Side, counters: &WorkerCounters) {
    let received_on = match origin.fate {
        Fate::Forwarded => side.other(),
        Fate::Hairpinned | Fate::Answered => side,
        // The last piece tells of its packet.
        Fate::Piece => return,
        Fate::Originated => return counters.of(side).suppressed_errors.add(1),
    };
    counters.of(received_on).drops[DropReason::TxFull.index()].count(origin.received.len as usize);
}
