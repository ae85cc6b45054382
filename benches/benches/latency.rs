//! What recording latency costs a packet: one record per burst and kind, and the look whether
//! somebody wants the histograms. The bound is 1 ns per packet at bursts of 32 and more; divide by
//! the burst, or read the throughput (elements are packets).

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use vnf::telemetry::{LatencyKind, LatencyRecorder};

fn record(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("latency");
    for burst in [32_u64, 64] {
        group.throughput(Throughput::Elements(burst));
        group.bench_with_input(
            BenchmarkId::new("one_direction", burst),
            &burst,
            |bench, &burst| {
                let (mut recorder, _reader) = LatencyRecorder::new();
                let mut span = 1_000;
                bench.iter(|| {
                    span = next(span);
                    recorder.record(LatencyKind::Encap, black_box(span), burst);
                    recorder.exchange();
                });
            },
        );
        group.bench_with_input(BenchmarkId::new("all_kinds", burst), &burst, |bench, &burst| {
            let (mut recorder, _reader) = LatencyRecorder::new();
            let mut span = 1_000;
            bench.iter(|| {
                span = next(span);
                for kind in [LatencyKind::Encap, LatencyKind::Decap, LatencyKind::Hairpin] {
                    recorder.record(kind, black_box(span), burst / 3);
                }
                recorder.exchange();
            });
        });
    }
    group.finish();
}

/// Spans of 1 to 17 us in no order, so that the histograms are not always touched in one place.
fn next(span: u64) -> u64 {
    1_000 + span.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1) % 16_384
}

criterion_group!(benches, record);
criterion_main!(benches);
