//! What happens beside the packets: counting, looking whether there is a new snapshot, loading a
//! configuration with its table from files, and editing the table.

use std::fs;
use std::hint::black_box;
use std::sync::Arc;

use arc_swap::{ArcSwap, Cache};
use benches::lab::made_up;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use vnf::config;
use vnf::control::{Actor, Batch, Editor, Key, Order};
use vnf::lwaftr::Snapshot;
use vnf::memory::Generations;
use vnf::replay::MACS;
use vnf::side::Side;
use vnf::softwire::{Binding, Softwire};
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

/// A softwire goes and comes back, in two changes, while the table has a million: all that a change
/// needs but the disk, where the journal and the history are.
fn edits(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("edit");
    group.throughput(Throughput::Elements(2));
    let directory = tempfile::tempdir().expect("a temporary directory");
    made_up(1_000_000, 1, directory.path());
    let path = directory.path().join("lwaftr.toml");
    let text = fs::read_to_string(&path).expect("it was generated");
    let text = text.replace("[softwires]", "[softwires]\npersist = false\nretention = 0");
    fs::write(&path, text).expect("it was generated");
    let loaded = config::load_with_table(&path).expect("it was generated");
    let (generations, _) = Generations::new(0);
    let journal = directory.path().join("journal");
    let mut editor =
        Editor::start(loaded, MACS, generations, &journal, false).expect("nothing contradicts it");
    let softwires: Vec<Softwire> = editor.publisher().table().softwires().step_by(997).collect();
    let mut turns = softwires.iter().cycle();
    let actor = Actor::peer(0, None);
    let order = Order::new(&actor, "bench");
    group.bench_function("one", |bench| {
        bench.iter(|| {
            let softwire = *turns.next().expect("there are some");
            let gone = Batch::Remove(vec![Key::of(&softwire)]);
            editor.edit(&order, &gone, |_| String::new()).expect("it is there");
            let back =
                Batch::Add { softwires: vec![Binding { softwire, until: None }], replace: false };
            editor.edit(&order, &back, |_| String::new()).expect("its place is free");
            editor.collect(false);
        });
    });
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

criterion_group!(benches, counters, snapshot, load, edits);
criterion_main!(benches);
