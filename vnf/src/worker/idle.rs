//! What a worker does when nothing comes.

use std::time::Duration;

/// Longest sleep, whatever the ring.
const LONGEST: Duration = Duration::from_micros(100);

/// Frames a second that may arrive while a worker sleeps: the smallest ones at 10 Gbit/s, unless
/// the link is faster.
const RATE_10G: u64 = 14_880_952;

/// Empty rounds before the first sleep.
const PATIENCE: u32 = 200;

/// Spins, or sleeps so briefly that half the receive ring cannot fill meanwhile.
#[derive(Debug, Clone)]
pub struct Idle {
    sleep: Option<Duration>,
    empty_rounds: u32,
}

impl Idle {
    /// Never sleeps.
    #[must_use]
    pub const fn poll() -> Self {
        Self { sleep: None, empty_rounds: 0 }
    }

    /// Sleeps between looks once nothing has come for a while. `ring` is the number of receive
    /// descriptors, `gigabits` the fastest port's speed (10 is assumed where less is known).
    #[must_use]
    pub fn adaptive(ring: u16, gigabits: u32) -> Self {
        let rate = RATE_10G * u64::from(gigabits.max(10)) / 10;
        let half_full = Duration::from_nanos(u64::from(ring / 2) * 1_000_000_000 / rate);
        Self { sleep: Some(half_full.min(LONGEST)), empty_rounds: 0 }
    }

    /// To be called after a round in which so many frames came.
    #[inline]
    pub fn after(&mut self, received: usize) {
        if received > 0 {
            self.empty_rounds = 0;
            return;
        }
        self.empty_rounds = self.empty_rounds.saturating_add(1);
        match self.sleep {
            Some(sleep) if self.empty_rounds > PATIENCE => std::thread::sleep(sleep),
            _ => std::hint::spin_loop(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_a_ring_cannot_fill_during_a_sleep() {
        assert_eq!(Idle::adaptive(1024, 0).sleep, Some(Duration::from_nanos(34_406)));
        assert_eq!(Idle::adaptive(1024, 100).sleep, Some(Duration::from_nanos(3_440)));
        assert_eq!(Idle::adaptive(u16::MAX, 1).sleep, Some(LONGEST));
    }
}
