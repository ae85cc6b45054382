//! One transmit queue and what it sends: the frames of its lanes when they are due, and answers to
//! the relay's questions about neighbours.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc;

use vnf::frame::{BURST, Frame, FramePool, TxBurst, TxQueue};
use vnf::worker::Clock;

use super::direction::Direction;
use super::lane::Lane;
use super::profile::Profile;
use super::stamp::Stamp;

/// A generator that is behind by more than this part of the frames when its grace is over gives
/// the others up.
const LEFT_OUT: u64 = 100;

/// How long it may go on after its time: a part of that, and for this long.
const GRACE_PART: u64 = 100;
const GRACE: u64 = 100_000_000;

/// How long the last frames of a trial may wait for a port that takes none.
const STUCK: u64 = 1_000_000_000;

/// When frames are due.
#[derive(Debug, Clone)]
pub(crate) enum Load {
    /// At their time, whatever becomes of those before.
    Open(Arc<Profile>),
    /// Whenever fewer than so many are under way.
    Credit {
        /// Frames under way at most.
        window: u64,
        /// For so many nanoseconds.
        nanos: u64,
    },
}

impl Load {
    /// How long frames are sent, in nanoseconds.
    pub(crate) fn nanos(&self) -> u64 {
        match self {
            Self::Open(profile) => profile.duration().as_nanos() as u64,
            Self::Credit { nanos, .. } => *nanos,
        }
    }
}

/// What a port does with frames when it is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Full {
    /// They wait: it is our own NIC, which will send them.
    Wait,
    /// They are lost: the ring is the relay's own, which did not empty it in time, as a NIC's
    /// receive ring would lose them.
    Lose,
}

/// What became of the frames of a lane on their way out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Sent {
    /// Frames whose time came.
    pub(crate) due: u64,
    /// Frames offered.
    pub(crate) offered: u64,
    /// Of these, frames that the port had no room for.
    pub(crate) refused: u64,
    /// How often there was no buffer.
    pub(crate) starved: u64,
    /// The largest backlog, in frames.
    pub(crate) worst_lag: u64,
    /// When sending was over, in nanoseconds since the start, and when it should have been.
    pub(crate) nanos: u64,
    pub(crate) planned_nanos: u64,
    /// Frames offered until the end of each interval.
    pub(crate) by_interval: Vec<u64>,
}

/// A lane that is sent from here.
#[derive(Debug)]
struct Source {
    lane: Arc<Lane>,
    sent: Sent,
    is_over: bool,
}

/// One transmit queue.
#[derive(Debug)]
pub(crate) struct Generator<P: FramePool, T> {
    pool: P,
    queue: T,
    full: Full,
    sources: Vec<Source>,
    load: Load,
    /// The length of an interval in nanoseconds.
    interval: u64,
    out: TxBurst<P::Frame>,
    answers: mpsc::Receiver<Vec<u8>>,
}

impl<P: FramePool, T: TxQueue<Frame = P::Frame>> Generator<P, T> {
    pub(crate) fn new(
        (pool, queue, full): (P, T, Full),
        lanes: Vec<Arc<Lane>>,
        load: Load,
        interval: u64,
        answers: mpsc::Receiver<Vec<u8>>,
    ) -> Self {
        let source = |lane| Source { lane, sent: Sent::default(), is_over: false };
        let sources = lanes.into_iter().map(source).collect();
        Self { pool, queue, full, sources, load, interval, out: TxBurst::new(), answers }
    }

    /// Sends what is due. `start` is when the trial began, by the clock.
    #[inline]
    pub(crate) fn poll(&mut self, start: u64, clock: &impl Clock) {
        while let Ok(answer) = self.answers.try_recv() {
            self.answer(&answer);
        }
        if !self.out.is_empty() {
            self.queue.transmit(&mut self.out);
        }
        for number in 0..self.sources.len() {
            let elapsed = clock.now().saturating_sub(start);
            let wanted = self.wanted(number, elapsed);
            // Nothing new goes before what waits.
            if wanted > 0 && self.out.is_empty() {
                self.send(number, wanted, clock);
            }
        }
    }

    /// How many frames of a source are to be sent now; notes what is over.
    #[inline]
    fn wanted(&mut self, number: usize, elapsed: u64) -> usize {
        let Source { lane, sent, is_over } = &mut self.sources[number];
        if *is_over {
            return 0;
        }
        while elapsed >= (sent.by_interval.len() as u64 + 1) * self.interval {
            sent.by_interval.push(sent.offered);
        }
        let end = self.load.nanos();
        let (wanted, is_done) = match &self.load {
            Load::Open(profile) => {
                sent.due = profile.due(elapsed);
                let behind = sent.due - sent.offered;
                sent.worst_lag = sent.worst_lag.max(behind);
                let late = elapsed.saturating_sub(end);
                let grace = end / GRACE_PART + GRACE;
                let is_too_slow = late >= grace && behind > sent.due / LEFT_OUT;
                let is_stuck = late >= grace + STUCK;
                (behind, elapsed >= end && (behind == 0 || is_too_slow || is_stuck))
            }
            Load::Credit { window, .. } => {
                let under_way = sent.offered - lane.returned.get().min(sent.offered);
                sent.due = sent.offered;
                (window.saturating_sub(under_way), elapsed >= end)
            }
        };
        if is_done || lane.stop.load(Ordering::Relaxed) {
            sent.nanos = elapsed;
            sent.planned_nanos = end.min(elapsed);
            sent.by_interval.push(sent.offered);
            *is_over = true;
            lane.finished.store(true, Ordering::Release);
            return 0;
        }
        wanted.min(BURST as u64) as usize
    }

    /// Sends frames of one source.
    #[inline]
    fn send(&mut self, number: usize, wanted: usize, clock: &impl Clock) {
        let Source { lane, sent, .. } = &mut self.sources[number];
        let traffic = &lane.traffic;
        let first = sent.offered;
        let mut stamps_at = [0; BURST];
        for (sequence, at) in (first..).zip(&mut stamps_at[..wanted]) {
            let shape = traffic.mix.shape(sequence);
            let len = traffic.framer.offered_len(traffic.direction, shape);
            let Some(mut frame) = self.pool.frame(len) else {
                sent.starved += 1;
                break;
            };
            let number = traffic.flows.number(sequence);
            let (flow, tunnel) = (traffic.flows.flow(number), traffic.flows.tunnel(number, 0));
            let written = traffic.framer.write_offered(
                frame.bytes_mut(),
                traffic.direction,
                flow,
                tunnel,
                shape,
            );
            let Some(stamp_at) = written else { break };
            *at = stamp_at;
            self.out.push(frame);
        }
        sent.offered += self.out.len() as u64;
        // Before they leave: whoever receives one must know that it was sent.
        lane.sent.set(sent.offered);
        let time = clock.now();
        for ((frame, at), sequence) in self.out.iter_mut().zip(stamps_at).zip(first..) {
            let stamp =
                Stamp { direction: traffic.direction, trial: traffic.trial, sequence, time };
            if let Some(to) = frame.bytes_mut()[at..].first_chunk_mut() {
                stamp.write(to);
            }
        }
        self.queue.transmit(&mut self.out);
        if self.full == Full::Lose && matches!(self.load, Load::Open(_)) {
            sent.refused += self.out.len() as u64;
            self.out.clear();
        }
    }

    #[cold]
    fn answer(&mut self, bytes: &[u8]) {
        let Some(mut frame) = self.pool.frame(bytes.len()) else { return };
        frame.bytes_mut().copy_from_slice(bytes);
        let mut one = TxBurst::new();
        one.push(frame);
        self.queue.transmit(&mut one);
    }

    /// Pool and queue, and what became of the frames of each lane.
    pub(crate) fn into_parts(self) -> (P, T, Vec<(Direction, Sent)>) {
        let result = |source: Source| (source.lane.traffic.direction, source.sent);
        (self.pool, self.queue, self.sources.into_iter().map(result).collect())
    }
}
