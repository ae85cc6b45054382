//! What fragments cost (F1, F2). Elements are fragments.

use benches::fragments::FragmentLab;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use vnf::frame::{BURST, Burst};
use vnf::side::Side;

fn fragments(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("fragments");
    group.throughput(Throughput::Elements(BURST as u64));
    for (side, name) in [(Side::External, "learn_port"), (Side::Internal, "reassemble")] {
        let mut lab = FragmentLab::new(side);
        let mut burst = Burst::new();
        group.bench_function(name, |bench| {
            bench.iter(|| {
                lab.fill(&mut burst);
                lab.relay(&mut burst);
            });
        });
    }
    group.finish();
}

criterion_group!(benches, fragments);
criterion_main!(benches);
