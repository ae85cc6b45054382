//! How much packet memory an instance needs, from its ports, queues and limits: plain arithmetic,
//! so that `check` can state it on a machine without DPDK.

use super::{BURST, TX_BURST};

/// Room in front of a frame's first byte that drivers leave, for the headers the relay adds.
pub const HEADROOM: u32 = 128;

/// Bytes a small buffer holds behind its headroom: any frame of an ordinary link. Together with
/// its bookkeeping a buffer stays below a page, as AF_XDP demands.
pub const SMALL_ROOM: u16 = 2048;

/// Bytes a large buffer holds behind its headroom: a 9 000-byte packet with its Ethernet header,
/// tag and outer IPv6 header, and some to spare.
pub const LARGE_ROOM: u16 = 9728;

/// Buffers a worker's core keeps for itself, so that it seldom meets the others at the pool.
pub const SMALL_CACHE: u32 = 256;

/// The same for large buffers, which few packets need.
pub const LARGE_CACHE: u32 = 32;

/// Ring entries that drivers of virtual ports use whatever they are asked for.
const LEAST_DESCRIPTORS: u32 = 2048;

/// Bookkeeping in front of a buffer: the pool's header and the mbuf itself.
const PER_BUFFER: u64 = 64 + 128;

/// What EAL and the drivers take for themselves: rings, statistics, port structures.
const OVERHEAD_MEGABYTES: u64 = 48;

/// What decides the size of the pools.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolNeeds {
    /// Ports, one when both sides share it.
    pub ports: u32,
    /// Queue pairs per port.
    pub queues: u32,
    /// Descriptors per receive queue.
    pub rx_descriptors: u32,
    /// Descriptors per transmit queue.
    pub tx_descriptors: u32,
    /// Workers.
    pub workers: u32,
    /// Frames that limits of the configuration let wait (for a neighbour, for their fragments).
    pub held: u32,
}

/// The sizes of the two pools, and the memory they need.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolPlan {
    /// Buffers of [`SMALL_ROOM`] bytes, which ports receive into.
    pub small: u32,
    /// Buffers of [`LARGE_ROOM`] bytes, into which jumbo frames that arrived in pieces are copied.
    pub large: u32,
    /// Memory for both and for DPDK itself, in MiB.
    pub megabytes: u64,
}

impl PoolPlan {
    /// Enough for every place a buffer can be in at once: each ring full, each worker with a burst
    /// in hand and frames to send on every port, each core's cache full, every limit reached. So
    /// an empty pool is a fault of the program, not of its traffic.
    ///
    /// A driver may keep sent frames until it needs their descriptors, so large buffers are
    /// counted for the transmit rings too, but not for the receive rings: ports never receive
    /// into them.
    #[must_use]
    pub fn derive(needs: &PoolNeeds) -> Self {
        let queues = needs.ports * needs.queues;
        // Ports are asked for powers of two.
        let tx_asked = needs.tx_descriptors.next_power_of_two();
        let rx = needs.rx_descriptors.next_power_of_two().max(LEAST_DESCRIPTORS);
        let tx = tx_asked.max(LEAST_DESCRIPTORS);
        let in_hand = needs.workers * (BURST as u32 + needs.ports * TX_BURST as u32);
        // A cache may grow to half as much again, and the thread that sets ports up has one too.
        let cached = |cache: u32| (needs.workers + 1) * (cache + cache / 2);

        let small = queues * (rx + tx) + in_hand + cached(SMALL_CACHE) + needs.held;
        let large = queues * tx_asked + in_hand + cached(LARGE_CACHE) + needs.held;
        let bytes = u64::from(small) * buffer_bytes(SMALL_ROOM)
            + u64::from(large) * buffer_bytes(LARGE_ROOM);
        Self { small, large, megabytes: bytes.div_ceil(1 << 20) + OVERHEAD_MEGABYTES }
    }
}

/// What one buffer occupies, pool rings included.
fn buffer_bytes(room: u16) -> u64 {
    u64::from(room) + u64::from(HEADROOM) + PER_BUFFER + 16
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEEDS: PoolNeeds = PoolNeeds {
        ports: 2,
        queues: 1,
        rx_descriptors: 1024,
        tx_descriptors: 1024,
        workers: 1,
        held: 0,
    };

    #[test]
    fn covers_every_place_a_buffer_can_be() {
        let plan = PoolPlan::derive(&NEEDS);
        // two ports with two rings of 2048, a burst, two transmit batches, two caches
        let transmit_batches = 2 * TX_BURST as u32;
        assert_eq!(plan.small, 2 * 2 * 2048 + BURST as u32 + transmit_batches + 2 * 384);
        assert_eq!(plan.large, 2 * 1024 + BURST as u32 + transmit_batches + 2 * 48);
        assert!((80..110).contains(&plan.megabytes), "{plan:?}");
    }

    #[test]
    fn grows_with_each_need() {
        let base = PoolPlan::derive(&NEEDS);
        for more in [
            PoolNeeds { ports: 3, ..NEEDS },
            PoolNeeds { queues: 2, ..NEEDS },
            PoolNeeds { rx_descriptors: 4096, ..NEEDS },
            PoolNeeds { tx_descriptors: 4096, ..NEEDS },
            PoolNeeds { workers: 2, ..NEEDS },
            PoolNeeds { held: 20_000, ..NEEDS },
        ] {
            let plan = PoolPlan::derive(&more);
            assert!(plan.small > base.small, "{more:?}");
            assert!(plan.megabytes > base.megabytes, "{more:?}");
        }
    }

    #[test]
    fn a_small_buffer_stays_below_a_page() {
        assert!(buffer_bytes(SMALL_ROOM) <= 4096);
    }
}
