//! What workers read, and who frees it.
//!
//! Workers hold a cache of one [`Snapshot`]; the publisher replaces it as a whole, or edits its
//! table in place. What either retired stays here until every worker has reported a later
//! generation, and is then freed by [`Publisher::collect`], on the control side. A worker never
//! frees, and never waits.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::SystemTime;

use arc_swap::ArcSwap;

use super::rebuild::rebuilt;
use crate::lwaftr::{Settings, Snapshot};
use crate::memory::Generations;
use crate::softwire::{BindingTable, Edit, EditError, Retired, RowError, Rules, TableWriter};

/// The one snapshot that counts, its table's writer, and what came before.
#[derive(Debug)]
pub struct Publisher {
    snapshots: Arc<ArcSwap<Snapshot>>,
    generations: Arc<Generations>,
    writer: TableWriter,
    /// What to free when a generation has passed, oldest first.
    retired: VecDeque<(u64, Memory)>,
    generation: u64,
    changed: SystemTime,
}

/// A table with a batch of edits in it, where the present one has no room for them.
#[derive(Debug)]
pub struct Larger(Option<TableWriter>);

#[derive(Debug)]
enum Memory {
    /// Parts of the present table.
    Parts(Retired),
    /// A snapshot and its table. The writer goes with it: it holds the table, too.
    Whole { snapshot: Arc<Snapshot>, writer: Box<TableWriter> },
}

impl Publisher {
    /// Publishes the first snapshot, to the workers that report to `generations`.
    #[must_use]
    pub fn new(settings: Settings, writer: TableWriter, generations: Arc<Generations>) -> Self {
        let snapshot = Snapshot::new(settings, Arc::clone(writer.table()));
        Self {
            snapshots: Arc::new(ArcSwap::from_pointee(snapshot)),
            generations,
            writer,
            retired: VecDeque::new(),
            generation: 0,
            changed: SystemTime::now(),
        }
    }

    /// Where workers load the snapshot from.
    #[must_use]
    pub fn snapshots(&self) -> &Arc<ArcSwap<Snapshot>> {
        &self.snapshots
    }

    /// The table that is published.
    #[must_use]
    pub fn table(&self) -> &Arc<BindingTable> {
        self.writer.table()
    }

    /// The table's writer, to ask what the table alone cannot answer.
    #[must_use]
    pub fn writer(&self) -> &TableWriter {
        &self.writer
    }

    /// The newest generation of what workers read.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// What was replaced and is not freed yet.
    #[must_use]
    pub fn unfreed(&self) -> usize {
        self.retired.len()
    }

    /// When anything was published or edited last.
    #[must_use]
    pub fn changed(&self) -> SystemTime {
        self.changed
    }

    fn advance(&mut self) -> u64 {
        self.generation = self.generations.advance();
        self.changed = SystemTime::now();
        self.generation
    }

    /// Replaces everything at once.
    pub fn publish(&mut self, settings: Settings, writer: TableWriter) {
        writer.replaces(self.writer.table());
        let snapshot = self.snapshots.load().successor(settings, Arc::clone(writer.table()));
        let old = self.snapshots.swap(Arc::new(snapshot));
        let old_writer = std::mem::replace(&mut self.writer, writer);
        let generation = self.advance();
        // Parts of the old table go with it as a whole.
        self.retired.retain(|(_, memory)| matches!(memory, Memory::Whole { .. }));
        let whole = Memory::Whole { snapshot: old, writer: Box::new(old_writer) };
        self.retired.push_back((generation, whole));
    }

    /// Says what is wrong with a batch of edits, and changes nothing. When there is no room for
    /// it, makes a table that has: that can fail, so it comes before anybody is told anything.
    pub fn prepare(&self, edits: &[Edit], rules: &Rules<'_>) -> Result<Larger, Vec<RowError>> {
        match self.writer.check(edits, rules) {
            Ok(()) => Ok(Larger(None)),
            Err(EditError::Full) => {
                rebuilt(&self.writer, edits, rules).map(|writer| Larger(Some(writer)))
            }
            Err(EditError::Invalid(errors)) => Err(errors),
        }
    }

    /// Applies a batch of edits, all or nothing, while workers read; with what [`Self::prepare`]
    /// made for it.
    pub fn edit(
        &mut self,
        edits: &[Edit],
        rules: &Rules<'_>,
        larger: Larger,
    ) -> Result<(), Vec<RowError>> {
        if let Larger(Some(writer)) = larger {
            let settings = self.snapshots.load().settings.clone();
            self.publish(settings, writer);
            return Ok(());
        }
        match self.writer.apply(edits, rules) {
            Ok(applied) => {
                let generation = self.advance();
                self.retired.push_back((generation, Memory::Parts(applied.retired)));
                Ok(())
            }
            Err(EditError::Invalid(errors)) => Err(errors),
            Err(EditError::Full) => {
                let larger = Larger(Some(rebuilt(&self.writer, edits, rules)?));
                self.edit(edits, rules, larger)
            }
        }
    }

    /// Frees what no worker can hold any more; returns what is still waiting. Parts of the table
    /// wait while `reading` says that the control side itself is reading the table, and so do tables
    /// whose counts are to be taken over.
    pub fn collect(&mut self, reading: bool) -> usize {
        while let Some((generation, memory)) = self.retired.front() {
            let free = self.generations.passed(*generation)
                && match memory {
                    Memory::Parts(_) => !reading,
                    // A worker's cache lets go of its snapshot when it next loads.
                    Memory::Whole { snapshot, .. } => {
                        Arc::strong_count(snapshot) == 1
                            && !(reading && self.writer.table().counts())
                    }
                };
            if !free {
                break;
            }
            match self.retired.pop_front() {
                Some((_, Memory::Parts(parts))) => self.writer.release(parts),
                Some((_, Memory::Whole { writer, .. })) => {
                    self.writer.take_over_counts(writer.table());
                }
                None => {}
            }
        }
        self.retired.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::testing;

    #[test]
    fn the_publisher_keeps_what_a_worker_may_hold_and_frees_it_afterwards() {
        let (config, writer) = testing::config();
        let settings = testing::settings(&config);
        let (generations, readers) = Generations::new(1);
        let mut publisher = Publisher::new(settings.clone(), writer, generations);
        let mut cache = arc_swap::Cache::new(Arc::clone(publisher.snapshots()));
        let mut load = || readers[0].quiescent(|| Arc::clone(cache.load()));
        let first = Arc::downgrade(&load());

        publisher.publish(settings, testing::config().1);
        assert_eq!(publisher.collect(false), 1, "the worker has not seen the new one");
        assert!(first.upgrade().is_some());
        load();
        load();
        assert_eq!(publisher.collect(false), 0);
        assert!(first.upgrade().is_none(), "freed, and by us: the worker's cache had let go");
    }

    #[test]
    fn parts_wait_for_workers_and_for_our_own_readers() {
        let (config, writer) = testing::config();
        let (generations, readers) = Generations::new(1);
        let settings = testing::settings(&config);
        let mut publisher = Publisher::new(settings, writer, generations);
        let there = publisher.table().softwires().next().unwrap();
        let moved = crate::softwire::Softwire { b4: "2001:db8:9::9".parse().unwrap(), ..there };
        let psid = there.port_set.psid();
        let edits = [Edit::Remove { ipv4: there.ipv4, psid }, Edit::Add(moved)];
        let larger = publisher.prepare(&edits, &config.rules()).unwrap();
        publisher.edit(&edits, &config.rules(), larger).unwrap();
        assert_eq!(publisher.table().softwires().next(), Some(moved));
        assert_eq!(publisher.collect(false), 1, "the worker may be reading");
        readers[0].quiescent(|| ());
        assert_eq!(publisher.collect(true), 1, "a list is being sent");
        assert_eq!(publisher.collect(false), 0);
    }

    #[test]
    fn a_full_table_is_replaced_by_a_larger_one() {
        let (config, writer) = testing::config();
        let (generations, _) = Generations::new(0);
        let mut publisher = Publisher::new(testing::settings(&config), writer, generations);
        let first_table = Arc::downgrade(publisher.table());
        let mut expected: Vec<_> = publisher.table().softwires().collect();
        for batch in 0..6 {
            let new: Vec<_> = (0..40_000)
                .map(|n| testing::whole_address(0x0b00_0000 + batch * 40_000 + n))
                .collect();
            let edits: Vec<_> = new.iter().copied().map(Edit::Add).collect();
            let before = publisher.table().len();
            let larger = publisher.prepare(&edits, &config.rules()).unwrap();
            assert_eq!(publisher.table().len(), before, "preparing changes nothing");
            publisher.edit(&edits, &config.rules(), larger).unwrap();
            publisher.collect(false);
            expected.extend(new);
        }
        assert!(first_table.upgrade().is_none(), "the table had to be replaced");
        expected.sort_by_key(|softwire| (softwire.ipv4, softwire.port_set));
        assert!(publisher.table().softwires().eq(expected));
    }
}
