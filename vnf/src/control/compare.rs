//! How two tables differ.

use serde::{Deserialize, Serialize};

use super::binding::key;
use super::change::Change;
use crate::softwire::Binding;

/// So many softwires are shown of each kind of difference.
const SHOWN: usize = 5;

/// How two tables differ, for people.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableDifference {
    /// Softwires that are new.
    pub added: usize,
    /// Softwires that are gone.
    pub removed: usize,
    /// Softwires with the same ports and another B4, BR address or end.
    pub changed: usize,
    /// The first few of each.
    pub first: Vec<String>,
}

/// What makes one table of another, in one pass over both. Both must be in the order of keys, as
/// tables are.
pub(super) fn changes_between(
    old: impl Iterator<Item = Binding>,
    new: impl Iterator<Item = Binding>,
) -> Vec<Change> {
    let mut changes = Vec::new();
    let (mut old, mut new) = (old.peekable(), new.peekable());
    loop {
        let (before, after) = match (old.peek().map(key), new.peek().map(key)) {
            (None, None) => return changes,
            (Some(gone), came) if came.is_none_or(|came| gone < came) => (old.next(), None),
            (gone, Some(came)) if gone.is_none_or(|gone| came < gone) => (None, new.next()),
            _ => (old.next(), new.next()),
        };
        if before != after {
            changes.push(Change { before, after });
        }
    }
}

impl TableDifference {
    /// Sums up what makes one table of another.
    #[must_use]
    pub fn of(changes: &[Change]) -> Self {
        let mut difference = Self::default();
        for change in changes {
            match (change.before, change.after) {
                (Some(old), Some(new)) if old.softwire.port_set == new.softwire.port_set => {
                    difference.change(old, new);
                }
                (old, new) => {
                    difference.remove(old);
                    difference.add(new);
                }
            }
        }
        difference
    }

    fn change(&mut self, old: Binding, new: Binding) {
        self.changed += 1;
        if self.changed <= SHOWN {
            let until = new.until.map(|until| format!(" until {until}")).unwrap_or_default();
            let new = new.softwire;
            self.first.push(format!("~ {old} -> B4 {} BR {}{until}", new.b4, new.br));
        }
    }

    fn add(&mut self, new: Option<Binding>) {
        let Some(new) = new else { return };
        self.added += 1;
        if self.added <= SHOWN {
            self.first.push(format!("+ {new}"));
        }
    }

    fn remove(&mut self, old: Option<Binding>) {
        let Some(old) = old else { return };
        self.removed += 1;
        if self.removed <= SHOWN {
            self.first.push(format!("- {old}"));
        }
    }
}
