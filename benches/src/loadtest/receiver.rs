//! One receive queue: judges what comes back.

use std::sync::Arc;
use std::sync::mpsc;

use hdrhistogram::Histogram;
use vnf::frame::{Burst, Frame, RxQueue};
use vnf::worker::Clock;

use super::delay::Variation;
use super::direction::Direction;
use super::lane::Lane;
use super::neighbours::Neighbours;
use super::seen::Seen;
use super::stamp::{self, NoStamp};
use super::verify::{self, Verdict};

/// The longest latency that is told from a longer one: a minute.
const LONGEST: u64 = 60_000_000_000;

/// An empty book of latencies in nanoseconds.
pub(crate) fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, LONGEST, 3).expect("these bounds make a histogram")
}

/// An interval's frames.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Interval {
    pub(crate) returned: u64,
    pub(crate) p50: u64,
    pub(crate) p999: u64,
    pub(crate) max: u64,
}

/// What came back of a lane.
#[derive(Debug, Clone)]
pub(crate) struct Returned {
    /// Each frame that came back at least once.
    pub(crate) seen: Seen,
    /// Frames that came again.
    pub(crate) duplicates: u64,
    pub(crate) corrupt: u64,
    pub(crate) misdirected: u64,
    /// Frames that came after one that was sent later (RFC 4737 section 3.3).
    pub(crate) reordered: u64,
    /// How many were made by each table.
    pub(crate) by_table: Vec<u64>,
    /// All latencies.
    pub(crate) latency: Histogram<u64>,
    /// Latencies of frames that were sent in the second half of the trial (RFC 8219 section 7.2
    /// tags frames after half the time).
    pub(crate) late_latency: Histogram<u64>,
    /// By how much latencies of frames sent one after the other differ.
    pub(crate) variation: Variation,
    pub(crate) intervals: Vec<Interval>,
}

/// A lane that comes back here.
#[derive(Debug)]
struct Drain {
    lane: Arc<Lane>,
    returned: Returned,
    highest: u64,
    /// Number and latency of the frame that came last.
    last: Option<(u64, u64)>,
    current: Histogram<u64>,
}

impl Drain {
    fn new(lane: Arc<Lane>) -> Self {
        let returned = Returned {
            seen: Seen::default(),
            duplicates: 0,
            corrupt: 0,
            misdirected: 0,
            reordered: 0,
            by_table: vec![0; lane.traffic.flows.tables()],
            latency: histogram(),
            late_latency: histogram(),
            variation: Variation::new(),
            intervals: Vec::new(),
        };
        let current = Histogram::new_with_bounds(1, LONGEST, 2).expect("bounds of a histogram");
        Self { lane, returned, highest: 0, last: None, current }
    }

    #[inline]
    fn take(&mut self, sequence: u64, table: usize, latency: u64, is_late: bool) {
        let returned = &mut self.returned;
        if !returned.seen.insert(sequence) {
            returned.duplicates += 1;
            return;
        }
        if sequence < self.highest {
            returned.reordered += 1;
        } else {
            self.highest = sequence;
        }
        returned.by_table[table] += 1;
        returned.latency.saturating_record(latency);
        if is_late {
            returned.late_latency.saturating_record(latency);
        }
        if let Some((number, before)) = self.last.replace((sequence, latency))
            && sequence == number + 1
        {
            returned.variation.record(before, latency);
        }
        self.current.saturating_record(latency);
    }

    /// Closes the current interval.
    #[cold]
    fn close(&mut self) {
        let book = &self.current;
        self.returned.intervals.push(Interval {
            returned: book.len(),
            p50: book.value_at_quantile(0.5),
            p999: book.value_at_quantile(0.999),
            max: book.max(),
        });
        self.current.reset();
    }
}

/// One receive queue.
#[derive(Debug)]
pub(crate) struct Receiver<R: RxQueue> {
    queue: R,
    drains: Vec<Drain>,
    neighbours: Neighbours,
    answers: mpsc::Sender<Vec<u8>>,
    burst: Burst<R::Frame>,
    /// The length of an interval, and of half the trial, in nanoseconds.
    interval: u64,
    half: u64,
    next_interval: u64,
    foreign: u64,
}

impl<R: RxQueue> Receiver<R> {
    pub(crate) fn new(
        queue: R,
        lanes: Vec<Arc<Lane>>,
        neighbours: Neighbours,
        answers: mpsc::Sender<Vec<u8>>,
        (interval, half): (u64, u64),
    ) -> Self {
        let drains = lanes.into_iter().map(Drain::new).collect();
        let burst = Burst::new();
        let next_interval = interval;
        Self {
            queue,
            drains,
            neighbours,
            answers,
            burst,
            interval,
            half,
            next_interval,
            foreign: 0,
        }
    }

    /// Takes what has come. `start` is when the trial began, by the clock.
    #[inline]
    pub(crate) fn poll(&mut self, start: u64, clock: &impl Clock) {
        self.queue.receive(&mut self.burst);
        let now = clock.now();
        while now.saturating_sub(start) >= self.next_interval {
            self.drains.iter_mut().for_each(Drain::close);
            self.next_interval += self.interval;
        }
        if self.burst.is_empty() {
            return;
        }
        let mut burst = std::mem::take(&mut self.burst);
        for frame in &burst {
            self.judge(frame.bytes(), start, now);
        }
        burst.clear();
        self.burst = burst;
        for drain in &self.drains {
            drain.lane.returned.set(drain.returned.seen.count());
        }
    }

    #[inline]
    fn judge(&mut self, bytes: &[u8], start: u64, now: u64) {
        let (form, stamp) = verify::stamp_of(bytes);
        let stamp = match stamp {
            Ok(stamp) => stamp,
            Err(why) => return self.no_stamp(form, why, bytes),
        };
        let of_form = |drain: &&mut Drain| drain.lane.traffic.direction == stamp.direction;
        let Some(drain) = self.drains.iter_mut().find(of_form) else {
            self.foreign += 1;
            return;
        };
        if form != Some(stamp.direction) {
            drain.returned.misdirected += 1;
            return;
        }
        let sent = drain.lane.sent.get();
        match verify::judge(&drain.lane, stamp, bytes, sent) {
            Verdict::Good { sequence, time, table } => {
                let latency = stamp::age(now, time);
                let is_late = now.saturating_sub(start).saturating_sub(latency) >= self.half;
                drain.take(sequence, table, latency, is_late);
            }
            Verdict::Corrupt => drain.returned.corrupt += 1,
            Verdict::Misdirected => drain.returned.misdirected += 1,
            Verdict::Stale => self.foreign += 1,
        }
    }

    #[cold]
    fn no_stamp(&mut self, form: Option<Direction>, why: NoStamp, bytes: &[u8]) {
        let ours = self.drains.iter_mut().find(|drain| Some(drain.lane.traffic.direction) == form);
        match (why, ours) {
            (NoStamp::Broken, Some(drain)) => drain.returned.corrupt += 1,
            _ => match self.neighbours.answer(bytes) {
                // The trial is over when nobody takes the answer any more.
                Some(answer) => _ = self.answers.send(answer),
                None => self.foreign += 1,
            },
        }
    }

    /// The queue, what came back of each lane, and how many frames were none of ours.
    pub(crate) fn into_parts(mut self) -> (R, Vec<(Direction, Returned)>, u64) {
        self.drains.iter_mut().for_each(Drain::close);
        let result = |drain: Drain| (drain.lane.traffic.direction, drain.returned);
        (self.queue, self.drains.into_iter().map(result).collect(), self.foreign)
    }
}
