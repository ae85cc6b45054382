//! What a new table changes.

use serde::{Deserialize, Serialize};

use super::row::Key;
use crate::softwire::{BindingTable, Softwire};

/// So many softwires are shown of each kind of difference.
const SHOWN: usize = 5;

/// How two tables differ.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableDifference {
    /// Softwires that are new.
    pub added: usize,
    /// Softwires that are gone.
    pub removed: usize,
    /// Softwires with the same ports and another B4 or BR address.
    pub changed: usize,
    /// The first few of each, for people.
    pub first: Vec<String>,
}

impl TableDifference {
    /// Compares two tables in one pass over both.
    #[must_use]
    pub fn between(old: &BindingTable, new: &BindingTable) -> Self {
        let mut difference = Self::default();
        let (mut old, mut new) = (old.softwires().peekable(), new.softwires().peekable());
        loop {
            match (old.peek().map(Key::of), new.peek().map(Key::of)) {
                (None, None) => return difference,
                (Some(gone), came) if came.is_none_or(|came| gone < came) => {
                    difference.remove(old.next());
                }
                (gone, Some(came)) if gone.is_none_or(|gone| came < gone) => {
                    difference.add(new.next());
                }
                _ => difference.meet(old.next(), new.next()),
            }
        }
    }

    /// Two softwires with one key.
    fn meet(&mut self, old: Option<Softwire>, new: Option<Softwire>) {
        if old == new {
            return;
        }
        if old.map(|old| old.port_set) != new.map(|new| new.port_set) {
            self.remove(old);
            self.add(new);
        } else if let (Some(old), Some(new)) = (old, new) {
            self.changed += 1;
            if self.changed <= SHOWN {
                self.first.push(format!("~ {old} -> B4 {} BR {}", new.b4, new.br));
            }
        }
    }

    fn add(&mut self, softwire: Option<Softwire>) {
        let Some(softwire) = softwire else { return };
        self.added += 1;
        if self.added <= SHOWN {
            self.first.push(format!("+ {softwire}"));
        }
    }

    fn remove(&mut self, softwire: Option<Softwire>) {
        let Some(softwire) = softwire else { return };
        self.removed += 1;
        if self.removed <= SHOWN {
            self.first.push(format!("- {softwire}"));
        }
    }
}
