//! Reloading the configuration.
//!
//! [`prepare`] does all that takes time, aside and without a lock: read, check, build, lay the
//! journalled edits over it, compare. [`Editor::commit`] publishes the result. In between, nothing
//! else may change the configuration. Whatever is wrong, what runs goes on running.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::change::Changes;
use super::compare::TableDifference;
use super::editor::{Editor, PortMacs, cannot_write, conflict, settings};
use super::error::ControlError;
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
    config: Arc<Config>,
    table: Arc<BindingTable>,
    edits: Changes,
    macs: PortMacs,
    largest_mtus: [u16; 2],
}

/// A reload, ready to be published.
#[derive(Debug)]
pub struct Prepared {
    config: Config,
    writer: TableWriter,
    macs: PortMacs,
    kept: Changes,
    /// What it changes.
    pub report: ReloadReport,
}

/// Reads the configuration anew and finds out what it changes. An error when it cannot be read;
/// what is refused for other reasons is in the report.
pub fn prepare(basis: &Basis, options: ReloadOptions) -> Result<Prepared, ControlError> {
    let loaded = config::load_with_table(&basis.config.path);
    let (mut config, mut writer) = loaded?;
    config.forget_rows();
    let mut refusals = Vec::new();
    let differences = config::differences(&basis.config, &config);
    for difference in differences.iter().filter(|difference| difference.key.restart) {
        refusals.push(format!("{difference}: needs a restart: change it back, or restart"));
    }
    refusals.extend(too_large(&config, basis.largest_mtus));
    let kept = if options.discard_edits {
        Changes::default()
    } else {
        basis.edits.lay_over(&mut writer, &config.rules()).unwrap_or_else(|conflicts| {
            refusals.push(conflict(&conflicts, basis.edits.len()).message);
            basis.edits.clone()
        })
    };
    let softwires = TableDifference::between(&basis.table, writer.table());
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
    Ok(Prepared { config, writer, macs: basis.macs, kept, report })
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
            edits: self
                .journal
                .as_ref()
                .map(|journal| journal.changes().clone())
                .unwrap_or_default(),
            macs: self.macs,
            largest_mtus: self.largest_mtus,
        }
    }

    /// Publishes a reload that was prepared from what runs now and is not refused.
    pub fn commit(&mut self, prepared: Prepared) -> Result<ReloadReport, ControlError> {
        let Prepared { config, writer, macs, kept, report } = prepared;
        if let Some(reason) = report.refused {
            return Err(ControlError::refused(reason));
        }
        if let Some(journal) = &mut self.journal {
            journal.rewrite(kept).map_err(|error| cannot_write(&error))?;
        }
        self.publisher.publish(settings(&config, macs), writer);
        self.config = Arc::new(config);
        Ok(report)
    }
}
