//! Building a table from nothing: sort by address, then lay out /24 by /24.

use std::sync::Arc;
use std::sync::atomic::{
    AtomicU64, AtomicUsize,
    Ordering::{Relaxed, Release},
};

use super::by_b4::ByB4;
use super::entry::hash_b4;
use super::layout::{AddressWord, ChunkRef, LINE};
use super::space::Space;
use super::tally::Tallies;
use super::{BindingTable, RowError, RowProblem, Rules, TableWriter};
use crate::memory::{Region, Zeroed};
use crate::softwire::Softwire;

/// Slots that a table may reserve for each softwire, beyond [`SLOTS_FREE`].
const SLOTS_PER_SOFTWIRE: usize = 64;

/// Slots (of 32 bytes) that any table may reserve.
const SLOTS_FREE: usize = 1 << 20;

/// The slots a table of `softwires` may reserve: bounds the memory of sparse port sets.
pub(super) fn slots_allowed(softwires: usize) -> usize {
    softwires.saturating_mul(SLOTS_PER_SOFTWIRE).saturating_add(SLOTS_FREE)
}

impl TableWriter {
    /// Builds a table, or says everything that is wrong with the rows.
    pub fn build(softwires: &[Softwire], rules: &Rules<'_>) -> Result<Self, Vec<RowError>> {
        let sorted = by_address(softwires);
        let groups = || sorted.chunk_by(|left, right| left >> 32 == right >> 32);
        let mut errors = Vec::new();
        if softwires.len() > rules.most {
            let problem = RowProblem::TooMany { most: rules.most };
            errors.push(RowError { row: rules.most, problem });
        }
        let slots =
            groups().map(|group| check_layouts(softwires, group, &mut errors)).sum::<usize>();
        if slots > slots_allowed(softwires.len()) {
            errors.extend(too_sparse(softwires, groups()));
            // What else is wrong is told another time: to find it takes the memory that is refused.
            return Err(by_row(errors));
        }
        let mut builder = Self::empty(rules, slots, groups().count())?;
        builder.by_b4.reserve(softwires.len());
        for chunk in sorted.chunk_by(|left, right| left >> 40 == right >> 40) {
            builder.fill_chunk(&Rows { softwires, sorted: &sorted, rules }, chunk, &mut errors);
        }
        if !errors.is_empty() {
            return Err(by_row(errors));
        }
        builder.table.len.store(softwires.len(), Relaxed);
        Ok(builder)
    }

    /// An empty table with room for so many slots and addresses, and for a quarter more.
    fn empty(rules: &Rules<'_>, slots: usize, addresses: usize) -> Result<Self, Vec<RowError>> {
        let slots = slots + slots / 4 + (1 << 17);
        // An address costs at worst a line of its own; a full chunk costs half a line an address.
        let lines = 1 + addresses + addresses / 4 + (1 << 16);
        let table = BindingTable {
            index: reserve(1 << 24)?,
            words: reserve(lines * LINE)?,
            entries: reserve(slots)?,
            populated: (0..1024).map(|_| AtomicU64::new(0)).collect(),
            br_addresses: rules.br_addresses.into(),
            tallies: Tallies::default(),
            len: AtomicUsize::new(0),
        };
        Ok(Self {
            table: Arc::new(table),
            entries: Space::new(slots, 0),
            words: Space::new(lines, 0),
            by_b4: ByB4::new(slots),
        })
    }

    /// Lays out one /24.
    fn fill_chunk(&mut self, rows: &Rows<'_>, chunk_rows: &[u64], errors: &mut Vec<RowError>) {
        let groups = || chunk_rows.chunk_by(|left, right| left >> 32 == right >> 32);
        let addresses = || groups().map(|group| (group[0] >> 32) as u32);
        let (lines, packed) = ChunkRef::lines_for(addresses().count());
        let Some(line) = self.words.take(lines as u32) else { return };
        let chunk = ChunkRef::new(line, packed);
        chunk.set_map(&self.table.words, addresses());
        for group in groups() {
            self.fill_address(chunk, rows, group, errors);
        }
        self.publish_chunk((chunk_rows[0] >> 32) as u32, chunk);
    }

    /// Fills the block of one address.
    fn fill_address(
        &mut self,
        chunk: ChunkRef,
        rows: &Rows<'_>,
        group: &[u64],
        errors: &mut Vec<RowError>,
    ) {
        let first = rows.softwires[row_of(group[0])];
        let Some(block) = self.entries.take(1 << first.port_set.length()) else { return };
        for row in group.iter().copied().map(row_of) {
            let softwire = &rows.softwires[row];
            if layout_of(softwire) != layout_of(&first) {
                continue;
            }
            let number = block + u32::from(softwire.port_set.psid());
            if let Err(error) = self.fill_entry(number, rows, row) {
                errors.push(error);
            }
        }
        let word = AddressWord::new(block, first.port_set);
        if let Some(place) = chunk.position_of(&self.table.words, first.ipv4.into()) {
            self.table.words[place].store(word.bits(), Release);
        }
    }

    fn fill_entry(&mut self, number: u32, rows: &Rows<'_>, row: usize) -> Result<(), RowError> {
        let at_row = |problem| RowError { row, problem };
        let softwire = &rows.softwires[row];
        if !self.table.entries[number as usize].is_virgin() {
            return Err(at_row(RowProblem::Duplicate { other: rows.find(&self.table, number) }));
        }
        let br = check_row(softwire, rows.rules).map_err(at_row)?;
        self.table.entries[number as usize].put(softwire, br);
        if !rows.rules.several_per_b4
            && let Some(other) = self.entry_of_b4(softwire.b4.into())
        {
            // Rows are visited by address: name the later one of the file, whichever it is.
            let other = rows.find(&self.table, other).unwrap_or(row);
            let problem = RowProblem::B4Twice { other: Some(row.min(other)) };
            return Err(RowError { row: row.max(other), problem });
        }
        self.index(number);
        Ok(())
    }

    fn entry_of_b4(&self, b4: u128) -> Option<u32> {
        let same = |number: &u32| {
            self.table.entries[*number as usize].endpoints().is_some_and(|ends| ends.b4 == b4)
        };
        self.by_b4.candidates(hash_b4(b4)).find(same)
    }

    /// Enters an entry into the index of B4s.
    pub(super) fn index(&mut self, number: u32) {
        let entries = &self.table.entries;
        self.by_b4.insert(number, |number| entries[number as usize].hash());
    }

    /// Takes an entry out of the index of B4s.
    pub(super) fn unindex(&mut self, number: u32) {
        let entries = &self.table.entries;
        self.by_b4.remove(number, |number| entries[number as usize].hash());
    }

    /// Makes a chunk the one that lookups of its /24 find.
    pub(super) fn publish_chunk(&self, address: u32, chunk: ChunkRef) {
        let bit = (address >> 16) as usize;
        self.table.populated[bit / 64].fetch_or(1 << (bit % 64), Relaxed);
        self.table.index[(address >> 8) as usize].store(chunk.bits(), Release);
    }
}

/// The rows a table is built from.
struct Rows<'a> {
    softwires: &'a [Softwire],
    /// (address << 32 | row), sorted.
    sorted: &'a [u64],
    rules: &'a Rules<'a>,
}

impl Rows<'_> {
    /// The row that was put into this entry.
    fn find(&self, table: &BindingTable, number: u32) -> Option<usize> {
        let (ipv4, port_set) = table.entries.get(number as usize)?.key()?;
        let start = self.sorted.partition_point(|&row| row >> 32 < u64::from(u32::from(ipv4)));
        let mut rows = self.sorted[start..].iter().copied().map(row_of);
        rows.find(|&row| {
            self.softwires[row].ipv4 == ipv4 && self.softwires[row].port_set == port_set
        })
    }
}

/// Reserves address space, of which a 64-bit process has more than any table needs unless somebody
/// limits it.
pub(super) fn reserve<T: Zeroed>(len: usize) -> Result<Region<T>, Vec<RowError>> {
    Region::new(len).map_err(|error| {
        let mebibytes = len.saturating_mul(size_of::<T>()) >> 20;
        vec![RowError { row: 0, problem: RowProblem::NoRoom { mebibytes, why: error.to_string() } }]
    })
}

/// Errors in the order of the file.
fn by_row(mut errors: Vec<RowError>) -> Vec<RowError> {
    errors.sort_by_key(|error| error.row);
    errors
}

/// The row in (address << 32 | row).
fn row_of(sorted: u64) -> usize {
    sorted as u32 as usize
}

/// a and k.
pub(super) fn layout_of(softwire: &Softwire) -> (u8, u8) {
    (softwire.port_set.offset(), softwire.port_set.length())
}

/// (address << 32 | row), sorted; a file that is sorted already costs one pass.
fn by_address(softwires: &[Softwire]) -> Vec<u64> {
    let mut sorted: Vec<u64> = softwires
        .iter()
        .zip(0_u64..)
        .map(|(softwire, row)| u64::from(u32::from(softwire.ipv4)) << 32 | row)
        .collect();
    sorted.sort_unstable();
    sorted
}

/// Checks that an address has one layout; returns the slots it reserves.
fn check_layouts(softwires: &[Softwire], group: &[u64], errors: &mut Vec<RowError>) -> usize {
    let first = row_of(group[0]);
    let expected = layout_of(&softwires[first]);
    for row in group.iter().copied().map(row_of) {
        let found = layout_of(&softwires[row]);
        if found != expected {
            let problem = RowProblem::Layout { other: Some(first), expected, found };
            errors.push(RowError { row, problem });
        }
    }
    1 << expected.1
}

/// The addresses that hold the fewest softwires for the slots they reserve.
fn too_sparse<'a>(
    softwires: &'a [Softwire],
    groups: impl Iterator<Item = &'a [u64]>,
) -> impl Iterator<Item = RowError> {
    groups
        .map(|group| (row_of(group[0]), group.len()))
        .filter(|&(row, len)| 1 << softwires[row].port_set.length() > len * SLOTS_PER_SOFTWIRE)
        .map(|(row, _)| {
            let Softwire { ipv4, port_set, .. } = softwires[row];
            RowError {
                row,
                problem: RowProblem::TooSparse { address: ipv4, length: port_set.length() },
            }
        })
}

/// Checks a softwire by itself; returns the number of its BR address.
pub(super) fn check_row(softwire: &Softwire, rules: &Rules<'_>) -> Result<u16, RowProblem> {
    let Softwire { ipv4, b4, br, .. } = *softwire;
    if let Err(problem) = Softwire::check_b4(b4) {
        return Err(RowProblem::BadB4(b4, problem));
    }
    if rules.own_ipv6.contains(&b4) || rules.br_addresses.contains(&b4) {
        return Err(RowProblem::B4IsOurs(b4));
    }
    if rules.own_ipv4.contains(&ipv4) {
        return Err(RowProblem::AddressIsOurs(ipv4));
    }
    let br =
        rules.br_addresses.iter().position(|ours| *ours == br).ok_or(RowProblem::BrNotOurs(br))?;
    u16::try_from(br).map_err(|_| RowProblem::BrNotOurs(softwire.br))
}
