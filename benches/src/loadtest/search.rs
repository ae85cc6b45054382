//! Throughput: the highest rate without loss (RFC 2544 section 26.1), found by binary search with
//! loss verification (ETSI GS NFV-TST 009 section 12.3.3): a rate at which frames were lost is
//! tried again, because a loss that does not come again was a disturbance and no lack of capacity.

/// A generator that makes less than this part of a rate has not tried it; one that makes less than
/// the other cannot, and need not be asked again.
const TRIED: f64 = 0.99;
const POSSIBLE: f64 = 0.9;

/// What a search goes by.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Search {
    /// The highest rate to try, and the first: the link's, usually.
    pub(crate) highest: f64,
    /// How close to the true rate the result must be, in parts of the highest rate.
    pub(crate) resolution: f64,
    /// The part of the frames that may be lost.
    pub(crate) tolerance: f64,
    /// How often a rate with loss is tried again.
    pub(crate) verify: u32,
}

/// What a trial at some rate showed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Shown {
    /// The part of the frames that was lost, or came back wrong.
    pub(crate) loss: f64,
    /// The part of the rate that the generator made.
    pub(crate) generated: f64,
}

/// What the search found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Found<T> {
    /// The highest rate that passed, and its trial. None passed: the relay loses at any rate.
    pub(crate) best: Option<(f64, T)>,
    /// Trials that were made.
    pub(crate) trials: u32,
    /// The next higher rate failed because the generator could not make it: the relay might.
    pub(crate) limited_by_generator: bool,
}

impl Search {
    /// Searches with trials made by `trial`, and keeps the best trial's result.
    pub(crate) fn run<T, E>(
        &self,
        mut trial: impl FnMut(f64) -> Result<(Shown, T), E>,
    ) -> Result<Found<T>, E> {
        let (mut low, mut high) = (0.0, self.highest);
        let mut found = Found { best: None, trials: 0, limited_by_generator: false };
        let mut rate = self.highest;
        loop {
            let verdict = self.verified(rate, &mut found.trials, &mut trial)?;
            match verdict {
                Ok(result) => {
                    low = rate;
                    found.best = Some((rate, result));
                }
                Err(too_fast) => {
                    high = rate;
                    found.limited_by_generator = too_fast;
                }
            }
            if high - low <= self.resolution * self.highest {
                return Ok(found);
            }
            rate = f64::midpoint(low, high);
        }
    }

    /// Tries a rate until it passes or has failed often enough; the failure says whether it was
    /// the generator's.
    fn verified<T, E>(
        &self,
        rate: f64,
        trials: &mut u32,
        trial: &mut impl FnMut(f64) -> Result<(Shown, T), E>,
    ) -> Result<Result<T, bool>, E> {
        let mut too_fast = false;
        for _ in 0..=self.verify {
            *trials += 1;
            let (shown, result) = trial(rate)?;
            too_fast = shown.generated < TRIED;
            if shown.generated < POSSIBLE {
                break;
            }
            if !too_fast && shown.loss <= self.tolerance {
                return Ok(Ok(result));
            }
        }
        Ok(Err(too_fast))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::convert::Infallible;

    const SEARCH: Search = Search { highest: 1e7, resolution: 0.001, tolerance: 0.0, verify: 2 };

    /// A device that loses whatever is beyond its capacity.
    fn capacity(capacity: f64) -> impl FnMut(f64) -> Result<(Shown, f64), Infallible> {
        move |rate| {
            let loss = (1.0 - capacity / rate).max(0.0);
            Ok((Shown { loss, generated: 1.0 }, rate))
        }
    }

    #[test]
    fn finds_a_known_capacity_within_its_resolution() {
        for known in [12_345.0, 1e6, 3_333_333.3, 9_999_000.0] {
            let found = SEARCH.run(capacity(known)).unwrap();
            let (rate, result) = found.best.unwrap();
            assert!(rate <= known && known - rate <= 10_000.0, "{rate} for {known}");
            assert_eq!(rate, result);
            assert!(found.trials <= 3 * 11, "{}", found.trials);
        }
    }

    #[test]
    fn the_line_rate_needs_one_trial_and_nothing_is_found_where_all_is_lost() {
        let found = SEARCH.run(capacity(2e7)).unwrap();
        assert_eq!((found.best, found.trials), (Some((1e7, 1e7)), 1));
        let found = SEARCH.run(capacity(0.0)).unwrap();
        assert_eq!(found.best, None);
    }

    #[test]
    fn a_loss_that_does_not_come_again_does_not_count() {
        let mut calls = 0;
        let mut device = capacity(6e6);
        let found = SEARCH.run(|rate| {
            calls += 1;
            let (mut shown, result) = device(rate)?;
            // Every other trial is disturbed.
            if calls % 2 == 1 {
                shown.loss = shown.loss.max(1e-6);
            }
            Ok::<_, Infallible>((shown, result))
        });
        let (rate, _) = found.unwrap().best.unwrap();
        assert!((6e6 - rate).abs() <= 10_000.0, "{rate}");

        let mut calls = 0;
        let never = Search { verify: 0, ..SEARCH };
        let found = never.run(|rate| {
            calls += 1;
            let loss = if calls == 2 { 1e-6 } else { (1.0 - 6e6 / rate).max(0.0) };
            Ok::<_, Infallible>((Shown { loss, generated: 1.0 }, ()))
        });
        let (rate, ()) = found.unwrap().best.unwrap();
        assert!(rate < 5e6 && rate > 4.98e6, "one unverified loss at half the rate: {rate}");
    }

    #[test]
    fn tolerance_and_persistent_loss() {
        let found = SEARCH.run(|_| Ok::<_, Infallible>((Shown { loss: 1e-5, generated: 1.0 }, ())));
        let found = found.unwrap();
        assert_eq!(found.best, None);
        assert_eq!(found.trials % 3, 0, "each rate was verified");
        let tolerant = Search { tolerance: 1e-4, ..SEARCH };
        let found =
            tolerant.run(|_| Ok::<_, Infallible>((Shown { loss: 1e-5, generated: 1.0 }, ())));
        assert_eq!(found.unwrap().best, Some((1e7, ())));
    }

    #[test]
    fn a_slow_generator_is_named() {
        let mut trials = 0;
        let found = SEARCH.run(|rate| {
            trials += 1;
            Ok::<_, Infallible>((Shown { loss: 0.0, generated: (2e6 / rate).min(1.0) }, ()))
        });
        let found = found.unwrap();
        assert!(found.limited_by_generator);
        // It makes 99 % of a rate that is 1 % too high.
        assert!((2e6 / 0.99 - found.best.unwrap().0).abs() < 10_000.0);
        assert_eq!(found.trials, trials);
        assert!(trials <= 11 + 2 * 4, "what is out of reach is tried once: {trials}");
        let found = SEARCH.run(capacity(5e6)).unwrap();
        assert!(!found.limited_by_generator);
    }
}
