//! From a configuration and captures to a worker on ports in memory.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::{ArcSwap, Cache};

use super::measure::{BenchWorker, Measured, measure};
use super::outcome::Outcome;
use super::ports::{Sink, Source};
use super::traffic::Traffic;
use crate::config::{self, Config};
use crate::control::ControlError;
use crate::control::clock::TscClock;
use crate::control::cpus::Cpus;
use crate::dpdk::{Eal, EalConfig, Hugepages, Mempool, Pools, ThreadRegistration, Tsc};
use crate::frame::plan::{PoolPlan, SMALL_ROOM};
use crate::lwaftr::{NextHops, Relay, RelayParts, Snapshot};
use crate::memory::Generations;
use crate::replay::{CaptureError, MACS};
use crate::telemetry::{LatencyRecorder, WorkerCounters};
use crate::wire::MacAddr;
use crate::worker::{Idle, Ports, Worker};

/// The MAC address of next hops that are given by address: nobody answers here.
const NEXT_HOP: MacAddr = MacAddr([2, 0, 0, 0, 0, 0xfe]);

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
    let wanted = request.cpu.or(config.workers.cpus.first().copied());
    let key = if request.cpu.is_some() { "--cpu" } else { "workers.cpus" };
    let cpus = Cpus::divide(key, wanted.as_slice())?;
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
    let snapshot = Snapshot::new(settings, Arc::clone(writer.table()));
    let ports = ports(&config, &pools, external, internal);
    let cpu = cpus.workers.first().copied().unwrap_or_default();
    let duration = request.duration;
    let bench = || -> Result<Measured, ControlError> {
        let _registered = ThreadRegistration::pinned(&eal, cpu)?;
        let (mut worker, counters) = worker(&eal, &pools, snapshot, ports);
        Ok(measure(&mut worker, &counters, duration))
    };
    let measured = std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("worker-0".to_owned());
        let thread = thread
            .spawn_scoped(scope, bench)
            .map_err(|error| ControlError::internal(format!("the worker: {error}")))?;
        let broken = |_| ControlError::internal("the worker broke down; its last words are above");
        thread.join().map_err(broken)?
    })?;
    Ok(Outcome {
        softwires: writer.table().len(),
        flows,
        pool_mbufs: pools.small.capacity(),
        memory: eal.memory(),
        tsc_hertz: Tsc::new(&eal).hertz(),
        measured,
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
    let port = |traffic: Traffic| (Source::new(pool_for(&traffic, pools), traffic.into()), Sink);
    if config.on_a_stick() {
        Ports::One(port(Traffic::interleave(&external, &internal)))
    } else {
        Ports::Two(port(external), port(internal))
    }
}

/// Frames that fill more than an ordinary buffer end up in large ones, however they came.
fn pool_for(traffic: &Traffic, pools: &Pools) -> Arc<Mempool> {
    let small = traffic.longest() <= usize::from(SMALL_ROOM);
    Arc::clone(if small { &pools.small } else { &pools.large })
}

/// The worker as an instance has it, but for its ports.
fn worker(
    eal: &Eal,
    pools: &Pools,
    snapshot: Snapshot,
    ports: Ports<Source, Sink>,
) -> (BenchWorker<TscClock>, Arc<WorkerCounters>) {
    let counters = Arc::<WorkerCounters>::default();
    let relay = Relay::new(RelayParts {
        pool: pools.for_worker(),
        counters: Arc::clone(&counters),
        next_hops: Arc::new(NextHops::default()),
        worker: 0,
        workers: 1,
        runs_timers: true,
        seed: 0,
    });
    let (_, mut readers) = Generations::new(1);
    let worker = Worker {
        relay,
        ports,
        snapshot: Cache::new(Arc::new(ArcSwap::from_pointee(snapshot))),
        reader: readers.remove(0),
        clock: TscClock::start(eal),
        latency: LatencyRecorder::new().0,
        idle: Idle::poll(),
        progress: Arc::default(),
    };
    (worker, counters)
}
