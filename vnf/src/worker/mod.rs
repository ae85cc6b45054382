//! One core's work, run to completion: receive a burst, decide, send; again.
//!
//! ```text
//! loop:  generation, snapshot                    once per round
//!        for each port:  receive -> relay -> send, record the burst's latency
//!        timers, now and then
//!        nothing came?   idle
//! ```
//!
//! A worker never waits for another thread: it reads the snapshot by one atomic load, reports that
//! it holds nothing older, and hands over its latency book when asked.

mod clock;
mod idle;

pub use clock::{Clock, MonotonicClock};
pub use idle::Idle;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use arc_swap::{ArcSwap, Cache};

use crate::frame::{Burst, FramePool, RxQueue, TxQueue};
use crate::lwaftr::{Relay, Sent, Snapshot};
use crate::memory::Reader;
use crate::side::Side;
use crate::telemetry::{LatencyKind, LatencyRecorder};

/// Nanoseconds between looks at the timers.
const TICK: u64 = 10_000_000;

/// The queues of a worker: a pair for each side, or one that both sides share.
#[derive(Debug)]
pub enum Ports<R, T> {
    /// External and internal interface have a port each, in this order.
    Two((R, T), (R, T)),
    /// Both interfaces are on one port (P5).
    One((R, T)),
}

/// One core's loop and what it owns.
#[allow(missing_debug_implementations)]
pub struct Worker<P: FramePool, R, T, C> {
    /// Decides and counts.
    pub relay: Relay<P>,
    /// Where frames come from and go to.
    pub ports: Ports<R, T>,
    /// The published configuration.
    pub snapshot: Cache<Arc<ArcSwap<Snapshot>>, Arc<Snapshot>>,
    /// Says that this worker holds nothing old.
    pub reader: Reader,
    /// What time it is.
    pub clock: C,
    /// Where latencies go.
    pub latency: LatencyRecorder,
    /// What to do when nothing comes.
    pub idle: Idle,
    /// What the control side sees of this worker, and tells it.
    pub progress: Arc<Progress>,
}

/// What the control side sees of a worker besides its counters, and tells it.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct Progress {
    stop: AtomicBool,
    rounds: AtomicU64,
    busy: AtomicU64,
}

impl Progress {
    /// Asks the worker to return.
    pub fn stop(&self) {
        self.stop.store(true, Relaxed);
    }

    /// Rounds done so far: a worker that lives makes progress even when nothing comes.
    #[must_use]
    pub fn rounds(&self) -> u64 {
        self.rounds.load(Relaxed)
    }

    /// Nanoseconds spent in rounds that brought frames: a poller's share of the time that is work.
    #[must_use]
    pub fn busy(&self) -> u64 {
        self.busy.load(Relaxed)
    }

    /// Only the worker itself may call this; another thread's addition could be lost.
    fn work(&self, nanoseconds: u64) {
        self.busy.store(self.busy.load(Relaxed).wrapping_add(nanoseconds), Relaxed);
    }
}

impl<P, R, T, C> Worker<P, R, T, C>
where
    P: FramePool,
    R: RxQueue<Frame = P::Frame>,
    T: TxQueue<Frame = P::Frame>,
    C: Clock,
{
    /// Works until told to stop.
    pub fn run(&mut self) {
        let mut burst = Burst::new();
        let mut next_tick = 0;
        while !self.progress.stop.load(Relaxed) {
            let received = self.round(&mut burst, &mut next_tick);
            let rounds = &self.progress.rounds;
            rounds.store(rounds.load(Relaxed).wrapping_add(1), Relaxed);
            self.idle.after(received);
        }
    }

    /// One round over the ports; returns how many frames came.
    #[inline]
    fn round(&mut self, burst: &mut Burst<P::Frame>, next_tick: &mut u64) -> usize {
        let Self { relay, snapshot, clock, latency, .. } = self;
        let snapshot = self.reader.quiescent(|| snapshot.load());
        let mut turn = Turn { relay, snapshot, clock, latency, until: 0 };
        let began;
        let received = match &mut self.ports {
            Ports::Two(external, internal) => {
                let (from_external, to_external) = (&mut external.0, &mut external.1);
                let (from_internal, to_internal) = (&mut internal.0, &mut internal.1);
                let mut send = |relay: &mut Relay<P>, even_nothing| Departures {
                    external: send(relay, Side::External, to_external, even_nothing),
                    internal: send(relay, Side::Internal, to_internal, even_nothing),
                };
                began = turn.timers(next_tick, &mut send);
                turn.serve(Side::External, from_external, burst, &mut send)
                    + turn.serve(Side::Internal, from_internal, burst, &mut send)
            }
            Ports::One((from, to)) => {
                let mut send = |relay: &mut Relay<P>, even_nothing| Departures {
                    external: send(relay, Side::External, to, even_nothing),
                    internal: send(relay, Side::Internal, to, even_nothing),
                };
                began = turn.timers(next_tick, &mut send);
                turn.serve(Side::External, from, burst, &mut send)
            }
        };
        if received > 0 {
            self.progress.work(turn.until.saturating_sub(began));
        }
        self.latency.exchange();
        received
    }
}

/// What left by each interface.
struct Departures {
    external: Sent,
    internal: Sent,
}

/// Sends what waits for one side. A queue with nothing to send is called now and then only.
#[inline]
fn send<P: FramePool>(
    relay: &mut Relay<P>,
    side: Side,
    queue: &mut impl TxQueue<Frame = P::Frame>,
    even_nothing: bool,
) -> Sent {
    if even_nothing || relay.has_to_send(side) { relay.send(side, queue) } else { Sent::default() }
}

/// What a worker needs of itself to serve a port.
struct Turn<'a, P: FramePool, C> {
    relay: &'a mut Relay<P>,
    snapshot: &'a Snapshot,
    clock: &'a C,
    latency: &'a mut LatencyRecorder,
    /// When the last burst of this round was done with.
    until: u64,
}

impl<P: FramePool, C: Clock> Turn<'_, P, C> {
    /// Takes one burst from a port through to what it sends.
    #[inline]
    fn serve(
        &mut self,
        side: Side,
        queue: &mut impl RxQueue<Frame = P::Frame>,
        burst: &mut Burst<P::Frame>,
        send: &mut impl FnMut(&mut Relay<P>, bool) -> Departures,
    ) -> usize {
        queue.receive(burst);
        let unreadable = queue.take_unreadable();
        if unreadable.0 > 0 {
            self.relay.count_unreadable(side, unreadable);
        }
        let received = burst.len();
        if received == 0 {
            return 0;
        }
        let start = self.clock.now();
        self.relay.receive(side, self.snapshot, start, burst);
        let left = send(self.relay, false);
        let end = self.clock.now();
        self.until = end;
        let took = end.saturating_sub(start);
        for since in self.relay.take_waits() {
            self.latency.record(LatencyKind::Held, end.saturating_sub(since), 1);
        }
        for (kind, packets) in [
            (LatencyKind::Encap, left.internal.forwarded),
            (LatencyKind::Decap, left.external.forwarded),
            (LatencyKind::Hairpin, left.internal.hairpinned),
        ] {
            if packets > 0 {
                self.latency.record(kind, took, packets);
            }
        }
        received
    }

    /// Runs the timers when it is time to; returns the time.
    #[inline]
    fn timers(
        &mut self,
        next: &mut u64,
        send: &mut impl FnMut(&mut Relay<P>, bool) -> Departures,
    ) -> u64 {
        let now = self.clock.now();
        if now >= *next {
            *next = now + TICK;
            self.relay.tick(self.snapshot, now);
            send(self.relay, true);
        }
        now
    }
}
