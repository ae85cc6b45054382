//! A port, stopped or started: the type says which.

use std::{
    fmt,
    marker::PhantomData,
    ptr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use super::{
    device::{Device, DeviceInfo},
    error::{Cause, DpdkError},
    log,
    mempool::Pools,
    monitor::PortMonitor,
    offloads::Offloads,
    queue::{self, QueuePair},
};
use crate::frame::plan::SMALL_ROOM;

/// IP bytes that every port should accept, whatever its MTU; fewer where the port cannot.
const ACCEPTED: u16 = 9000;

/// Ethernet header, one tag, FCS.
const AROUND_IP: u16 = 22;

/// Says that it carries ordinary frames only, and puts jumbo frames into several buffers all the same.
const CHAINS_UNSAID: &str = "net_memif";

/// What AF_XDP keeps free in front of each received frame.
const XDP_HEADROOM: u16 = 256;

/// How a port is to be set up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PortConfig {
    /// Queue pairs, one per worker.
    pub queues: u16,
    /// Descriptors per receive queue; rounded up to a power of two, and to what the port allows.
    pub rx_descriptors: u16,
    /// Descriptors per transmit queue; likewise.
    pub tx_descriptors: u16,
    /// The largest packet we send, in IP bytes. Larger ones are received where the port can.
    pub mtu: u16,
    /// Our MAC address, when it is not the port's own.
    pub mac: Option<[u8; 6]>,
    /// Receive what is addressed to others too.
    pub promiscuous: bool,
}

/// No one polls it.
#[derive(Debug)]
pub enum Stopped {}

/// Its queues are with workers.
#[derive(Debug)]
pub enum Started {}

/// A configured port.
///
/// A stopped port cannot be polled, because its queues were needed to stop it:
///
/// ```
/// # use vnf::{dpdk::{Port, QueuePair, Started}, frame::{Burst, RxQueue as _}};
/// fn poll_and_stop(port: Port<Started>, mut queues: Vec<QueuePair>) {
///     queues[0].0.receive(&mut Burst::new());
///     let stopped = port.stop(queues);
/// }
/// ```
///
/// ```compile_fail,E0382
/// # use vnf::{dpdk::{Port, QueuePair, Started}, frame::{Burst, RxQueue as _}};
/// fn stop_and_poll(port: Port<Started>, mut queues: Vec<QueuePair>) {
///     let stopped = port.stop(queues);
///     queues[0].0.receive(&mut Burst::new());
/// }
/// ```
///
/// and a port that was never started has none:
///
/// ```
/// # use vnf::dpdk::{Port, Started};
/// fn stop(port: Port<Started>) {
///     let stopped = port.stop(Vec::new());
/// }
/// ```
///
/// ```compile_fail,E0599
/// # use vnf::dpdk::{Port, Stopped};
/// fn stop(port: Port<Stopped>) {
///     let stopped = port.stop(Vec::new());
/// }
/// ```
#[derive(Debug)]
pub struct Port<State> {
    shared: Arc<Shared>,
    state: PhantomData<State>,
}

/// What a port and its queues have in common: the port is closed when the last of them is gone.
#[derive(Debug)]
pub(super) struct Shared {
    // Closed, by being dropped, before the pools are.
    pub(super) device: Device,
    pub(super) pools: Pools,
    /// With the descriptors that the port chose.
    config: PortConfig,
    /// The longest frame the driver can be given, if it would not notice a longer one.
    pub(super) longest: Option<u16>,
    /// It cannot filter by what is ours, so it takes all whatever is wanted.
    cannot_filter: AtomicBool,
    pub(super) offloads: Offloads,
    control: Mutex<()>,
}

impl Shared {
    /// DPDK wants one control call at a time per port.
    pub(super) fn control(&self) -> MutexGuard<'_, ()> {
        self.control.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn queues(&self) -> u16 {
        self.config.queues
    }

    /// Descriptors of each receive queue.
    pub(super) fn rx_descriptors(&self) -> u16 {
        self.config.rx_descriptors
    }

    /// Has the port take frames to any MAC address, or no others than ours as far as it can filter.
    /// A virtual port that knows no such filter takes all as it is.
    pub(super) fn take_all(&self, all: bool) -> Result<(), DpdkError> {
        let _one_at_a_time = self.control();
        let id = self.device.id();
        if !all && self.cannot_filter.load(Ordering::Relaxed) {
            return Ok(());
        }
        log::forget();
        // SAFETY: the port is open as long as `self`, and the lock keeps other control calls out;
        // they may come while workers poll.
        let returned = unsafe {
            match all {
                true => dpdk_sys::rte_eth_promiscuous_enable(id),
                false => dpdk_sys::rte_eth_promiscuous_disable(id),
            }
        };
        if returned != 0 && !self.device.info().physical && returned == -libc::ENOTSUP {
            return Ok(());
        }
        let step = match all {
            true => "taking frames to any MAC address",
            false => "taking frames to our MAC address only",
        };
        self.step(step, returned)
    }

    fn step(&self, step: &'static str, returned: i32) -> Result<(), DpdkError> {
        setup_step(&self.device, step, returned)
    }
}

fn setup_step(device: &Device, step: &'static str, returned: i32) -> Result<(), DpdkError> {
    if returned >= 0 {
        return Ok(());
    }
    let port = device.argument().to_owned();
    Err(DpdkError::Setup { port, step, cause: Cause::returned(returned) })
}

impl Device {
    /// Sets the port up: queues, buffers, what it accepts.
    ///
    /// # Errors
    ///
    /// When it cannot have that many queues (or could, but would spread packets by more than their
    /// addresses), cannot carry that MTU, or its driver refuses a step.
    pub fn configure(self, config: &PortConfig, pools: &Pools) -> Result<Port<Stopped>, DpdkError> {
        self.check_queues(config.queues)?;
        let sends_through_umem = self.sends_through_umem();
        let most = self.largest_mtu();
        if config.mtu > most {
            return Err(DpdkError::Mtu {
                port: self.argument().to_owned(),
                driver: self.info().driver.clone(),
                asked: config.mtu,
                most,
            });
        }
        let offloads = self.info().offers.wanted(config.queues);
        let rx_descriptors = self.set_up(config, most.min(self.info().max_mtu), offloads, pools)?;
        if sends_through_umem {
            // Its close forgets what lies in the kernel's rings.
            pools.small.expect_kept();
        }
        let shared = Shared {
            device: self,
            pools: pools.clone(),
            config: PortConfig { rx_descriptors, ..*config },
            // It copies a frame from another pool into a small buffer without looking at its length.
            longest: sends_through_umem.then_some(SMALL_ROOM),
            cannot_filter: AtomicBool::new(false),
            offloads,
            control: Mutex::new(()),
        };
        Ok(Port { shared: Arc::new(shared), state: PhantomData })
    }

    /// The largest packet it can be set up for, in IP bytes.
    fn largest_mtu(&self) -> u16 {
        let most = self.info().max_mtu;
        if self.sends_through_umem() {
            most.min(SMALL_ROOM - XDP_HEADROOM - AROUND_IP)
        } else if self.info().driver == CHAINS_UNSAID {
            ACCEPTED
        } else {
            most
        }
    }

    fn check_queues(&self, asked: u16) -> Result<(), DpdkError> {
        let info = self.info();
        let refuse = |reason: String| {
            Err(DpdkError::Queues { port: self.argument().to_owned(), asked, reason })
        };
        if asked == 0 || asked > info.max_queues {
            return refuse(format!("{} can have 1 to {}", info.driver, info.max_queues));
        }
        match info.spreads_by_address {
            Err(reason) if asked > 1 => refuse(format!(
                "all fragments of a packet must meet one worker, and {reason}; use one worker"
            )),
            _ => Ok(()),
        }
    }

    fn set_up(
        &self,
        config: &PortConfig,
        most: u16,
        offloads: Offloads,
        pools: &Pools,
    ) -> Result<u16, DpdkError> {
        let id = self.id();
        let can = self.raw_info();
        let scatter = u64::from(dpdk_sys::RTE_ETH_RX_OFFLOAD_SCATTER) & can.rx_offload_capa;
        let mut conf = dpdk_sys::rte_eth_conf::default();
        conf.rxmode.offloads = scatter | offloads.rx_flags();
        // A port that cannot put a frame into several buffers gets no more than fits one. Drivers
        // of virtual ports that chain buffers without announcing it do not look at this.
        let fits = if scatter == 0 { SMALL_ROOM - AROUND_IP } else { u16::MAX };
        conf.rxmode.mtu = u32::from(ACCEPTED.min(most).min(fits));
        if config.queues > 1 {
            conf.rxmode.mq_mode = dpdk_sys::RTE_ETH_MQ_RX_RSS;
            conf.rx_adv_conf.rss_conf.rss_hf =
                u64::from(dpdk_sys::RTE_ETH_RSS_IPV4) | u64::from(dpdk_sys::RTE_ETH_RSS_IPV6);
        }
        let numa = self.info().numa.unwrap_or(dpdk_sys::SOCKET_ID_ANY as u32);
        // AF_XDP takes powers of two only, and does not say so.
        let rounded = |count: u16| count.clamp(64, 1 << 14).next_power_of_two();
        let (mut rx, mut tx) = (rounded(config.rx_descriptors), rounded(config.tx_descriptors));
        log::forget();
        // SAFETY: the port is open and no queue of it exists, so nobody polls it. `conf` and the
        // numbers outlive the calls; null asks for the driver's own defaults; the pool outlives
        // the port, which keeps a handle of it.
        unsafe {
            let returned =
                dpdk_sys::rte_eth_dev_configure(id, config.queues, config.queues, &raw const conf);
            setup_step(self, "setting it up", returned)?;
            let returned = dpdk_sys::rte_eth_dev_adjust_nb_rx_tx_desc(id, &raw mut rx, &raw mut tx);
            setup_step(self, "choosing descriptors", returned)?;
            for queue in 0..config.queues {
                let pool = pools.small.as_ptr();
                let returned =
                    dpdk_sys::rte_eth_rx_queue_setup(id, queue, rx, numa, ptr::null(), pool);
                setup_step(self, "making a receive queue", returned)?;
                let returned = dpdk_sys::rte_eth_tx_queue_setup(id, queue, tx, numa, ptr::null());
                setup_step(self, "making a transmit queue", returned)?;
            }
        }
        Ok(rx)
    }
}

impl Port<Stopped> {
    /// Starts it. Each worker gets one of the queue pairs.
    ///
    /// # Errors
    ///
    /// When the driver refuses; the port is closed then.
    pub fn start(self) -> Result<(Port<Started>, Vec<QueuePair>), DpdkError> {
        log::forget();
        {
            let _one_at_a_time = self.shared.control();
            // SAFETY: the port is set up and nobody polls it.
            let returned = unsafe { dpdk_sys::rte_eth_dev_start(self.shared.device.id()) };
            self.shared.step("starting it", returned)?;
        }
        self.choose_what_arrives();
        // One pair for each queue, made here alone: a stopped port has none.
        let queues =
            (0..self.shared.config.queues).map(|queue| queue::pair(&self.shared, queue)).collect();
        Ok((Port { shared: self.shared, state: PhantomData }, queues))
    }

    /// Our MAC address and the groups we listen to. The relay filters by address itself, so a port
    /// that can do neither is asked for everything.
    fn choose_what_arrives(&self) {
        let Shared { device, config, .. } = &*self.shared;
        let (id, info) = (device.id(), device.info());
        let mut cannot_filter = false;
        {
            let _one_at_a_time = self.shared.control();
            if let Some(mac) = config.mac.filter(|mac| *mac != info.mac) {
                // The address of a virtual port is the other end's business (the kernel would take
                // ours for its own).
                let mut address = dpdk_sys::rte_ether_addr { addr_bytes: mac };
                // SAFETY: the port is open; the address is copied.
                cannot_filter |= !info.physical
                    || unsafe { dpdk_sys::rte_eth_dev_default_mac_addr_set(id, &raw mut address) }
                        != 0;
            }
            // Neighbour solicitations go to groups made of our addresses.
            // SAFETY: the port is open.
            cannot_filter |= unsafe { dpdk_sys::rte_eth_allmulticast_enable(id) } != 0;
        }
        self.shared.cannot_filter.store(cannot_filter, Ordering::Relaxed);
        if cannot_filter || config.promiscuous {
            // A virtual port that knows no filters cannot switch them off either.
            if self.shared.take_all(true).is_err() && info.physical {
                tracing::warn!(
                    port = device.argument(),
                    "the port filters by MAC address and cannot be told what to let through"
                );
            }
        }
    }
}

impl Port<Started> {
    /// Stops it, for which all its queues are needed: so nobody polls it any more.
    ///
    /// # Errors
    ///
    /// When a queue is missing, or one is another port's: everything comes back.
    pub fn stop(self, queues: Vec<QueuePair>) -> Result<Port<Stopped>, Box<StillInUse>> {
        let ours =
            |(rx, tx): &&QueuePair| rx.belongs_to(&self.shared) && tx.belongs_to(&self.shared);
        // A queue exists once, so their number is proof.
        let returned = queues.iter().filter(ours).count();
        let all = usize::from(self.shared.config.queues);
        if returned != all || queues.len() != all {
            return Err(Box::new(StillInUse { port: self, queues, missing: all - returned }));
        }
        drop(queues);
        {
            let _one_at_a_time = self.shared.control();
            // SAFETY: the port is open, and no queue of it exists any more.
            let returned = unsafe { dpdk_sys::rte_eth_dev_stop(self.shared.device.id()) };
            if let Err(error) = self.shared.step("stopping it", returned) {
                tracing::warn!("{error}");
            }
        }
        Ok(Port { shared: self.shared, state: PhantomData })
    }

    /// A handle for the control side.
    #[must_use]
    pub fn monitor(&self) -> PortMonitor {
        PortMonitor::new(&self.shared)
    }
}

impl<State> Port<State> {
    /// What the port is and can do.
    #[must_use]
    pub fn info(&self) -> &DeviceInfo {
        self.shared.device.info()
    }

    /// The largest packet that it carries, in IP bytes.
    #[must_use]
    pub fn max_mtu(&self) -> u16 {
        self.shared.device.largest_mtu()
    }

    /// What it does of a packet's work.
    #[must_use]
    pub fn offloads(&self) -> Offloads {
        self.shared.offloads
    }

    /// The argument that it was made by.
    #[must_use]
    pub fn argument(&self) -> &str {
        self.shared.device.argument()
    }

    /// The MAC address we send from: the configured one, or else the port's own.
    #[must_use]
    pub fn mac(&self) -> [u8; 6] {
        self.shared.config.mac.unwrap_or(self.info().mac)
    }
}

/// A port that cannot be stopped, because a worker may be polling it.
#[derive(Debug)]
pub struct StillInUse {
    /// The port, still running.
    pub port: Port<Started>,
    /// The queues that were handed in.
    pub queues: Vec<QueuePair>,
    /// Queue pairs that were not among them.
    pub missing: usize,
}

impl fmt::Display for StillInUse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let port = self.port.shared.device.argument();
        if self.missing > 0 {
            write!(f, "port `{port}` runs on: {} of its queues were not handed back", self.missing)
        } else {
            write!(f, "port `{port}` runs on: queues of another port were handed back too")
        }
    }
}

impl std::error::Error for StillInUse {}
