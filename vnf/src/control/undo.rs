//! Taking back the last change: because somebody wants it, or because a change that was to be
//! confirmed was not.
//!
//! A change that waits for its confirmation is written down first (`NAME.unconfirmed` for edits,
//! `NAME.fallback` for a reload), so that a process that is killed meanwhile comes back without it.
//! Nothing else can be changed until it is settled.

use std::collections::HashMap;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use jiff::Timestamp;

use super::actor::{Actor, Order};
use super::binding::{Leases, key};
use super::change::{Change, ChangeRow, Changes};
use super::durable;
use super::editor::{Editor, configure_log, settings};
use super::error::ControlError;
use super::fallback;
use super::journal::Journal;
use super::making::{Broken, cannot_write};
use super::row::Key;
use crate::config::Config;
use crate::softwire::{Binding, Edit, Softwire, TableWriter};

/// When taking back what was not confirmed has failed, it is tried again after this.
const AGAIN: Duration = Duration::from_secs(5);

/// What takes the last change back.
#[derive(Debug)]
pub(super) struct Undo {
    /// "reload by root (uid 0), control socket at 2026-11-27T12:00:00Z"
    what: String,
    changes: Vec<Change>,
    /// What a reload replaced, besides softwires.
    before: Option<Before>,
    confirm: Option<Confirm>,
}

#[derive(Debug)]
pub(super) struct Before {
    pub(super) config: Arc<Config>,
    pub(super) edits: Changes,
}

#[derive(Debug, Clone, Copy)]
struct Confirm {
    until: Instant,
    until_time: Timestamp,
}

impl Undo {
    pub(super) fn of_edit(order: &Order<'_>, changes: &Changes) -> Self {
        Self::new(order, changes.iter().copied().collect(), None)
    }

    pub(super) fn of_reload(order: &Order<'_>, changes: Vec<Change>, before: Before) -> Self {
        Self::new(order, changes, Some(before))
    }

    fn new(order: &Order<'_>, changes: Vec<Change>, before: Option<Before>) -> Self {
        let now = Timestamp::now();
        let confirm = order.confirm_within.map(|within| Confirm {
            until: Instant::now() + within,
            until_time: now.checked_add(within).unwrap_or(Timestamp::MAX),
        });
        let what = format!("{} by {} at {now:.0}", order.action, order.actor);
        Self { what, changes, before, confirm }
    }

    /// Writes down edits that are to be confirmed, before they are made.
    pub(super) fn prepare(&self, state: &Path) -> Result<(), ControlError> {
        if self.confirm.is_none() {
            return Ok(());
        }
        let rows: Vec<ChangeRow> = self.changes.iter().map(ChangeRow::from).collect();
        let written = serde_json::to_vec(&rows)
            .map_err(io::Error::from)
            .and_then(|text| durable::replace(&unconfirmed(state), |file| file.write_all(&text)));
        written.map_err(|error| cannot_prepare(&error))
    }

    /// What was prepared is of no use any more.
    pub(super) fn forget(&self, state: &Path) {
        if self.confirm.is_some()
            && let Err(error) = durable::remove(&unconfirmed(state))
        {
            tracing::warn!("{}: {error}", unconfirmed(state).display());
        }
    }

    /// What waits for its confirmation, and until when, in words.
    fn waiting(&self) -> Option<String> {
        let confirm = self.confirm?;
        let until = confirm.until_time;
        Some(format!("{}, to be confirmed until {until:.0}", self.what))
    }
}

pub(super) fn cannot_prepare(error: &io::Error) -> ControlError {
    ControlError::internal(format!(
        "what is there now cannot be written down ({error}), so it could not be restored: nothing \
         was changed"
    ))
}

fn unconfirmed(state: &Path) -> PathBuf {
    state.with_extension("unconfirmed")
}

/// Takes out of the journal edits that were not confirmed before the process ended.
pub(super) fn give_up_unconfirmed(
    state: &Path,
    journal: Option<&mut Journal>,
) -> Result<(), ControlError> {
    let path = unconfirmed(state);
    let text = match fs::read(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => {
            return Err(ControlError::refused(format!("{}: {error}", path.display())));
        }
    };
    let rows: Result<Vec<ChangeRow>, _> = serde_json::from_slice(&text);
    let changes: Result<Changes, String> = rows
        .map_err(|error| error.to_string())
        .and_then(|rows| rows.into_iter().map(Change::try_from).collect());
    let changes = changes.map_err(|error| {
        ControlError::refused(format!(
            "{}: {error}: move it away; the edits that it names then stay",
            path.display()
        ))
    })?;
    if let Some(journal) = journal {
        journal.append(&changes.inverse()).map_err(|error| cannot_write(&error))?;
    }
    tracing::warn!("edits of {} softwires had not been confirmed and are undone", changes.len());
    durable::remove(&path).map_err(|error| cannot_write(&error))
}

impl Editor {
    /// Says no while a change waits for its confirmation.
    pub(super) fn must_be_settled(&self) -> Result<(), ControlError> {
        match self.unconfirmed() {
            None => Ok(()),
            Some(waiting) => Err(ControlError::refused(format!(
                "another change comes first: {waiting}: `lwaftr config confirm` keeps it, \
                 `lwaftr config rollback` undoes it"
            ))),
        }
    }

    /// The change that waits for its confirmation, in words.
    #[must_use]
    pub fn unconfirmed(&self) -> Option<String> {
        self.undo.as_ref().and_then(Undo::waiting)
    }

    /// A change should have been confirmed by now.
    pub(super) fn is_overdue(&self) -> bool {
        let confirm = self.undo.as_ref().and_then(|undo| undo.confirm);
        confirm.is_some_and(|confirm| confirm.until <= Instant::now())
    }

    /// Keeps the change that waits for its confirmation.
    pub fn confirm(&mut self) -> Result<String, ControlError> {
        let state = self.state_file("fallback");
        let Some(undo) = self.undo.as_mut().filter(|undo| undo.confirm.is_some()) else {
            return Err(ControlError::refused("no change waits for a confirmation"));
        };
        let path = if undo.before.is_some() { state } else { unconfirmed(&state) };
        durable::remove(&path).map_err(|error| {
            ControlError::internal(format!("{}: {error}: not confirmed", path.display()))
        })?;
        undo.confirm = None;
        Ok(undo.what.clone())
    }

    /// Takes the last change back; says which that was.
    pub fn roll_back(&mut self, order: &Order<'_>) -> Result<String, ControlError> {
        let Some(mut undo) = self.undo.take() else {
            return Err(ControlError::refused(
                "there is nothing to take back: nothing has changed since the start or the last \
                 rollback",
            ));
        };
        let undone = match undo.before.take() {
            None => self.undo_edit(order, &undo),
            Some(before) => {
                let undone = self.undo_reload(order, &undo, &before);
                undo.before = Some(before);
                undone
            }
        };
        match undone {
            Ok(()) => Ok(undo.what),
            Err(error) => {
                if let Some(confirm) = &mut undo.confirm {
                    confirm.until = Instant::now() + AGAIN;
                }
                self.undo = Some(undo);
                Err(error)
            }
        }
    }

    /// Softwires that have ended, or are no more what the edit made of them, stay as they are.
    fn undo_edit(&mut self, order: &Order<'_>, undo: &Undo) -> Result<(), ControlError> {
        let now = Timestamp::now();
        let mut edits = Vec::new();
        let mut changes = Changes::default();
        for change in &undo.changes {
            let Some(key) = change.key() else { continue };
            let there = self.at(key);
            if there != change.after {
                continue;
            }
            let back = change.before.filter(|before| before.is_live(now));
            if there.map(|there| there.softwire) != back.map(|back| back.softwire) {
                edits.extend(there.map(|_| Edit::Remove { ipv4: key.ipv4, psid: key.psid }));
                edits.extend(back.map(|back| Edit::Add(back.softwire)));
            }
            changes.add(Change { before: there, after: back });
        }
        let broken = |errors| ControlError::internal(format!("cannot be taken back: {errors:?}"));
        let config = Arc::clone(&self.config);
        let larger = self.publisher.prepare(&edits, &config.rules()).map_err(broken)?;
        self.carry_out(order, &edits, &changes, larger).map_err(|error| match error {
            Broken::Rows(errors) => broken(errors),
            Broken::Disk(error) => error,
        })?;
        undo.forget(&self.state_file("journal"));
        Ok(())
    }

    /// The softwire of a key.
    fn at(&self, of: Key) -> Option<Binding> {
        let at = self.publisher.table().at(of.ipv4).into_iter();
        at.map(|softwire| self.leases().bind(softwire)).find(|binding| key(binding) == of)
    }

    /// What the files say is not what runs afterwards: a restart must not bring it back.
    fn undo_reload(
        &mut self,
        order: &Order<'_>,
        undo: &Undo,
        Before { config, edits }: &Before,
    ) -> Result<(), ControlError> {
        let now = Timestamp::now();
        let back: HashMap<Key, Option<Binding>> =
            undo.changes.iter().filter_map(|change| Some((change.key()?, change.before))).collect();
        let mut all: Vec<Binding> = {
            let leases = self.leases();
            let there = self.publisher.table().softwires().map(|softwire| leases.bind(softwire));
            let kept = there.filter(|binding| !back.contains_key(&key(binding)));
            let restored = back.values().flatten().filter(|binding| binding.is_live(now)).copied();
            kept.chain(restored).collect()
        };
        all.sort_by_key(key);
        if undo.confirm.is_none() {
            let why = format!("{} was rolled back", undo.what);
            fallback::write(
                &self.state_file("fallback"),
                fallback::Kept { config, instead_of: &self.config.fingerprint, why: &why },
                fallback::without(&all, edits),
            )
            .map_err(|error| cannot_prepare(&error))?;
        }
        let softwires: Vec<Softwire> = all.iter().map(|binding| binding.softwire).collect();
        let workers = if config.softwires.counters { config.workers.number() } else { 0 };
        let writer = TableWriter::build(&softwires, &config.rules())
            .and_then(|writer| writer.counting(workers))
            .map_err(|errors| ControlError::internal(format!("cannot be restored: {errors:?}")))?;
        let mut leases = Leases::default();
        for binding in &all {
            leases.set(key(binding), binding.until);
        }
        self.replace_all(order, Arc::clone(config), (writer, leases), edits)
    }

    /// Publishes another configuration with its table.
    pub(super) fn replace_all(
        &mut self,
        order: &Order<'_>,
        config: Arc<Config>,
        (writer, leases): (TableWriter, Leases),
        edits: &Changes,
    ) -> Result<(), ControlError> {
        let changes = self.changes_to(&writer, &leases);
        self.ports.open(&self.config, &config)?;
        self.keep_history(&config)?;
        self.record(order, &changes)?;
        if let Some(journal) = &mut self.journal
            && let Err(error) = journal.rewrite(edits.clone())
        {
            let error = cannot_write(&error);
            let back: Vec<Change> = changes.iter().map(Change::inverse).collect();
            self.record(order, &back)?;
            return Err(error);
        }
        self.publisher.publish(settings(&config, self.macs), writer);
        self.ports.close(&self.config, &config);
        let logs =
            |config: &Config| (config.instance.log_level.clone(), config.instance.log_format);
        if logs(&config) != logs(&self.config) {
            configure_log(&config);
        }
        self.config = config;
        self.loaded = SystemTime::now();
        *self.leases.write().unwrap_or_else(std::sync::PoisonError::into_inner) = leases;
        self.announce(order, &changes);
        Ok(())
    }
}

/// The actor of what was not confirmed in time.
pub(super) fn impatience() -> Actor {
    Actor::instance("not confirmed in time")
}
