//! Time as the CPU counts it.

use std::time::Duration;

use super::eal::Eal;

/// The time stamp counter, and how to turn its ticks into nanoseconds. Constant and in step
/// across cores on every CPU of x86-64-v3.
#[derive(Debug, Clone, Copy)]
pub struct Tsc {
    hertz: u64,
    /// Nanoseconds per tick, as a fraction of 2^32.
    scale: u64,
}

impl Tsc {
    /// With the rate that DPDK measured at its start.
    #[must_use]
    pub fn new(_running: &Eal) -> Self {
        // SAFETY: reads a number that was set when EAL started.
        Self::with_hertz(unsafe { dpdk_sys::rte_get_tsc_hz() })
    }

    fn with_hertz(hertz: u64) -> Self {
        let hertz = hertz.max(1);
        Self { hertz, scale: ((1_000_000_000_u128 << 32) / u128::from(hertz)) as u64 }
    }

    /// Ticks now.
    #[inline]
    #[must_use]
    pub fn ticks() -> u64 {
        // SAFETY: every x86-64 CPU has the instruction.
        unsafe { core::arch::x86_64::_rdtsc() }
    }

    /// Ticks per second.
    #[must_use]
    pub fn hertz(&self) -> u64 {
        self.hertz
    }

    /// Nanoseconds that so many ticks last.
    #[inline]
    #[must_use]
    pub fn nanos(&self, ticks: u64) -> u64 {
        ((u128::from(ticks) * u128::from(self.scale)) >> 32) as u64
    }
}

/// CPU time that the calling thread has had so far.
#[must_use]
pub fn thread_cpu_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the structure is ours to fill, and every Linux has this clock.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec.unsigned_abs() as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_is_a_second_at_any_rate() {
        for hertz in [1_000_000_000, 2_400_000_000, 3_693_061_000] {
            let tsc = Tsc::with_hertz(hertz);
            assert!(tsc.nanos(hertz).abs_diff(1_000_000_000) <= 1, "{hertz}");
            // a year, to the second
            assert!(tsc.nanos(hertz * 31_536_000).abs_diff(31_536_000_000_000_000) < 1_000_000_000);
        }
    }

    #[test]
    fn a_sleeping_thread_uses_no_cpu() {
        let before = thread_cpu_time();
        std::thread::sleep(Duration::from_millis(50));
        assert!(thread_cpu_time() - before < Duration::from_millis(40));
        while thread_cpu_time() - before < Duration::from_millis(1) {
            std::hint::spin_loop();
        }
    }

    #[test]
    fn ticks_advance() {
        let first = Tsc::ticks();
        assert!(Tsc::ticks() > first);
    }
}
