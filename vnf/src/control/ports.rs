//! The one or two DPDK ports of an instance, from their arguments to their queues and back.

use std::sync::{Arc, Weak};

use super::editor::PortMacs;
use super::error::ControlError;
use super::state::{ReadPools, ReadPorts};
use super::steering::{TakeAll, takes_all};
use crate::config::{Config, DESCRIPTORS, Idle as IdleKey};
use crate::dpdk::{
    Device, DpdkError, DpdkPool, Eal, Link, Mempool, Pools, Port, PortConfig, PortMonitor,
    QueuePair, Ring, RxQueue, Started, Stopped, TxQueue,
};
use crate::frame::plan::PoolPlan;
use crate::side::Side;
use crate::telemetry::{LinkStatus, PoolStats, PortStats, RingStatus};
use crate::wire::MacAddr;
use crate::worker::{self, Idle};

/// The queues of one worker.
pub(super) type Queues = worker::Ports<RxQueue, TxQueue>;

impl From<DpdkError> for ControlError {
    fn from(error: DpdkError) -> Self {
        Self::refused(error.to_string())
    }
}

/// An instance's ports: external and internal, or one that both sides share.
#[derive(Debug)]
pub(super) struct Ports<State> {
    ports: Vec<Port<State>>,
    pools: Pools,
    macs: PortMacs,
    /// Devices that ports are made of.
    _devices: Vec<Device>,
}

impl Ports<Stopped> {
    /// Takes the devices and sets the ports up, with a queue pair for each worker.
    pub(super) fn set_up(config: &Config, eal: &Eal) -> Result<Self, ControlError> {
        let devices = &config.instance.devices;
        let devices = devices
            .iter()
            .map(|argument| Device::attach(eal, argument))
            .collect::<Result<_, _>>()?;
        let mut wanted = vec![(&config.external.port, port_config(config)[0])];
        if !config.on_a_stick() {
            wanted.push((&config.internal.port, port_config(config)[1]));
        }
        let mut taken = Vec::new();
        for (argument, port) in wanted {
            taken.push((Device::attach(eal, argument)?, port));
        }
        let pools = Pools::new(
            eal,
            "lwaftr",
            &PoolPlan::derive(&config.pool_needs()),
            taken[0].0.info().numa,
        )?;
        let mut ports = Vec::new();
        for (device, port) in taken {
            ports.push(device.configure(&port, &pools)?);
        }
        let mac = |port: Option<&Port<Stopped>>, configured: Option<MacAddr>| {
            configured.unwrap_or_else(|| MacAddr(port.map(Port::mac).unwrap_or_default()))
        };
        let macs =
            [mac(ports.first(), config.external.mac), mac(ports.last(), config.internal.mac)];
        Ok(Self { ports, pools, macs, _devices: devices })
    }

    /// The largest packets that the ports carry, by side, in IP bytes.
    pub(super) fn largest_mtus(&self) -> [u16; 2] {
        let of = |port: Option<&Port<Stopped>>| port.map_or(u16::MAX, Port::max_mtu);
        [of(self.ports.first()), of(self.ports.last())]
    }

    /// The NUMA node of each port, with its name, where known.
    pub(super) fn nodes(&self) -> Vec<(String, Option<u32>)> {
        let node = |port: &Port<Stopped>| (port.argument().to_owned(), port.info().numa);
        self.ports.iter().map(node).collect()
    }

    /// Says in the log what each port offers of a packet's work, and what of it is used.
    pub(super) fn tell_offloads(&self) {
        for port in &self.ports {
            let named = |names: &[&str]| {
                if names.is_empty() { "nothing".to_owned() } else { names.join(", ") }
            };
            tracing::info!(
                "{} ({}) offers {}; used: {}",
                port.argument(),
                port.info().driver,
                named(&port.info().offers.names()),
                named(port.offloads().names()),
            );
        }
    }

    /// The MAC addresses of both sides.
    pub(super) fn macs(&self) -> PortMacs {
        self.macs
    }

    /// Starts the ports; each worker gets its queues.
    pub(super) fn start(self) -> Result<(Ports<Started>, Vec<Queues>), ControlError> {
        let Self { ports, pools, macs, _devices } = self;
        let mut started = Vec::new();
        let mut pairs: Vec<std::vec::IntoIter<QueuePair>> = Vec::new();
        for port in ports {
            let (port, queues) = port.start()?;
            started.push(port);
            pairs.push(queues.into_iter());
        }
        let queues = match pairs.as_mut_slice() {
            [both] => both.map(Queues::One).collect(),
            [external, internal] => external
                .zip(internal)
                .map(|(external, internal)| Queues::Two(external, internal))
                .collect(),
            _ => Vec::new(),
        };
        Ok((Ports { ports: started, pools, macs, _devices }, queues))
    }
}

impl Ports<Started> {
    /// Stops and closes the ports, for which the workers' queues are needed.
    pub(super) fn stop(self, queues: Vec<Queues>) {
        let mut of_port: Vec<Vec<QueuePair>> = self.ports.iter().map(|_| Vec::new()).collect();
        for queues in queues {
            let pairs = match queues {
                Queues::One(pair) => vec![pair],
                Queues::Two(external, internal) => vec![external, internal],
            };
            for (list, pair) in of_port.iter_mut().zip(pairs) {
                list.push(pair);
            }
        }
        for (port, queues) in self.ports.into_iter().zip(of_port) {
            if let Err(error) = port.stop(queues) {
                tracing::warn!("{error}");
            }
        }
    }

    /// How each port answers for itself, by side.
    pub(super) fn monitors(&self) -> [PortMonitor; 2] {
        let of = |port: Option<&Port<Started>>| {
            port.map(Port::monitor).expect("an instance has one port or two")
        };
        [of(self.ports.first()), of(self.ports.last())]
    }

    /// How the ports are told to take frames to any MAC address, or no longer.
    pub(super) fn steering(&self) -> TakeAll {
        let monitors = self.monitors();
        Box::new(move |side, all| monitors[side.index()].take_all(all).map_err(|e| e.to_string()))
    }

    /// Where a worker gets frames of its own from.
    pub(super) fn pool(&self) -> DpdkPool {
        self.pools.for_worker()
    }

    /// How full the pools are; they are not kept from being freed.
    pub(super) fn pools(&self) -> ReadPools {
        let pools = [("small", &self.pools.small), ("large", &self.pools.large)];
        let pools = pools.map(|(name, pool)| (name, Arc::downgrade(pool)));
        Box::new(move || {
            let reading = |(name, pool): &(&'static str, Weak<Mempool>)| {
                let pool = pool.upgrade()?;
                Some(PoolStats { name, capacity: pool.capacity(), free: pool.available() })
            };
            pools.iter().filter_map(reading).collect()
        })
    }

    /// What a worker does between frames of these ports.
    pub(super) fn idling(&self, wanted: IdleKey) -> Idle {
        let physical = self.ports.iter().any(|port| port.info().physical);
        match wanted {
            IdleKey::Poll => Idle::poll(),
            IdleKey::Auto if physical => Idle::poll(),
            IdleKey::Auto | IdleKey::Adaptive => {
                let readings = self.monitors().into_iter().filter_map(|monitor| monitor.read());
                let megabits = readings.filter_map(|reading| reading.link.megabits).max();
                Idle::adaptive(DESCRIPTORS, megabits.unwrap_or_default() / 1_000)
            }
        }
    }
}

/// Reads both ports' counters; a port that both sides share is told twice.
pub(super) fn reader(monitors: [PortMonitor; 2]) -> ReadPorts {
    Box::new(move || {
        Side::BOTH.map(|side| {
            // A closed port is one of an instance that stops.
            let Some(reading) = monitors[side.index()].read() else {
                return PortStats::default();
            };
            let Link { up, megabits } = reading.link;
            PortStats {
                rx_missed: reading.rx_missed,
                rx_nombuf: reading.rx_nombuf,
                rx_errors: reading.rx_errors,
                tx_errors: reading.tx_errors,
                offloads: reading.offloads.names(),
                link: Some(LinkStatus { up, megabits }),
                rx_ring: reading
                    .rx_ring
                    .map(|Ring { size, fullest }| RingStatus { size: size.into(), fullest }),
            }
        })
    })
}

/// How the ports are to be set up, by side. A shared one does what both sides need.
fn port_config(config: &Config) -> [PortConfig; 2] {
    let queues = u16::try_from(config.worker_count()).unwrap_or(u16::MAX);
    let port = |mtu, mac: Option<MacAddr>, promiscuous| PortConfig {
        queues,
        rx_descriptors: DESCRIPTORS,
        tx_descriptors: DESCRIPTORS,
        mtu,
        mac: mac.map(|mac| mac.0),
        promiscuous,
    };
    let (external, internal) = (&config.external, &config.internal);
    let takes_all = takes_all(config);
    if config.on_a_stick() {
        return [port(external.mtu.max(internal.mtu), external.mac, takes_all[0]); 2];
    }
    [port(external.mtu, external.mac, takes_all[0]), port(internal.mtu, internal.mac, takes_all[1])]
}
