//! A bounded queue of frames between one worker and the control thread: written without a lock and
//! without waiting, read in order. What is written stays invisible until it is published, so that
//! its first words may still be changed.

use std::sync::atomic::{
    AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
};

use super::record::{Event, HEADER_WORDS, Header, Record};
use crate::side::Side;

/// The queue. One worker may write, one thread may read.
#[derive(Debug)]
pub struct Ring {
    words: Box<[AtomicU64]>,
    /// Words written so far that may be read.
    published: AtomicU64,
    /// Words read so far.
    taken: AtomicU64,
    lost: AtomicU64,
}

/// Where a frame stands that was written and not yet published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position(u64);

impl Ring {
    /// A queue of so many bytes, rounded up to a power of two.
    #[must_use]
    pub fn new(bytes: usize) -> Self {
        let words = (bytes / 8).max(64).next_power_of_two();
        Self {
            words: (0..words).map(|_| AtomicU64::new(0)).collect(),
            published: AtomicU64::new(0),
            taken: AtomicU64::new(0),
            lost: AtomicU64::new(0),
        }
    }

    /// Frames that did not fit.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.lost.load(Relaxed)
    }

    #[inline]
    fn word(&self, at: u64) -> Option<&AtomicU64> {
        self.words.get(at as usize & self.words.len().wrapping_sub(1))
    }

    #[inline]
    fn set(&self, at: u64, value: u64) {
        if let Some(word) = self.word(at) {
            word.store(value, Relaxed);
        }
    }

    fn get(&self, at: u64) -> u64 {
        self.word(at).map_or(0, |word| word.load(Relaxed))
    }

    /// Where the worker starts to write: behind all that was published.
    pub(crate) fn end(&self) -> u64 {
        self.published.load(Relaxed)
    }

    /// Writes the first `snap` bytes of a frame, of which the start and the length are given, at `next`,
    /// which moves on; `None`, and it is counted as
    /// lost, when there is no room. For the worker.
    pub(crate) fn write(
        &self,
        next: &mut u64,
        time: u64,
        (side, event): (Side, Event),
        (frame, length): (&[u8], usize),
        snap: u32,
    ) -> Option<Position> {
        let kept = frame.get(..snap as usize).unwrap_or(frame);
        let needed = HEADER_WORDS + kept.len().div_ceil(8) as u64;
        let used = next.wrapping_sub(self.taken.load(Acquire));
        if used.saturating_add(needed) > self.words.len() as u64 {
            self.lost.store(self.lost.load(Relaxed).wrapping_add(1), Relaxed);
            return None;
        }
        let start = *next;
        let (length, kept_len) = (length as u32, kept.len() as u32);
        let header = Header { time, length, kept: kept_len, side, event };
        let mut at = start;
        for word in header.words() {
            self.set(at, word);
            at = at.wrapping_add(1);
        }
        let mut rest = kept;
        while let Some((word, more)) = rest.split_first_chunk() {
            self.set(at, u64::from_ne_bytes(*word));
            at = at.wrapping_add(1);
            rest = more;
        }
        if !rest.is_empty() {
            let mut last = [0; 8];
            for (to, from) in last.iter_mut().zip(rest) {
                *to = *from;
            }
            self.set(at, u64::from_ne_bytes(last));
            at = at.wrapping_add(1);
        }
        *next = at;
        Some(Position(start))
    }

    /// Says something else of a frame that is not published yet. For the worker.
    pub(crate) fn amend(&self, Position(start): Position, side: Side, event: Event) {
        self.set(start.wrapping_add(HEADER_WORDS - 1), Header::last_word(side, event));
    }

    /// Lets the reader see what was written before `next`. For the worker.
    pub(crate) fn publish(&self, next: u64) {
        self.published.store(next, Release);
    }

    /// Takes out frames of at least one and roughly at most `most` bytes. For the reader.
    pub fn take(&self, most: usize, out: &mut Vec<Record>) {
        let end = self.published.load(Acquire);
        let mut at = self.taken.load(Relaxed);
        let mut bytes = 0;
        while at != end && bytes < most {
            let words = [0, 1, 2].map(|offset| self.get(at.wrapping_add(offset)));
            let Some(header) = Header::from_words(words) else { break };
            let kept = header.kept as usize;
            let frame_words = kept.div_ceil(8) as u64;
            let mut frame = Vec::with_capacity(kept.next_multiple_of(8));
            for offset in 0..frame_words {
                let word = self.get(at.wrapping_add(HEADER_WORDS + offset));
                frame.extend_from_slice(&word.to_ne_bytes());
            }
            frame.truncate(kept);
            let Header { time, length, side, event, .. } = header;
            out.push(Record { time, side, event, length, frame });
            at = at.wrapping_add(HEADER_WORDS + frame_words);
            bytes += kept + 8 * HEADER_WORDS as usize;
        }
        self.taken.store(at, Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::DropReason;
    use std::sync::Arc;

    const CAME: (Side, Event) = (Side::External, Event::Received);

    fn take(ring: &Ring) -> Vec<Record> {
        let mut out = Vec::new();
        ring.take(usize::MAX, &mut out);
        out
    }

    #[test]
    fn frames_come_out_as_they_went_in_and_only_once_published() {
        let ring = Ring::new(1 << 12);
        let mut next = ring.end();
        for length in [0_u8, 1, 7, 8, 9, 60] {
            let frame: Vec<u8> = (0..length).collect();
            assert!(ring.write(&mut next, 5, CAME, (&frame, frame.len()), 32).is_some());
        }
        assert_eq!(take(&ring), []);
        ring.publish(next);
        let lengths: Vec<_> =
            take(&ring).iter().map(|record| (record.frame.len(), record.length)).collect();
        assert_eq!(lengths, [(0, 0), (1, 1), (7, 7), (8, 8), (9, 9), (32, 60)]);
        assert_eq!(take(&ring), []);
    }

    #[test]
    fn what_is_not_published_can_be_amended() {
        let ring = Ring::new(1 << 12);
        let mut next = ring.end();
        let position = ring.write(&mut next, 5, CAME, (&[1, 2, 3], 3), 60).unwrap();
        let dropped = Event::Dropped(DropReason::TooBig);
        ring.amend(position, Side::External, dropped);
        ring.publish(next);
        let [record] = &take(&ring)[..] else { panic!() };
        assert_eq!((record.event, &record.frame[..]), (dropped, &[1, 2, 3][..]));
    }

    #[test]
    fn a_full_ring_loses_frames_counts_them_and_goes_on() {
        let ring = Ring::new(512);
        let mut next = ring.end();
        let fits = (0..10).filter(|_| ring.write(&mut next, 5, CAME, (&[9; 64], 64), 64).is_some());
        assert_eq!(fits.count(), 5, "64 words, 11 a frame");
        assert_eq!(ring.lost(), 5);
        ring.publish(next);
        assert_eq!(take(&ring).len(), 5);
        assert!(ring.write(&mut next, 5, CAME, (&[9; 64], 64), 64).is_some());
    }

    #[test]
    fn a_writer_and_a_reader_on_two_threads_agree() {
        let ring = Arc::new(Ring::new(1 << 12));
        let writer = {
            let ring = Arc::clone(&ring);
            std::thread::spawn(move || {
                let mut next = ring.end();
                for number in 0..100_000_u64 {
                    let frame = number.to_be_bytes().repeat(1 + number as usize % 9);
                    ring.write(&mut next, number, CAME, (&frame, frame.len()), 1_000);
                    if number % 3 == 0 {
                        ring.publish(next);
                    }
                }
                ring.publish(next);
            })
        };
        let mut last = None;
        let mut seen = 0;
        loop {
            let done = writer.is_finished();
            for record in take(&ring) {
                assert!(last < Some(record.time));
                let expected = record.time.to_be_bytes().repeat(1 + record.time as usize % 9);
                assert_eq!(record.frame, expected);
                last = Some(record.time);
                seen += 1;
            }
            if done {
                break;
            }
        }
        writer.join().unwrap();
        assert_eq!(seen + ring.lost(), 100_000);
    }
}
