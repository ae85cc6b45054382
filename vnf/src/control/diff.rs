//! Where what runs and what the files say differ.

use std::sync::PoisonError;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::binding::Leases;
use super::compare::{TableDifference, changes_between};
use super::error::ControlError;
use super::expiry::drop_ended;
use super::reload::Basis;
use super::row::Row;
use crate::config;

/// So many lines of softwires are shown.
const SHOWN: usize = 1_000;

/// The differences.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct DiffReport {
    /// Keys, as `key: file -> running`.
    pub settings: Vec<String>,
    /// Softwires that only run.
    pub added: usize,
    /// Softwires that are only in the files.
    pub removed: usize,
    /// Softwires that are in both and not the same.
    pub changed: usize,
    /// The first of them: `-` and `+`, and a line of a table file.
    pub lines: Vec<String>,
    /// A change waits for its confirmation.
    pub unconfirmed: Option<String>,
}

impl DiffReport {
    /// There are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.settings.is_empty() && self.added + self.removed + self.changed == 0
    }
}

/// Reads the files, and compares.
pub(super) fn report(basis: &Basis) -> Result<DiffReport, ControlError> {
    let loaded = config::load_with_table(&basis.config.path);
    let (config, mut writer) = loaded?;
    let mut leases = Leases::of(config.ends());
    drop_ended(&mut writer, &mut leases, &config.rules(), Timestamp::now())?;
    let changes = {
        let running = basis.leases.read().unwrap_or_else(PoisonError::into_inner);
        changes_between(
            writer.table().softwires().map(|softwire| leases.bind(softwire)),
            basis.table.softwires().map(|softwire| running.bind(softwire)),
        )
    };
    let TableDifference { added, removed, changed, .. } = TableDifference::of(&changes);
    let mut lines = Vec::new();
    for change in &changes {
        if lines.len() >= SHOWN {
            break;
        }
        lines.extend(change.before.map(|file| format!("-{}", Row::from(file).csv())));
        lines.extend(change.after.map(|runs| format!("+{}", Row::from(runs).csv())));
    }
    let settings = config::differences(&config, &basis.config);
    Ok(DiffReport {
        settings: settings.iter().map(ToString::to_string).collect(),
        added,
        removed,
        changed,
        lines,
        unconfirmed: basis.unconfirmed.clone(),
    })
}
