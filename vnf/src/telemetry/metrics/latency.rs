//! Latency as a classic histogram.

use hdrhistogram::Histogram;

use super::Families;
use crate::telemetry::{LatencyBook, LatencyKind};

/// Upper bounds of the buckets, in nanoseconds.
const BOUNDS: [u64; 16] = [
    1_000,
    2_500,
    5_000,
    10_000,
    25_000,
    50_000,
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    100_000_000,
    1_000_000_000,
    10_000_000_000,
];

const SECOND: f64 = 1e9;

/// Adds all kinds. The sum, too, has the recorded values' three significant digits.
pub(super) fn add(book: &LatencyBook, families: &mut Families) {
    let help = "From the return of the receive call to that of the transmit call; \
                held: the real time of packets that had to wait.";
    let mut family = families.histogram("lwaftr_packet_latency_seconds", help);
    for kind in LatencyKind::ALL {
        let histogram = book.of(kind);
        let (sum, below) = summed(histogram);
        family.buckets(
            &[("direction", kind.name())],
            histogram.len(),
            sum,
            BOUNDS.iter().map(|&bound| bound as f64 / SECOND).zip(below),
        );
    }
}

/// The sum in seconds, and how many values are at or below each bound.
fn summed(histogram: &Histogram<u64>) -> (f64, [u64; BOUNDS.len()]) {
    let mut sum = 0.0;
    let mut below = [0; BOUNDS.len()];
    for step in histogram.iter_recorded() {
        let (value, count) = (step.value_iterated_to(), step.count_at_value());
        sum += histogram.median_equivalent(value) as f64 / SECOND * count as f64;
        // Recorded values stand for a range; the lowest of it decides, so that a value that was
        // exactly a bound is within it.
        let bucket = BOUNDS.partition_point(|&bound| bound < histogram.lowest_equivalent(value));
        if let Some(counted) = below.get_mut(bucket) {
            *counted += count;
        }
    }
    let mut sofar = 0;
    for counted in &mut below {
        sofar += *counted;
        *counted = sofar;
    }
    (sum, below)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_in_the_bucket_of_the_next_bound() {
        let mut book = LatencyBook::default();
        for nanoseconds in [1, 1_000, 1_001, 10_000_000_000, 30_000_000_000] {
            book.record(LatencyKind::Encap, nanoseconds, 2);
        }
        let (sum, below) = summed(book.of(LatencyKind::Encap));
        assert_eq!((below[0], below[1], below[BOUNDS.len() - 1]), (4, 6, 8));
        assert!((sum - 80.000_004).abs() < 0.1, "{sum}");
    }
}
