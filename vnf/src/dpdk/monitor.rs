//! What the control side may see of a port that workers are polling.

use std::sync::{Arc, Weak};

use super::error::DpdkError;
use super::interface::Interface;
use super::offloads::Offloads;
use super::port::Shared;

/// Reads a port's own counters and link. Any thread may hold one; it cannot poll, and it does not
/// keep the port open.
#[derive(Debug, Clone)]
pub struct PortMonitor {
    shared: Weak<Shared>,
}

/// What a port says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PortReading {
    /// Frames lost because the receive ring was full.
    pub rx_missed: u64,
    /// Frames lost because no buffer was free.
    pub rx_nombuf: u64,
    /// Frames that arrived damaged.
    pub rx_errors: u64,
    /// Frames the port accepted and did not send.
    pub tx_errors: u64,
    /// Its receive rings, where the driver can say how full they are.
    pub rx_ring: Option<Ring>,
    /// The link.
    pub link: Link,
    /// What it does of a packet's work.
    pub offloads: Offloads,
    /// It was told to take frames to any MAC address.
    pub takes_all: bool,
}

/// A port's receive rings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ring {
    /// Descriptors of each.
    pub size: u16,
    /// Frames that wait in the fullest.
    pub fullest: u32,
}

/// The state of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Link {
    /// It carries frames.
    pub up: bool,
    /// Its speed in Mbit/s, where known.
    pub megabits: Option<u32>,
}

impl PortMonitor {
    pub(super) fn new(shared: &Arc<Shared>) -> Self {
        Self { shared: Arc::downgrade(shared) }
    }

    /// Has the port take frames to any MAC address, or no others than ours as far as it can filter.
    ///
    /// # Errors
    ///
    /// When its driver refuses. A closed port has nothing to refuse.
    pub fn take_all(&self, all: bool) -> Result<(), DpdkError> {
        self.shared.upgrade().map_or(Ok(()), |shared| shared.take_all(all))
    }

    /// A reading, or `None` when the port is closed.
    #[must_use]
    pub fn read(&self) -> Option<PortReading> {
        let shared = self.shared.upgrade()?;
        let _one_at_a_time = shared.control();
        let port = shared.device.id();
        let mut stats = dpdk_sys::rte_eth_stats::default();
        let mut link = dpdk_sys::rte_eth_link::default();
        // SAFETY: the port is open as long as `shared`, and the lock keeps other control calls
        // out; both structures are ours to fill. A call that fails leaves zeros.
        unsafe {
            dpdk_sys::rte_eth_stats_get(port, &raw mut stats);
            dpdk_sys::rte_eth_link_get_nowait(port, &raw mut link);
        }
        let known = link.link_speed != 0 && link.link_speed != dpdk_sys::RTE_ETH_SPEED_NUM_UNKNOWN;
        let up = u32::from(link.link_status()) == dpdk_sys::RTE_ETH_LINK_UP;
        let interface_up = shared.device.interface().is_none_or(Interface::is_up);
        Some(PortReading {
            rx_missed: stats.imissed,
            rx_nombuf: stats.rx_nombuf,
            rx_errors: stats.ierrors,
            tx_errors: stats.oerrors,
            rx_ring: rx_ring(&shared),
            link: Link { up: up && interface_up, megabits: known.then_some(link.link_speed) },
            offloads: shared.offloads,
            // SAFETY: the port is open as long as `shared`, and the lock is held.
            takes_all: unsafe { dpdk_sys::rte_eth_promiscuous_get(port) } == 1,
        })
    }
}

/// How full the receive rings are; `None` where the driver cannot tell, and while the port is stopped.
fn rx_ring(shared: &Shared) -> Option<Ring> {
    let mut fullest = 0;
    for queue in 0..shared.queues() {
        // SAFETY: the port is open as long as `shared`, which has so many queues. The call looks at
        // the ring's state, which the worker that polls it changes meanwhile, and changes nothing:
        // what it says is of one moment. A stopped port has no such call, and it fails.
        let waiting = unsafe { dpdk_sys::rte_eth_rx_queue_count(shared.device.id(), queue) };
        fullest = fullest.max(u32::try_from(waiting).ok()?);
    }
    Some(Ring { size: shared.rx_descriptors(), fullest })
}
