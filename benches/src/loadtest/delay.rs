//! Latency and its variation as RFC 8219 sections 7.2 and 7.3 define them.

use hdrhistogram::Histogram;
use serde::Serialize;

/// Of one stream, in nanoseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Delay {
    /// Typical latency: the median.
    pub(crate) typical: u64,
    /// Worst-case latency: the 99.9th percentile.
    pub(crate) worst_case: u64,
    /// Packet delay variation: the 99.9th percentile less the smallest (section 7.3.1).
    pub(crate) pdv: u64,
    pub(crate) min: u64,
    pub(crate) max: u64,
}

impl Delay {
    /// Of the frames sent in the second half of a stream (`late`), and of all of them for the
    /// variation.
    pub(crate) fn of(late: &Histogram<u64>, all: &Histogram<u64>) -> Self {
        if all.is_empty() {
            return Self::default();
        }
        let book = if late.is_empty() { all } else { late };
        Self {
            typical: book.value_at_quantile(0.5),
            worst_case: book.value_at_quantile(0.999),
            pdv: all.value_at_quantile(0.999).saturating_sub(all.min()),
            min: all.min(),
            max: all.max(),
        }
    }
}

/// Several streams: of each quantity the median, and the 1st and 99th percentile.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Spread {
    pub(crate) median: u64,
    pub(crate) p1: u64,
    pub(crate) p99: u64,
}

impl Spread {
    /// By the nearest rank.
    pub(crate) fn of(mut values: Vec<u64>) -> Self {
        values.sort_unstable();
        let at = |part: f64| {
            let rank = (part * values.len() as f64).ceil() as usize;
            values.get(rank.saturating_sub(1)).copied().unwrap_or(0)
        };
        Self { median: at(0.5), p1: at(0.01), p99: at(0.99) }
    }
}

/// A point of a latency curve.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Point {
    /// The part of the frames that were not slower, from 0 to 1.
    pub(crate) quantile: f64,
    pub(crate) nanos: u64,
}

/// The curve that an HdrHistogram plot shows: ever closer points towards the slowest frame.
pub(crate) fn curve(book: &Histogram<u64>) -> Vec<Point> {
    if book.is_empty() {
        return Vec::new();
    }
    let mut points: Vec<Point> = book
        .iter_quantiles(4)
        .map(|step| Point {
            quantile: step.quantile_iterated_to(),
            nanos: step.value_iterated_to().min(book.max()),
        })
        .collect();
    points.dedup_by(|later, earlier| later.quantile <= earlier.quantile);
    points
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::receiver::histogram;

    #[test]
    fn percentiles_are_those_of_the_numbers() {
        let mut book = histogram();
        (1..=1000).for_each(|value| book.record(value).unwrap());
        let delay = Delay::of(&book, &book);
        assert_eq!((delay.typical, delay.worst_case), (500, 999));
        assert_eq!((delay.pdv, delay.min, delay.max), (998, 1, 1000));
        assert_eq!(Delay::of(&histogram(), &histogram()), Delay::default());
        let mut late = histogram();
        late.record(7).unwrap();
        let delay = Delay::of(&late, &book);
        assert_eq!((delay.typical, delay.worst_case, delay.pdv), (7, 7, 998));
    }

    #[test]
    fn spreads_by_nearest_rank() {
        assert_eq!(Spread::of((1..=20).collect()), Spread { median: 10, p1: 1, p99: 20 });
        assert_eq!(Spread::of(vec![5]), Spread { median: 5, p1: 5, p99: 5 });
        assert_eq!(Spread::of(Vec::new()), Spread::default());
        assert_eq!(Spread::of((1..=200).rev().collect()), Spread { median: 100, p1: 2, p99: 198 });
    }

    #[test]
    fn the_curve_rises_to_the_slowest_frame() {
        let mut book = histogram();
        (0..10_000).for_each(|value| book.record(100 + value % 100).unwrap());
        book.record(5_000_000).unwrap();
        let curve = curve(&book);
        assert!(
            curve.windows(2).all(|pair| {
                pair[0].quantile < pair[1].quantile && pair[0].nanos <= pair[1].nanos
            })
        );
        assert_eq!(
            curve.last().map(|point| (point.quantile, point.nanos)),
            Some((1.0, book.max()))
        );
        let middle = curve.iter().find(|point| point.quantile >= 0.5).unwrap();
        assert!((148..=151).contains(&middle.nanos), "{middle:?}");
        assert!(super::curve(&histogram()).is_empty());
    }
}
