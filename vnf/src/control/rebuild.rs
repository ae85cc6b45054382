//! A table without room for a batch is built anew, with that batch and with room again.

use std::collections::HashSet;

use super::row::Key;
use crate::softwire::{Edit, EditError, RowError, Rules, Softwire, TableWriter};

/// Applies a batch to a table that nobody reads yet; replaces it by a larger one where it must.
pub(super) fn apply_or_rebuild(
    writer: &mut TableWriter,
    edits: &[Edit],
    rules: &Rules<'_>,
) -> Result<(), Vec<RowError>> {
    match writer.apply(edits, rules) {
        Ok(applied) => {
            writer.release(applied.retired);
            Ok(())
        }
        Err(EditError::Invalid(errors)) => Err(errors),
        Err(EditError::Full) => {
            *writer = rebuilt(writer, edits, rules)?;
            Ok(())
        }
    }
}

/// A table with the softwires that a batch, which must be valid, makes of those of this one.
/// Errors name edits of the batch.
pub(super) fn rebuilt(
    writer: &TableWriter,
    edits: &[Edit],
    rules: &Rules<'_>,
) -> Result<TableWriter, Vec<RowError>> {
    let (table, counting_workers) = (writer.table(), writer.counting_workers());
    let removed: HashSet<Key> = edits
        .iter()
        .filter_map(|edit| match *edit {
            Edit::Remove { ipv4, psid } => Some(Key { ipv4, psid }),
            Edit::Add(_) => None,
        })
        .collect();
    let mut softwires: Vec<Softwire> =
        table.softwires().filter(|softwire| !removed.contains(&Key::of(softwire))).collect();
    let kept = softwires.len();
    let mut added = Vec::new();
    for (number, edit) in edits.iter().enumerate() {
        if let Edit::Add(softwire) = edit {
            softwires.push(*softwire);
            added.push(number);
        }
    }
    let built =
        TableWriter::build(&softwires, rules).and_then(|built| built.counting(counting_workers));
    built.map_err(|mut errors| {
        for error in &mut errors {
            // The table's own rows were good without the batch, whose last edit stands for it all.
            let edit = error.row.checked_sub(kept).and_then(|row| added.get(row));
            error.row = edit.copied().unwrap_or(edits.len().saturating_sub(1));
        }
        errors
    })
}
