//! One relay on memory: frames go in by hand, frames come out in a list.

use std::sync::Arc;

use crate::capture::Slot;
use crate::frame::{BURST, Burst, HeapFrame, HeapPool, TxBurst, TxQueue};
use crate::lwaftr::{Looked, Relay, RelayParts, Settings, Snapshot, side_of};
use crate::side::Side;
use crate::softwire::BindingTable;
use crate::telemetry::{InterfaceTotals, WorkerCounters};
use crate::wire::MacAddr;

/// How often the timers run, in nanoseconds.
const TICK: u64 = 100_000_000;

/// The longest time that timers run through, in nanoseconds.
const LONGEST_GAP: u64 = 3_600_000_000_000;

/// What a replay may be told besides its configuration.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The MAC address of next hops that the configuration gives by IP address: without it they
    /// stay unresolved until an answer stands in a capture.
    pub next_hop_mac: Option<MacAddr>,
    /// Of everything random.
    pub seed: u64,
}

/// One relay on memory.
#[derive(Debug)]
pub struct Session {
    relay: Relay<HeapPool>,
    snapshot: Arc<Snapshot>,
    counters: Arc<WorkerCounters>,
    now: u64,
    next_tick: u64,
    output: Vec<(Side, Vec<u8>)>,
}

/// A port that keeps what is sent.
struct Sink<'a> {
    side: Side,
    sent: &'a mut Vec<(Side, Vec<u8>)>,
}

impl TxQueue for Sink<'_> {
    type Frame = HeapFrame;

    fn transmit(&mut self, frames: &mut TxBurst<HeapFrame>) -> usize {
        let count = frames.len();
        self.sent.extend(frames.drain(..).map(|frame| (self.side, frame.into_bytes())));
        count
    }
}

impl Session {
    /// A relay that has seen nothing yet, at time 0.
    #[must_use]
    pub fn new(mut settings: Settings, table: Arc<BindingTable>, options: &Options) -> Self {
        if let Some(mac) = options.next_hop_mac {
            settings.know_next_hops(mac);
        }
        let counters = Arc::new(WorkerCounters::default());
        let relay = Relay::new(RelayParts {
            pool: HeapPool,
            counters: counters.clone(),
            worker: 0,
            workers: 1,
            runs_timers: true,
            announces: false,
            seed: options.seed,
        });
        let snapshot = Arc::new(Snapshot::new(settings, table));
        Self { relay, snapshot, counters, now: 0, next_tick: 0, output: Vec::new() }
    }

    /// From now on captures are looked for here, when the timers run.
    pub fn watch_captures(&mut self, slot: Slot) {
        self.relay.watch_captures(slot);
    }

    /// From now on what is looked up is noted.
    pub fn note_lookups(&mut self) {
        self.relay.note_lookups();
    }

    /// What was looked up since the last call, in order.
    pub fn take_lookups(&mut self) -> Vec<Looked> {
        self.relay.take_lookups()
    }

    /// The side that a frame belongs to, by its VLAN tag or its EtherType.
    #[must_use]
    pub fn side_of(&self, frame: &[u8]) -> Side {
        side_of(frame, &self.snapshot)
    }

    /// Receives one frame on a port at this time, in nanoseconds; a time before the last one
    /// counts as the last one. With both sides on one port, `side` does not matter.
    pub fn receive(&mut self, side: Side, now: u64, frame: &[u8]) {
        self.receive_burst(side, now, &[frame]);
    }

    /// Receives up to [`BURST`] frames at once.
    ///
    /// # Panics
    /// When there are more.
    pub fn receive_burst(&mut self, side: Side, now: u64, frames: &[&[u8]]) {
        assert!(frames.len() <= BURST, "{} frames are more than a burst", frames.len());
        self.advance(now);
        let mut burst: Burst<HeapFrame> =
            frames.iter().map(|bytes| HeapFrame::new(bytes)).collect();
        self.relay.receive(side, &self.snapshot, self.now, &mut burst);
        self.send();
    }

    /// Lets time pass: what is due until then happens.
    pub fn advance(&mut self, now: u64) {
        let now = self.now.max(now);
        // Nothing that is timed lasts as long: what came before in a longer gap makes no difference.
        self.next_tick = self.next_tick.max(now.saturating_sub(LONGEST_GAP));
        while self.next_tick <= now {
            self.now = self.now.max(self.next_tick);
            self.relay.tick(&self.snapshot, self.now);
            self.send();
            self.next_tick = self.next_tick.saturating_add(TICK);
            if self.next_tick == u64::MAX {
                break;
            }
        }
        self.now = now;
    }

    /// What was sent since the last call, in order.
    pub fn take_output(&mut self) -> Vec<(Side, Vec<u8>)> {
        std::mem::take(&mut self.output)
    }

    /// What runs: what it knows of neighbours, and what is wrong with them.
    #[must_use]
    pub fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// The counters so far.
    #[must_use]
    pub fn counters(&self) -> &Arc<WorkerCounters> {
        &self.counters
    }

    /// One interface's counters so far.
    #[must_use]
    pub fn totals(&self, side: Side) -> InterfaceTotals {
        let mut totals = InterfaceTotals::default();
        totals.add(self.counters.of(side));
        totals
    }

    fn send(&mut self) {
        for side in Side::BOTH {
            self.relay.send(side, &mut Sink { side, sent: &mut self.output });
        }
    }
}
