//! How much packet memory a configuration asks for.

use super::Config;
use crate::frame::plan::PoolNeeds;
use crate::lwaftr::{MOST_HELD, MOST_WAITING};

/// Descriptors of every receive and transmit queue: 16 bursts, which bridges 0.7 ms at 1 Gbit/s
/// of the smallest frames. More would only push packets out of the core's cache.
pub const DESCRIPTORS: u16 = 1024;

impl Config {
    /// What decides the size of the buffer pools, for `check` to state and `run` to act on.
    #[must_use]
    pub fn pool_needs(&self) -> PoolNeeds {
        let workers = self.worker_count();
        PoolNeeds {
            ports: if self.on_a_stick() { 1 } else { 2 },
            queues: workers,
            rx_descriptors: DESCRIPTORS.into(),
            tx_descriptors: DESCRIPTORS.into(),
            workers,
            // Towards either side, packets wait for the next hop's MAC address, and IPv4 fragments
            // for their first. What is put together from fragments has memory of its own.
            held: (2 * MOST_HELD + MOST_WAITING) as u32 * workers,
        }
    }

    /// How many workers there are, which is how many queue pairs a port needs.
    #[must_use]
    pub fn worker_count(&self) -> u32 {
        self.workers.cpus.len().max(1) as u32
    }
}
