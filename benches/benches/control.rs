//! What happens beside the packets: counting, looking whether there is a new snapshot, and loading a
//! configuration with its table from files.

use std::hint::black_box;
use std::sync::Arc;

use arc_swap::{ArcSwap, Cache};
use benches::lab::made_up;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use vnf::config;
use vnf::lwaftr::Snapshot;
use vnf::memory::Generations;
use vnf::replay::MACS;
use vnf::side::Side;
use vnf::telemetry::{DropReason, WorkerCounters};

fn counters(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("counters");
    group.throughput(Throughput::Elements(1));
    let counters = WorkerCounters::default();
    let counters = black_box(&counters).of(Side::External);
    group.bench_function("add", |bench| bench.iter(|| counters.in_packets.add(black_box(64))));
    group.bench_function("drop", |bench| {
        let reason = black_box(DropReason::NoSoftwire);
        bench.iter(|| counters.drops[reason.index()].count(black_box(60)));
    });
    group.finish();
}

fn load(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("config");
    group.sample_size(10);
    for softwires in [1_000, 100_000, 1_000_000] {
        let directory = tempfile::tempdir().expect("a temporary directory");
        made_up(softwires, 1, directory.path());
        let path = directory.path().join("lwaftr.toml");
        group.throughput(Throughput::Elements(softwires.into()));
        group.bench_with_input(BenchmarkId::new("load", softwires), &path, |bench, path| {
            bench.iter_with_large_drop(|| config::load_with_table(path).expect("it was generated"));
        });
    }
    group.finish();
}

/// Once per round of a worker.
fn snapshot(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("snapshot");
    let directory = tempfile::tempdir().expect("a temporary directory");
    made_up(1_000, 1, directory.path());
    let path = directory.path().join("lwaftr.toml");
    let (config, writer) = config::load_with_table(&path).expect("it was generated");
    let settings = config.settings(MACS[0], MACS[1]);
    let snapshot = Snapshot::new(settings.clone(), Arc::clone(writer.table()));
    let published = Arc::new(ArcSwap::from_pointee(snapshot));
    let mut cache = Cache::new(Arc::clone(&published));
    let (_generations, readers) = Generations::new(1);
    let reader = readers.first().expect("one was asked for");
    group.bench_function("load", |bench| {
        bench.iter(|| black_box(reader.quiescent(|| Arc::as_ptr(cache.load()))));
    });
    group.bench_function("make", |bench| {
        bench.iter(|| Snapshot::new(settings.clone(), Arc::clone(writer.table())));
    });
    group.finish();
}

criterion_group!(benches, counters, snapshot, load);
criterion_main!(benches);
