//! What generator and receiver of one direction share during a trial.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::direction::Direction;
use super::flows::Flows;
use super::frames::Framer;
use super::mix::Mix;

/// A counter on cache lines of its own.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct Count(AtomicU64);

impl Count {
    /// What it says. Whoever reads `n` sees what was written before `n` was set.
    #[inline]
    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }

    /// Its only writer sets it.
    #[inline]
    pub(crate) fn set(&self, value: u64) {
        self.0.store(value, Ordering::Release);
    }
}

/// Which of the relay's tables a frame may have been made by.
///
/// One word, so that it is always consistent: `boundary << 16 | old << 8 | new`. Frames from the
/// boundary on must be made by the new table, frames before it by either.
#[derive(Debug, Default)]
pub(crate) struct Expectation(AtomicU64);

impl Expectation {
    const FAR: u64 = (1 << 48) - 1;

    /// A reload begins, to this table.
    pub(crate) fn begin(&self, new: u8) {
        let now = self.0.load(Ordering::Relaxed) & 0xff;
        self.0.store(Self::FAR << 16 | now << 8 | u64::from(new), Ordering::Release);
    }

    /// It is over: what is sent from `boundary` on is made by the new table.
    pub(crate) fn finish(&self, boundary: u64) {
        let tables = self.0.load(Ordering::Relaxed) & 0xffff;
        self.0.store(boundary << 16 | tables, Ordering::Release);
    }

    /// It came to nothing: either table may be in force until the next one.
    pub(crate) fn fail(&self) {
        self.finish(Self::FAR);
    }

    /// The tables that may have made this frame: the likelier one, and perhaps another.
    #[inline]
    pub(crate) fn tables(&self, sequence: u64) -> (usize, Option<usize>) {
        let word = self.0.load(Ordering::Acquire);
        let (boundary, old, new) =
            (word >> 16, (word >> 8 & 0xff) as usize, (word & 0xff) as usize);
        if sequence >= boundary || old == new { (new, None) } else { (old, Some(new)) }
    }
}

/// What is offered in one direction: the same for a whole trial.
#[derive(Debug, Clone)]
pub(crate) struct Traffic {
    pub(crate) direction: Direction,
    pub(crate) trial: u16,
    pub(crate) flows: Arc<Flows>,
    pub(crate) mix: Mix,
    pub(crate) framer: Framer,
}

/// One direction of a trial.
#[derive(Debug)]
pub(crate) struct Lane {
    pub(crate) traffic: Traffic,
    /// Frames offered: the sequence number of the next.
    pub(crate) sent: Count,
    /// Different frames that came back.
    pub(crate) returned: Count,
    /// Nothing more will be sent.
    pub(crate) finished: AtomicBool,
    /// Nothing more shall be sent.
    pub(crate) stop: AtomicBool,
    pub(crate) expectation: Expectation,
}

impl Lane {
    pub(crate) fn new(traffic: Traffic, table: u8) -> Self {
        let expectation = Expectation::default();
        expectation.begin(table);
        expectation.begin(table);
        expectation.finish(0);
        Self {
            traffic,
            sent: Count::default(),
            returned: Count::default(),
            finished: AtomicBool::new(false),
            stop: AtomicBool::new(false),
            expectation,
        }
    }

    /// Everything was sent and has come back.
    pub(crate) fn is_complete(&self) -> bool {
        self.finished.load(Ordering::Acquire) && self.returned.get() >= self.sent.get()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reload_allows_both_tables_until_its_boundary() {
        let expectation = Expectation::default();
        assert_eq!(expectation.tables(5), (0, None));
        expectation.begin(1);
        assert_eq!(expectation.tables(5), (0, Some(1)));
        expectation.finish(1000);
        assert_eq!(expectation.tables(999), (0, Some(1)));
        assert_eq!(expectation.tables(1000), (1, None));
        expectation.begin(0);
        assert_eq!(expectation.tables(1 << 40), (1, Some(0)));
        expectation.fail();
        assert_eq!(expectation.tables(1 << 40), (1, Some(0)));
    }
}
