//! Frames on their way to a port, and what their being sent will mean for the counters: a frame
//! is forwarded only once the port accepted it (A1).

use arrayvec::ArrayVec;

use super::fragment_ports::MOST_WAITING;
use super::held::MOST_HELD;
use crate::frame::{Frame, TX_BURST, TxBurst, TxQueue};
use crate::side::Side;
use crate::telemetry::{DropReason, InterfaceCounters, WorkerCounters};

/// What a frame to be sent is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Fate {
    /// Received on the other interface.
    #[default]
    Forwarded = 0,
    /// A fragment of a received frame, but for its last.
    Piece,
    /// Received on this interface, for another B4.
    Hairpinned,
    /// A received frame made an answer.
    Answered,
    /// Ours: an ICMPv4 error.
    Icmpv4Error,
    /// Ours: an ICMPv6 error.
    Icmpv6Error,
    /// Ours, of another kind.
    Originated,
}

impl Fate {
    /// How many there are.
    const COUNT: usize = 7;

    /// The relay made it, without there being a frame that it tells of.
    pub(super) fn is_originated(self) -> bool {
        matches!(self, Self::Icmpv4Error | Self::Icmpv6Error | Self::Originated)
    }

    /// The interface whose frame it tells of, if it tells of one, when it leaves by `side`.
    pub(super) fn received_on(self, side: Side) -> Option<Side> {
        match self {
            Self::Forwarded => Some(side.other()),
            Self::Hairpinned | Self::Answered => Some(side),
            Self::Piece | Self::Icmpv4Error | Self::Icmpv6Error | Self::Originated => None,
        }
    }
}

/// What to count when a frame was sent, or was not.
#[derive(Debug, Clone, Copy, Default)]
struct Origin {
    fate: Fate,
    /// Of the frame that was received; of an ICMP error, its own.
    received_len: u32,
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
    /// Of each frame.
    origins: [Origin; TX_BURST],
    /// What they all are.
    tally: Tally,
    /// Those that had to wait, for a next hop or for fragments: which, and since when.
    late: ArrayVec<(usize, u64), MOST_WAITS>,
    /// When those of the packets sent were received that had to wait.
    waits: ArrayVec<u64, MOST_WAITS>,
}

/// How many frames there are of each fate, and their bytes.
#[derive(Debug, Clone, Copy, Default)]
struct Tally {
    /// By [`Fate`].
    frames: [u64; Fate::COUNT],
    bytes: u64,
}

impl Tally {
    #[inline]
    fn add(&mut self, fate: Fate, len: usize) {
        self.frames[fate as usize] += 1;
        self.bytes += len as u64;
    }

    fn remove(&mut self, fate: Fate, len: usize) {
        self.frames[fate as usize] -= 1;
        self.bytes -= len as u64;
    }
}

/// Waits that are remembered until somebody takes them.
const MOST_WAITS: usize = 2 * MOST_HELD + MOST_WAITING;

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
        Self {
            frames: TxBurst::new(),
            origins: [Origin::default(); TX_BURST],
            tally: Tally::default(),
            late: ArrayVec::new(),
            waits: ArrayVec::new(),
        }
    }

    /// Frames that can still be added.
    pub(super) fn room(&self) -> usize {
        self.frames.remaining_capacity()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// The frames, in order, and what each is.
    pub(super) fn leaving(&self) -> impl Iterator<Item = (Fate, &F)> {
        self.origins.iter().map(|origin| origin.fate).zip(&self.frames)
    }

    /// Adds a frame; gives it back when there is no room.
    #[inline(always)]
    #[cfg_attr(lwaftr_no_panic, no_panic::no_panic)]
    pub(super) fn push(&mut self, frame: F, fate: Fate, received: Received) -> Result<(), F> {
        let (number, len) = (self.frames.len(), frame.bytes().len());
        self.frames.try_push(frame).map_err(arrayvec::CapacityError::element)?;
        if let Some(place) = self.origins.get_mut(number) {
            *place = Origin { fate, received_len: received.len };
        }
        self.tally.add(fate, len);
        if let Some(since) = received.since {
            let _ = self.late.try_push((number, since));
        }
        Ok(())
    }

    /// When the packets were received that waited and were sent since the last call.
    pub(super) fn take_waits(&mut self) -> impl Iterator<Item = u64> {
        self.waits.drain(..)
    }

    /// Takes out the frames that are longer than the port may be given, each with what it is and the
    /// bytes of what was received.
    #[cold]
    pub(super) fn take_longer(&mut self, longest: u16) -> ArrayVec<(F, Fate, usize), TX_BURST> {
        let mut taken = ArrayVec::new();
        let mut kept = Self::new();
        kept.waits = std::mem::take(&mut self.waits);
        let late = |number| self.late.iter().find(|(late, _)| *late == number).map(|late| late.1);
        for (number, (frame, origin)) in self.frames.drain(..).zip(self.origins).enumerate() {
            let Origin { fate, received_len } = origin;
            if frame.bytes().len() > usize::from(longest) {
                let _ = taken.try_push((frame, fate, received_len as usize));
            } else {
                let received = Received { len: received_len, since: late(number) };
                let _ = kept.push(frame, fate, received);
            }
        }
        *self = kept;
        taken
    }

    /// Is any frame longer than this?
    pub(super) fn has_longer(&self, longest: u16) -> bool {
        self.frames.iter().any(|frame| frame.bytes().len() > usize::from(longest))
    }

    /// Hands everything to the port and counts: what it accepted as sent, the rest as dropped by
    /// the interface it was received on.
    #[cfg_attr(lwaftr_no_panic, no_panic::no_panic)]
    pub(super) fn flush(
        &mut self,
        side: Side,
        queue: &mut impl TxQueue<Frame = F>,
        counters: &WorkerCounters,
    ) -> Sent {
        let offered = self.frames.len();
        let mut accepted = 0;
        loop {
            let more = queue.transmit(&mut self.frames);
            accepted += more;
            if more == 0 || self.frames.is_empty() {
                break;
            }
        }
        let mut sent = std::mem::take(&mut self.tally);
        let refused = self.origins.get(accepted..offered).unwrap_or_default();
        for (origin, frame) in refused.iter().zip(&self.frames) {
            sent.remove(origin.fate, frame.bytes().len());
            count_refused(*origin, side, counters);
        }
        if let Some(frame) = self.frames.first() {
            let first = self.origins.get(accepted).and_then(|origin| origin.fate.received_on(side));
            if let Some(received_on) = first {
                let bytes = frame.bytes();
                counters.examples(received_on).put(DropReason::TxFull, bytes, bytes.len());
            }
        }
        self.frames.clear();
        let [forwarded, pieces, hairpinned, answered, icmpv4, icmpv6, others] = sent.frames;
        let here = counters.of(side);
        here.out_packets.add(sent.frames.iter().sum());
        here.out_bytes.add(sent.bytes);
        counters.of(side.other()).forwarded.add(forwarded);
        here.hairpinned.add(hairpinned);
        here.extra_fragments.add(pieces);
        here.answered.add(answered);
        here.originated.add(icmpv4 + icmpv6 + others);
        if hairpinned + icmpv4 + icmpv6 > 0 {
            count_closely(self.origins.get(..accepted).unwrap_or_default(), here);
        }
        let mut in_time = Sent { forwarded, hairpinned };
        for (number, since) in self.late.drain(..).filter(|&(number, _)| number < accepted) {
            let _ = self.waits.try_push(since);
            match self.origins.get(number).map(|origin| origin.fate) {
                Some(Fate::Forwarded) => in_time.forwarded -= 1,
                Some(Fate::Hairpinned) => in_time.hairpinned -= 1,
                _ => {}
            }
        }
        in_time
    }
}

/// Counts of frames that were sent what is worth knowing about the rarer ones.
fn count_closely(sent: &[Origin], counters: &InterfaceCounters) {
    for &Origin { fate, received_len } in sent {
        let bytes = u64::from(received_len);
        match fate {
            Fate::Hairpinned => counters.hairpinned_bytes.add(bytes),
            Fate::Icmpv4Error => {
                counters.icmpv4_error_packets.add(1);
                counters.icmpv4_error_bytes.add(bytes);
            }
            Fate::Icmpv6Error => {
                counters.icmpv6_error_packets.add(1);
                counters.icmpv6_error_bytes.add(bytes);
            }
            Fate::Forwarded | Fate::Piece | Fate::Answered | Fate::Originated => {}
        }
    }
}

/// Counts a frame that could not be sent.
fn count_refused(origin: Origin, side: Side, counters: &WorkerCounters) {
    match origin.fate.received_on(side) {
        Some(side) => {
            let counter = &counters.of(side).drops[DropReason::TxFull.index()];
            counter.count(origin.received_len as usize);
        }
        None if origin.fate.is_originated() => counters.of(side).suppressed_errors.add(1),
        // The last piece tells of its packet.
        None => {}
    }
}
