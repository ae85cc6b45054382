//! Whole trials in memory: the engine against the real relay on frames of the heap, and against
//! one that misbehaves in known ways. What must be told of that is known exactly.

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use benches::softwires::{BR, Layout, rules};
use vnf::frame::{Burst, HeapFrame, HeapPool, RxQueue, TxBurst, TxQueue};
use vnf::lwaftr::{
    External, Filters, Fragments, Internal, Link as RelayLink, NextHop, Policy, Relay, RelayParts,
    Settings, Snapshot,
};
use vnf::side::Side;
use vnf::softwire::{BindingTable, Softwire, TableWriter};
use vnf::telemetry::WorkerCounters;
use vnf::worker::MonotonicClock;

use crate::direction::{Direction, Directions};
use crate::engine::{Timing, Trial, Unit};
use crate::failure::Failure;
use crate::flows::{Agreement, Flows};
use crate::frames::Framer;
use crate::frames::tests::LINKS;
use crate::generator::{Full, Load};
use crate::lane::{Lane, Traffic};
use crate::mix::Mix;
use crate::neighbours::Neighbours;
use crate::profile::Profile;
use crate::trial::Outcome;

/// What a misbehaving relay does to its output: the number of the frame and the frame in, any
/// frames out.
type Mischief = fn(u64, Vec<u8>) -> Vec<Vec<u8>>;

/// The relay with two wires, worked by whoever sends.
struct Machine {
    relay: Relay<HeapPool>,
    snapshot: Snapshot,
    mischief: Mischief,
    number: u64,
    now: u64,
    /// What it sent, by side.
    out: [VecDeque<Vec<u8>>; 2],
}

struct Wire(Vec<HeapFrame>);

impl TxQueue for Wire {
    type Frame = HeapFrame;

    fn transmit(&mut self, frames: &mut TxBurst<HeapFrame>) -> usize {
        let count = frames.len();
        self.0.extend(frames.drain(..));
        count
    }
}

impl Machine {
    fn take(&mut self, side: Side, frames: &mut TxBurst<HeapFrame>) {
        while !frames.is_empty() {
            let count = frames.len().min(vnf::frame::BURST);
            let mut burst: Burst<HeapFrame> = frames.drain(..count).collect();
            self.now += 1_000_000;
            self.relay.receive(side, &self.snapshot, self.now, &mut burst);
            for side in Side::BOTH {
                let mut wire = Wire(Vec::new());
                self.relay.send(side, &mut wire);
                for frame in wire.0 {
                    self.number += 1;
                    let made = (self.mischief)(self.number - 1, frame.into_bytes());
                    self.out[side.index()].extend(made);
                }
            }
        }
    }
}

#[derive(Clone)]
struct End {
    machine: Arc<Mutex<Machine>>,
    side: Side,
    /// Takes no frame at all.
    full: bool,
    /// Both sides are on this one.
    stick: bool,
}

impl TxQueue for End {
    type Frame = HeapFrame;

    fn transmit(&mut self, frames: &mut TxBurst<HeapFrame>) -> usize {
        if self.full {
            return 0;
        }
        let count = frames.len();
        self.machine.lock().unwrap().take(self.side, frames);
        count
    }
}

impl RxQueue for End {
    type Frame = HeapFrame;

    fn receive(&mut self, burst: &mut Burst<HeapFrame>) {
        let mut machine = self.machine.lock().unwrap();
        for side in Side::BOTH.into_iter().filter(|side| self.stick || *side == self.side) {
            let out = &mut machine.out[side.index()];
            let count = out.len().min(burst.remaining_capacity());
            burst.extend(out.drain(..count).map(|bytes| HeapFrame::new(&bytes)));
        }
    }
}

fn softwires() -> Vec<Softwire> {
    (0..640).map(|number| Layout::Dense.softwire(number)).collect()
}

fn table(softwires: &[Softwire]) -> Arc<BindingTable> {
    Arc::clone(TableWriter::build(softwires, &rules()).unwrap().table())
}

fn settings(on_a_stick: bool) -> Settings {
    let link = |mac| RelayLink { mac, vlan: None, mtu: 2000, promiscuous: false };
    let (external, internal) = (link(LINKS.external.relay), link(LINKS.internal.relay));
    Settings {
        external: External {
            link: external,
            addresses: vec!["192.0.2.2/24".parse().unwrap()],
            proxy_arp: false,
            next_hop: NextHop::Fixed(LINKS.external.ours),
        },
        internal: Internal {
            link: internal,
            addresses: vec!["2001:db8:ffff:1::2/64".parse().unwrap()],
            link_local: internal.mac.link_local(),
            br_anycast: true,
            next_hop: NextHop::Fixed(LINKS.internal.ours),
        },
        on_a_stick,
        br_addresses: vec![BR],
        policy: Policy::default(),
        fragments: Fragments::default(),
        filters: Filters::default(),
    }
}

/// What is to be tried.
struct Case {
    directions: Directions,
    mix: Mix,
    load: Load,
    /// What the relay's table has; the generator always has all of [`softwires`].
    known: Vec<Softwire>,
    mischief: Mischief,
    threads: usize,
    full: Option<Full>,
    stick: bool,
}

fn open(rate: f64, seconds: f64) -> Load {
    Load::Open(Arc::new(Profile::constant(rate, Duration::from_secs_f64(seconds))))
}

impl Case {
    fn new(load: Load) -> Self {
        Self {
            directions: Directions::Both,
            mix: Mix::imix(),
            load,
            known: softwires(),
            mischief: |_, frame| vec![frame],
            threads: 1,
            full: None,
            stick: false,
        }
    }

    fn run(self) -> (Outcome, Vec<Arc<Lane>>) {
        let machine = Arc::new(Mutex::new(Machine {
            relay: Relay::new(RelayParts {
                pool: HeapPool,
                counters: Arc::<WorkerCounters>::default(),
                worker: 0,
                workers: 1,
                runs_timers: false,
                announces: false,
                seed: 0,
            }),
            snapshot: Snapshot::new(settings(self.stick), table(&self.known)),
            mischief: self.mischief,
            number: 0,
            now: 0,
            out: Default::default(),
        }));
        let unit = |side, sends: &[Direction], returns: &[Direction]| {
            let (machine, full) = (Arc::clone(&machine), self.full.is_some());
            let end = End { machine, side, full, stick: self.stick };
            Unit {
                pool: HeapPool,
                rx: end.clone(),
                tx: end,
                full: self.full.unwrap_or(Full::Lose),
                neighbours: Neighbours::default(),
                sends: sends.to_vec(),
                returns: returns.to_vec(),
            }
        };
        let both = [Direction::Encap, Direction::Decap];
        let units = if self.stick {
            vec![unit(Side::External, &both, &both)]
        } else {
            vec![
                unit(Side::External, &both[..1], &both[1..]),
                unit(Side::Internal, &both[1..], &both[..1]),
            ]
        };
        let count = units.len();
        let rows = softwires();
        let flows = Flows::draw(&rows, &[table(&rows)], Agreement::Each, 1000, 5).unwrap();
        let flows = Arc::new(flows);
        let lane = |direction| {
            let (flows, mix) = (Arc::clone(&flows), self.mix.clone());
            let framer = Framer::new(LINKS);
            Arc::new(Lane::new(Traffic { direction, trial: 1, flows, mix, framer }, 0))
        };
        let lanes: Vec<Arc<Lane>> = self.directions.each().into_iter().map(lane).collect();
        let trial = Trial {
            lanes: &lanes,
            load: &self.load,
            timing: Timing {
                interval: Duration::from_millis(50),
                drain: Duration::from_millis(100),
            },
            clock: &MonotonicClock::default(),
            threads: self.threads,
            watched: None,
        };
        let enter = |_| Ok::<(), Failure>(());
        let (units, outcome) =
            trial.run(units, &enter, &mut |_| ControlFlow::Continue(())).unwrap();
        assert_eq!(units.len(), count, "everything comes back for the next trial");
        (outcome, lanes)
    }
}

#[test]
fn the_real_relay_returns_every_frame_as_it_must() {
    for threads in [1, 2, 4] {
        let (outcome, _) = Case { threads, ..Case::new(open(5_000.0, 0.3)) }.run();
        assert_eq!(outcome.lanes.len(), 2);
        for lane in &outcome.lanes {
            assert_eq!(lane.sent.offered, 1500, "{threads} threads: exactly what was asked for");
            assert_eq!((lane.lost(), lane.wrong(), outcome.foreign), (0, 0, 0), "{lane:?}");
            assert_eq!(lane.returned.latency.len(), 1500);
            assert!(lane.returned.late_latency.len() < 1200, "the second half");
            assert_eq!(lane.returned.by_table, [1500]);
            assert_eq!(lane.sent.by_interval.last(), Some(&1500));
        }
    }
}

#[test]
fn one_port_for_both_sides_works_as_two_do() {
    for threads in [1, 2] {
        let (outcome, _) = Case { threads, stick: true, ..Case::new(open(2_000.0, 0.2)) }.run();
        for lane in &outcome.lanes {
            assert_eq!((lane.sent.offered, lane.lost(), lane.wrong()), (400, 0, 0));
        }
        assert_eq!((outcome.lanes.len(), outcome.foreign), (2, 0));
    }
}

#[test]
fn every_size_passes() {
    for mix in crate::mix::STANDARD.split(',').map(|text| text.parse().unwrap()) {
        let (outcome, _) = Case { mix, ..Case::new(open(2_000.0, 0.1)) }.run();
        assert_eq!((outcome.offered(), outcome.lost(), outcome.wrong()), (400, 0, 0));
    }
}

#[test]
fn softwires_the_relay_does_not_have_are_lost_exactly() {
    // Every other softwire is missing.
    let known: Vec<Softwire> = softwires().into_iter().step_by(2).collect();
    let missing = table(&known);
    let (outcome, lanes) = Case { known, ..Case::new(open(10_000.0, 0.2)) }.run();
    for (lane, shared) in outcome.lanes.iter().zip(lanes) {
        let flows = &shared.traffic.flows;
        let unknown = |sequence: &u64| {
            let (address, port) = flows.flow(flows.number(*sequence)).local;
            missing.lookup(address, port).is_none()
        };
        let expected = (0..lane.sent.offered).filter(unknown).count() as u64;
        assert!(expected > 500);
        assert_eq!(lane.lost(), expected, "{:?}", lane.direction);
        assert_eq!(lane.wrong(), 0);
        assert_eq!(lane.lost_by_interval().iter().sum::<u64>(), expected);
    }
}

#[test]
fn each_kind_of_mischief_is_told_from_the_others() {
    let mischief: Mischief = |number, mut frame| match number {
        10 => vec![],
        20 => vec![frame.clone(), frame],
        30 => {
            // A bit of the payload, behind the stamp.
            let last = frame.len() - 1;
            frame[last] ^= 1;
            vec![frame]
        }
        // Another B4: a right packet in a wrong tunnel.
        40 => {
            frame[14 + 39] ^= 0x80;
            vec![frame]
        }
        // A bit of the stamp.
        50 => {
            frame[14 + 40 + 28 + 9] ^= 1;
            vec![frame]
        }
        60 => vec![frame, b"something else that comes by on the link, of no use".to_vec()],
        _ => vec![frame],
    };
    let directions = Directions::One(Direction::Encap);
    let mix = Mix::fixed(128).unwrap();
    let (outcome, _) = Case { directions, mix, mischief, ..Case::new(open(2_000.0, 0.1)) }.run();
    let lane = &outcome.lanes[0];
    assert_eq!(lane.sent.offered, 200);
    // 10 never came; 30, 40 and 50 never came right.
    assert_eq!(lane.lost(), 4);
    let returned = &lane.returned;
    assert_eq!((returned.duplicates, returned.corrupt, returned.misdirected), (1, 2, 1));
    assert_eq!(outcome.foreign, 1);
    assert_eq!(lane.wrong(), 4);
}

#[test]
fn credits_bound_what_is_under_way() {
    // Nothing comes back: the window is all that is ever sent.
    let load = Load::Credit { window: 100, nanos: 50_000_000 };
    let mischief: Mischief = |_, _| vec![];
    let (outcome, _) = Case { mischief, ..Case::new(load.clone()) }.run();
    for lane in &outcome.lanes {
        assert_eq!((lane.sent.offered, lane.lost()), (100, 100));
    }
    let load = Load::Credit { window: 10, nanos: 500_000_000 };
    let (outcome, _) = Case::new(load).run();
    assert!(outcome.offered() > 100, "credits come back: {}", outcome.offered());
    assert_eq!((outcome.lost(), outcome.wrong()), (0, 0));
}

#[test]
fn a_full_ring_of_the_relay_loses_and_a_full_ring_of_ours_waits() {
    let lose = Case { full: Some(Full::Lose), ..Case::new(open(1_000.0, 0.1)) }.run().0;
    for lane in &lose.lanes {
        assert_eq!((lane.sent.offered, lane.sent.refused, lane.lost()), (100, 100, 100));
    }
    let wait = Case { full: Some(Full::Wait), ..Case::new(open(1_000.0, 0.1)) }.run();
    assert!(wait.0.generated_ratio() < 0.99, "it is seen that frames were not offered");
}
