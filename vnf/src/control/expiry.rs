//! Softwires that end by themselves (RFC 7596 section 6.1: an entry lives as long as the address is
//! allocated). The files and the journal keep them; that they have ended follows from the time.

use std::sync::PoisonError;
use std::sync::atomic::Ordering::Relaxed;

use jiff::Timestamp;

use super::actor::{Actor, Order};
use super::binding::Leases;
use super::change::{Change, Changes};
use super::editor::Editor;
use super::error::ControlError;
use super::rebuild::apply_or_rebuild;
use super::row::Key;
use crate::softwire::{Edit, Rules, TableWriter};

/// So many end in one step; the others follow at once.
const AT_ONCE: usize = 10_000;

/// Takes out of a table that nobody reads yet what has ended; returns how many that were.
pub(super) fn drop_ended(
    writer: &mut TableWriter,
    leases: &mut Leases,
    rules: &Rules<'_>,
    now: Timestamp,
) -> Result<u64, ControlError> {
    let ended: Vec<Key> = leases.ended(now).collect();
    apply_or_rebuild(writer, &removals(&ended), rules)
        .map_err(|errors| ControlError::internal(format!("ended softwires stay: {errors:?}")))?;
    for key in &ended {
        leases.set(*key, None);
    }
    Ok(ended.len() as u64)
}

fn removals(keys: &[Key]) -> Vec<Edit> {
    keys.iter().map(|&Key { ipv4, psid }| Edit::Remove { ipv4, psid }).collect()
}

impl Editor {
    /// Some softwire has ended, and is still there.
    pub(super) fn has_ended(&self, now: Timestamp) -> bool {
        self.leases().next().is_some_and(|next| next <= now)
    }

    /// Takes away softwires that have ended; returns which.
    pub(super) fn end(&mut self, now: Timestamp) -> Result<Vec<Key>, ControlError> {
        let keys: Vec<Key> = self.leases().ended(now).take(AT_ONCE).collect();
        let edits = removals(&keys);
        let config = std::sync::Arc::clone(&self.config);
        let larger = self
            .publisher
            .prepare(&edits, &config.rules())
            .map_err(|errors| ControlError::internal(format!("{errors:?}")))?;
        let none = std::collections::HashMap::new();
        let changes = Changes::of_batch(&edits, self.publisher.table(), &self.leases(), &none);
        // Where the journal has nothing of a softwire, its end follows from the files.
        let journalled: Changes = match &self.journal {
            Some(journal) => {
                let known = |change: &&Change| {
                    change.key().is_some_and(|key| journal.changes().get(key).is_some())
                };
                changes.iter().filter(known).copied().collect()
            }
            None => Changes::default(),
        };
        if let Some(journal) = &mut self.journal
            && let Err(error) = journal.append(&journalled)
        {
            tracing::warn!("ended softwires stay in the journal: {error}");
        }
        let actor = Actor::instance("valid-until");
        let order = Order::new(&actor, "expire");
        let all: Vec<Change> = changes.iter().copied().collect();
        // The history has when they were to end. A full disk keeps nobody connected.
        if let Err(error) = self.record(&order, &all) {
            tracing::warn!("{error}");
        }
        self.publisher
            .edit(&edits, &config.rules(), larger)
            .map_err(|errors| ControlError::internal(format!("{errors:?}")))?;
        self.ended.fetch_add(keys.len() as u64, Relaxed);
        {
            let mut leases = self.leases.write().unwrap_or_else(PoisonError::into_inner);
            for key in &keys {
                leases.set(*key, None);
            }
        }
        self.announce(&order, &all);
        Ok(keys)
    }
}
