//! Latency and its variation as RFC 8219 sections 7.2 and 7.3 define them.

use hdrhistogram::Histogram;
use serde::Serialize;

use super::receiver::histogram;

/// By how much longer each frame took than the one sent before it, where both came (RFC 8219
/// section 7.3.2).
#[derive(Debug, Clone)]
pub(crate) struct Variation {
    /// As long or longer.
    longer: Histogram<u64>,
    shorter: Histogram<u64>,
}

impl Variation {
    pub(crate) fn new() -> Self {
        Self { longer: histogram(), shorter: histogram() }
    }

    #[inline]
    pub(crate) fn record(&mut self, before: u64, now: u64) {
        if now >= before {
            self.longer.saturating_record(now - before);
        } else {
            self.shorter.saturating_record(before - now);
        }
    }

    pub(crate) fn add(&mut self, other: &Self) {
        for (ours, theirs) in
            [(&mut self.longer, &other.longer), (&mut self.shorter, &other.shorter)]
        {
            ours.add(theirs).expect("all books have the same bounds");
        }
    }

    /// The difference that this part of all does not exceed.
    pub(crate) fn at(&self, quantile: f64) -> i64 {
        let (shorter, longer) = (self.shorter.len() as f64, self.longer.len() as f64);
        let rank = (quantile * (shorter + longer)).ceil().max(1.0);
        if rank <= shorter {
            // The greatest gain is the smallest difference.
            let from_the_end = (shorter - rank + 1.0) / shorter;
            -(self.shorter.value_at_quantile(from_the_end) as i64)
        } else if longer > 0.0 {
            self.longer.value_at_quantile((rank - shorter) / longer) as i64
        } else {
            0
        }
    }
}

/// Of one stream, in nanoseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Delay {
    /// Typical latency: the median.
    pub(crate) typical: u64,
    /// Worst-case latency: the 99.9th percentile.
    pub(crate) worst_case: u64,
    /// Packet delay variation: the 99.9th percentile less the smallest (section 7.3.1).
    pub(crate) pdv: u64,
    /// Inter-packet delay variation: smallest, median, largest (section 7.3.2).
    pub(crate) ipdv: [i64; 3],
    pub(crate) min: u64,
    pub(crate) max: u64,
}

impl Delay {
    /// Of the frames sent in the second half of a stream (`late`), and of all of them for the
    /// variation.
    pub(crate) fn of(late: &Histogram<u64>, all: &Histogram<u64>, variation: &Variation) -> Self {
        if all.is_empty() {
            return Self::default();
        }
        let book = if late.is_empty() { all } else { late };
        Self {
            typical: book.value_at_quantile(0.5),
            worst_case: book.value_at_quantile(0.999),
            pdv: all.value_at_quantile(0.999).saturating_sub(all.min()),
            ipdv: [0.0, 0.5, 1.0].map(|part| variation.at(part)),
            min: all.min(),
            max: all.max(),
        }
    }
}

/// Several streams: of each quantity the median, and the 1st and 99th percentile.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Spread<T = u64> {
    pub(crate) median: T,
    pub(crate) p1: T,
    pub(crate) p99: T,
}

impl<T: Ord + Copy + Default> Spread<T> {
    /// By the nearest rank.
    pub(crate) fn of(mut values: Vec<T>) -> Self {
        values.sort_unstable();
        let at = |part: f64| {
            let rank = (part * values.len() as f64).ceil() as usize;
            values.get(rank.saturating_sub(1)).copied().unwrap_or_default()
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

    #[test]
    fn percentiles_are_those_of_the_numbers() {
        let mut book = histogram();
        (1..=1000).for_each(|value| book.record(value).unwrap());
        let mut variation = Variation::new();
        [(5, 2), (2, 9), (9, 9), (9, 8)].iter().for_each(|&(a, b)| variation.record(a, b));
        let delay = Delay::of(&book, &book, &variation);
        assert_eq!(delay.ipdv, [-3, -1, 7]);
        assert_eq!((delay.typical, delay.worst_case), (500, 999));
        assert_eq!((delay.pdv, delay.min, delay.max), (998, 1, 1000));
        let none = Variation::new();
        assert_eq!(Delay::of(&histogram(), &histogram(), &none), Delay::default());
        let mut late = histogram();
        late.record(7).unwrap();
        let delay = Delay::of(&late, &book, &none);
        assert_eq!((delay.typical, delay.worst_case, delay.pdv), (7, 7, 998));
    }

    #[test]
    fn variations_add_up_and_keep_their_order() {
        let mut sum = Variation::new();
        let mut other = Variation::new();
        (0..=100).for_each(|value| sum.record(100, 50 + value));
        (0..=100).for_each(|value| other.record(50 + value, 100));
        sum.add(&other);
        assert_eq!([0.0, 0.25, 0.5, 0.75, 1.0].map(|part| sum.at(part)), [-50, -25, 0, 25, 50]);
        other = Variation::new();
        assert_eq!([other.at(0.0), other.at(1.0)], [0, 0]);
        other.record(3, 1);
        assert_eq!([other.at(0.0), other.at(1.0)], [-2, -2]);
    }

    #[test]
    fn spreads_by_nearest_rank() {
        assert_eq!(Spread::of((1..=20).collect()), Spread { median: 10, p1: 1, p99: 20 });
        assert_eq!(Spread::of(vec![5]), Spread { median: 5, p1: 5, p99: 5 });
        assert_eq!(Spread::<u64>::of(Vec::new()), Spread::default());
        assert_eq!(Spread::of(vec![-2, 7, -9]), Spread { median: -2, p1: -9, p99: 7 });
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
