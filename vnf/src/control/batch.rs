//! Softwires that come and go as one step: what a batch comes to, and what is wrong with it, in the
//! words of whoever wants it.

use std::collections::{HashMap, HashSet};
use std::net::Ipv4Addr;

use jiff::Timestamp;

use super::binding::key;
use super::change::Change;
use super::editor::Editor;
use super::error::ControlError;
use super::row::Key;
use crate::softwire::{Binding, Edit, RowError, RowProblem, Softwire};

/// So many refused softwires are named; the others are counted.
const NAMED: usize = 50;

/// So many softwires in the way of one edit are named.
const THERE: usize = 8;

/// Softwires to add or to remove, as one step.
#[derive(Debug, Clone)]
pub enum Batch {
    /// These come.
    Add {
        /// The softwires, with their ends.
        softwires: Vec<Binding>,
        /// Softwires that have a port of theirs go.
        replace: bool,
    },
    /// These go.
    Remove(Vec<Key>),
    /// These go, then those come.
    Change {
        /// What goes.
        remove: Vec<Key>,
        /// What comes.
        add: Vec<Binding>,
    },
}

/// What a batch did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Edited {
    /// Softwires added.
    pub added: usize,
    /// Softwires removed.
    pub removed: usize,
}

/// What a batch comes to.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub(super) edits: Vec<Edit>,
    /// For each edit the softwire in the batch that it is about; those that `replace` implies have
    /// none.
    pub(super) numbers: Vec<Option<usize>>,
    /// Softwires that stay as they are, but end at another time.
    pub(super) moved: Vec<Change>,
}

impl Editor {
    /// What the table has that an edit did not reckon with: " (there: ...)", or nothing.
    pub(super) fn there(&self, edit: &Edit, error: &RowError) -> String {
        let table = self.publisher.table();
        let found = match (edit, &error.problem) {
            (Edit::Remove { ipv4, .. }, RowProblem::NotThere) => table.at(*ipv4),
            (
                Edit::Add(new),
                RowProblem::Duplicate { other: None } | RowProblem::Layout { other: None, .. },
            ) => self.in_the_way(&[*new]),
            (Edit::Add(new), RowProblem::B4Twice { other: None }) => self.of_b4(new.b4),
            _ => return String::new(),
        };
        let mut names: Vec<String> = match edit {
            Edit::Remove { .. } => {
                found.iter().map(|old| format!("psid {}", Key::of(old).psid)).collect()
            }
            Edit::Add(_) => found.iter().map(ToString::to_string).collect(),
        };
        let more = names.len().saturating_sub(THERE);
        names.truncate(THERE);
        if more > 0 {
            names.push(format!("and {more} more"));
        }
        if names.is_empty() { String::new() } else { format!(" (there: {})", names.join(", ")) }
    }

    /// What a batch comes to.
    pub(super) fn plan(&self, batch: &Batch) -> Plan {
        let remove = |key: &Key| Edit::Remove { ipv4: key.ipv4, psid: key.psid };
        let mut plan = Plan::default();
        match batch {
            Batch::Remove(keys) => {
                plan.edits = keys.iter().map(remove).collect();
                plan.numbers = (0..keys.len()).map(Some).collect();
            }
            Batch::Change { remove: gone, add } => {
                let new = add.iter().map(|new| Edit::Add(new.softwire));
                plan.edits = gone.iter().map(remove).chain(new).collect();
                plan.numbers = gone.iter().map(|_| None).chain((0..add.len()).map(Some)).collect();
            }
            Batch::Add { softwires, replace } => {
                let mut unchanged = HashSet::new();
                if *replace {
                    let new: Vec<Softwire> = softwires.iter().map(|new| new.softwire).collect();
                    let wanted: HashSet<&Softwire> = new.iter().collect();
                    for old in self.in_the_way(&new) {
                        if wanted.contains(&old) {
                            unchanged.insert(old);
                        } else {
                            plan.edits.push(remove(&Key::of(&old)));
                            plan.numbers.push(None);
                        }
                    }
                }
                for (number, new) in softwires.iter().enumerate() {
                    if !unchanged.contains(&new.softwire) {
                        plan.edits.push(Edit::Add(new.softwire));
                        plan.numbers.push(Some(number));
                        continue;
                    }
                    let old = self.leases().bind(new.softwire);
                    if old != *new {
                        plan.moved.push(Change { before: Some(old), after: Some(*new) });
                    }
                }
            }
        }
        plan
    }

    /// The softwires that have a port of one of these.
    fn in_the_way(&self, softwires: &[Softwire]) -> Vec<Softwire> {
        let mut by_address = HashMap::<Ipv4Addr, Vec<&Softwire>>::new();
        for softwire in softwires {
            by_address.entry(softwire.ipv4).or_default().push(softwire);
        }
        let mut found = Vec::new();
        for (address, new) in by_address {
            let taken = Ports::of(&new);
            found.extend(
                self.publisher.table().at(address).into_iter().filter(|old| taken.meet(old)),
            );
        }
        found
    }
}

impl Batch {
    /// When its softwires end.
    pub(super) fn ends(&self) -> HashMap<Key, Timestamp> {
        let (Self::Add { softwires: new, .. } | Self::Change { add: new, .. }) = self else {
            return HashMap::new();
        };
        new.iter().filter_map(|new| Some((key(new), new.until?))).collect()
    }
}

/// Ports of one address, as a bit each.
struct Ports(Vec<u64>);

impl Ports {
    fn of(softwires: &[&Softwire]) -> Self {
        let mut bits = vec![0; 1 << 10];
        for range in softwires.iter().flat_map(|softwire| softwire.port_set.ranges()) {
            for port in range {
                bits[usize::from(port / 64)] |= 1 << (port % 64);
            }
        }
        Self(bits)
    }

    fn meet(&self, softwire: &Softwire) -> bool {
        let mut ports = softwire.port_set.ranges().flatten();
        ports.any(|port| self.0[usize::from(port / 64)] >> (port % 64) & 1 == 1)
    }
}

/// Names every edit that cannot be, in the caller's words.
pub(super) fn refused(
    errors: &[RowError],
    edits: &[Edit],
    numbers: &[Option<usize>],
    name: &impl Fn(usize) -> String,
    there: &impl Fn(&RowError) -> String,
) -> ControlError {
    let number = |edit: usize| numbers.get(edit).copied().flatten();
    let name = |edit| number(edit).map_or_else(|| "replaced".to_owned(), name);
    let describe = |error: &RowError| {
        let what = match edits[error.row] {
            Edit::Add(softwire) => softwire.to_string(),
            Edit::Remove { ipv4, psid } => Key { ipv4, psid }.to_string(),
        };
        let other = error.problem.other().map(|other| format!(" (see {})", name(other)));
        let other = other.unwrap_or_default();
        format!("{}: {what}: {}{other}{}", name(error.row), error.problem, there(error))
    };
    let mut lines: Vec<String> = errors.iter().take(NAMED).map(describe).collect();
    if errors.len() > NAMED {
        lines.push(format!("and {} more", errors.len() - NAMED));
    }
    ControlError::refused(lines.join("\n"))
}
