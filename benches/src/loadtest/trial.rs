//! One trial: what is asked for, and what came of it.

use std::sync::Arc;
use std::time::Duration;

use hdrhistogram::Histogram;

use super::delay::Variation;
use super::direction::{Direction, Directions};
use super::generator::{Load, Sent};
use super::mix::Mix;
use super::profile::Profile;
use super::receiver::{Returned, histogram};

/// What a trial is to do.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) directions: Directions,
    pub(crate) mix: Mix,
    pub(crate) load: Load,
}

impl Plan {
    /// A constant rate, in frames a second and direction.
    pub(crate) fn constant(
        directions: Directions,
        mix: &Mix,
        rate: f64,
        duration: Duration,
    ) -> Self {
        let profile = Arc::new(Profile::constant(rate, duration));
        Self { directions, mix: mix.clone(), load: Load::Open(profile) }
    }
}

/// One direction of a trial that is over.
#[derive(Debug, Clone)]
pub(crate) struct LaneOutcome {
    pub(crate) direction: Direction,
    pub(crate) sent: Sent,
    pub(crate) returned: Returned,
}

impl LaneOutcome {
    /// Frames that were offered and did not come back.
    pub(crate) fn lost(&self) -> u64 {
        self.sent.offered - self.returned.seen.count().min(self.sent.offered)
    }

    /// Frames that came back as they must not.
    pub(crate) fn wrong(&self) -> u64 {
        let Returned { duplicates, corrupt, misdirected, .. } = self.returned;
        duplicates + corrupt + misdirected
    }

    /// Lost frames by the interval in which they were sent.
    pub(crate) fn lost_by_interval(&self) -> Vec<u64> {
        let ends = &self.sent.by_interval;
        let starts = std::iter::once(&0).chain(ends);
        starts.zip(ends).map(|(&from, &to)| self.returned.seen.missing(from, to)).collect()
    }
}

/// A trial that is over.
#[derive(Debug, Clone)]
pub(crate) struct Outcome {
    pub(crate) lanes: Vec<LaneOutcome>,
    /// Received frames that were none of this trial's.
    pub(crate) foreign: u64,
    /// The smallest share of its core that one of our threads got.
    pub(crate) own_share: f64,
    /// The same of the relay's workers, where they can be watched.
    pub(crate) relay_share: Option<f64>,
    /// How often the trial was made, this time included.
    pub(crate) attempts: u32,
    /// No attempt got the share of the CPU that was asked for.
    pub(crate) disturbed: bool,
}

impl Outcome {
    /// Frames offered in all directions.
    pub(crate) fn offered(&self) -> u64 {
        self.lanes.iter().map(|lane| lane.sent.offered).sum()
    }

    /// Frames lost in all directions.
    pub(crate) fn lost(&self) -> u64 {
        self.lanes.iter().map(LaneOutcome::lost).sum()
    }

    /// Frames that came back as they must not.
    pub(crate) fn wrong(&self) -> u64 {
        self.lanes.iter().map(LaneOutcome::wrong).sum()
    }

    /// The part of the offered frames that was lost.
    pub(crate) fn loss_ratio(&self) -> f64 {
        self.lost() as f64 / self.offered().max(1) as f64
    }

    /// The rate that a generator made, as a part of the one that was asked for; of the slower one.
    pub(crate) fn generated_ratio(&self) -> f64 {
        let ratio = |LaneOutcome { sent, .. }: &LaneOutcome| {
            let frames = sent.offered as f64 / sent.due.max(1) as f64;
            frames * sent.planned_nanos as f64 / sent.nanos.max(1) as f64
        };
        self.lanes.iter().map(ratio).fold(1.0, f64::min)
    }

    /// Frames a second and direction that were really offered.
    pub(crate) fn offered_rate(&self) -> f64 {
        let rate =
            |lane: &LaneOutcome| lane.sent.offered as f64 * 1e9 / lane.sent.nanos.max(1) as f64;
        self.lanes.iter().map(rate).fold(f64::INFINITY, f64::min)
    }

    /// The smallest share of a core that anybody got.
    pub(crate) fn least_share(&self) -> f64 {
        self.own_share.min(self.relay_share.unwrap_or(1.0))
    }

    /// Latencies of all directions.
    pub(crate) fn latency(&self) -> Histogram<u64> {
        self.sum(|returned| &returned.latency)
    }

    /// Latencies of frames sent in the second half.
    pub(crate) fn late_latency(&self) -> Histogram<u64> {
        self.sum(|returned| &returned.late_latency)
    }

    /// Differences of latencies of all directions.
    pub(crate) fn variation(&self) -> Variation {
        let mut sum = Variation::new();
        self.lanes.iter().for_each(|lane| sum.add(&lane.returned.variation));
        sum
    }

    fn sum(&self, book: impl Fn(&Returned) -> &Histogram<u64>) -> Histogram<u64> {
        let mut sum = histogram();
        for lane in &self.lanes {
            sum.add(book(&lane.returned)).expect("all books have the same bounds");
        }
        sum
    }
}

/// Makes a trial until all threads got their share of the CPU, `most` times at most; then the
/// attempt that came closest counts, and is marked.
pub(crate) fn undisturbed<E>(
    least_share: f64,
    most: u32,
    mut attempt: impl FnMut(u32) -> Result<Outcome, E>,
) -> Result<Outcome, E> {
    let mut best: Option<Outcome> = None;
    for number in 1..=most.max(1) {
        let mut outcome = attempt(number)?;
        outcome.attempts = number;
        if outcome.least_share() >= least_share {
            return Ok(outcome);
        }
        outcome.disturbed = true;
        let is_better = |best: &Outcome| outcome.least_share() > best.least_share();
        match &mut best {
            Some(best) if !is_better(best) => best.attempts = number,
            other => *other = Some(outcome),
        }
    }
    Ok(best.expect("there was at least one attempt"))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::seen::Seen;
    use std::convert::Infallible;

    /// An outcome with so many frames offered and lost.
    pub(crate) fn outcome(offered: u64, lost: u64, share: f64) -> Outcome {
        let mut seen = Seen::default();
        (lost..offered).for_each(|number| _ = seen.insert(number));
        let sent = Sent {
            due: offered,
            offered,
            nanos: 1_000_000_000,
            planned_nanos: 1_000_000_000,
            by_interval: vec![offered / 2, offered],
            ..Sent::default()
        };
        let returned = Returned {
            seen,
            duplicates: 0,
            corrupt: 0,
            misdirected: 0,
            reordered: 0,
            by_table: vec![offered - lost],
            latency: histogram(),
            late_latency: histogram(),
            variation: Variation::new(),
            intervals: Vec::new(),
        };
        Outcome {
            lanes: vec![LaneOutcome { direction: Direction::Encap, sent, returned }],
            foreign: 0,
            own_share: share,
            relay_share: None,
            attempts: 1,
            disturbed: false,
        }
    }

    #[test]
    fn what_was_lost_when() {
        let outcome = outcome(1000, 7, 1.0);
        assert_eq!((outcome.lost(), outcome.wrong()), (7, 0));
        assert_eq!(outcome.lanes[0].lost_by_interval(), [7, 0]);
        assert!((outcome.loss_ratio() - 0.007).abs() < 1e-12);
        assert_eq!(outcome.offered_rate(), 1000.0);
    }

    fn run(shares: &[f64]) -> Outcome {
        let attempt = |number: u32| {
            Ok::<_, Infallible>(outcome(100, number.into(), shares[number as usize - 1]))
        };
        undisturbed(0.99, 5, attempt).unwrap()
    }

    #[test]
    fn a_disturbed_trial_is_made_again() {
        let third = run(&[0.5, 0.98, 0.99]);
        assert_eq!((third.lost(), third.attempts, third.disturbed), (3, 3, false));
        let first = run(&[1.0]);
        assert_eq!((first.attempts, first.disturbed), (1, false));
        let best = run(&[0.5, 0.9, 0.7, 0.9, 0.1]);
        assert_eq!((best.lost(), best.attempts, best.disturbed), (2, 5, true));
    }
}
