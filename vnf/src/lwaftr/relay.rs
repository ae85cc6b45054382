//! One worker's relay: takes bursts, decides about each frame, counts, and keeps what is to be
//! sent until the worker sends it.

use std::sync::Arc;

use super::context::Context;
use super::drops::{Drops, Exemplified};
use super::egress::Trial;
use super::fragment::Identifications;
use super::fragment_ports::FragmentPorts;
use super::held::Held;
use super::limiter::Limiter;
use super::link;
use super::looked::Looked;
use super::mld::Queries;
use super::outbox::{Fate, Outbox, Received, Sent};
use super::reassembly::Packets;
use super::snapshot::Snapshot;
use super::tap::Tap;
use super::usual::Way;
use super::verdict::{Stop, Verdict};
use crate::frame::{Burst, Frame, FramePool, RoomyFrame, TxQueue};
use crate::side::Side;
use crate::telemetry::{DropReason, IgnoreReason, WorkerCounters};

/// What a relay is made of.
#[derive(Debug)]
pub struct RelayParts<P> {
    /// Where frames of its own come from.
    pub pool: P,
    /// What it counts.
    pub counters: Arc<WorkerCounters>,
    /// Which of the workers this is, from 0.
    pub worker: usize,
    /// How many workers share the limits and rates.
    pub workers: usize,
    /// Whether this is the worker that runs the timers: one of them must.
    pub runs_timers: bool,
    /// Whether it announces its addresses when it starts (N1, N2); a replay has nobody to tell.
    pub announces: bool,
    /// Of everything random; a process takes an unpredictable one.
    pub seed: u64,
}

/// One worker's relay.
#[derive(Debug)]
pub struct Relay<P: FramePool> {
    pub(super) pool: P,
    pub(super) worker: usize,
    pub(super) counters: Arc<WorkerCounters>,
    pub(super) limiter: Limiter,
    pub(super) identifications: Identifications,
    pub(super) out: [Outbox<P::Frame>; 2],
    pub(super) held: Held<P::Frame>,
    /// How many share the limits.
    pub(super) workers: usize,
    /// Tunnelled packets in fragments.
    pub(super) packets: Packets,
    /// One of them that is whole, for a moment.
    pub(super) assembled: RoomyFrame,
    /// Where the egress filter is shown what cannot leave yet.
    pub(super) trial: Trial,
    /// What IPv4 fragments are told apart by.
    pub(super) ports: FragmentPorts<P::Frame>,
    pub(super) exemplified: Exemplified,
    pub(super) queries: Queries,
    runs_timers: bool,
    pub(super) announces: bool,
    /// Who wants to see the frames.
    pub(super) tap: Tap,
    /// What was looked up, if somebody wants to know.
    pub(super) looked: Option<Vec<Looked>>,
}

impl<P: FramePool> Relay<P> {
    /// A relay with nothing under way.
    #[must_use]
    pub fn new(parts: RelayParts<P>) -> Self {
        Self {
            pool: parts.pool,
            worker: parts.worker,
            counters: parts.counters,
            limiter: Limiter::new(parts.workers, parts.seed),
            identifications: Identifications::new(parts.seed),
            out: [Outbox::new(), Outbox::new()],
            held: Held::new(),
            workers: parts.workers.max(1),
            packets: Packets::new(),
            assembled: RoomyFrame::default(),
            trial: Trial::new(),
            ports: FragmentPorts::new(),
            exemplified: Exemplified::default(),
            queries: Queries::new(parts.seed),
            runs_timers: parts.runs_timers,
            announces: parts.announces,
            tap: Tap::off(),
            looked: None,
        }
    }

    /// Takes what one port received; leaves `burst` empty. What is to be sent waits for
    /// [`Self::send`], which must come before the next burst. `now` is in nanoseconds and never
    /// goes back. On a port that both sides share, `side` does not matter.
    pub fn receive(
        &mut self,
        side: Side,
        snapshot: &Snapshot,
        now: u64,
        burst: &mut Burst<P::Frame>,
    ) {
        for frame in burst.iter() {
            frame.prefetch_bytes();
        }
        self.exemplified = Exemplified::default();
        let cx = Context::new(snapshot, now);
        self.expire_fragments(&cx);
        self.receive_from(&cx, side, burst);
        // What came may have told of a next hop.
        if self.has_ready_fragments() {
            self.decide_ready(&Context::new(snapshot, now));
        }
        if !self.held.is_empty() {
            self.release(&Context::new(snapshot, now));
        }
        if self.tap.is_on() {
            self.tap.publish();
        }
    }

    fn receive_from(&mut self, cx: &Context<'_>, side: Side, burst: &mut Burst<P::Frame>) {
        if !cx.snapshot.settings.on_a_stick {
            return self.receive_on(cx, side, burst);
        }
        let mut internal = Burst::new();
        let mut external = Burst::new();
        for frame in burst.drain(..) {
            let burst = match link::side_of(frame.bytes(), cx.snapshot) {
                Side::External => &mut external,
                Side::Internal => &mut internal,
            };
            // Each is as large as the burst that is split.
            let _ = burst.try_push(frame);
        }
        self.receive_on(cx, Side::External, &mut external);
        self.receive_on(cx, Side::Internal, &mut internal);
    }

    /// Runs what is due by now; what is to be sent waits for [`Self::send`].
    pub fn tick(&mut self, snapshot: &Snapshot, now: u64) {
        self.exemplified = Exemplified::default();
        let cx = Context::new(snapshot, now);
        self.tap.look(now);
        if !self.held.is_empty() {
            self.release(&cx);
        }
        self.expire_fragments(&cx);
        self.report_waiting();
        if !self.queries.is_empty() {
            self.answer_queries(&cx);
        }
        if self.runs_timers {
            self.speak(&cx);
        }
        // Fragments may have been given up.
        if self.tap.is_on() {
            self.tap.publish();
        }
    }

    /// True when frames wait to be sent on this side.
    #[must_use]
    pub fn has_to_send(&self, side: Side) -> bool {
        !self.out[side.index()].is_empty()
    }

    /// Sends what waits for this side, and counts what became of it. With nothing to send the queue
    /// is called all the same: some drivers do their work in there.
    pub fn send(&mut self, side: Side, queue: &mut impl TxQueue<Frame = P::Frame>) -> Sent {
        if let Some(longest) = queue.longest()
            && self.out[side.index()].has_longer(longest)
        {
            self.refuse_longer(side, longest);
        }
        if self.tap.is_on() {
            return self.send_watched(side, queue);
        }
        self.out[side.index()].flush(side, queue, &self.counters)
    }

    /// Drops what is longer than a port may be given, as if the port had refused it (A1).
    #[cold]
    fn refuse_longer(&mut self, side: Side, longest: u16) {
        for (frame, fate, len) in self.out[side.index()].take_longer(longest) {
            match fate.received_on(side) {
                Some(on) => self.count_drop(on, DropReason::TxFull, &frame, len),
                None if fate.is_originated() => self.counters.of(side).suppressed_errors.add(1),
                // The last piece tells of its packet.
                None => {}
            }
        }
    }

    /// The same while somebody wants to see what leaves.
    #[cold]
    fn send_watched(&mut self, side: Side, queue: &mut impl TxQueue<Frame = P::Frame>) -> Sent {
        self.tap_leaving(side);
        let counter = &self.counters.of(side).out_packets;
        let before = counter.get();
        let sent = self.out[side.index()].flush(side, queue, &self.counters);
        let accepted = counter.get().wrapping_sub(before);
        self.tap_sent(side, accepted as usize);
        sent
    }

    /// When the packets were received that waited for a next hop and were sent since the last call.
    pub fn take_waits(&mut self) -> impl Iterator<Item = u64> {
        let [external, internal] = &mut self.out;
        external.take_waits().chain(internal.take_waits())
    }

    /// Counts frames that a queue received but could not hand over ([`DropReason::NoBuffer`]).
    pub fn count_unreadable(&self, side: Side, (packets, bytes): (u64, u64)) {
        let counters = self.counters.of(side);
        counters.in_packets.add(packets);
        counters.in_bytes.add(bytes);
        counters.drops[DropReason::NoBuffer.index()].add(packets, bytes);
    }

    fn receive_on(&mut self, cx: &Context<'_>, side: Side, burst: &mut Burst<P::Frame>) {
        if burst.is_empty() {
            return;
        }
        let counters = self.counters.of(side);
        counters.in_packets.add(burst.len() as u64);
        counters.in_bytes.add(burst.iter().map(|frame| frame.bytes().len() as u64).sum());
        if self.tap.is_on() {
            self.tap.receive(side, cx.now, burst);
        }
        self.decide(cx, side, burst, None);
    }

    /// Decides about frames that were counted already; `since` is when, for those that waited.
    pub(super) fn decide(
        &mut self,
        cx: &Context<'_>,
        side: Side,
        burst: &mut Burst<P::Frame>,
        since: Option<u64>,
    ) {
        match side {
            Side::External => self.external(cx, burst, since),
            Side::Internal => self.internal(cx, burst, since),
        }
    }

    /// Gives up fragments that have waited too long.
    #[inline]
    fn expire_fragments(&mut self, cx: &Context<'_>) {
        if self.has_overdue_packets(cx) {
            self.expire_packets(cx);
        }
        if self.has_overdue_waiting(cx) {
            self.expire_waiting(cx);
        }
    }

    /// Carries out what is known of a frame without a lookup.
    pub(super) fn stop(
        &mut self,
        cx: &Context<'_>,
        side: Side,
        frame: P::Frame,
        stop: Stop,
        received: Received,
    ) {
        match stop {
            Stop::Ends(verdict) => self.carry_out(cx, side, frame, verdict, received),
            Stop::AwaitsFirst => self.await_first(cx, side, frame, received),
        }
    }

    /// Sends a usual packet on its `way` from one side to the other or the same, unless the filter
    /// there is against it: does it leave? It was `received` bytes long.
    #[inline(always)]
    #[cfg_attr(lwaftr_no_panic, no_panic::no_panic)]
    pub(super) fn forward(
        &mut self,
        way: &Way<'_>,
        (from, to): (Side, Side),
        fate: Fate,
        frame: P::Frame,
        received: u32,
    ) -> bool {
        let lets_out = way.lets_out(&frame);
        let left = if lets_out {
            let received = Received { len: received, since: None };
            self.out[to.index()].push(frame, fate, received)
        } else {
            Err(frame)
        };
        if let Err(frame) = left {
            let reason = if lets_out { DropReason::TxFull } else { DropReason::FilterEgress };
            self.count_drop(from, reason, &frame, received as usize);
        }
        lets_out
    }

    /// Counts a frame that ends here, and puts one that leaves where it leaves by.
    #[inline(always)]
    #[cfg_attr(lwaftr_no_panic, no_panic::no_panic)]
    pub(super) fn carry_out(
        &mut self,
        cx: &Context<'_>,
        side: Side,
        frame: P::Frame,
        verdict: Verdict,
        received: Received,
    ) {
        let len = received.len as usize;
        let (to, fate) = match verdict {
            Verdict::Forward => (side.other(), Fate::Forwarded),
            Verdict::Hairpin => (side, Fate::Hairpinned),
            Verdict::Answer => (side, Fate::Answered),
            Verdict::Consume => return self.counters.of(side).consumed.add(1),
            Verdict::Wait(to) => return self.hold(cx, frame, side, to),
            Verdict::Ignore(reason) => return self.count_ignored(side, reason, &frame, len),
            Verdict::Drop(reason) => return self.count_drop(side, reason, &frame, len),
        };
        if let Err(frame) = self.out[to.index()].push(frame, fate, received) {
            self.count_drop(side, DropReason::TxFull, &frame, len);
        }
    }

    /// Counts a dropped frame; the first of its reason in a burst is kept as an example (A2).
    #[inline(never)]
    #[cfg_attr(lwaftr_no_panic, no_panic::no_panic)]
    pub(super) fn count_drop(
        &mut self,
        side: Side,
        reason: DropReason,
        frame: &impl Frame,
        received_len: usize,
    ) {
        let bytes = frame.bytes();
        self.drops(side).count(reason, (1, received_len as u64), || (bytes, bytes.len()));
        if self.tap.is_on() {
            self.tap.dropped(side, reason, bytes);
        }
    }

    #[cold]
    #[cfg_attr(lwaftr_no_panic, no_panic::no_panic)]
    fn count_ignored(&mut self, side: Side, reason: IgnoreReason, frame: &P::Frame, len: usize) {
        if let Some(counter) = self.counters.of(side).ignored.get(reason.index()) {
            counter.count(len);
        }
        if self.tap.is_on() {
            self.tap.ignored(side, reason, frame.bytes());
        }
    }

    /// Where frames of one interface are counted that are dropped.
    #[inline]
    pub(super) fn drops(&mut self, side: Side) -> Drops<'_> {
        Drops::new(side, &self.counters, &mut self.exemplified, &mut self.tap)
    }
}
