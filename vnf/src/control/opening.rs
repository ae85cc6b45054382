//! What an instance finds on disk when it starts: the journal of edits, the history of bindings, and
//! edits that contradict the files.

use std::path::Path;

use jiff::Timestamp;

use super::actor::Actor;
use super::binding::Leases;
use super::change::{Change, Changes};
use super::error::ControlError;
use super::history::History;
use super::journal::{Journal, JournalError};
use crate::config::Config;
use crate::softwire::{BindingTable, TableWriter};

/// So many edits that contradict the files are named; the others are counted.
const NAMED: usize = 50;

/// The journal, when the configuration wants one.
pub(super) fn open_journal(config: &Config, path: &Path) -> Result<Option<Journal>, ControlError> {
    if !config.softwires.persist {
        return Ok(None);
    }
    Journal::open(path).map(Some).map_err(|error| match error {
        JournalError::Io { .. } => ControlError::refused(format!(
            "the journal of edited softwires cannot be used: {error}: run as root, or let \
             $STATE_DIRECTORY name a directory that this user may write to (systemd: \
             StateDirectory=), or do without it by softwires.persist = false"
        )),
        JournalError::InUse { .. } | JournalError::Corrupt { .. } => {
            ControlError::refused(error.to_string())
        }
    })
}

/// The history of bindings, when the configuration wants one, and the version of the table.
pub(super) fn open_history(
    config: &Config,
    state: &Path,
    table: &BindingTable,
    leases: &Leases,
) -> Result<(Option<History>, u64), ControlError> {
    let directory = state.with_extension("history");
    if config.softwires.retention == 0 {
        History::remove(&directory);
        return Ok((None, 0));
    }
    let table = table.softwires().map(|softwire| leases.bind(softwire));
    let opened = History::open(&directory, config.softwires.retention, table);
    let kept = opened.and_then(|(mut history, missed)| {
        history.append(&Actor::instance("start"), "start", &missed)?;
        Ok((history.version(), history))
    });
    kept.map(|(version, history)| (Some(history), version)).map_err(|error| {
        ControlError::refused(format!(
            "the history of bindings in {} cannot be kept: {error}: run as root, or let \
             $STATE_DIRECTORY name a directory that this user may write to (systemd: \
             StateDirectory=), or do without it by softwires.retention = 0",
            directory.display()
        ))
    })
}

/// Lays over a table those edits that do not contradict it, and says which do. Returns what is to
/// be kept: both.
pub(super) fn lay_over_what_fits(
    changes: &Changes,
    (writer, leases): (&mut TableWriter, &mut Leases),
    config: &Config,
    now: Timestamp,
) -> Changes {
    let (mut fitting, mut left_out) = (changes.clone(), Vec::new());
    let mut kept = loop {
        match fitting.lay_over(writer, leases, &config.rules(), now) {
            Ok(kept) => break kept,
            Err(conflicts) => {
                // Without these, others may not fit any more.
                for (change, _) in &conflicts {
                    fitting.remove(change);
                }
                left_out.extend(conflicts);
            }
        }
    };
    if !left_out.is_empty() {
        tracing::error!(
            "edits that were made by hand contradict the configuration and are NOT in force; what \
             the file says is:\n{}\nthey are kept, and every reload is refused until they are \
             put into the table file, made anew, or given up: `lwaftr reload --discard-edits` \
             gives up all {} edits",
            described(&left_out),
            changes.len()
        );
    }
    for (change, _) in left_out {
        kept.add(change);
    }
    kept
}

/// Edits and files that contradict each other.
pub(super) fn conflict(conflicts: &[(Change, String)], edits: usize) -> ControlError {
    ControlError::refused(format!(
        "the configuration would undo edits that were made by hand:\n{}\nput them into the table \
         file, or use --discard-edits to give up all {edits} edits",
        described(conflicts)
    ))
}

/// One line for each conflict, the first of them.
fn described(conflicts: &[(Change, String)]) -> String {
    let mut lines: Vec<String> = conflicts
        .iter()
        .take(NAMED)
        .map(|(change, problem)| format!("  {change}: {problem}"))
        .collect();
    if conflicts.len() > NAMED {
        lines.push(format!("  and {} more", conflicts.len() - NAMED));
    }
    lines.join("\n")
}
