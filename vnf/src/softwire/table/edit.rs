//! Changing a table that workers are reading.
//!
//! A batch is checked as a whole against what the table will be, then applied address by address.
//! A softwire that is only added to a place never used, or only taken away, is changed where it
//! stands; anything else gets a new block, and one store of the address's word puts it in place of
//! the old one. What was replaced stays untouched until [`TableWriter::release`].

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use super::build::{check_row, layout_of, slots_allowed};
use super::layout::{AddressWord, ChunkRef, LINE};
use super::{RowError, RowProblem, Rules, TableWriter};
use crate::softwire::Softwire;

/// A change of one softwire. Replacing one is its removal and an addition in the same batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Edit {
    /// A new softwire.
    Add(Softwire),
    /// The softwire of this address and PSID goes.
    Remove {
        /// Its IPv4 address.
        ipv4: Ipv4Addr,
        /// Its PSID.
        psid: u16,
    },
}

/// What a batch did.
#[derive(Debug)]
pub struct Applied {
    /// To be given to [`TableWriter::release`] when no worker can hold it any more.
    pub retired: Retired,
    /// Softwires added.
    pub added: usize,
    /// Softwires removed.
    pub removed: usize,
}

/// Memory that was replaced, but may still be read.
#[derive(Debug, Default)]
#[must_use = "memory that is never released is lost to the table"]
pub struct Retired {
    /// (first entry, entries)
    blocks: Vec<(u32, u32)>,
    /// (first line, lines)
    chunks: Vec<(u32, u32)>,
}

/// Why a batch was not applied; nothing of it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EditError {
    /// These edits cannot be.
    Invalid(Vec<RowError>),
    /// The table has no room left and must be built anew, larger.
    Full,
}

/// What a batch makes of one address.
#[derive(Debug, Default)]
struct Plan {
    /// By PSID.
    before: Vec<Softwire>,
    after: BTreeMap<u16, Softwire>,
}

impl Plan {
    /// Does the address have this very softwire already?
    fn has(&self, softwire: &Softwire) -> bool {
        let psid = |softwire: &Softwire| softwire.port_set.psid();
        let found = self.before.binary_search_by_key(&psid(softwire), psid);
        found.is_ok_and(|at| self.before[at] == *softwire)
    }

    /// What keeps this softwire from standing beside those the address will have.
    fn conflict(
        &self,
        new: &Softwire,
        row_at: impl Fn(&Softwire) -> Option<usize>,
    ) -> Option<RowProblem> {
        let (found, psid) = (layout_of(new), new.port_set.psid());
        let kept =
            self.after.values().find(|kept| layout_of(kept) != found).or(self.after.get(&psid))?;
        let other = row_at(kept);
        Some(match layout_of(kept) {
            expected if expected != found => RowProblem::Layout { other, expected, found },
            _ => RowProblem::Duplicate { other },
        })
    }
}

impl TableWriter {
    /// Says whether [`Self::apply`] would apply a batch, and changes nothing.
    pub fn check(&self, edits: &[Edit], rules: &Rules<'_>) -> Result<(), EditError> {
        let plans = self.plan(edits, rules).map_err(EditError::Invalid)?;
        self.check_room(&plans, edits)
    }

    /// Applies a batch while workers read, all of it or nothing. Removals are about what the table
    /// held before; then the additions are made.
    pub fn apply(&mut self, edits: &[Edit], rules: &Rules<'_>) -> Result<Applied, EditError> {
        let plans = self.plan(edits, rules).map_err(EditError::Invalid)?;
        self.check_room(&plans, edits)?;
        let mut retired = Retired::default();
        let (mut before, mut after) = (0, 0);
        for (address, plan) in plans {
            after += plan.after.len();
            before += plan.before.len();
            self.carry_out(address.into(), &plan, rules, &mut retired);
        }
        let count = |wanted: fn(&Edit) -> bool| edits.iter().filter(|edit| wanted(edit)).count();
        let len = self.table.len() + after - before;
        self.table.len.store(len, Relaxed);
        Ok(Applied {
            retired,
            added: count(|edit| matches!(edit, Edit::Add(_))),
            removed: count(|edit| matches!(edit, Edit::Remove { .. })),
        })
    }

    /// Takes back memory that no worker can be reading any more.
    pub fn release(&mut self, retired: Retired) {
        for (block, len) in retired.blocks {
            self.take_over(&self.table, block..block + len);
            for number in block..block + len {
                self.table.entries[number as usize].clear();
            }
            self.entries.give(block, len);
        }
        for (line, lines) in retired.chunks {
            let start = line as usize * LINE;
            for word in &self.table.words[start..start + lines as usize * LINE] {
                word.store(0, Relaxed);
            }
            self.words.give(line, lines);
        }
    }

    fn plan(
        &self,
        edits: &[Edit],
        rules: &Rules<'_>,
    ) -> Result<BTreeMap<Ipv4Addr, Plan>, Vec<RowError>> {
        let mut errors = Vec::new();
        let mut fail = |row, problem| errors.push(RowError { row, problem });
        let mut plans = BTreeMap::<Ipv4Addr, Plan>::new();
        for edit in edits {
            let (Edit::Add(Softwire { ipv4, .. }) | Edit::Remove { ipv4, .. }) = edit;
            plans.entry(*ipv4).or_insert_with(|| {
                let before = self.table.at(*ipv4);
                let after =
                    before.iter().map(|&softwire| (softwire.port_set.psid(), softwire)).collect();
                Plan { before, after }
            });
        }
        let mut removed = HashSet::new();
        for (row, edit) in edits.iter().enumerate() {
            if let Edit::Remove { ipv4, psid } = edit
                && let Some(plan) = plans.get_mut(ipv4)
            {
                match plan.after.remove(psid) {
                    Some(_) => _ = removed.insert((*ipv4, *psid)),
                    None => fail(row, RowProblem::NotThere),
                }
            }
        }
        let mut rows = HashMap::<(Ipv4Addr, u16), usize>::new();
        let mut b4s = HashMap::<Ipv6Addr, usize>::new();
        for (row, edit) in edits.iter().enumerate() {
            let Edit::Add(softwire) = edit else { continue };
            let Some(plan) = plans.get_mut(&softwire.ipv4) else { continue };
            let psid = softwire.port_set.psid();
            let row_at = |kept: &Softwire| rows.get(&(kept.ipv4, kept.port_set.psid())).copied();
            let problem = check_row(softwire, rules)
                .err()
                .or_else(|| plan.conflict(softwire, row_at))
                .or_else(|| self.b4_taken(softwire, rules, &removed, &b4s));
            if let Some(problem) = problem {
                fail(row, problem);
                continue;
            }
            plan.after.insert(psid, *softwire);
            rows.insert((softwire.ipv4, psid), row);
            b4s.insert(softwire.b4, row);
        }
        // A table that is too large already may shrink.
        let after = self.table.len() - removed.len() + rows.len();
        if errors.is_empty()
            && after > rules.most.max(self.table.len())
            && let Some(row) = edits.iter().rposition(|edit| matches!(edit, Edit::Add(_)))
        {
            errors.push(RowError { row, problem: RowProblem::TooMany { most: rules.most } });
        }
        if errors.is_empty() { Ok(plans) } else { Err(errors) }
    }

    /// Is this B4 another softwire's, after the batch's removals?
    fn b4_taken(
        &self,
        softwire: &Softwire,
        rules: &Rules<'_>,
        removed: &HashSet<(Ipv4Addr, u16)>,
        added: &HashMap<Ipv6Addr, usize>,
    ) -> Option<RowProblem> {
        if rules.several_per_b4 {
            return None;
        }
        if let Some(&row) = added.get(&softwire.b4) {
            return Some(RowProblem::B4Twice { other: Some(row) });
        }
        let gone = |other: &Softwire| removed.contains(&(other.ipv4, other.port_set.psid()));
        let taken = self.of_b4(softwire.b4).iter().any(|other| !gone(other));
        taken.then_some(RowProblem::B4Twice { other: None })
    }

    /// Is there room for every block and chunk the batch may need, and are they worth it?
    fn check_room(
        &self,
        plans: &BTreeMap<Ipv4Addr, Plan>,
        edits: &[Edit],
    ) -> Result<(), EditError> {
        let lengths = plans.values().filter_map(|plan| plan.after.values().next());
        let slots = lengths.map(|softwire| 1_usize << softwire.port_set.length()).sum::<usize>();
        let grown: usize = plans.values().map(|plan| plan.after.len()).sum();
        if self.entries.used() + slots > slots_allowed(self.table.len() + grown)
            && let Some((row, softwire)) = longest(edits)
        {
            let problem = RowProblem::TooSparse {
                address: softwire.ipv4,
                length: softwire.port_set.length(),
            };
            return Err(EditError::Invalid(vec![RowError { row, problem }]));
        }
        let lines = plans.len() * ChunkRef::lines_for(256).0;
        if slots > self.entries.untouched() || lines > self.words.untouched() {
            return Err(EditError::Full);
        }
        Ok(())
    }

    fn carry_out(&mut self, address: u32, plan: &Plan, rules: &Rules<'_>, retired: &mut Retired) {
        let word = self.table.block_of(address);
        let old_layout = plan.before.first().map(layout_of);
        let new_layout = plan.after.values().next().map(layout_of);
        match word {
            Some(word) if old_layout == new_layout && self.fits_in_place(word, plan) => {
                self.change_in_place(word, plan, rules);
            }
            _ => self.replace_block(address, word, plan, rules, retired),
        }
    }

    /// True when every new softwire has a place that was never used.
    fn fits_in_place(&self, word: AddressWord, plan: &Plan) -> bool {
        let number = |softwire: &Softwire| word.block() + u32::from(softwire.port_set.psid());
        plan.after
            .values()
            .filter(|softwire| !plan.has(softwire))
            .all(|softwire| self.table.entries[number(softwire) as usize].is_virgin())
    }

    fn change_in_place(&mut self, word: AddressWord, plan: &Plan, rules: &Rules<'_>) {
        let number = |softwire: &Softwire| word.block() + u32::from(softwire.port_set.psid());
        for softwire in &plan.before {
            if plan.after.get(&softwire.port_set.psid()) != Some(softwire) {
                self.unindex(number(softwire));
                self.table.entries[number(softwire) as usize].remove();
            }
        }
        for softwire in plan.after.values().filter(|softwire| !plan.has(softwire)) {
            self.put(number(softwire), softwire, rules);
        }
    }

    fn replace_block(
        &mut self,
        address: u32,
        old: Option<AddressWord>,
        plan: &Plan,
        rules: &Rules<'_>,
        retired: &mut Retired,
    ) {
        if let Some(old) = old {
            for softwire in &plan.before {
                self.unindex(old.block() + u32::from(softwire.port_set.psid()));
            }
            retired.blocks.push((old.block(), 1 << old.length()));
        }
        let new = plan.after.values().next().and_then(|first| {
            let block = self.entries.take(1 << first.port_set.length())?;
            for softwire in plan.after.values() {
                self.put(block + u32::from(softwire.port_set.psid()), softwire, rules);
            }
            Some(AddressWord::new(block, first.port_set))
        });
        if let Some(place) = self.place_of(address, retired) {
            self.table.words[place].store(new.map_or(0, AddressWord::bits), Release);
        }
    }

    fn put(&mut self, number: u32, softwire: &Softwire, rules: &Rules<'_>) {
        if let Ok(br) = check_row(softwire, rules) {
            self.table.entries[number as usize].put(softwire, br);
            self.index(number);
        }
    }

    /// The place of an address's word; makes one where there is none.
    fn place_of(&mut self, address: u32, retired: &mut Retired) -> Option<usize> {
        let words = &self.table.words;
        let old = ChunkRef::from_bits(self.table.index[(address >> 8) as usize].load(Acquire));
        if let Some(place) = old.and_then(|chunk| chunk.position_of(words, address)) {
            return Some(place);
        }
        let kept: Vec<(u32, u64)> = old
            .into_iter()
            .flat_map(|chunk| {
                let word =
                    move |low| Some((low, words[chunk.position_of(words, low)?].load(Acquire)));
                chunk.addresses(words).filter_map(word)
            })
            .filter(|&(_, word)| word != 0)
            .collect();
        let (lines, packed) = ChunkRef::lines_for(kept.len() + 1);
        let chunk = ChunkRef::new(self.words.take(lines as u32)?, packed);
        let lows = kept.iter().map(|&(low, _)| low);
        chunk.set_map(words, lows.chain(std::iter::once(address)));
        for (low, word) in kept {
            words[chunk.position_of(words, low)?].store(word, Relaxed);
        }
        if let Some(old) = old {
            retired.chunks.push((old.line(), old.lines(words) as u32));
        }
        self.publish_chunk(address, chunk);
        chunk.position_of(words, address)
    }
}

/// The addition with the longest PSID.
fn longest(edits: &[Edit]) -> Option<(usize, &Softwire)> {
    let added = edits.iter().enumerate().filter_map(|(row, edit)| match edit {
        Edit::Add(softwire) => Some((row, softwire)),
        Edit::Remove { .. } => None,
    });
    added.max_by_key(|(_, softwire)| softwire.port_set.length())
}
