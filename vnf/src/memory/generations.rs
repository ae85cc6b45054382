//! When may memory that readers could be using be freed? Readers (workers) report, between two
//! bursts, the newest generation they have seen; holding nothing across bursts but what they
//! fetched after that report, they cannot hold what an older generation retired.
//!
//! The publisher first makes the new thing visible, then calls [`Generations::advance`], and frees
//! what it replaced once [`Generations::passed`] says that every reader has reported that
//! generation. Readers never wait, and never free.

use std::sync::Arc;
#[cfg(not(lwaftr_loom))]
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Release};

// One that a model checker can follow (vnf/tests/generations.rs).
#[cfg(lwaftr_loom)]
use loom::sync::atomic::AtomicU64;

/// A reader's newest report, on a cache line of its own.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Report(AtomicU64);

/// The publisher's view.
#[derive(Debug)]
pub struct Generations {
    current: AtomicU64,
    reports: Box<[Report]>,
}

/// One reader's end; dropping it says that this reader holds nothing any more.
#[derive(Debug)]
pub struct Reader {
    generations: Arc<Generations>,
    index: usize,
}

impl Generations {
    /// A publisher's view and as many readers.
    #[must_use]
    pub fn new(readers: usize) -> (Arc<Self>, Vec<Reader>) {
        let generations = Arc::new(Self {
            current: AtomicU64::new(0),
            reports: (0..readers).map(|_| Report::default()).collect(),
        });
        let readers =
            (0..readers).map(|index| Reader { generations: generations.clone(), index }).collect();
        (generations, readers)
    }

    /// Starts a generation, after something new was made visible; returns its number. One thread
    /// at a time.
    pub fn advance(&self) -> u64 {
        let next = self.current.load(Acquire) + 1;
        self.current.store(next, Release);
        next
    }

    /// True when no reader can still hold what was replaced before `generation` began.
    #[must_use]
    pub fn passed(&self, generation: u64) -> bool {
        self.reports.iter().all(|report| report.0.load(Acquire) >= generation)
    }
}

impl Reader {
    /// Says that this reader holds nothing it fetched before this call, but for what `refresh`
    /// fetches anew. That is at least as new as the generation reported: the number is loaded
    /// first, with Acquire, and the publisher made things visible before it advanced. The report
    /// comes last, with Release, when the old things have been let go.
    #[inline]
    pub fn quiescent<T>(&self, refresh: impl FnOnce() -> T) -> T {
        let seen = self.generations.current.load(Acquire);
        let fresh = refresh();
        if let Some(report) = self.generations.reports.get(self.index) {
            report.0.store(seen, Release);
        }
        fresh
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        if let Some(report) = self.generations.reports.get(self.index) {
            report.0.store(u64::MAX, Release);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passes_when_every_reader_has_reported() {
        let (generations, mut readers) = Generations::new(2);
        let first = generations.advance();
        assert!(!generations.passed(first));
        readers[0].quiescent(|| ());
        assert!(!generations.passed(first));
        readers[1].quiescent(|| ());
        assert!(generations.passed(first));
        let second = generations.advance();
        readers[0].quiescent(|| ());
        assert!(!generations.passed(second));
        readers.pop();
        assert!(generations.passed(second));
    }

    #[test]
    fn without_readers_everything_has_passed() {
        let (generations, _) = Generations::new(0);
        assert!(generations.passed(generations.advance()));
    }
}
