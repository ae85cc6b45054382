//! Reloading the configuration.
//!
//! [`prepare`] does all that takes time, aside and without a lock: read, check, build, lay the
//! journalled edits over it, compare. [`Editor::commit`] publishes the result. In between, nothing
//! else may change the configuration. Whatever is wrong, what runs goes on running.

use std::sync::{Arc, PoisonError, RwLock};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::actor::Order;
use super::binding::Leases;
use super::change::{Change, Changes};
use super::compare::{TableDifference, changes_between};
use super::durable;
use super::editor::Editor;
use super::error::ControlError;
use super::expiry::drop_ended;
use super::fallback;
use super::history::History;
use super::opening::conflict;
use super::undo::{Before, Undo, cannot_prepare};
use crate::config::{self, Config};
use crate::softwire::{BindingTable, TableWriter};

/// How to reload.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
pub struct ReloadOptions {
    /// Say what would change, and change nothing.
    pub dry_run: bool,
    /// Remove as many softwires as the files say.
    pub force: bool,
    /// Give up the edits that were made by hand.
    pub discard_edits: bool,
    /// Undo it unless it is confirmed within so many seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confirm_within: Option<u32>,
}

/// What a reload changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct ReloadReport {
    /// The keys that differ, as `key: old -> new`.
    pub settings: Vec<String>,
    /// The softwires that differ.
    pub softwires: TableDifference,
    /// How many softwires there are afterwards.
    pub total: usize,
    /// Edits that still make a difference to the files.
    pub edits_kept: usize,
    /// Edits that the files contain by now, or that were given up.
    pub edits_dropped: usize,
    /// What works but should be known.
    pub warnings: Vec<String>,
    /// Why it is refused (by a dry run: would be).
    pub refused: Option<String>,
}

/// What runs, to be compared with.
#[derive(Debug)]
pub struct Basis {
    pub(super) config: Arc<Config>,
    pub(super) table: Arc<BindingTable>,
    pub(super) leases: Arc<RwLock<Leases>>,
    pub(super) unconfirmed: Option<String>,
    edits: Changes,
    unsettled: Option<ControlError>,
    largest_mtus: [u16; 2],
}

/// A reload, ready to be published.
#[derive(Debug)]
pub struct Prepared {
    config: Config,
    writer: TableWriter,
    leases: Leases,
    changes: Vec<Change>,
    kept: Changes,
    /// What it changes.
    pub report: ReloadReport,
}

/// Reads the configuration anew and finds out what it changes. An error when it cannot be read;
/// what is refused for other reasons is in the report.
pub fn prepare(basis: &Basis, options: ReloadOptions) -> Result<Prepared, ControlError> {
    let loaded = config::load_with_table(&basis.config.path);
    let (mut config, mut writer) = loaded?;
    let mut leases = Leases::of(config.ends());
    config.forget_rows();
    let now = Timestamp::now();
    let mut refusals = Vec::new();
    refusals.extend(basis.unsettled.as_ref().map(ToString::to_string));
    let differences = config::differences(&basis.config, &config);
    for difference in differences.iter().filter(|difference| difference.key.restart) {
        refusals.push(format!("{difference}: needs a restart: change it back, or restart"));
    }
    refusals.extend(too_large(&config, basis.largest_mtus));
    let kept = if options.discard_edits {
        Changes::default()
    } else {
        {
            let laid = basis.edits.lay_over(&mut writer, &mut leases, &config.rules(), now);
            laid.unwrap_or_else(|conflicts| {
                refusals.push(conflict(&conflicts, basis.edits.len()).message);
                basis.edits.clone()
            })
        }
    };
    drop_ended(&mut writer, &mut leases, &config.rules(), now)?;
    let changes = {
        let old = basis.leases.read().unwrap_or_else(PoisonError::into_inner);
        changes_between(
            basis.table.softwires().map(|softwire| old.bind(softwire)),
            writer.table().softwires().map(|softwire| leases.bind(softwire)),
        )
    };
    let softwires = TableDifference::of(&changes);
    if !options.force {
        refusals.extend(too_many(&softwires, &basis.table, &config));
    }
    let report = ReloadReport {
        settings: differences.iter().map(ToString::to_string).collect(),
        softwires,
        total: writer.table().len(),
        edits_kept: kept.len(),
        edits_dropped: basis.edits.len() - kept.len(),
        warnings: config.warnings.clone(),
        refused: (!refusals.is_empty()).then(|| refusals.join("\n")),
    };
    Ok(Prepared { config, writer, leases, changes, kept, report })
}

/// What the ports, which stay as they were set up, cannot carry.
fn too_large(config: &Config, largest: [u16; 2]) -> Vec<String> {
    let wanted = [
        ("external.mtu", config.external.mtu, &config.external.port),
        ("internal.mtu", config.internal.mtu, &config.internal.port),
    ];
    let too_large = wanted.into_iter().zip(largest).filter(|((_, mtu, _), most)| mtu > most);
    too_large
        .map(|((key, mtu, port), most)| {
            format!("{key} = {mtu}: port `{port}` carries at most {most} bytes: use {most} or less")
        })
        .collect()
}

/// A truncated file must not cut off customers.
fn too_many(difference: &TableDifference, old: &BindingTable, config: &Config) -> Option<String> {
    let (removed, all) = (difference.removed, old.len());
    let limit = usize::from(config.softwires.max_removal);
    (removed * 100 > all * limit).then(|| {
        format!(
            "would remove {removed} of {all} softwires, more than softwires.max-removal = {limit} \
             per cent: is the file complete? --force removes them"
        )
    })
}

impl Editor {
    /// What runs now, for [`prepare`].
    #[must_use]
    pub fn basis(&self) -> Basis {
        Basis {
            config: Arc::clone(&self.config),
            table: Arc::clone(self.publisher.table()),
            leases: Arc::clone(&self.leases),
            unconfirmed: self.unconfirmed(),
            unsettled: self.must_be_settled().err(),
            edits: self
                .journal
                .as_ref()
                .map(|journal| journal.changes().clone())
                .unwrap_or_default(),
            largest_mtus: self.largest_mtus,
        }
    }

    /// Publishes a reload that was prepared from what runs now and is not refused.
    pub fn commit(
        &mut self,
        order: &Order<'_>,
        prepared: Prepared,
    ) -> Result<ReloadReport, ControlError> {
        let Prepared { config, writer, leases, changes, kept, report } = prepared;
        if let Some(reason) = report.refused {
            return Err(ControlError::refused(reason));
        }
        let edits =
            self.journal.as_ref().map(|journal| journal.changes().clone()).unwrap_or_default();
        let before = Before { config: Arc::clone(&self.config), edits };
        let instead = self.state_file("fallback");
        let undo = Undo::of_reload(order, changes, before);
        if order.confirm_within.is_some() {
            self.write_fallback(&config.fingerprint)?;
        }
        let replaced = self.replace_all(order, Arc::new(config), (writer, leases), &kept);
        if (replaced.is_ok() && order.confirm_within.is_none())
            || (replaced.is_err() && order.confirm_within.is_some())
        {
            // The files count from now on; or, as ever.
            durable::remove(&instead).map_err(|error| {
                ControlError::internal(format!("{}: {error}", instead.display()))
            })?;
        }
        replaced?;
        self.undo = Some(undo);
        Ok(report)
    }

    /// Makes sure that a start with files of this fingerprint leads to what runs now.
    fn write_fallback(&self, instead_of: &str) -> Result<(), ControlError> {
        let leases = self.leases();
        let all: Vec<_> =
            self.publisher.table().softwires().map(|softwire| leases.bind(softwire)).collect();
        let none = Changes::default();
        let edits = self.journal.as_ref().map_or(&none, |journal| journal.changes());
        let why = "the reload was not confirmed";
        fallback::write(
            &self.state_file("fallback"),
            fallback::Kept { config: &self.config, instead_of, why },
            fallback::without(&all, edits),
        )
        .map_err(|error| cannot_prepare(&error))
    }

    /// What makes another table of that which runs.
    pub(super) fn changes_to(&self, writer: &TableWriter, leases: &Leases) -> Vec<Change> {
        let old = self.leases();
        changes_between(
            self.publisher.table().softwires().map(|softwire| old.bind(softwire)),
            writer.table().softwires().map(|softwire| leases.bind(softwire)),
        )
    }

    /// Begins, ends or keeps the history of bindings as a configuration wants it.
    pub(super) fn keep_history(&mut self, config: &Config) -> Result<(), ControlError> {
        let directory = self.state_file("history");
        let days = config.softwires.retention;
        match &mut self.history {
            _ if days == 0 => {
                self.history = None;
                History::remove(&directory);
            }
            Some(history) => history.keep(days),
            None => {
                let opened = {
                    let leases = self.leases();
                    let table = self.publisher.table().softwires();
                    History::open(&directory, days, table.map(|softwire| leases.bind(softwire)))
                };
                let (history, _) = opened.map_err(|error| {
                    ControlError::refused(format!(
                        "the history of bindings in {} cannot be kept: {error}",
                        directory.display()
                    ))
                })?;
                self.history = Some(history);
            }
        }
        Ok(())
    }
}
