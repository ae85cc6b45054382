//! Several workers: what they share, and what each has its part of.

use std::net::Ipv4Addr;
use std::sync::Arc;

use vnf::frame::{Burst, Frame as _, HeapFrame, HeapPool, TxBurst, TxQueue};
use vnf::lwaftr::{Relay, Snapshot};
use vnf::side::Side;
use vnf::telemetry::{DropReason, InterfaceTotals, WorkerCounters};

use crate::lab::{ALICE, BR1, Config, EXTERNAL, HOST, Lab, MACS, NEXT_HOP_MACS, NEXT_HOP4, alices};
use crate::link::{frame, is_at};
use crate::packets::{Bytes as _, Ipv4};
use crate::tunnel::Ipv6;

/// A port that keeps what it is given, of frames that are not too long for it.
#[derive(Default)]
struct Port {
    sent: Vec<Vec<u8>>,
    longest: Option<u16>,
}

impl TxQueue for Port {
    type Frame = HeapFrame;

    fn longest(&self) -> Option<u16> {
        self.longest
    }

    fn transmit(&mut self, frames: &mut TxBurst<HeapFrame>) -> usize {
        let taken = frames.len();
        for frame in frames.drain(..) {
            assert!(self.longest.is_none_or(|most| frame.bytes().len() <= usize::from(most)));
            self.sent.push(frame.bytes().to_vec());
        }
        taken
    }
}

const SECOND: u64 = 1_000_000_000;

struct Crew {
    snapshot: Snapshot,
    counters: Vec<Arc<WorkerCounters>>,
    workers: Vec<Relay<HeapPool>>,
}

impl Crew {
    fn new(lab: &Lab, number: usize) -> Self {
        let counters: Vec<_> = (0..number).map(|_| Arc::<WorkerCounters>::default()).collect();
        let worker = |worker: usize| lab.worker(worker, number, counters[worker].clone());
        let workers = (0..number).map(worker).collect();
        Self { snapshot: lab.snapshot(), counters, workers }
    }

    /// What one worker sends on a side when frames arrive there or on the other.
    fn receive(&mut self, worker: usize, from: Side, frames: &[Vec<u8>], to: Side) -> Vec<Vec<u8>> {
        let mut burst: Burst<HeapFrame> =
            frames.iter().map(|frame| HeapFrame::new(frame)).collect();
        self.workers[worker].receive(from, &self.snapshot, SECOND, &mut burst);
        self.sent(worker, to)
    }

    fn tick(&mut self, worker: usize, now: u64, to: Side) -> Vec<Vec<u8>> {
        self.workers[worker].tick(&self.snapshot, now);
        self.sent(worker, to)
    }

    fn sent(&mut self, worker: usize, side: Side) -> Vec<Vec<u8>> {
        let mut port = Port::default();
        let _ = self.workers[worker].send(side, &mut port);
        port.sent
    }
}

/// The first worker asks, any of them may be answered, and it serves all.
#[test]
fn n3_an_answer_that_one_worker_hears_serves_the_others() {
    let lab = Lab::configured(Config::ask_for_next_hops);
    let mut crew = Crew::new(&lab, 3);
    let asks = |sent: Vec<Vec<u8>>| sent.iter().filter(|frame| frame[12..14] == [8, 6]).count();
    for worker in 0..3 {
        // Its own address too, at start: a probe and an announcement.
        let asked = asks(crew.tick(worker, 0, Side::External));
        assert_eq!(asked, if worker == 0 { 3 } else { 0 }, "worker {worker}");
    }
    let alices_frame = lab.incoming(Side::Internal, &Ipv6::tunnel(ALICE, BR1, &alices()));
    let frames = [alices_frame];
    assert!(crew.receive(1, Side::Internal, &frames, Side::External).is_empty());
    assert_eq!(crew.counters[1].of(Side::Internal).held.get(), 1);
    let answer = is_at((NEXT_HOP_MACS[0], NEXT_HOP4), (MACS[0], EXTERNAL));
    assert!(crew.receive(2, Side::External, &[answer], Side::External).is_empty());
    // What the second worker held leaves with its next turn, and what comes now at once.
    let expected = [frame(MACS[0], NEXT_HOP_MACS[0], None, 0x0800, &alices().aged())];
    assert_eq!(crew.tick(1, 2 * SECOND, Side::External), expected);
    assert_eq!(crew.receive(0, Side::Internal, &frames, Side::External), expected);
}

/// I6: a limit is shared out among the workers, and each may send one a second at least.
#[test]
fn i6_limits_are_divided_among_workers_with_one_a_second_at_least() {
    for (rate, workers, each) in [(10, 1, 10), (10, 2, 5), (10, 5, 2), (2, 4, 1), (1, 8, 1)] {
        let lab = Lab::with_policy(&format!("echo-rate = {rate}"));
        let mut crew = Crew::new(&lab, workers);
        let host = |number: u8| Ipv4Addr::from(u32::from(HOST) + u32::from(number));
        let requests: Vec<_> = (0..20)
            .map(|number| lab.incoming(Side::External, &Ipv4::echo(8, host(number), EXTERNAL, 7)))
            .collect();
        for worker in 0..workers {
            let answers = crew.receive(worker, Side::External, &requests, Side::External);
            assert_eq!(answers.len(), each, "{rate} among {workers}, worker {worker}");
        }
    }
    let lab = Lab::with_policy("echo-rate = 0");
    let mut crew = Crew::new(&lab, 2);
    let request = lab.incoming(Side::External, &Ipv4::echo(8, HOST, EXTERNAL, 7));
    assert!(crew.receive(1, Side::External, &[request], Side::External).is_empty());
}

/// A1: what a port may not be given counts as refused by it, of the interface that received it.
#[test]
fn a1_a_frame_that_is_too_long_for_the_port_is_not_forwarded() {
    let lab = Lab::new();
    let mut crew = Crew::new(&lab, 1);
    let sizes = [100, 900, 200, 950, 300];
    let packets = sizes.map(|size| Ipv4::udp(crate::lab::ALICES, crate::lab::DNS, size));
    let frames = packets.each_ref().map(|packet| {
        let tunnelled = Ipv6::tunnel(ALICE, BR1, packet);
        HeapFrame::new(&lab.incoming(Side::Internal, &tunnelled))
    });
    let mut burst: Burst<HeapFrame> = frames.into_iter().collect();
    crew.workers[0].receive(Side::Internal, &crew.snapshot, SECOND, &mut burst);
    let mut port = Port { longest: Some(600), ..Port::default() };
    let sent = crew.workers[0].send(Side::External, &mut port);
    assert_eq!(sent.forwarded, 3);
    let left: Vec<_> = port.sent.iter().map(|frame| frame[14..].to_vec()).collect();
    let expected = [0, 2, 4].map(|short: usize| packets[short].clone().aged().bytes());
    assert_eq!(left, expected);
    let (internal, external) =
        (crew.counters[0].of(Side::Internal), crew.counters[0].of(Side::External));
    assert_eq!((internal.forwarded.get(), external.out_packets.get()), (3, 3));
    let mut totals = InterfaceTotals::default();
    totals.add(internal);
    assert_eq!((totals.drops[DropReason::TxFull.index()].packets, totals.unaccounted()), (2, 0));
}
