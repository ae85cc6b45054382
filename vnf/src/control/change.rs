//! What edits come to: for each softwire's key, what was there before and what is there now.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::net::Ipv4Addr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::binding::{Leases, key};
use super::row::{Key, Row};
use crate::softwire::{Binding, BindingTable, Edit, RowError, Rules, Softwire, TableWriter};

/// A softwire that was added, removed or replaced, or whose end was moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change {
    /// What was there; `None` for nothing.
    pub before: Option<Binding>,
    /// What is there now; `None` for nothing.
    pub after: Option<Binding>,
}

impl Change {
    /// The softwire's name.
    #[must_use]
    pub fn key(&self) -> Option<Key> {
        self.before.or(self.after).as_ref().map(key)
    }

    /// What undoes it.
    #[must_use]
    pub fn inverse(&self) -> Self {
        Self { before: self.after, after: self.before }
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.before, self.after) {
            (Some(before), Some(after)) => write!(f, "{before} became {after}"),
            (Some(before), None) => write!(f, "removed {before}"),
            (None, Some(after)) => write!(f, "added {after}"),
            (None, None) => f.write_str("nothing"),
        }
    }
}

/// A change as JSON.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ChangeRow {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    before: Option<Row>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    after: Option<Row>,
}

impl From<&Change> for ChangeRow {
    fn from(change: &Change) -> Self {
        Self { before: change.before.map(Row::from), after: change.after.map(Row::from) }
    }
}

impl TryFrom<ChangeRow> for Change {
    type Error = String;

    fn try_from(row: ChangeRow) -> Result<Self, String> {
        let binding = |row: Option<Row>| row.map(|row| row.binding(&[])).transpose();
        Ok(Self { before: binding(row.before)?, after: binding(row.after)? })
    }
}

/// The sum of edits, one change per key; a softwire that is again as it was is no change.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes(BTreeMap<Key, Change>);

impl Changes {
    /// What a batch does to a table: removals first, then additions.
    #[must_use]
    pub fn of_batch(
        edits: &[Edit],
        table: &BindingTable,
        old: &Leases,
        new: &HashMap<Key, Timestamp>,
    ) -> Self {
        let mut present = Present::in_table(table, old);
        let mut changes = Self::default();
        for edit in edits {
            if let Edit::Remove { ipv4, psid } = *edit {
                changes.add(Change { before: present.take(Key { ipv4, psid }), after: None });
            }
        }
        for edit in edits {
            if let Edit::Add(softwire) = *edit {
                let before = present.take(Key::of(&softwire));
                let until = new.get(&Key::of(&softwire)).copied();
                changes.add(Change { before, after: Some(Binding { softwire, until }) });
            }
        }
        changes
    }

    /// Adds a change that was made after those that are here. One that does not begin where the
    /// earlier one ended was made while that one was not in force, and stands instead of it.
    pub fn add(&mut self, change: Change) {
        let Some(key) = change.key() else { return };
        let before = match self.0.get(&key) {
            Some(earlier) if earlier.after == change.before => earlier.before,
            _ => change.before,
        };
        if before == change.after {
            self.0.remove(&key);
        } else {
            self.0.insert(key, Change { before, after: change.after });
        }
    }

    /// Forgets a change.
    pub fn remove(&mut self, change: &Change) {
        if let Some(key) = change.key() {
            self.0.remove(&key);
        }
    }

    /// What undoes them.
    #[must_use]
    pub fn inverse(&self) -> Self {
        self.iter().map(Change::inverse).collect()
    }

    /// The change of a softwire.
    #[must_use]
    pub fn get(&self, key: Key) -> Option<&Change> {
        self.0.get(&key)
    }

    /// Them all, by key.
    pub fn iter(&self) -> impl Iterator<Item = &Change> {
        self.0.values()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// True when there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Applies the changes to a table that nobody reads yet and whose rows may have changed since
    /// they were made; softwires of that table that have ended count as not there. Returns those that still make a difference, or those that contradict the
    /// table, each with the contradiction.
    pub fn lay_over(
        &self,
        writer: &mut TableWriter,
        leases: &mut Leases,
        rules: &Rules<'_>,
        now: Timestamp,
    ) -> Result<Self, Vec<(Change, String)>> {
        let mut kept = Self::default();
        let mut conflicts = Vec::new();
        let mut edits = Vec::new();
        let mut made_by = Vec::new();
        let mut present = Present::in_table(writer.table(), leases);
        let live = |binding: Option<Binding>| binding.filter(|binding| binding.is_live(now));
        for (&key, &change) in &self.0 {
            let there = present.take(key);
            if there == change.after {
                continue;
            }
            if live(there) != live(change.before) {
                let there = there.map_or("nothing there".to_owned(), |there| there.to_string());
                conflicts.push((change, format!("the file has {there}")));
                continue;
            }
            if there.is_some() {
                edits.push(Edit::Remove { ipv4: key.ipv4, psid: key.psid });
                made_by.push(change);
            }
            if let Some(after) = change.after {
                edits.push(Edit::Add(after.softwire));
                made_by.push(change);
            }
            kept.0.insert(key, change);
        }
        if !conflicts.is_empty() {
            return Err(conflicts);
        }
        match super::rebuild::apply_or_rebuild(writer, &edits, rules) {
            Ok(()) => {
                for (&key, change) in &kept.0 {
                    leases.set(key, change.after.and_then(|after| after.until));
                }
                Ok(kept)
            }
            Err(errors) => Err(errors
                .into_iter()
                .map(|RowError { row, problem }| (made_by[row], problem.to_string()))
                .collect()),
        }
    }
}

/// The softwires of the addresses that were asked about, so that each address is read once.
struct Present<'a> {
    table: &'a BindingTable,
    leases: &'a Leases,
    addresses: HashSet<Ipv4Addr>,
    softwires: HashMap<Key, Softwire>,
}

impl<'a> Present<'a> {
    fn in_table(table: &'a BindingTable, leases: &'a Leases) -> Self {
        Self { table, leases, addresses: HashSet::new(), softwires: HashMap::new() }
    }

    /// The softwire of this key, the first time it is asked for.
    fn take(&mut self, key: Key) -> Option<Binding> {
        if self.addresses.insert(key.ipv4) {
            let at = self.table.at(key.ipv4);
            self.softwires.extend(at.into_iter().map(|softwire| (Key::of(&softwire), softwire)));
        }
        self.softwires.remove(&key).map(|softwire| self.leases.bind(softwire))
    }
}

impl FromIterator<Change> for Changes {
    fn from_iter<I: IntoIterator<Item = Change>>(changes: I) -> Self {
        let mut sum = Self::default();
        for change in changes {
            sum.add(change);
        }
        sum
    }
}
