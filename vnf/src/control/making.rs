//! How a change of softwires is made: checked, written down, then applied, then told; whatever fails
//! on the way is taken back. `batch` plans what a batch comes to.

use std::sync::{Arc, PoisonError};

use jiff::Timestamp;

use super::actor::Order;
use super::batch::{Batch, Edited, Plan, refused};
use super::change::{Change, Changes};
use super::editor::Editor;
use super::error::ControlError;
use super::event::Event;
use super::publisher::Larger;
use super::undo::Undo;
use crate::softwire::{Edit, RowError};

impl Editor {
    /// Makes a batch of edits, all or nothing: checked, journalled, applied. `name` tells what the
    /// caller calls the n-th softwire of the batch.
    pub fn edit(
        &mut self,
        order: &Order<'_>,
        batch: &Batch,
        name: impl Fn(usize) -> String,
    ) -> Result<Edited, ControlError> {
        self.must_be_settled()?;
        let Plan { edits, numbers, moved } = self.plan(batch);
        let config = Arc::clone(&self.config);
        let refuse = |editor: &Self, errors: Vec<RowError>| {
            refused(&errors, &edits, &numbers, &name, &|error| {
                editor.there(&edits[error.row], error)
            })
        };
        let larger = self
            .publisher
            .prepare(&edits, &config.rules())
            .map_err(|errors| refuse(self, errors))?;
        let mut changes =
            Changes::of_batch(&edits, self.publisher.table(), &self.leases(), &batch.ends());
        for change in moved {
            changes.add(change);
        }
        let added = edits.iter().filter(|edit| matches!(edit, Edit::Add(_))).count();
        let edited = Edited { added, removed: edits.len() - added };
        if changes.is_empty() && edits.is_empty() {
            return Ok(edited);
        }
        let undo = Undo::of_edit(order, &changes);
        undo.prepare(&self.state)?;
        match self.carry_out(order, &edits, &changes, larger) {
            Ok(()) => {
                self.undo = Some(undo);
                Ok(edited)
            }
            Err(error) => {
                undo.forget(&self.state);
                Err(match error {
                    Broken::Rows(errors) => refuse(self, errors),
                    Broken::Disk(error) => error,
                })
            }
        }
    }

    /// Makes changes that have been checked: journalled first, then applied.
    pub(super) fn carry_out(
        &mut self,
        order: &Order<'_>,
        edits: &[Edit],
        changes: &Changes,
        larger: Larger,
    ) -> Result<(), Broken> {
        let config = Arc::clone(&self.config);
        self.journal_append(changes)?;
        let all: Vec<Change> = changes.iter().copied().collect();
        if let Err(error) = self.record(order, &all) {
            self.journal_append(&changes.inverse())?;
            return Err(Broken::Disk(error));
        }
        if let Err(errors) = self.publisher.edit(edits, &config.rules(), larger) {
            self.journal_append(&changes.inverse())?;
            let back: Vec<Change> = all.iter().map(Change::inverse).collect();
            self.record(order, &back).map_err(Broken::Disk)?;
            return Err(Broken::Rows(errors));
        }
        self.move_ends(&all);
        self.announce(order, &all);
        Ok(())
    }

    fn journal_append(&mut self, changes: &Changes) -> Result<(), Broken> {
        match &mut self.journal {
            Some(journal) => {
                journal.append(changes).map_err(|error| Broken::Disk(cannot_write(&error)))
            }
            None => Ok(()),
        }
    }

    /// Takes down in the history what is about to change.
    pub(super) fn record(
        &mut self,
        order: &Order<'_>,
        changes: &[Change],
    ) -> Result<(), ControlError> {
        let Some(history) = &mut self.history else {
            self.version += 1;
            return Ok(());
        };
        history.append(order.actor, order.action, changes).map_err(|error| {
            ControlError::internal(format!(
                "the history of bindings cannot be written ({error}): nothing was changed: make \
                 room, or do without it by softwires.retention = 0"
            ))
        })?;
        self.version = history.version();
        Ok(())
    }

    /// Follows, in when softwires end, changes that were made.
    pub(super) fn move_ends(&self, changes: &[Change]) {
        let mut leases = self.leases.write().unwrap_or_else(PoisonError::into_inner);
        for change in changes {
            if let Some(key) = change.key() {
                leases.set(key, change.after.and_then(|after| after.until));
            }
        }
    }

    /// Tells those who listen what has changed.
    pub(super) fn announce(&mut self, order: &Order<'_>, changes: &[Change]) {
        self.modified = Timestamp::now();
        // Nobody may be listening.
        _ = self.events.send(Arc::new(Event::new(order, self.version, changes)));
        let leases = self.leases.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(history) = &mut self.history {
            let table = self.publisher.table();
            history.tidy(table.len(), table.softwires().map(|softwire| leases.bind(softwire)));
        }
    }
}

/// Why changes that had been checked were not made.
#[derive(Debug)]
pub(super) enum Broken {
    /// The table does not take them.
    Rows(Vec<RowError>),
    /// They cannot be kept.
    Disk(ControlError),
}

pub(super) fn cannot_write(error: &std::io::Error) -> ControlError {
    ControlError::internal(format!(
        "the journal of edited softwires cannot be written ({error}): nothing was changed"
    ))
}
