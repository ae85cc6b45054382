//! What each softwire carried (A3): packets and bytes, in both directions.
//!
//! Beside the entries stands a row of counters for each, once per worker, so that no two workers
//! write to one cache line. A row belongs to an entry; when an entry is retired, or the whole table
//! is, and no worker can be counting in it any more, what it counted goes to the entry that its
//! softwire has by then. A softwire is the same as long as its address, port set and B4 are.

use std::ops::AddAssign;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;

use super::{BindingTable, RowError, Slot, TableWriter};
use crate::memory::{Region, Zeroed, prefetch};
use crate::softwire::Softwire;

/// Which way a packet goes through its softwire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// To the B4: encapsulated.
    ToB4,
    /// From the B4: decapsulated.
    FromB4,
}

/// What a softwire carried. Bytes are those of the IPv4 packets, without the tunnel's header.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Tally {
    /// Packets that were sent to the B4.
    pub to_b4_packets: u64,
    /// Their bytes.
    pub to_b4_bytes: u64,
    /// Packets that the B4 sent.
    pub from_b4_packets: u64,
    /// Their bytes.
    pub from_b4_bytes: u64,
}

/// A [`Tally`] with one writer: half a cache line.
#[derive(Debug)]
#[repr(C, align(32))]
struct Row([AtomicU64; 4]);

#[allow(unsafe_code)]
// SAFETY: a structure of integer atomics: valid when all bytes are zero, no drop, shareable.
unsafe impl Zeroed for Row {}

/// The counters of a table that counts; of one that does not, nothing.
#[derive(Debug, Default)]
pub(super) struct Tallies {
    /// By worker, then by entry.
    workers: Box<[Region<Row>]>,
    /// What softwires had carried before they had their present entry; written on the control side.
    earlier: Option<Region<Row>>,
    /// The table that this one replaced, until its counts are taken over: workers may still count
    /// in it.
    before: Mutex<Option<Arc<BindingTable>>>,
}

impl Tally {
    /// What its numbers are called in JSON and in lists.
    pub const NAMES: [&str; 4] =
        ["to-b4-packets", "to-b4-bytes", "from-b4-packets", "from-b4-bytes"];

    /// What was carried since an earlier reading.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        Self {
            to_b4_packets: self.to_b4_packets.saturating_sub(earlier.to_b4_packets),
            to_b4_bytes: self.to_b4_bytes.saturating_sub(earlier.to_b4_bytes),
            from_b4_packets: self.from_b4_packets.saturating_sub(earlier.from_b4_packets),
            from_b4_bytes: self.from_b4_bytes.saturating_sub(earlier.from_b4_bytes),
        }
    }

    /// True when nothing was carried.
    #[must_use]
    pub fn is_zero(&self) -> bool {
        *self == Self::default()
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.to_b4_packets += other.to_b4_packets;
        self.to_b4_bytes += other.to_b4_bytes;
        self.from_b4_packets += other.from_b4_packets;
        self.from_b4_bytes += other.from_b4_bytes;
    }
}

impl Row {
    fn get(&self) -> Tally {
        let [to_b4_packets, to_b4_bytes, from_b4_packets, from_b4_bytes] =
            self.0.each_ref().map(|value| value.load(Relaxed));
        Tally { to_b4_packets, to_b4_bytes, from_b4_packets, from_b4_bytes }
    }

    fn set(&self, tally: Tally) {
        let values =
            [tally.to_b4_packets, tally.to_b4_bytes, tally.from_b4_packets, tally.from_b4_bytes];
        for (place, value) in self.0.iter().zip(values) {
            place.store(value, Relaxed);
        }
    }

    #[inline(always)]
    fn count(&self, direction: Direction, bytes: usize) {
        let [to_packets, to_bytes, from_packets, from_bytes] = &self.0;
        let (packets, total) = match direction {
            Direction::ToB4 => (to_packets, to_bytes),
            Direction::FromB4 => (from_packets, from_bytes),
        };
        // One writer: no locked instruction.
        packets.store(packets.load(Relaxed).wrapping_add(1), Relaxed);
        total.store(total.load(Relaxed).wrapping_add(bytes as u64), Relaxed);
    }
}

/// What one worker counts of each softwire; of a table that does not count, nothing.
#[derive(Debug, Clone, Copy)]
pub struct SoftwireCounter<'a> {
    rows: &'a [Row],
}

impl SoftwireCounter<'_> {
    /// Counts a packet of the softwire at a slot.
    #[inline(always)]
    pub fn count(self, slot: Slot, direction: Direction, bytes: usize) {
        if let Some(row) = self.rows.get(slot.0 as usize) {
            row.count(direction, bytes);
        }
    }

    /// Asks the CPU for what [`Self::count`] will write to.
    #[inline(always)]
    pub fn prefetch(self, slots: &[Slot]) {
        if self.rows.is_empty() {
            return;
        }
        for slot in slots {
            if let Some(row) = self.rows.get(slot.0 as usize) {
                prefetch(row);
            }
        }
    }
}

impl Tallies {
    fn of(&self, number: u32) -> Tally {
        let mut sum = Tally::default();
        for row in self.rows(number) {
            sum += row.get();
        }
        sum
    }

    fn rows(&self, number: u32) -> impl Iterator<Item = &Row> {
        self.workers.iter().chain(&self.earlier).filter_map(move |rows| rows.get(number as usize))
    }
}

impl BindingTable {
    /// True when the table counts what each softwire carries.
    #[must_use]
    pub fn counts(&self) -> bool {
        self.tallies.earlier.is_some()
    }

    /// Where a worker counts. `worker` is the caller's number, which no other thread may use.
    #[inline(always)]
    #[must_use]
    pub fn counter(&self, worker: usize) -> SoftwireCounter<'_> {
        SoftwireCounter { rows: self.tallies.workers.get(worker).map_or(&[], |rows| rows) }
    }

    /// Counts one packet of the softwire at a slot, as [`Self::counter`] of this worker would.
    pub fn count(&self, worker: usize, slot: Slot, direction: Direction, bytes: usize) {
        self.counter(worker).count(slot, direction, bytes);
    }

    /// What a softwire carried; `None` when it is not in the table.
    #[must_use]
    pub fn tally(&self, softwire: &Softwire) -> Option<Tally> {
        let mut tally = self.tallies.of(self.number_of(softwire)?);
        if let Some(before) = self.before() {
            tally += before.tally(softwire).unwrap_or_default();
        }
        Some(tally)
    }

    /// What softwires carried, those that carried anything. While an older table drains, a softwire
    /// may come several times: what it carried is the sum.
    pub fn tallies(&self) -> Vec<(Softwire, Tally)> {
        let mut tallies: Vec<_> = self.own_tallies().collect();
        if let Some(before) = self.before() {
            let is_there = |(softwire, _): &(Softwire, _)| self.number_of(softwire).is_some();
            tallies.extend(before.tallies().into_iter().filter(is_there));
        }
        tallies
    }

    fn before(&self) -> Option<Arc<Self>> {
        self.tallies.before.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn own_tallies(&self) -> impl Iterator<Item = (Softwire, Tally)> {
        let entries = self.tallies.earlier.as_ref().map_or(0, |rows| rows.len()) as u32;
        (0..entries).filter_map(|number| {
            let tally = self.tallies.of(number);
            if tally.is_zero() {
                return None;
            }
            Some((self.softwire_in(number)?, tally))
        })
    }

    /// The entry of a softwire, if it is in the table as it is.
    fn number_of(&self, softwire: &Softwire) -> Option<u32> {
        let word = self.block_of(softwire.ipv4.into())?;
        let psid = u32::from(softwire.port_set.psid());
        let number = (psid < 1 << word.length()).then(|| word.block() + psid)?;
        let found = self.softwire_in(number)?;
        let same = found.port_set == softwire.port_set && found.b4 == softwire.b4;
        same.then_some(number)
    }

    /// The softwire that an entry has or, if it was removed, had.
    fn last_softwire_in(&self, number: u32) -> Option<Softwire> {
        let entry = self.entries.get(number as usize)?;
        let (ipv4, port_set) = entry.key()?;
        Some(Softwire { ipv4, port_set, b4: entry.b4(), br: *self.br_addresses.first()? })
    }
}

impl TableWriter {
    /// Makes a table that nobody reads yet count what each softwire carries, for so many workers;
    /// for none, it does not count.
    ///
    /// # Errors
    /// When the system has no room for the counts.
    pub fn counting(mut self, workers: usize) -> Result<Self, Vec<RowError>> {
        let entries = self.table.entries.len();
        if let Some(table) = Arc::get_mut(&mut self.table) {
            let rows = || super::build::reserve(entries);
            table.tallies = Tallies {
                workers: (0..workers).map(|_| rows()).collect::<Result<_, _>>()?,
                earlier: (workers > 0).then(rows).transpose()?,
                before: Mutex::default(),
            };
        }
        Ok(self)
    }

    /// For how many workers the table counts.
    #[must_use]
    pub fn counting_workers(&self) -> usize {
        self.table.tallies.workers.len()
    }

    /// Says which table this one replaces: what is still counted in it belongs to this one's counts,
    /// until [`Self::take_over_counts`].
    pub fn replaces(&self, old: &Arc<BindingTable>) {
        if self.table.counts() && old.counts() {
            self.set_before(Some(Arc::clone(old)));
        }
    }

    fn set_before(&self, before: Option<Arc<BindingTable>>) {
        *self.table.tallies.before.lock().unwrap_or_else(PoisonError::into_inner) = before;
    }

    /// Takes over what a table counted that this one replaced and that no worker has any more.
    /// Nobody may be reading the counts meanwhile.
    pub fn take_over_counts(&self, old: &Arc<BindingTable>) {
        if self.table.before().is_some_and(|before| Arc::ptr_eq(&before, old)) {
            self.set_before(None);
        }
        let entries = old.tallies.earlier.as_ref().map_or(0, |rows| rows.len());
        self.take_over(old, 0..entries as u32);
    }

    /// Takes over what these entries of `old` counted, in which no worker counts any more, and
    /// makes their rows as new.
    pub(super) fn take_over(&self, old: &BindingTable, entries: std::ops::Range<u32>) {
        for number in entries {
            let tally = old.tallies.of(number);
            if tally.is_zero() {
                continue;
            }
            for row in old.tallies.rows(number) {
                row.set(Tally::default());
            }
            let heir = old.last_softwire_in(number).and_then(|was| self.table.number_of(&was));
            let earlier = self.table.tallies.earlier.as_ref();
            if let Some(row) = heir.and_then(|heir| earlier?.get(heir as usize)) {
                let mut sum = row.get();
                sum += tally;
                row.set(sum);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::softwire::{Edit, PortSet, Rules};

    const WORKERS: usize = 2;

    fn softwire(psid: u16, b4: u16) -> Softwire {
        Softwire {
            ipv4: "203.0.113.7".parse().unwrap(),
            port_set: PortSet::new(0, 2, psid).unwrap(),
            b4: format!("2001:db8::{b4:x}").parse().unwrap(),
            br: "2001:db8:ffff::1".parse().unwrap(),
        }
    }

    fn table(softwires: &[Softwire]) -> TableWriter {
        with_rules(|rules| TableWriter::build(softwires, rules).unwrap().counting(WORKERS).unwrap())
    }

    fn with_rules<T>(work: impl FnOnce(&Rules<'_>) -> T) -> T {
        work(&Rules { br_addresses: &[softwire(0, 1).br], ..Rules::default() })
    }

    /// A packet of 100 bytes to the B4, by each worker.
    fn carry(table: &BindingTable, softwire: &Softwire) {
        let port = *softwire.port_set.ranges().next().unwrap().start();
        let slot = table.locate(super::super::Key::with_port(softwire.ipv4.into(), port));
        for worker in 0..WORKERS {
            table.count(worker, slot, Direction::ToB4, 100);
        }
    }

    fn edit(writer: &mut TableWriter, edits: &[Edit]) {
        let applied = with_rules(|rules| writer.apply(edits, rules).unwrap());
        writer.release(applied.retired);
    }

    fn remove(softwire: &Softwire) -> Edit {
        Edit::Remove { ipv4: softwire.ipv4, psid: softwire.port_set.psid() }
    }

    #[test]
    fn workers_add_up_and_directions_are_kept_apart() {
        let (one, other) = (softwire(1, 1), softwire(2, 2));
        let writer = table(&[one, other]);
        carry(writer.table(), &one);
        let slot = Slot(writer.table().number_of(&other).unwrap());
        writer.table().count(1, slot, Direction::FromB4, 40);
        let expected = Tally { to_b4_packets: 2, to_b4_bytes: 200, ..Tally::default() };
        assert_eq!(writer.table().tally(&one), Some(expected));
        let other_tally = Tally { from_b4_packets: 1, from_b4_bytes: 40, ..Tally::default() };
        assert_eq!(writer.table().tallies(), [(one, expected), (other, other_tally)]);
        assert_eq!(writer.table().tally(&softwire(1, 9)), None);
    }

    #[test]
    fn an_edit_of_the_address_keeps_what_its_other_softwires_carried() {
        let (one, other) = (softwire(1, 1), softwire(2, 2));
        let mut writer = table(&[one, other]);
        carry(writer.table(), &one);
        carry(writer.table(), &other);
        // Another B4 gets a new block; it is another subscriber, who begins at nothing.
        let heir = softwire(2, 3);
        edit(&mut writer, &[remove(&other), Edit::Add(heir)]);
        carry(writer.table(), &one);
        let packets = |softwire| writer.table().tally(&softwire).map(|tally| tally.to_b4_packets);
        assert_eq!((packets(one), packets(heir), packets(other)), (Some(4), Some(0), None));
        // The block that was freed is used again, and nothing is left in it.
        let third = softwire(3, 4);
        edit(&mut writer, &[remove(&heir), Edit::Add(softwire(2, 5))]);
        edit(&mut writer, &[Edit::Add(third)]);
        let packets = |softwire| writer.table().tally(&softwire).map(|tally| tally.to_b4_packets);
        assert_eq!(
            (packets(one), packets(softwire(2, 5)), packets(third)),
            (Some(4), Some(0), Some(0))
        );
    }

    #[test]
    fn a_new_table_takes_over_what_the_old_one_counted() {
        let (one, other, third) = (softwire(1, 1), softwire(2, 2), softwire(3, 3));
        let old = table(&[one, other]);
        carry(old.table(), &one);
        carry(old.table(), &other);
        let new = table(&[one, softwire(2, 9), third]);
        carry(new.table(), &one);
        new.replaces(old.table());
        assert_eq!(new.table().tally(&one).unwrap().to_b4_packets, 4, "counted in the old one");
        let sum: u64 = new.table().tallies().iter().map(|(_, tally)| tally.to_b4_packets).sum();
        assert_eq!(sum, 4, "what left the table is not in it");
        new.take_over_counts(old.table());
        assert!(new.table().before().is_none());
        let packets = |softwire| new.table().tally(&softwire).map(|tally| tally.to_b4_packets);
        assert_eq!(
            (packets(one), packets(softwire(2, 9)), packets(third)),
            (Some(4), Some(0), Some(0))
        );
        new.take_over_counts(old.table());
        assert_eq!(new.table().tally(&one).unwrap().to_b4_packets, 4, "once is enough");
    }

    #[test]
    fn without_counters_nothing_is_counted() {
        let one = softwire(1, 1);
        let writer = table(&[one]).counting(0).unwrap();
        carry(writer.table(), &one);
        assert!(!writer.table().counts());
        assert_eq!(writer.table().tally(&one), Some(Tally::default()));
        assert!(writer.table().tallies().is_empty());
        assert_eq!(writer.counting_workers(), 0);
    }
}
