//! Captured frames in compact storage: one after the other, as a NIC's wire would deliver them.

use std::hash::{BuildHasher as _, RandomState};
use std::path::Path;

use hashbrown::HashSet;

use crate::replay::{CaptureError, CaptureReader};

/// Frames of a flood for each legitimate one.
pub(super) const FLOOD: u32 = 9;

/// Frames, to be served over and over.
#[derive(Debug, Clone, Default)]
pub(super) struct Traffic {
    bytes: Vec<u8>,
    /// Where each frame ends.
    ends: Vec<u32>,
}

impl Traffic {
    /// All frames of a capture.
    pub(super) fn read(path: &Path) -> Result<Self, CaptureError> {
        let mut traffic = Self::default();
        let mut reader = CaptureReader::open(path)?;
        while let Some(record) = reader.next_record()? {
            traffic.push(&record.frame);
        }
        Ok(traffic)
    }

    /// These frames.
    pub(super) fn of(frames: &[Vec<u8>]) -> Self {
        let mut traffic = Self::default();
        for frame in frames {
            traffic.push(frame);
        }
        traffic
    }

    /// Both sides' frames in turn, as they come when both share a port.
    pub(super) fn interleave(one: &Self, other: &Self) -> Self {
        let mut both = Self::default();
        for number in 0..one.len().max(other.len()) {
            for traffic in [one, other] {
                if number < traffic.len() {
                    both.push(traffic.frame(number));
                }
            }
        }
        both
    }

    /// What one of several workers gets: every so-manieth frame. Fewer frames than workers are not
    /// divided.
    pub(super) fn share(&self, worker: usize, workers: usize) -> Self {
        if self.len() < workers {
            return self.clone();
        }
        let mut share = Self::default();
        for number in (worker..self.len()).step_by(workers) {
            share.push(self.frame(number));
        }
        share
    }

    fn push(&mut self, frame: &[u8]) {
        self.bytes.extend_from_slice(frame);
        self.ends.push(self.bytes.len() as u32);
    }

    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// A frame by its number, which is below [`Self::len`].
    #[inline]
    pub(super) fn frame(&self, number: usize) -> &[u8] {
        let start = number.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.bytes[start as usize..self.ends[number] as usize]
    }

    /// Bytes of the longest frame.
    pub(super) fn longest(&self) -> usize {
        (0..self.len()).map(|number| self.frame(number).len()).max().unwrap_or(0)
    }

    /// How many frames differ from all others.
    pub(super) fn distinct(&self) -> usize {
        let hasher = RandomState::new();
        let hashes: HashSet<u64> =
            (0..self.len()).map(|number| hasher.hash_one(self.frame(number))).collect();
        hashes.len()
    }
}

/// Where in traffic that is served over and over the next frame is.
#[derive(Debug, Clone, Default)]
pub(super) struct Reel {
    traffic: Traffic,
    next: usize,
}

impl Reel {
    pub(super) fn new(traffic: Traffic) -> Self {
        Self { traffic, next: 0 }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.traffic.len() == 0
    }

    /// The next frame; there must be one.
    #[inline]
    pub(super) fn next(&mut self) -> &[u8] {
        let frame = self.traffic.frame(self.next);
        self.next = if self.next + 1 == self.traffic.len() { 0 } else { self.next + 1 };
        frame
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn traffic(frames: &[&[u8]]) -> Traffic {
        Traffic::of(&frames.iter().map(|frame| frame.to_vec()).collect::<Vec<_>>())
    }

    #[test]
    fn a_reel_starts_again_at_its_end() {
        let mut reel = Reel::new(traffic(&[&[1], &[2]]));
        assert!(!reel.is_empty() && Reel::default().is_empty());
        assert_eq!([0; 3].map(|_| reel.next()[0]), [1, 2, 1]);
    }

    #[test]
    fn frames_keep_their_bounds() {
        let traffic = traffic(&[&[1; 60], &[2; 61], &[1; 60]]);
        assert_eq!((traffic.len(), traffic.longest(), traffic.distinct()), (3, 61, 2));
        assert_eq!(traffic.frame(0), [1; 60]);
        assert_eq!(traffic.frame(1), [2; 61]);
        assert_eq!(traffic.frame(2), [1; 60]);
    }

    #[test]
    fn workers_share_the_frames() {
        let traffic = traffic(&[&[1], &[2], &[3]]);
        let shares = [0, 1].map(|worker| traffic.share(worker, 2));
        assert_eq!(shares.each_ref().map(Traffic::len), [2, 1]);
        assert_eq!((shares[0].frame(1), shares[1].frame(0)), (&[3][..], &[2][..]));
        assert_eq!(traffic.share(1, 9).len(), 3);
    }

    #[test]
    fn sides_take_turns_until_one_has_no_more() {
        let both = Traffic::interleave(&traffic(&[&[1], &[2], &[3]]), &traffic(&[&[9]]));
        let frames: Vec<_> = (0..both.len()).map(|number| both.frame(number)[0]).collect();
        assert_eq!(frames, [1, 9, 2, 3]);
    }
}
