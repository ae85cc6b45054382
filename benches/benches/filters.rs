//! What a filter costs a packet: interpreted, and as the machine code of an instance.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use vnf::filter::Filter;
use vnf::wire::ipv4;
use vnf::wire::protocol;

/// A TCP packet to port 80.
fn packet() -> [u8; 60] {
    let mut packet = [0; 60];
    let head = packet.first_chunk_mut().expect("60 bytes hold a header");
    let (source, destination) = ([198, 18, 0, 1].into(), [10, 0, 0, 1].into());
    ipv4::write_header(head, 60, 64, protocol::TCP, source, destination);
    packet[22..24].copy_from_slice(&80_u16.to_be_bytes());
    packet
}

fn filters(criterion: &mut Criterion) {
    let packet = packet();
    for expression in ["ip", "tcp port 80", "tcp[tcpflags] & tcp-syn = 0 and net 10.0.0.0/8"] {
        let mut group = criterion.benchmark_group(format!("filter/{expression}"));
        group.throughput(Throughput::Elements(1));
        let filter = Filter::new(expression).expect("an expression");
        assert!(filter.matches(&packet), "{expression}");
        group.bench_function("interpreter", |bench| {
            bench.iter(|| filter.matches(black_box(&packet)));
        });
        let mut native = filter.clone();
        native.accelerate().expect("memory for machine code");
        assert!(native.matches(&packet), "{expression}");
        group.bench_function("machine_code", |bench| {
            bench.iter(|| native.matches(black_box(&packet)));
        });
        group.finish();
    }
}

criterion_group!(benches, filters);
criterion_main!(benches);
