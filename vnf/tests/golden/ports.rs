//! The golden cases through real DPDK ports: each frame is sent into one ring, the relay receives it
//! from there in a buffer of a real pool and sends to another ring, which is read. Time is that of
//! the captures, so no case is left out.

use std::sync::Arc;

use serde_json::Value;
use vnf::config;
use vnf::dpdk::{DpdkPool, Hugepages};
use vnf::frame::plan::{LARGE_ROOM, PoolNeeds, PoolPlan};
use vnf::frame::{Burst, Frame as _, RxQueue as _};
use vnf::lwaftr::{MOST_HELD, MOST_WAITING, Relay, RelayParts, Snapshot};
use vnf::replay::{CaptureReader, MACS};
use vnf::side::Side;
use vnf::telemetry::{PortStats, WorkerCounters, add_links, stats_json};

use crate::case::Case;
use crate::support::{Lab, NEEDS, PORT, Running};

/// How often the timers run, in nanoseconds.
const TICK: u64 = 100_000_000;

/// DPDK and its rings.
pub(crate) struct Rings {
    lab: Lab,
    /// What the relay receives from, by side.
    into: [Running; 2],
    /// What it sends to, by side.
    out_of: [Running; 2],
}

/// Can a port receive all its frames? Replay takes longer ones.
pub(crate) fn can_receive(case: &Case) -> bool {
    Side::BOTH.into_iter().all(|side| {
        let path = case.directory.join(format!("{}-in.pcap", side.name()));
        let mut reader = CaptureReader::open(&path).unwrap();
        std::iter::from_fn(|| reader.next_record().unwrap())
            .all(|record| record.frame.len() <= usize::from(LARGE_ROOM))
    })
}

impl Rings {
    pub(crate) fn start() -> Self {
        // What may wait for next hops and for fragments is in buffers of the pools.
        let needs = PoolNeeds { held: (2 * MOST_HELD + MOST_WAITING) as u32, ..NEEDS };
        let lab = Lab::with_plan(Hugepages::Never, PoolPlan::derive(&needs));
        let config = vnf::dpdk::PortConfig { mtu: 9000, ..PORT };
        let mut number = 0;
        let mut ring = || {
            number += 1;
            lab.start_with(&format!("net_ring{number}"), &config)
        };
        let (into, out_of) = ([ring(), ring()], [ring(), ring()]);
        Self { lab, into, out_of }
    }

    /// Closes the ports; every buffer is back.
    pub(crate) fn close(self) {
        let Self { lab, into, out_of } = self;
        into.into_iter().chain(out_of).for_each(Running::close);
        lab.assert_full();
    }

    /// Runs one case; what left by side, and the counters.
    pub(crate) fn run(&mut self, case: &Case) -> ([Vec<Vec<u8>>; 2], Value) {
        let mut session = Session::new(self, case);
        let mut records = Vec::new();
        for side in Side::BOTH {
            let path = case.directory.join(format!("{}-in.pcap", side.name()));
            let mut reader = CaptureReader::open(&path).unwrap();
            while let Some(record) = reader.next_record().unwrap() {
                records.push((record.time, side, record.frame));
            }
        }
        // External first among those of one moment.
        records.sort_by_key(|&(time, side, _)| (time, side.index()));
        let start = records.first().map_or(0, |(time, ..)| *time);
        for (time, side, frame) in records {
            session.advance(time - start);
            session.receive(side, &frame);
        }
        if let Some(seconds) = case.argument("--until") {
            session.advance((seconds.parse::<f64>().unwrap() * 1e9) as u64);
        }
        let mut json = stats_json(&[&*session.counters], [PortStats::default(); 2], 0);
        let snapshot = &session.snapshot;
        let alarms = snapshot.alarms().iter().map(|alarm| alarm.to_json(None)).collect();
        add_links(&mut json, alarms, Side::BOTH.map(|side| snapshot.next_hops(side)));
        (session.sent, json)
    }
}

/// A relay on the rings, with a clock of its own.
struct Session<'a> {
    rings: &'a mut Rings,
    relay: Relay<DpdkPool>,
    counters: Arc<WorkerCounters>,
    snapshot: Snapshot,
    now: u64,
    next_tick: u64,
    sent: [Vec<Vec<u8>>; 2],
}

impl<'a> Session<'a> {
    fn new(rings: &'a mut Rings, case: &Case) -> Self {
        let path = case.directory.join("lwaftr.toml");
        let (config, writer) =
            config::load_with_table(&path).unwrap_or_else(|errors| panic!("{errors}"));
        let mut settings = config.settings(MACS[0], MACS[1]);
        if let Some(mac) = case.argument("--next-hop-mac") {
            settings.know_next_hops(mac.parse().unwrap());
        }
        let counters = Arc::<WorkerCounters>::default();
        let relay = Relay::new(RelayParts {
            pool: rings.lab.pools.for_worker(),
            counters: Arc::clone(&counters),
            announces: false,
            worker: 0,
            workers: 1,
            runs_timers: true,
            seed: 0,
        });
        let snapshot = Snapshot::new(settings, Arc::clone(writer.table()));
        Self { rings, relay, counters, snapshot, now: 0, next_tick: 0, sent: Default::default() }
    }

    /// Runs the timers until `now`.
    fn advance(&mut self, now: u64) {
        while self.next_tick <= now {
            self.now = self.now.max(self.next_tick);
            self.relay.tick(&self.snapshot, self.now);
            self.send();
            self.next_tick += TICK;
        }
        self.now = now;
    }

    fn receive(&mut self, side: Side, bytes: &[u8]) {
        let frame = self.rings.lab.frame(bytes);
        let ring = &mut self.rings.into[side.index()];
        ring.send([frame]);
        let mut burst = Burst::new();
        ring.queues[0].0.receive(&mut burst);
        assert_eq!(burst.len(), 1);
        self.relay.receive(side, &self.snapshot, self.now, &mut burst);
        self.send();
    }

    fn send(&mut self) {
        for side in Side::BOTH {
            let ring = &mut self.rings.out_of[side.index()];
            self.relay.send(side, &mut ring.queues[0].1);
            loop {
                let frames = ring.poll();
                if frames.is_empty() {
                    break;
                }
                let sent = &mut self.sent[side.index()];
                sent.extend(frames.iter().map(|frame| frame.bytes().to_vec()));
            }
        }
    }
}
