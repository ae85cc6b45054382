//! How many frames a second, over time: pieces of constant or evenly changing rate.

use std::time::Duration;

/// A stretch of time at a rate that changes evenly.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Piece {
    pub(crate) duration: Duration,
    /// Frames a second at its start.
    pub(crate) from: f64,
    /// At its end.
    pub(crate) to: f64,
}

/// Pieces, one after another.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Profile(Vec<Piece>);

impl Profile {
    /// One rate all the time.
    pub(crate) fn constant(rate: f64, duration: Duration) -> Self {
        Self(vec![Piece { duration, from: rate, to: rate }])
    }

    /// Each of the rates for the same time.
    pub(crate) fn steps(rates: &[f64], duration: Duration) -> Self {
        let each = duration / rates.len().max(1) as u32;
        Self(rates.iter().map(|&rate| Piece { duration: each, from: rate, to: rate }).collect())
    }

    /// Evenly from rate to rate, in the same time each.
    pub(crate) fn ramps(rates: &[f64], duration: Duration) -> Self {
        if let [only] = *rates {
            return Self::constant(only, duration);
        }
        let each = duration / rates.len().saturating_sub(1).max(1) as u32;
        let piece = |pair: &[f64]| Piece { duration: each, from: pair[0], to: pair[1] };
        Self(rates.windows(2).map(piece).collect())
    }

    /// All of it.
    pub(crate) fn duration(&self) -> Duration {
        self.0.iter().map(|piece| piece.duration).sum()
    }

    /// Frames that should have been sent after so many nanoseconds.
    #[inline]
    pub(crate) fn due(&self, elapsed: u64) -> u64 {
        let mut left = elapsed as f64 / 1e9;
        let mut frames = 0.0;
        for piece in &self.0 {
            let whole = piece.duration.as_secs_f64();
            let part = left.min(whole);
            let rate_then = piece.from + (piece.to - piece.from) * part / whole.max(1e-9);
            frames += part * (piece.from + rate_then) / 2.0;
            left -= part;
            if left <= 0.0 {
                break;
            }
        }
        // A billionth is what doubles lose; a frame is due when its time has come.
        (frames + 1e-6) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_constant_rate_is_met_exactly() {
        let profile = Profile::constant(1000.0, 2 * SECOND);
        assert_eq!(profile.due(0), 0);
        assert_eq!(profile.due(999_999), 0);
        assert_eq!(profile.due(1_000_000), 1);
        assert_eq!(profile.due(1_500_000_000), 1500);
        assert_eq!(profile.due(u64::MAX), 2000);
        assert_eq!(profile.due(9_000_000_000), 2000, "not a frame more");
        let odd = Profile::constant(1e7 / 3.0, 60 * SECOND);
        assert_eq!(odd.due(u64::MAX), 200_000_000);
    }

    #[test]
    fn steps_and_ramps() {
        let steps = Profile::steps(&[100.0, 300.0], 2 * SECOND);
        assert_eq!(
            [500_000_000, 1_000_000_000, 1_500_000_000].map(|t| steps.due(t)),
            [50, 100, 250]
        );
        assert_eq!(steps.due(u64::MAX), 400);
        let ramp = Profile::ramps(&[0.0, 1000.0], 2 * SECOND);
        assert_eq!([1_000_000_000, 2_000_000_000].map(|t| ramp.due(t)), [250, 1000]);
        let hat = Profile::ramps(&[0.0, 1000.0, 0.0], 2 * SECOND);
        assert_eq!((hat.due(u64::MAX), hat.duration()), (1000, 2 * SECOND));
        assert_eq!(Profile::ramps(&[7.0], SECOND).due(u64::MAX), 7);
    }
}
