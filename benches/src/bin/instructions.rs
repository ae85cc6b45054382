//! What `make instructions` counts: the stages that a packet goes through, each by itself.
//! `instructions` prints their names; `instructions STAGE` runs one and prints how often. Only what
//! happens in [`measured`] is counted (callgrind's `--toggle-collect`).

use std::hint::black_box;
use std::sync::Arc;

use arc_swap::{ArcSwap, Cache};
use benches::fragments::FragmentLab;
use benches::lab::Lab;
use benches::softwires::Layout;
use vnf::filter::Filter;
use vnf::frame::{BURST, Burst};
use vnf::memory::Generations;
use vnf::side::Side;
use vnf::softwire::{Key, Slot};
use vnf::telemetry::{DropReason, LatencyKind, LatencyRecorder, WorkerCounters};
use vnf::wire::checksum::{self, Sum};
use vnf::wire::ipv4::{self, Ipv4};
use vnf::wire::ipv6::{self, Ipv6, Outer};
use vnf::wire::protocol;

/// Bursts that a stage takes.
const ROUNDS: u64 = 200;

/// Packets of them.
const PACKETS: u64 = ROUNDS * BURST as u64;

/// A stage: its name, and what runs it and says how many times it did something.
type Stage = (&'static str, fn() -> u64);

const STAGES: [Stage; 15] = [
    ("parse", parse),
    ("checksum", sum),
    ("lookup-hit", || lookup(true)),
    ("lookup-miss", || lookup(false)),
    ("encap", || relay(Lab::new(1_000, 1_024), Side::External)),
    ("decap", || relay(Lab::new(1_000, 1_024), Side::Internal)),
    ("encap-tagged", || relay(Lab::new(1_000, 1_024).tagged(7), Side::External)),
    ("decap-tagged", || relay(Lab::new(1_000, 1_024).tagged(7), Side::Internal)),
    ("hairpin", || relay(Lab::new(1_000, 1_024).hairpinned(), Side::Internal)),
    ("learn-port", || fragments(Side::External)),
    ("reassembly", || fragments(Side::Internal)),
    ("filter", filter),
    ("counters", counters),
    ("histogram-record", record),
    ("snapshot-load", snapshot),
];

fn main() {
    let Some(wanted) = std::env::args().nth(1) else {
        for (name, _) in STAGES {
            println!("{name}");
        }
        return;
    };
    let stage = STAGES.iter().find(|(name, _)| *name == wanted);
    let (_, run) = stage.expect("the name of a stage; without one, they are listed");
    println!("{}", run());
}

/// What is counted.
#[inline(never)]
fn measured<R>(work: impl FnOnce() -> R) -> R {
    work()
}

fn relay(mut lab: Lab, side: Side) -> u64 {
    let mut burst = Burst::new();
    for _ in 0..ROUNDS {
        lab.fill(side, &mut burst);
        measured(|| lab.relay(side, &mut burst));
    }
    PACKETS
}

fn fragments(side: Side) -> u64 {
    let mut lab = FragmentLab::new(side);
    let mut burst = Burst::new();
    for _ in 0..ROUNDS {
        lab.fill(&mut burst);
        measured(|| lab.relay(&mut burst));
    }
    PACKETS
}

fn lookup(hit: bool) -> u64 {
    const SOFTWIRES: u32 = 10_000;
    let writer = Layout::Dense.table(SOFTWIRES);
    let table = writer.table();
    let keys = Layout::Dense.keys(SOFTWIRES, hit, PACKETS as usize);
    let mut slots = [Slot::NOBODY; BURST];
    for keys in keys.chunks_exact(BURST) {
        measured(|| {
            table.locate_batch(keys, |key: &Key| *key, &mut slots);
            for slot in slots {
                black_box(table.endpoints(slot));
            }
        });
    }
    PACKETS
}

/// A UDP packet of 28 bytes.
fn packet() -> [u8; 28] {
    let mut packet = [0; 28];
    let head = packet.first_chunk_mut().expect("28 bytes hold a header");
    let (source, destination) = ([198, 18, 0, 1].into(), [10, 0, 0, 1].into());
    ipv4::write_header(head, 28, 64, protocol::UDP, source, destination);
    packet[22..24].copy_from_slice(&80_u16.to_be_bytes());
    packet
}

fn parse() -> u64 {
    let mut tunnelled = [0; 68];
    let outer = Outer {
        traffic_class: 0,
        flow_label: 1,
        payload_len: 28,
        next_header: protocol::IPV4,
        hop_limit: 64,
        source: 1 << 125 | 1,
        destination: 1 << 125 | 2,
    };
    ipv6::write_header(tunnelled.first_chunk_mut().expect("68 bytes hold a header"), &outer);
    tunnelled[ipv6::HEADER..].copy_from_slice(&packet());
    measured(|| {
        for _ in 0..PACKETS {
            let outer = Ipv6::parse(black_box(&tunnelled)).expect("a whole header");
            let upper = outer.upper().expect("no extension headers");
            let inner = Ipv4::parse(upper.payload).expect("a whole packet");
            black_box((outer.source(), inner.source()));
        }
    });
    PACKETS
}

fn sum() -> u64 {
    let bytes: Vec<u8> = (0..=u8::MAX).cycle().take(576).collect();
    let mut packet = packet();
    measured(|| {
        for _ in 0..PACKETS {
            let head = packet.first_chunk().expect("28 bytes hold a header");
            black_box(checksum::verifies_header(black_box(head)));
            black_box(Sum::default().bytes(black_box(&bytes)).finish());
            ipv4::decrement_ttl(black_box(&mut packet));
        }
    });
    PACKETS
}

fn filter() -> u64 {
    let mut filter = Filter::new("udp port 80 and net 10.0.0.0/8").expect("an expression");
    filter.accelerate().expect("memory for machine code");
    let packet = packet();
    measured(|| {
        for _ in 0..PACKETS {
            assert!(filter.matches(black_box(&packet)));
        }
    });
    PACKETS
}

fn counters() -> u64 {
    let counters = WorkerCounters::default();
    let counters = black_box(&counters).of(Side::External);
    measured(|| {
        for _ in 0..PACKETS {
            counters.in_packets.add(black_box(64));
            counters.drops[black_box(DropReason::NoSoftwire).index()].count(black_box(60));
        }
    });
    PACKETS
}

fn record() -> u64 {
    let (mut recorder, _reader) = LatencyRecorder::new();
    measured(|| {
        for round in 0..PACKETS {
            recorder.record(LatencyKind::Encap, black_box(1_000 + round % 16_384), 32);
            recorder.exchange();
        }
    });
    PACKETS
}

fn snapshot() -> u64 {
    let published = Arc::new(ArcSwap::from_pointee(7));
    let mut cache = Cache::new(Arc::clone(&published));
    let (_generations, readers) = Generations::new(1);
    let reader = readers.first().expect("one was asked for");
    measured(|| {
        for _ in 0..PACKETS {
            black_box(reader.quiescent(|| Arc::as_ptr(cache.load())));
        }
    });
    PACKETS
}
