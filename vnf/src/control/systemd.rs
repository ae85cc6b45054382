//! What systemd is told where it has started the process (`Type=notify`): that it is ready, reloads
//! or stops, and, while every worker makes progress, that it lives. Elsewhere nothing happens.

#[cfg(feature = "dpdk")]
use std::convert::Infallible;
#[cfg(feature = "dpdk")]
use std::sync::Arc;
#[cfg(any(feature = "dpdk", test))]
use std::time::{Duration, Instant};

use sd_notify::NotifyState;

#[cfg(feature = "dpdk")]
use crate::worker::Progress;

/// A worker may need so long for a round, however soon the watchdog barks: a burst takes far less.
#[cfg(any(feature = "dpdk", test))]
const SHORTEST: Duration = Duration::from_millis(100);

/// The watchdog's view of the workers.
#[cfg(any(feature = "dpdk", test))]
#[derive(Debug)]
pub(super) struct Watchdog {
    /// How often it is to be told; `None`: there is none.
    every: Option<Duration>,
    next: Instant,
    rounds: Vec<u64>,
    /// It was not told the last time.
    silent: bool,
}

#[cfg(any(feature = "dpdk", test))]
impl Watchdog {
    /// The one that systemd has set on this process, if it has.
    #[cfg(feature = "dpdk")]
    fn of_process() -> Self {
        Self::new(sd_notify::watchdog_enabled(), Instant::now())
    }

    fn new(limit: Option<Duration>, now: Instant) -> Self {
        // Twice too late, and it is still in time.
        let every = limit.map(|limit| (limit / 4).max(SHORTEST));
        Self { every, next: now, rounds: Vec::new(), silent: false }
    }

    /// Tells it that all is well, when it is time to and when every worker has made progress since
    /// the last time. `rounds` are those of each worker.
    #[cfg(feature = "dpdk")]
    fn feed(&mut self, rounds: Vec<u64>, now: Instant) {
        if self.is_fed_by(rounds, now) {
            tell(&[NotifyState::Watchdog]);
        }
    }

    fn is_fed_by(&mut self, rounds: Vec<u64>, now: Instant) -> bool {
        let Some(every) = self.every else { return false };
        if now < self.next {
            return false;
        }
        self.next = now + every;
        let known = self.rounds.len() == rounds.len();
        let stands = rounds.iter().zip(&self.rounds).position(|(now, then)| now == then);
        self.rounds = rounds;
        let stalled = stands.filter(|_| known);
        if let Some(worker) = stalled
            && !self.silent
        {
            tracing::error!("worker {worker} stands still: systemd's watchdog is not fed");
        }
        self.silent = stalled.is_some();
        stalled.is_none()
    }
}

/// Feeds the process's watchdog for ever.
#[cfg(feature = "dpdk")]
pub(super) async fn feed_watchdog(workers: Vec<Arc<Progress>>) -> Infallible {
    let mut watchdog = Watchdog::of_process();
    let mut tick = tokio::time::interval(SHORTEST);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        watchdog.feed(workers.iter().map(|worker| worker.rounds()).collect(), Instant::now());
    }
}

/// It works, in these words.
pub(super) fn ready(status: &str) {
    tell(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// It reads its configuration anew; [`ready`] comes afterwards, whatever came of it.
pub(super) fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now, NotifyState::Status("reloading")]),
        Err(error) => tracing::debug!("no time for systemd: {error}"),
    }
}

/// It will end.
#[cfg(feature = "dpdk")]
pub(super) fn stopping(status: &str) {
    tell(&[NotifyState::Stopping, NotifyState::Status(status)]);
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!("systemd cannot be told: {error}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_progress_of_every_worker_feeds_the_watchdog() {
        let start = Instant::now();
        let mut watchdog = Watchdog::new(Some(Duration::from_secs(4)), start);
        let mut at = |seconds: u64, rounds: [u64; 2]| {
            watchdog.is_fed_by(rounds.into(), start + Duration::from_secs(seconds))
        };
        assert!(at(0, [5, 5]));
        assert!(!at(0, [6, 6]), "not so soon again");
        assert!(at(1, [7, 6]));
        assert!(!at(2, [8, 6]), "the second one stands still");
        assert!(!at(3, [8, 7]), "and now the first");
        assert!(at(4, [9, 8]));
        let mut none = Watchdog::new(None, start);
        assert!(!none.is_fed_by(vec![1], start + Duration::from_secs(9)));
    }
}
