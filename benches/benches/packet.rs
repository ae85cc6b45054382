//! What a packet goes through: the relay's two directions on plain memory, and pieces of them.
//! Elements are packets. `copy` is what filling and taking back the buffers costs, which the others
//! include.

use std::hint::black_box;
use std::net::Ipv4Addr;

use benches::lab::Lab;
use criterion::measurement::WallTime;
use criterion::{
    BenchmarkGroup, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main,
};
use vnf::frame::{BURST, Burst};
use vnf::side::Side;
use vnf::wire::checksum::{self, Sum};
use vnf::wire::ipv4::{self, Ipv4};
use vnf::wire::ipv6::{self, Ipv6, Outer};
use vnf::wire::protocol;

/// A lone packet pays for what a batch shares.
const BATCHES: [usize; 4] = [1, 8, 32, BURST];

fn relay(criterion: &mut Criterion) {
    for (softwires, name) in [(1_000, "1k"), (1_000_000, "1M")] {
        let mut group = criterion.benchmark_group(format!("relay/{name}"));
        let mut lab = Lab::new(softwires, 16_384);
        for batch in BATCHES {
            group.throughput(Throughput::Elements(batch as u64));
            let mut burst = Burst::new();
            group.bench_function(BenchmarkId::new("copy", batch), |bench| {
                bench.iter(|| {
                    lab.fill_to(Side::External, batch, &mut burst);
                    lab.put_back(black_box(&mut burst));
                });
            });
            for (side, name) in [(Side::External, "encap"), (Side::Internal, "decap")] {
                forward(&mut group, BenchmarkId::new(name, batch), &mut lab, side, batch);
            }
        }
        let mut lab = lab.hairpinned();
        let name = BenchmarkId::new("hairpin", BURST);
        forward(&mut group, name, &mut lab, Side::Internal, BURST);
        group.finish();
    }
}

/// Batches from one side through the relay.
fn forward(
    group: &mut BenchmarkGroup<'_, WallTime>,
    name: BenchmarkId,
    lab: &mut Lab,
    side: Side,
    batch: usize,
) {
    let mut burst = Burst::new();
    group.throughput(Throughput::Elements(batch as u64));
    group.bench_function(name, |bench| {
        bench.iter(|| {
            lab.fill_to(side, batch, &mut burst);
            lab.relay(side, &mut burst);
        });
    });
}

/// What a VLAN tag costs, which ports are not asked to strip and insert.
fn tagged(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("relay/tagged");
    let mut lab = Lab::new(1_000, 16_384).tagged(7);
    for (side, name) in [(Side::External, "encap"), (Side::Internal, "decap")] {
        forward(&mut group, BenchmarkId::new(name, BURST), &mut lab, side, BURST);
    }
    group.finish();
}

fn header() -> [u8; 28] {
    let mut packet = [0; 28];
    let (source, destination) = (Ipv4Addr::new(198, 18, 0, 1), Ipv4Addr::new(10, 0, 0, 1));
    let head = packet.first_chunk_mut().expect("28 bytes hold a header");
    ipv4::write_header(head, 28, 64, protocol::UDP, source, destination);
    packet
}

fn parse(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("parse");
    group.throughput(Throughput::Elements(1));
    let packet = header();
    group.bench_function("ipv4", |bench| {
        bench.iter(|| Ipv4::parse(black_box(&packet)).map(|packet| packet.destination()));
    });
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
    tunnelled[ipv6::HEADER..].copy_from_slice(&packet);
    group.bench_function("ipv4_in_ipv6", |bench| {
        bench.iter(|| {
            let outer = Ipv6::parse(black_box(&tunnelled)).ok()?;
            let inner = Ipv4::parse(outer.upper().ok()?.payload).ok()?;
            Some((outer.source(), inner.source()))
        });
    });
    group.finish();
}

fn sums(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("checksum");
    for len in [20_usize, 64, 576, 1500] {
        let bytes: Vec<u8> = (0..=u8::MAX).cycle().take(len).collect();
        group.throughput(Throughput::Bytes(len as u64));
        group.bench_with_input(BenchmarkId::new("sum", len), &bytes, |bench, bytes| {
            bench.iter(|| Sum::default().bytes(black_box(bytes)).finish());
        });
    }
    group.throughput(Throughput::Elements(1));
    let packet = header();
    let head = packet.first_chunk().expect("28 bytes hold a header");
    group.bench_function("verify_header", |bench| {
        bench.iter(|| checksum::verifies_header(black_box(head)));
    });
    let mut packet = header();
    group.bench_function("decrement_ttl", |bench| {
        bench.iter(|| ipv4::decrement_ttl(black_box(&mut packet)));
    });
    group.finish();
}

criterion_group!(benches, relay, tagged, parse, sums);
criterion_main!(benches);
