//! Slices of relay and baseline in turn, and what each of them took.

use std::ops::{Add, Sub};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::ports::{Served, Sink, Source};
use crate::dpdk::{DpdkPool, Mbuf, thread_cpu_time};
use crate::frame::{Burst, RxQueue as _, TxBurst, TxQueue as _};
use crate::side::Side;
use crate::telemetry::{InterfaceTotals, LatencyBook, LatencyRecorder, WorkerCounters};
use crate::worker::{Clock, Ports, Progress, Worker};

/// Frames that each side's source serves in a slice: some ten milliseconds.
const SLICE: u64 = 1 << 18;

/// The worker under test, ready to run.
pub(super) type BenchWorker<C> = Worker<DpdkPool, Source, Sink, C>;

/// What was seen, of both kinds of slices.
#[derive(Debug)]
pub(super) struct Measured {
    /// Nanoseconds of CPU per packet, slice by slice.
    pub(super) baseline: Vec<f64>,
    /// The same with the relay, each after the baseline slice of its number.
    pub(super) relay: Vec<f64>,
    /// CPU time of all relay slices.
    pub(super) relay_cpu: Duration,
    /// CPU time of all slices.
    pub(super) cpu: Duration,
    /// How long it took by the clock on the wall.
    pub(super) wall: Duration,
    /// What the relay slices carried from the Internet to the B4s.
    pub(super) encap: Carried,
    /// What they carried from the B4s, to the Internet or to other B4s.
    pub(super) decap: Carried,
    /// What the relay slices were offered.
    pub(super) offered: Served,
    /// The counters of everything that came, by side, the first slice included.
    pub(super) totals: [InterfaceTotals; 2],
    /// Frames for which no buffer was free.
    pub(super) missed: u64,
    pub(super) latency: LatencyBook,
}

/// Packets that went through, and what they were on the internal link.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Carried {
    pub(super) packets: u64,
    pub(super) bytes: u64,
}

impl Sub for Carried {
    type Output = Self;

    fn sub(self, before: Self) -> Self {
        Self { packets: self.packets - before.packets, bytes: self.bytes - before.bytes }
    }
}

/// Both directions, encapsulation first.
fn carried([external, internal]: &[InterfaceTotals; 2]) -> [Carried; 2] {
    [
        Carried { packets: external.forwarded, bytes: internal.out_bytes },
        Carried { packets: internal.forwarded + internal.hairpinned, bytes: internal.in_bytes },
    ]
}

/// Runs slices in turn until the time is over. The first pair warms caches up and does not count.
pub(super) fn measure<C: Clock>(
    worker: &mut BenchWorker<C>,
    counters: &WorkerCounters,
    duration: Duration,
) -> Measured {
    baseline_slice(&mut worker.ports);
    relay_slice(worker);
    let (latency, _) = LatencyRecorder::new();
    worker.latency = latency;
    let [encap_before, decap_before] = carried(&totals(counters));

    let (mut baseline, mut relay) = (Vec::new(), Vec::new());
    let (mut relay_cpu, mut cpu) = (Duration::ZERO, Duration::ZERO);
    let mut offered = Served::default();
    let start = Instant::now();
    while relay.is_empty() || start.elapsed() < duration {
        let slice = baseline_slice(&mut worker.ports);
        baseline.push(slice.nanos_per_packet());
        cpu += slice.cpu;
        let slice = relay_slice(worker);
        relay.push(slice.nanos_per_packet());
        relay_cpu += slice.cpu;
        cpu += slice.cpu;
        offered = offered + slice.served;
    }
    let wall = start.elapsed();
    let totals = totals(counters);
    let [encap, decap] = carried(&totals);
    Measured {
        baseline,
        relay,
        relay_cpu,
        cpu,
        wall,
        encap: encap - encap_before,
        decap: decap - decap_before,
        offered,
        totals,
        missed: sources(&mut worker.ports).map(|source| source.missed()).sum(),
        latency: worker.latency.book().clone(),
    }
}

/// One slice.
struct Slice {
    served: Served,
    cpu: Duration,
}

impl Slice {
    fn nanos_per_packet(&self) -> f64 {
        self.cpu.as_nanos() as f64 / (self.served.legitimate + self.served.flood) as f64
    }
}

/// The worker's own loop.
fn relay_slice<C: Clock>(worker: &mut BenchWorker<C>) -> Slice {
    worker.progress = Arc::default();
    begin(&mut worker.ports, &worker.progress);
    let start = thread_cpu_time();
    worker.run();
    let cpu = thread_cpu_time() - start;
    Slice { served: served(&mut worker.ports), cpu }
}

/// The same source, sink and pool with nothing in between.
fn baseline_slice(ports: &mut Ports<Source, Sink>) -> Slice {
    begin(ports, &Arc::default());
    let (mut burst, mut sent) = (Burst::new(), TxBurst::new());
    let start = thread_cpu_time();
    match ports {
        Ports::Two(external, internal) => {
            while external.0.has_more() || internal.0.has_more() {
                pass(&mut external.0, &mut internal.1, &mut burst, &mut sent);
                pass(&mut internal.0, &mut external.1, &mut burst, &mut sent);
            }
        }
        Ports::One(both) => {
            while both.0.has_more() {
                pass(&mut both.0, &mut both.1, &mut burst, &mut sent);
            }
        }
    }
    let cpu = thread_cpu_time() - start;
    Slice { served: served(ports), cpu }
}

#[inline]
fn pass(from: &mut Source, to: &mut Sink, burst: &mut Burst<Mbuf>, sent: &mut TxBurst<Mbuf>) {
    from.receive(burst);
    sent.extend(burst.drain(..));
    to.transmit(sent);
}

/// Gives every source a slice's work.
fn begin(ports: &mut Ports<Source, Sink>, progress: &Arc<Progress>) {
    for source in sources(ports) {
        source.begin(SLICE, progress);
    }
}

/// What all sources have served of it.
fn served(ports: &mut Ports<Source, Sink>) -> Served {
    sources(ports).map(|source| source.served()).fold(Served::default(), Add::add)
}

fn sources(ports: &mut Ports<Source, Sink>) -> impl Iterator<Item = &mut Source> {
    let (first, second) = match ports {
        Ports::Two(external, internal) => (&mut external.0, Some(&mut internal.0)),
        Ports::One(both) => (&mut both.0, None),
    };
    std::iter::once(first).chain(second)
}

fn totals(counters: &WorkerCounters) -> [InterfaceTotals; 2] {
    Side::BOTH.map(|side| {
        let mut totals = InterfaceTotals::default();
        totals.add(counters.of(side));
        totals
    })
}
