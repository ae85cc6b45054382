//! From a configuration and captures to a worker on ports in memory.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use arc_swap::{ArcSwap, Cache};

use super::flooded::Flooded;
use super::measure::{BenchWorker, Measured, measure};
use super::outcome::{Outcome, Reloading};
use super::ports::{Sink, Source};
use super::reloads::{meanwhile, reload_until};
use super::traffic::Traffic;
use crate::config::{self, Config};
use crate::control::clock::TscClock;
use crate::control::cpus::Cpus;
use crate::control::{ControlError, Publisher};
use crate::dpdk::{Eal, EalConfig, Hugepages, Mempool, Pools, ThreadRegistration, Tsc};
use crate::frame::plan::{PoolPlan, SMALL_ROOM};
use crate::generate::Flood;
use crate::lwaftr::{Relay, RelayParts, Settings, Snapshot};
use crate::memory::{Generations, Reader};
use crate::replay::{CaptureError, MACS};
use crate::side::Side;
use crate::softwire::BindingTable;
use crate::telemetry::{LatencyRecorder, WorkerCounters};
use crate::wire::MacAddr;
use crate::worker::{Idle, Ports, Worker};

/// The MAC address of next hops that are given by address: nobody answers here.
const NEXT_HOP: MacAddr = MacAddr([2, 0, 0, 0, 0, 0xfe]);

/// Frames of a flood, for each side and worker, before they repeat themselves.
const FLOOD_FRAMES: usize = 1 << 16;

/// What is to be measured.
#[derive(Debug, Clone)]
pub struct Request {
    /// The configuration.
    pub config: PathBuf,
    /// What the external interface receives.
    pub external_in: Option<PathBuf>,
    /// What the internal interface receives.
    pub internal_in: Option<PathBuf>,
    /// How long to measure.
    pub duration: Duration,
    /// Where the worker runs; the configuration's first, or the last CPU there is.
    pub cpu: Option<usize>,
    /// How many workers, at least one.
    pub workers: usize,
    /// Measure once more, reloading over and over.
    pub reload: bool,
    /// Measure once more, under a flood.
    pub flood: Option<Flood>,
}

/// Which way packets go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Direction {
    /// From the Internet and from the B4s
    #[default]
    Both,
    /// From the Internet only
    Encap,
    /// From the B4s only
    Decap,
}

/// Measures.
pub fn run(request: &Request) -> Result<Outcome, ControlError> {
    let (config, writer) = config::load_with_table(&request.config)
        .map_err(|errors| ControlError::refused(errors.to_string()))?;
    let external = read(request.external_in.as_ref(), "--external-in")?;
    let internal = read(request.internal_in.as_ref(), "--internal-in")?;
    let flows = external.distinct().max(internal.distinct());
    let cpus = divide(request, &config)?;
    let plan = PoolPlan::derive(&config.pool_needs());
    let eal = Eal::init(&EalConfig {
        name: format!("lwaftr-bench-{}", std::process::id()),
        control_cpus: cpus.control.clone(),
        megabytes: plan.megabytes,
        hugepages: Hugepages::Auto,
    })?;
    tracing::info!("{}", eal.memory());
    let pools = Pools::new(&eal, "bench", &plan, None)?;
    let mut settings = config.settings(MACS[0], MACS[1]);
    settings.know_next_hops(NEXT_HOP);
    crate::control::accelerate_filters(&mut settings.filters);
    let softwires = writer.table().len();
    let table = Arc::clone(writer.table());
    let workers = cpus.workers.len();
    let (generations, readers) = Generations::new(workers);
    let mut publisher = Publisher::new(settings.clone(), writer, generations);
    let mut benches = Vec::new();
    for (number, (&cpu, reader)) in cpus.workers.iter().zip(readers).enumerate() {
        let share = |traffic: &Traffic| traffic.share(number, workers);
        let ports = ports(&config, &pools, share(&external), share(&internal));
        let snapshots = Cache::new(Arc::clone(publisher.snapshots()));
        let (worker, counters) = worker(&eal, &pools, snapshots, reader, (number, workers), ports);
        benches.push(Bench { cpu, worker, counters });
    }
    let measured = pass(&eal, &mut benches, request.duration)?;
    let reloading = if request.reload {
        let reload =
            |stop: &AtomicBool| reload_until(stop, &mut publisher, &request.config, &settings);
        let (measured, reloads) = meanwhile(reload, || pass(&eal, &mut benches, request.duration))?;
        Some(Reloading { reloads, measured })
    } else {
        None
    };
    let flooded = match request.flood {
        Some(kind) => {
            flood(kind, &mut benches, &settings, &table);
            Some(Flooded { kind, measured: pass(&eal, &mut benches, request.duration)? })
        }
        None => None,
    };
    Ok(Outcome {
        softwires,
        flows,
        pool_mbufs: pools.small.capacity(),
        memory: eal.memory(),
        tsc_hertz: Tsc::new(&eal).hertz(),
        measured,
        reloading,
        flooded,
    })
}

/// Where the workers run, and where everything else does.
fn divide(request: &Request, config: &Config) -> Result<Cpus, ControlError> {
    let configured = &config.workers.cpus;
    let (key, wanted) = match (request.cpu, request.workers) {
        (Some(cpu), _) => ("--cpu", vec![cpu]),
        (None, 1) => ("workers.cpus", configured.first().copied().into_iter().collect()),
        (None, workers) if workers <= configured.len() => {
            ("workers.cpus", configured[..workers].to_vec())
        }
        (None, workers) => ("--workers", (0..workers).collect()),
    };
    Cpus::divide(key, &wanted)
}

/// One worker and where it runs.
struct Bench {
    cpu: usize,
    worker: BenchWorker<TscClock>,
    counters: Arc<WorkerCounters>,
}

/// Measures all workers at the same time.
fn pass(
    eal: &Eal,
    benches: &mut [Bench],
    duration: Duration,
) -> Result<Vec<Measured>, ControlError> {
    std::thread::scope(|scope| {
        let mut threads = Vec::new();
        for (number, bench) in benches.iter_mut().enumerate() {
            let work = move || -> Result<Measured, ControlError> {
                let _registered = ThreadRegistration::pinned(eal, bench.cpu)?;
                Ok(measure(&mut bench.worker, &bench.counters, duration))
            };
            let thread = std::thread::Builder::new()
                .name(format!("worker-{number}"))
                .spawn_scoped(scope, work)
                .map_err(|error| ControlError::internal(format!("the worker: {error}")))?;
            threads.push(thread);
        }
        let broken = |_| ControlError::internal("a worker broke down; its last words are above");
        threads.into_iter().map(|thread| thread.join().map_err(broken)?).collect()
    })
}

/// The frames of a capture; none where there is none.
fn read(path: Option<&PathBuf>, option: &str) -> Result<Traffic, ControlError> {
    let Some(path) = path else { return Ok(Traffic::default()) };
    let refused = |error: CaptureError| ControlError::refused(error.to_string());
    let traffic = Traffic::read(path).map_err(refused)?;
    if traffic.len() == 0 {
        let words = format!("{option} {}: no frame in it to serve", path.display());
        return Err(ControlError::refused(words));
    }
    Ok(traffic)
}

fn ports(
    config: &Config,
    pools: &Pools,
    external: Traffic,
    internal: Traffic,
) -> Ports<Source, Sink> {
    let port = |traffic: Traffic| (Source::new(pool_for(&traffic, pools), traffic), Sink);
    if config.on_a_stick() {
        Ports::One(port(Traffic::interleave(&external, &internal)))
    } else {
        Ports::Two(port(external), port(internal))
    }
}

/// Puts a flood before every worker, each its own.
fn flood(kind: Flood, benches: &mut [Bench], settings: &Settings, table: &BindingTable) {
    for (number, bench) in benches.iter_mut().enumerate() {
        let frames = |side: Side| {
            let seed = (number * Side::BOTH.len() + side.index()) as u64;
            Traffic::of(&kind.frames(side, FLOOD_FRAMES, settings, table, seed))
        };
        let [external, internal] = Side::BOTH.map(frames);
        match &mut bench.worker.ports {
            Ports::Two(first, second) => {
                first.0.flood(external);
                second.0.flood(internal);
            }
            Ports::One(both) => both.0.flood(Traffic::interleave(&external, &internal)),
        }
    }
}

/// Frames that fill more than an ordinary buffer end up in large ones, however they came.
fn pool_for(traffic: &Traffic, pools: &Pools) -> Arc<Mempool> {
    let small = traffic.longest() <= usize::from(SMALL_ROOM);
    Arc::clone(if small { &pools.small } else { &pools.large })
}

/// The worker as an instance has it, but for its ports; `number` is which it is of how many.
fn worker(
    eal: &Eal,
    pools: &Pools,
    snapshot: Cache<Arc<ArcSwap<Snapshot>>, Arc<Snapshot>>,
    reader: Reader,
    (worker, workers): (usize, usize),
    ports: Ports<Source, Sink>,
) -> (BenchWorker<TscClock>, Arc<WorkerCounters>) {
    let counters = Arc::<WorkerCounters>::default();
    let relay = Relay::new(RelayParts {
        pool: pools.for_worker(),
        counters: Arc::clone(&counters),
        worker,
        workers,
        runs_timers: worker == 0,
        announces: false,
        seed: worker as u64,
    });
    let worker = Worker {
        relay,
        ports,
        snapshot,
        reader,
        clock: TscClock::start(eal),
        latency: LatencyRecorder::new().0,
        idle: Idle::poll(),
        progress: Arc::default(),
    };
    (worker, counters)
}
