//! How long packets spend in the relay.
//!
//! A worker owns its histograms as plain memory ([`LatencyRecorder`]) and records once per burst
//! and kind. The control side ([`LatencyReader`]) never touches them: it offers an empty book, the
//! worker swaps it for its own between two bursts, and the full one comes back to be added up.
//! Nothing is locked, allocated or freed on the worker's side.

use std::io;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crossbeam_queue::ArrayQueue;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::V2DeflateSerializer;
use hdrhistogram::serialization::interval_log::{
    IntervalLogWriterBuilder, IntervalLogWriterError, Tag,
};
use serde_json::{Map, Value, json};

/// Longest time told apart, in nanoseconds; longer ones are recorded as this.
const LONGEST: u64 = 60_000_000_000;

/// Significant decimal digits of a recorded value.
const DIGITS: u8 = 3;

/// What became of the packet whose time is recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LatencyKind {
    /// From the Internet to a B4.
    Encap = 0,
    /// From a B4 to the Internet.
    Decap = 1,
    /// From a B4 to a B4.
    Hairpin = 2,
    /// It had to wait: for a neighbour, or for a fragment.
    Held = 3,
}

impl LatencyKind {
    /// All of them, in the order they are reported.
    pub const ALL: [Self; 4] = [Self::Encap, Self::Decap, Self::Hairpin, Self::Held];

    /// Its name in reports, and its tag in HdrHistogram logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Encap => "encap",
            Self::Decap => "decap",
            Self::Hairpin => "hairpin",
            Self::Held => "held",
        }
    }
}

/// One histogram of nanoseconds for each [`LatencyKind`].
#[derive(Debug, Clone)]
pub struct LatencyBook {
    histograms: [Histogram<u64>; LatencyKind::ALL.len()],
}

impl Default for LatencyBook {
    fn default() -> Self {
        let empty = Histogram::new_with_bounds(1, LONGEST, DIGITS)
            .expect("the bounds and digits are constants that make a histogram");
        Self { histograms: std::array::from_fn(|_| empty.clone()) }
    }
}

impl LatencyBook {
    /// Records `packets` packets that took `nanoseconds` each.
    #[inline]
    pub fn record(&mut self, kind: LatencyKind, nanoseconds: u64, packets: u64) {
        self.histograms[kind as usize].saturating_record_n(nanoseconds, packets);
    }

    /// The histogram of one kind.
    #[must_use]
    pub fn of(&self, kind: LatencyKind) -> &Histogram<u64> {
        &self.histograms[kind as usize]
    }

    /// Adds another book's packets to this one's.
    pub fn add(&mut self, other: &Self) {
        for (total, part) in self.histograms.iter_mut().zip(&other.histograms) {
            total.add(part).expect("all books have the same bounds");
        }
    }

    fn clear(&mut self) {
        for histogram in &mut self.histograms {
            if !histogram.is_empty() {
                histogram.reset();
            }
        }
    }

    /// Counts and percentiles in nanoseconds, by kind.
    #[must_use]
    pub fn json(&self) -> Value {
        self.by_kind(|histogram| summary(histogram).into())
    }

    /// How many packets took at most each of these times, and longer than the one before; the last
    /// has all that took longer as well. Those that had to wait are not among them.
    #[must_use]
    pub fn counts_up_to(&self, bounds: &[u64]) -> Vec<u64> {
        let mut counts = vec![0; bounds.len()];
        for kind in [LatencyKind::Encap, LatencyKind::Decap, LatencyKind::Hairpin] {
            for step in self.of(kind).iter_recorded() {
                let longer = bounds.partition_point(|&bound| bound < step.value_iterated_to());
                if let Some(count) = counts.get_mut(longer.min(bounds.len().saturating_sub(1))) {
                    *count += step.count_at_value();
                }
            }
        }
        counts
    }

    /// As [`Self::json`], with every recorded value and its count under `values`.
    #[must_use]
    pub fn full_json(&self) -> Value {
        self.by_kind(|histogram| {
            let mut object = summary(histogram);
            let values: Vec<_> = histogram
                .iter_recorded()
                .map(|step| json!([step.value_iterated_to(), step.count_at_value()]))
                .collect();
            object.insert("values".to_owned(), values.into());
            object.into()
        })
    }

    fn by_kind(&self, of: impl Fn(&Histogram<u64>) -> Value) -> Value {
        let kinds = LatencyKind::ALL.map(|kind| (kind.name().to_owned(), of(self.of(kind))));
        Value::Object(kinds.into_iter().collect())
    }

    /// Writes an HdrHistogram interval log (V2, compressed): one line per kind, tagged with its
    /// name, for the interval from `start` on. The unit is the nanosecond.
    pub fn write_log(
        &self,
        out: &mut impl io::Write,
        start: SystemTime,
        length: Duration,
    ) -> io::Result<()> {
        let mut serializer = V2DeflateSerializer::new();
        let mut log = IntervalLogWriterBuilder::new()
            .add_comment("[Histogram log format version 1.3]")
            .add_comment("[Latency of packets in nanoseconds, by what became of them]")
            .with_start_time(start)
            .with_base_time(start)
            .begin_log_with(out, &mut serializer)?;
        for kind in LatencyKind::ALL {
            log.write_histogram(self.of(kind), Duration::ZERO, length, Tag::new(kind.name()))
                .map_err(|error| match error {
                    IntervalLogWriterError::IoError(error) => error,
                    IntervalLogWriterError::SerializeError(error) => io::Error::other(error),
                })?;
        }
        Ok(())
    }
}

/// `{"count", "p50", "p90", "p99", "p999", "max"}`; all 0 when nothing was recorded.
fn summary(histogram: &Histogram<u64>) -> Map<String, Value> {
    let at = |quantile| histogram.value_at_quantile(quantile);
    [
        ("count", histogram.len()),
        ("p50", at(0.5)),
        ("p90", at(0.9)),
        ("p99", at(0.99)),
        ("p999", at(0.999)),
        ("max", histogram.max()),
    ]
    .map(|(name, value)| (name.to_owned(), value.into()))
    .into_iter()
    .collect()
}

/// Where books change hands: at most one on its way in each direction.
#[derive(Debug)]
struct Exchange {
    /// Empty, from the reader to the recorder.
    fresh: ArrayQueue<Box<LatencyBook>>,
    /// Written, from the recorder to the reader.
    full: ArrayQueue<Box<LatencyBook>>,
}

/// The worker's half.
#[derive(Debug)]
pub struct LatencyRecorder {
    book: Box<LatencyBook>,
    exchange: Arc<Exchange>,
}

impl LatencyRecorder {
    /// A recorder and the reader that gets what it records.
    #[must_use]
    pub fn new() -> (Self, LatencyReader) {
        let exchange = Arc::new(Exchange { fresh: ArrayQueue::new(1), full: ArrayQueue::new(1) });
        let reader = LatencyReader {
            total: LatencyBook::default(),
            spare: Some(Box::default()),
            exchange: Arc::clone(&exchange),
        };
        (Self { book: Box::default(), exchange }, reader)
    }

    /// Records `packets` packets that took `nanoseconds` each. Nothing is done for no packets.
    #[inline]
    pub fn record(&mut self, kind: LatencyKind, nanoseconds: u64, packets: u64) {
        if packets > 0 {
            self.book.record(kind, nanoseconds, packets);
        }
    }

    /// Hands the book over if the reader asked for it. To be called between bursts: it costs two
    /// loads of memory that nobody writes until the reader asks.
    #[inline]
    pub fn exchange(&mut self) {
        if !self.exchange.fresh.is_empty() {
            self.hand_over();
        }
    }

    #[cold]
    fn hand_over(&mut self) {
        if let Some(fresh) = self.exchange.fresh.pop() {
            let full = std::mem::replace(&mut self.book, fresh);
            // The reader offers a book only after it took the last one, so there is room.
            if let Err(full) = self.exchange.full.push(full) {
                self.book = full;
            }
        }
    }

    /// What was recorded since the last hand-over.
    #[must_use]
    pub fn book(&self) -> &LatencyBook {
        &self.book
    }
}

/// The control side's half: the sum of all books it got.
#[derive(Debug)]
pub struct LatencyReader {
    total: LatencyBook,
    /// The empty book to offer next; `None` while it is with the recorder.
    spare: Option<Box<LatencyBook>>,
    exchange: Arc<Exchange>,
}

impl LatencyReader {
    /// Asks the recorder for its book, unless that was done already.
    pub fn request(&mut self) {
        if let Some(fresh) = self.spare.take()
            && let Err(fresh) = self.exchange.fresh.push(fresh)
        {
            self.spare = Some(fresh);
        }
    }

    /// Takes in what the recorder handed over. False while it still owes an answer to
    /// [`Self::request`].
    pub fn collect(&mut self) -> bool {
        if let Some(mut full) = self.exchange.full.pop() {
            self.total.add(&full);
            full.clear();
            self.spare = Some(full);
        }
        self.spare.is_some()
    }

    /// All that was recorded until the last book was handed over.
    #[must_use]
    pub fn total(&self) -> &LatencyBook {
        &self.total
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

    use super::*;
    use base64::Engine as _;
    use hdrhistogram::serialization::Deserializer;
    use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};

    #[test]
    fn books_change_hands_and_nothing_is_lost() {
        let (mut recorder, mut reader) = LatencyRecorder::new();
        recorder.record(LatencyKind::Encap, 700, 32);
        recorder.exchange();
        assert!(reader.collect(), "nothing was asked for");
        assert_eq!(reader.total().of(LatencyKind::Encap).len(), 0);

        reader.request();
        reader.request();
        assert!(!reader.collect(), "the recorder has not answered");
        recorder.exchange();
        recorder.record(LatencyKind::Encap, 900, 8);
        assert!(reader.collect());
        assert_eq!(reader.total().of(LatencyKind::Encap).len(), 32);

        reader.request();
        recorder.exchange();
        assert!(reader.collect());
        assert_eq!(reader.total().of(LatencyKind::Encap).len(), 40);
        assert!(recorder.book().of(LatencyKind::Encap).is_empty());
    }

    #[test]
    fn two_threads_lose_nothing() {
        let (mut recorder, mut reader) = LatencyRecorder::new();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let worker = std::thread::spawn(move || {
            let mut bursts = 0;
            while !stopped.load(Relaxed) {
                bursts += 1;
                recorder.record(LatencyKind::Decap, bursts, 3);
                recorder.exchange();
            }
            (bursts, recorder.book().of(LatencyKind::Decap).len())
        });
        for _ in 0..50 {
            reader.request();
            while !reader.collect() {
                std::thread::yield_now();
            }
        }
        stop.store(true, Relaxed);
        let (bursts, left) = worker.join().unwrap();
        assert_eq!(reader.total().of(LatencyKind::Decap).len() + left, bursts * 3);
    }

    #[test]
    fn percentiles_are_those_of_the_packets() {
        let mut book = LatencyBook::default();
        for nanoseconds in 1..=1000 {
            book.record(LatencyKind::Hairpin, nanoseconds, 1);
        }
        book.record(LatencyKind::Held, u64::MAX, 1);
        let json = book.json();
        assert_eq!(
            json["hairpin"],
            json!({"count": 1000, "p50": 500, "p90": 900, "p99": 990, "p999": 999, "max": 1000})
        );
        assert_eq!(json["encap"]["count"], 0);
        assert_eq!(json["encap"]["max"], 0);
        assert_eq!(book.counts_up_to(&[5, 42, 100]), [5, 37, 958], "held does not count");
        let longest = json["held"]["max"].as_u64().unwrap();
        assert!(longest.abs_diff(LONGEST) < LONGEST / 1000, "{longest}");
        assert_eq!(book.full_json()["hairpin"]["values"][41], json!([42, 1]));
    }

    #[test]
    fn the_log_reads_back() {
        let mut book = LatencyBook::default();
        book.record(LatencyKind::Encap, 1_500, 64);
        book.record(LatencyKind::Held, 2_000_000, 1);
        let mut log = Vec::new();
        let start = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        book.write_log(&mut log, start, Duration::from_secs(10)).unwrap();
        assert!(log.starts_with(b"#[Histogram log format version 1.3]\n"));

        let mut tags = Vec::new();
        let mut starts = Vec::new();
        for entry in IntervalLogIterator::new(&log) {
            match entry.expect("the log is well-formed") {
                LogEntry::Interval(interval) => {
                    let bytes = base64::engine::general_purpose::STANDARD
                        .decode(interval.encoded_histogram())
                        .unwrap();
                    let histogram: Histogram<u64> =
                        Deserializer::new().deserialize(&mut bytes.as_slice()).unwrap();
                    assert_eq!(interval.duration(), Duration::from_secs(10));
                    tags.push((
                        interval.tag().unwrap().as_str().to_owned(),
                        histogram.len(),
                        histogram.max(),
                    ));
                }
                LogEntry::StartTime(time) | LogEntry::BaseTime(time) => starts.push(time),
            }
        }
        assert_eq!(starts, [Duration::from_secs(1_700_000_000); 2]);
        let max = |kind| book.of(kind).max();
        assert_eq!(
            tags,
            [
                ("encap".to_owned(), 64, max(LatencyKind::Encap)),
                ("decap".to_owned(), 0, 0),
                ("hairpin".to_owned(), 0, 0),
                ("held".to_owned(), 1, max(LatencyKind::Held)),
            ]
        );
    }
}
