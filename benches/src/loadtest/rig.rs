//! DPDK, the two ports (or one), and the relay behind them.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::thread::{CpuSet, sched_getaffinity};
use vnf::config::DESCRIPTORS;
use vnf::dpdk::{
    Device, DpdkError, DpdkPool, Eal, EalConfig, Hugepages, Mbuf, Pools, Port, PortConfig,
    QueuePair, RxQueue, Started, ThreadRegistration, Tsc, TxQueue,
};
use vnf::frame::plan::{PoolNeeds, PoolPlan};
use vnf::frame::{Burst, Frame as _, FramePool as _, RxQueue as _, TxBurst, TxQueue as _};
use vnf::wire::MacAddr;
use vnf::worker::Clock;

use super::direction::Direction;
use super::engine::{Timing, Trial, Unit, View};
use super::failure::Failure;
use super::frames::Framer;
use super::generator::Full;
use super::lane::{Lane, Traffic};
use super::links::{Link, Links, Treatment};
use super::neighbours::{External, Internal, Neighbours};
use super::relay::Relay;
use super::shares::Watched;
use super::trial::{self, Outcome, Plan};

/// Between two questions for the relay's MAC addresses.
const ASK_AGAIN: Duration = Duration::from_millis(200);

/// How ports are named and threads placed.
#[derive(Debug, Clone)]
pub(crate) struct Placement {
    pub(crate) external_port: String,
    /// The same as the external one: both sides on one port.
    pub(crate) internal_port: String,
    /// One, two or four threads on these.
    pub(crate) cpus: Vec<usize>,
    pub(crate) huge: Hugepages,
    /// How long to wait for links and the relay.
    pub(crate) patience: Duration,
}

/// When a trial is to be made again.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Demands {
    /// The share of its core that each thread must get, from 0 to 1.
    pub(crate) least_share: f64,
    pub(crate) attempts: u32,
}

/// The time stamp counter since the start.
#[derive(Debug, Clone, Copy)]
struct Ticker {
    tsc: Tsc,
    start: u64,
}

impl Clock for Ticker {
    #[inline]
    fn now(&self) -> u64 {
        self.tsc.nanos(Tsc::ticks().wrapping_sub(self.start))
    }
}

type DpdkUnit = Unit<DpdkPool, RxQueue, TxQueue>;

/// Watches a trial while it runs.
pub(crate) type Director<'a> = &'a mut dyn FnMut(&View<'_>) -> ControlFlow<()>;

/// Everything that trials need.
pub(crate) struct Rig {
    pub(crate) relay: Relay,
    pub(crate) timing: Timing,
    pub(crate) demands: Demands,
    /// Which of the relay's tables is in force.
    pub(crate) table: u8,
    /// What it stands on, for the report.
    pub(crate) memory: String,
    pub(crate) drivers: Vec<String>,
    units: Vec<DpdkUnit>,
    framer: Framer,
    cpus: Vec<usize>,
    watched: Option<Watched>,
    trials: u16,
    clock: Ticker,
    // Closed after the units that use them.
    _ports: Vec<Port<Started>>,
    eal: Eal,
}

impl Rig {
    /// Starts DPDK and the ports, and finds the relay.
    pub(crate) fn open(
        relay: Relay,
        placement: &Placement,
        watched: Option<Watched>,
        timing: Timing,
        demands: Demands,
    ) -> Result<Self, Failure> {
        let stick = placement.external_port == placement.internal_port;
        if stick != relay.config.on_a_stick() {
            return Err(Failure::new(
                "the relay has both sides on one port, or two ports, and so must we: \
                 --external-port and --internal-port the same where its ports are the same",
            ));
        }
        let ports: u32 = if stick { 1 } else { 2 };
        let plan = PoolPlan::derive(&PoolNeeds {
            ports,
            queues: 1,
            rx_descriptors: DESCRIPTORS.into(),
            tx_descriptors: DESCRIPTORS.into(),
            workers: placement.cpus.len() as u32,
            held: 0,
        });
        let eal = Eal::init(&EalConfig {
            name: format!("lwaftr-loadtest-{}", std::process::id()),
            control_cpus: other_cpus(&placement.cpus),
            megabytes: plan.megabytes,
            hugepages: placement.huge,
        })?;
        let pools = Pools::new(&eal, "loadtest", &plan, None)?;
        let names = [&placement.external_port, &placement.internal_port];
        let mut rig_ports = Vec::new();
        let mut units = Vec::new();
        let fixed = [relay.config.external.next_hop_mac, relay.config.internal.next_hop_mac];
        for number in 0..ports as usize {
            let opened = open_port(&eal, names[number], fixed[number], &pools, placement.patience)?;
            let (port, (rx, tx), full) = opened;
            let (external, internal) = (stick || number == 0, stick || number == 1);
            let side = |here: bool, direction| if here { Some(direction) } else { None };
            units.push(Unit {
                pool: pools.for_worker(),
                rx,
                tx,
                full,
                neighbours: neighbours(&relay, (external, internal), MacAddr(port.mac())),
                sends: [side(external, Direction::Encap), side(internal, Direction::Decap)]
                    .into_iter()
                    .flatten()
                    .collect(),
                returns: [side(internal, Direction::Encap), side(external, Direction::Decap)]
                    .into_iter()
                    .flatten()
                    .collect(),
            });
            rig_ports.push(port);
        }
        wait_for_links(&rig_ports, &names, placement.patience)?;
        let links = meet(&mut units, &relay, placement.patience)?;
        Ok(Self {
            timing,
            demands,
            table: 0,
            memory: eal.memory().to_string(),
            drivers: rig_ports.iter().map(|port| port.info().driver.clone()).collect(),
            units,
            framer: Framer::new(links),
            cpus: placement.cpus.clone(),
            watched,
            trials: 0,
            clock: Ticker { tsc: Tsc::new(&eal), start: Tsc::ticks() },
            _ports: rig_ports,
            eal,
            relay,
        })
    }

    /// Makes a trial, again when it was disturbed. The director is called with the number of the
    /// attempt, too.
    pub(crate) fn trial(
        &mut self,
        plan: &Plan,
        director: &mut dyn FnMut(u32, &View<'_>) -> ControlFlow<()>,
    ) -> Result<Outcome, Failure> {
        let Demands { least_share, attempts } = self.demands;
        trial::undisturbed(least_share, attempts, |number| {
            self.attempt(plan, &mut |view| director(number, view))
        })
    }

    /// Makes a trial once.
    pub(crate) fn attempt(
        &mut self,
        plan: &Plan,
        director: Director<'_>,
    ) -> Result<Outcome, Failure> {
        self.relay.check_fits(&plan.mix)?;
        self.trials = self.trials.wrapping_add(1);
        let lane = |direction| -> Result<Arc<Lane>, Failure> {
            let traffic = Traffic {
                direction,
                trial: self.trials,
                flows: Arc::clone(self.relay.flows(direction)?),
                mix: plan.mix.clone(),
                framer: self.framer.clone(),
            };
            Ok(Arc::new(Lane::new(traffic, self.table)))
        };
        let lanes =
            plan.directions.each().into_iter().map(lane).collect::<Result<Vec<_>, Failure>>()?;
        let trial = Trial {
            lanes: &lanes,
            load: &plan.load,
            timing: self.timing,
            clock: &self.clock,
            threads: self.cpus.len(),
            watched: self.watched.as_ref(),
        };
        let (eal, cpus) = (&self.eal, &self.cpus);
        let enter = |number: usize| Ok(ThreadRegistration::pinned(eal, cpus[number])?);
        let (units, outcome) = trial.run(std::mem::take(&mut self.units), &enter, director)?;
        self.units = units;
        Ok(outcome)
    }
}

/// A running port. The other end of a virtual one may take its time to appear.
fn open_port(
    eal: &Eal,
    name: &str,
    mac: Option<MacAddr>,
    pools: &Pools,
    patience: Duration,
) -> Result<(Port<Started>, QueuePair, Full), Failure> {
    let open = || -> Result<_, DpdkError> {
        let device = Device::attach(eal, name)?;
        let full = if device.info().physical { Full::Wait } else { Full::Lose };
        let config = PortConfig {
            queues: 1,
            rx_descriptors: DESCRIPTORS,
            tx_descriptors: DESCRIPTORS,
            mtu: device.info().max_mtu.min(1500),
            mac: mac.map(|mac| mac.0),
            // What goes to a wrong address is to be seen, not filtered.
            promiscuous: true,
        };
        let (port, queues) = device.configure(&config, pools)?.start()?;
        Ok((port, queues, full))
    };
    let deadline = Instant::now() + patience;
    loop {
        match open() {
            Ok((port, mut queues, full)) => {
                let pair = queues.pop();
                let pair = pair.ok_or_else(|| Failure::new(format!("port `{name}`: no queue")))?;
                return Ok((port, pair, full));
            }
            Err(_) if name.starts_with("net_") && Instant::now() < deadline => {
                std::thread::sleep(ASK_AGAIN);
            }
            Err(error) => {
                return Err(Failure::new(format!("{error}: is the relay running there?")));
            }
        }
    }
}

fn neighbours(relay: &Relay, (external, internal): (bool, bool), port: MacAddr) -> Neighbours {
    Neighbours {
        external: external.then(|| External::new(&relay.config, port)).flatten(),
        internal: internal.then(|| Internal::new(&relay.config, port)).flatten(),
    }
}

/// The CPUs that are left for everything else.
fn other_cpus(ours: &[usize]) -> Vec<usize> {
    let allowed = sched_getaffinity(None).unwrap_or_else(|_| CpuSet::new());
    let all = (0..CpuSet::MAX_CPU).filter(|&cpu| allowed.is_set(cpu));
    let (others, all): (Vec<usize>, Vec<usize>) = all.partition(|cpu| !ours.contains(cpu));
    if others.is_empty() { all } else { others }
}

fn wait_for_links(
    ports: &[Port<Started>],
    names: &[&String],
    patience: Duration,
) -> Result<(), Failure> {
    let deadline = Instant::now() + patience;
    for (port, name) in ports.iter().zip(names) {
        let monitor = port.monitor();
        while !monitor.read().is_some_and(|reading| reading.link.up) {
            if Instant::now() >= deadline {
                return Err(Failure::new(format!(
                    "port `{name}`: the link stays down: the relay running on the other end, and \
                     the cable, socket or memif role as its own `port` needs it"
                )));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
    Ok(())
}

/// Asks for the relay's MAC addresses until it has answered on both links, and answers what it
/// asks meanwhile.
fn meet(units: &mut [DpdkUnit], relay: &Relay, patience: Duration) -> Result<Links, Failure> {
    let deadline = Instant::now() + patience;
    let (mut external, mut internal) = (None, None);
    let mut ask_at = Instant::now();
    while external.is_none() || internal.is_none() {
        if Instant::now() >= deadline {
            let config = &relay.config;
            let side = if external.is_none() { "external" } else { "internal" };
            return Err(Failure::new(format!(
                "the relay does not answer on its {side} link ({} there): the relay running with \
                 {}, and --{side}-port connected to its {side} port",
                if external.is_none() { "no ARP reply" } else { "no neighbour advertisement" },
                config.path.display()
            )));
        }
        if Instant::now() >= ask_at {
            for unit in &mut *units {
                let ours = &unit.neighbours;
                let questions = [
                    ours.external.as_ref().map(External::question),
                    ours.internal.as_ref().map(Internal::question),
                ];
                questions.into_iter().flatten().for_each(|question| send(unit, &question));
            }
            ask_at += ASK_AGAIN;
        }
        for unit in &mut *units {
            let ours = unit.neighbours.clone();
            for frame in receive(unit) {
                let bytes = frame.bytes();
                let by_arp = found(&ours.external, |link| link.learn(bytes));
                let by_ndp = found(&ours.internal, |link| link.learn(bytes));
                external = external.or(by_arp);
                internal = internal.or(by_ndp);
                if let Some(answer) = ours.answer(bytes) {
                    send(unit, &answer);
                }
            }
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    let (Some((external, external_mac)), Some((internal, internal_mac))) = (external, internal)
    else {
        return Err(Failure::new("the relay was not found"));
    };
    Ok(Links {
        external: Link { ours: external.mac, relay: external_mac, vlan: external.vlan },
        internal: Link { ours: internal.mac, relay: internal_mac, vlan: internal.vlan },
        treatment: Treatment::of(&relay.config),
    })
}

/// A link with the relay's MAC address, if that has become known.
fn found<L: Clone>(
    link: &Option<L>,
    learn: impl FnOnce(&L) -> Option<MacAddr>,
) -> Option<(L, MacAddr)> {
    let link = link.as_ref()?;
    Some((link.clone(), learn(link)?))
}

fn send(unit: &mut DpdkUnit, bytes: &[u8]) {
    let Some(mut frame) = unit.pool.frame(bytes.len()) else { return };
    frame.bytes_mut().copy_from_slice(bytes);
    let mut one = TxBurst::new();
    one.push(frame);
    unit.tx.transmit(&mut one);
}

fn receive(unit: &mut DpdkUnit) -> Burst<Mbuf> {
    let mut burst = Burst::new();
    unit.rx.receive(&mut burst);
    burst
}
