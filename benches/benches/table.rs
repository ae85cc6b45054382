//! Looking softwires up: what matters is how many cache misses overlap, so batch sizes, table sizes
//! and layouts are told apart. Elements are lookups; each reads the softwire's ends, as the relay
//! does. And changing them while nobody reads: elements are changes.

use std::hint::black_box;

use benches::softwires::{Layout, rules};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use vnf::frame::BATCH;
use vnf::softwire::{Edit, Key, Slot};

const MILLION: u32 = 1_000_000;

/// Keys that are gone through in turn: more than any cache knows the entries of.
const KEYS: usize = 1 << 16;

fn lookup(criterion: &mut Criterion) {
    for (layout, count, name) in [
        (Layout::Dense, 1_000, "1k"),
        (Layout::Dense, MILLION, "1M"),
        (Layout::Dense, 10 * MILLION, "10M"),
        (Layout::Scattered, 1_000, "1k"),
        (Layout::Scattered, MILLION, "1M"),
        (Layout::Scattered, 10 * MILLION, "10M"),
    ] {
        let mut group = criterion.benchmark_group(format!("lookup/{}/{name}", layout.name()));
        let writer = layout.table(count);
        let table = writer.table();
        for (hit, batch) in [(true, 1), (true, 16), (true, 32), (false, 16), (false, 32)] {
            let keys = layout.keys(count, hit, KEYS);
            let mut batches = keys.chunks_exact(batch).cycle();
            let mut slots = [Slot::NOBODY; BATCH];
            let name = if hit { "hit" } else { "miss" };
            group.throughput(Throughput::Elements(batch as u64));
            group.bench_function(BenchmarkId::new(name, batch), |bench| {
                bench.iter(|| {
                    let keys: &[Key] = batches.next().unwrap_or_default();
                    table.locate_batch(keys, |key| *key, &mut slots[..batch]);
                    for slot in &slots[..batch] {
                        black_box(table.endpoints(*slot));
                    }
                });
            });
        }
        group.finish();
    }
}

fn edit(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("edit");
    group.throughput(Throughput::Elements(2));
    for (count, name) in [(1_000, "1k"), (MILLION, "1M")] {
        let mut writer = Layout::Dense.table(count);
        let mut number = 0;
        group.bench_function(BenchmarkId::new("remove_and_add", name), |bench| {
            bench.iter(|| {
                number = (number + 1) % count;
                let softwire = Layout::Dense.softwire(number);
                let (ipv4, psid) = (softwire.ipv4, softwire.port_set.psid());
                for edit in [Edit::Remove { ipv4, psid }, Edit::Add(softwire)] {
                    let applied = writer.apply(&[edit], &rules()).expect("the table has room");
                    writer.release(applied.retired);
                }
            });
        });
    }
    group.finish();
}

criterion_group!(benches, lookup, edit);
criterion_main!(benches);
