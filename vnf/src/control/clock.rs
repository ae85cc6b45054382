//! The clock that workers on DPDK ports go by.

use crate::dpdk::{Eal, Tsc};
use crate::worker::Clock;

/// The time stamp counter as a worker's clock: 10 ns a look.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TscClock {
    tsc: Tsc,
    start: u64,
}

impl TscClock {
    /// A clock that says 0 now.
    pub(crate) fn start(eal: &Eal) -> Self {
        Self { tsc: Tsc::new(eal), start: Tsc::ticks() }
    }
}

impl Clock for TscClock {
    #[inline]
    fn now(&self) -> u64 {
        self.tsc.nanos(Tsc::ticks().wrapping_sub(self.start))
    }
}
