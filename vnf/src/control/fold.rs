//! Edits that were made by hand, written into the files: the table file line by line, softwires of
//! the configuration file where they stand. Everything else stays as it is, comments too.
//!
//! What comes out is read as a start would read it, and must be what runs, before anything is
//! written. The table file is replaced first: a process that ends then finds edits in its journal
//! that the files contain already.

use std::collections::HashMap;
use std::fmt;
use std::fs;
use std::io::Write as _;
use std::net::Ipv6Addr;
use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use toml_edit::{DocumentMut, Table, value};

use super::binding::{Leases, key};
use super::change::{Change, Changes};
use super::compare::changes_between;
use super::durable;
use super::editor::Editor;
use super::error::ControlError;
use super::expiry::drop_ended;
use super::making::cannot_write;
use super::row::{Key, Row};
use crate::config;
use crate::softwire::Binding;
use crate::softwire::file::{self, COLUMNS, VALID_UNTIL};

/// What was folded.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Folded {
    /// Edits that the files contain now.
    pub edits: usize,
    /// Softwires taken out because they have ended.
    pub ended: usize,
    /// The files that were replaced.
    pub files: Vec<String>,
}

impl fmt::Display for Folded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { edits, ended, files } = self;
        match files[..] {
            [] => f.write_str("nothing to fold: the files say what runs"),
            _ => {
                let files = files.join(", ");
                write!(f, "{edits} edits and {ended} ended softwires folded into {files}")
            }
        }
    }
}

/// Writes the journal's edits into the files, and empties it.
pub(super) fn fold(editor: &mut Editor) -> Result<Folded, ControlError> {
    editor.must_be_settled()?;
    let Some(journal) = &editor.journal else {
        return Err(ControlError::refused(
            "edits are not kept (softwires.persist = false), so there is nothing to fold",
        ));
    };
    let now = Timestamp::now();
    let path = editor.config.path.clone();
    let text = fs::read_to_string(&path).map_err(|error| cannot(&path, &error))?;
    let loaded = config::load_with_table(&path);
    let (mut config, writer) = loaded?;
    if config.fingerprint != editor.config.fingerprint {
        return Err(ControlError::refused(
            "the files are not those that run: they have changed, or were taken back; see `lwaftr \
             config diff`, and reload first",
        ));
    }
    let ends = Leases::of(config.ends());
    let mut edits = journal.changes().clone();
    for ended in ends.ended(now) {
        if edits.get(ended).is_none()
            && let Some(softwire) =
                writer.table().at(ended.ipv4).into_iter().find(|at| Key::of(at) == ended)
        {
            edits.add(Change { before: Some(ends.bind(softwire)), after: None });
        }
    }
    let ended = edits.len() - journal.changes().len();
    if edits.is_empty() {
        return Ok(Folded::default());
    }
    let live = |change: &Change| Change {
        after: change.after.filter(|after| after.is_live(now)),
        ..*change
    };
    let mut left: HashMap<Key, Change> =
        edits.iter().filter_map(|change| Some((change.key()?, live(change)))).collect();
    let new_text = fold_inline(&text, &mut left).map_err(ControlError::internal)?;
    let mut files = Vec::new();
    let mut new_table = None;
    if !left.is_empty() {
        let Some(file) = &config.softwires.file else {
            return Err(ControlError::refused(
                "there is no table file to write edits into: name one with softwires.file, and \
                 reload",
            ));
        };
        let only_br = match config.softwires.br_addresses[..] {
            [br] => Some(br),
            _ => None,
        };
        let bytes = fs::read(file).map_err(|error| cannot(file, &error))?;
        new_table = Some((file.clone(), fold_table(&bytes, only_br, &mut left)));
    }
    let folded = Sources { text: new_text.as_deref().unwrap_or(&text), table: &new_table };
    let fingerprint = must_be_what_runs(editor, &path, &folded, now)?;
    for (file, bytes) in new_table
        .iter()
        .map(|(file, bytes)| (file.as_path(), bytes.as_slice()))
        .chain(new_text.as_ref().map(|text| (path.as_path(), text.as_bytes())))
    {
        durable::replace(file, |out| out.write_all(bytes)).map_err(|error| cannot(file, &error))?;
        files.push(file.display().to_string());
    }
    let edits = editor.journal.as_ref().map_or(0, |journal| journal.changes().len());
    if let Some(journal) = &mut editor.journal {
        journal.rewrite(Changes::default()).map_err(|error| cannot_write(&error))?;
    }
    config.forget_rows();
    config.fingerprint = fingerprint;
    config.text = new_text.unwrap_or(text);
    editor.config = Arc::new(config);
    Ok(Folded { edits, ended, files })
}

fn cannot(path: &Path, error: &std::io::Error) -> ControlError {
    ControlError::internal(format!("{}: {error}: the edits are kept as they were", path.display()))
}

/// What the files are to be.
struct Sources<'a> {
    text: &'a str,
    table: &'a Option<(std::path::PathBuf, Vec<u8>)>,
}

/// Reads new files as a start would, from a place aside; returns their fingerprint.
fn must_be_what_runs(
    editor: &Editor,
    path: &Path,
    Sources { text, table }: &Sources<'_>,
    now: Timestamp,
) -> Result<String, ControlError> {
    let table = table.as_ref().map(|(_, bytes)| bytes.as_slice());
    let (config, mut writer) = config::load_text(path, text, table)?;
    let mut leases = Leases::of(config.ends());
    drop_ended(&mut writer, &mut leases, &config.rules(), now)?;
    let running = editor.leases();
    let changes = changes_between(
        editor.publisher.table().softwires().map(|softwire| running.bind(softwire)),
        writer.table().softwires().map(|softwire| leases.bind(softwire)),
    );
    match changes.first() {
        None => Ok(config.fingerprint),
        Some(change) => Err(ControlError::refused(format!(
            "the edits and the files contradict each other: {} softwires would differ, the first: \
             {change}; see `lwaftr config diff`",
            changes.len()
        ))),
    }
}

/// A table file's text with these changes, which are taken out of `left`.
fn fold_table(bytes: &[u8], only_br: Option<Ipv6Addr>, left: &mut HashMap<Key, Change>) -> Vec<u8> {
    let parsed = file::parse(bytes, only_br);
    let mut lines: HashMap<usize, Option<Binding>> = HashMap::new();
    let (mut rows, mut has_ends) = (parsed.softwires.len(), !parsed.until.is_empty());
    for (row, binding) in parsed.bindings().enumerate() {
        if let Some(change) = left.remove(&key(&binding)) {
            rows -= usize::from(change.after.is_none());
            lines.insert(parsed.lines.of(row), change.after);
        }
    }
    let mut new: Vec<Binding> = left.drain().filter_map(|(_, change)| change.after).collect();
    new.sort_by_key(key);
    has_ends |= lines.values().flatten().chain(&new).any(|binding| binding.until.is_some());

    let mut out = Vec::with_capacity(bytes.len() + 64 * new.len());
    let mut all = bytes.split_inclusive(|&byte| byte == b'\n').enumerate().peekable();
    while let Some((number, line)) = all.next() {
        let rest_is_blank = all.peek().is_none();
        if parsed.has_trailer && is_trailer(line) {
            break;
        }
        match lines.get(&(number + 1)) {
            Some(None) => {}
            Some(Some(binding)) => push_row(&mut out, binding),
            None if has_ends && is_short_header(line) => {
                out.extend_from_slice(COLUMNS.join(",").as_bytes());
                out.extend_from_slice(format!(",{VALID_UNTIL}\n").as_bytes());
            }
            None => {
                out.extend_from_slice(line);
                if rest_is_blank && !line.ends_with(b"\n") {
                    out.push(b'\n');
                }
            }
        }
    }
    for binding in &new {
        push_row(&mut out, binding);
    }
    if parsed.has_trailer {
        let digest = Sha256::digest(&out);
        out.extend_from_slice(file::trailer((rows + new.len()) as u64, &digest).as_bytes());
    }
    out
}

fn push_row(out: &mut Vec<u8>, binding: &Binding) {
    out.extend_from_slice(Row::from(*binding).csv().as_bytes());
    out.push(b'\n');
}

fn is_trailer(line: &[u8]) -> bool {
    line.trim_ascii()
        .strip_prefix(b"#")
        .is_some_and(|rest| rest.trim_ascii_start().starts_with(b"rows="))
}

fn is_short_header(line: &[u8]) -> bool {
    let line = line.trim_ascii();
    let line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line);
    line.starts_with(COLUMNS[0].as_bytes()) && !line.ends_with(VALID_UNTIL.as_bytes())
}

/// The configuration file's text with these changes of its own softwires, which are taken out of
/// `left`; `None` when it has none of them.
fn fold_inline(text: &str, left: &mut HashMap<Key, Change>) -> Result<Option<String>, String> {
    let mut document: DocumentMut = text.parse().map_err(|error| format!("{error}"))?;
    let Some(tables) = document.get_mut("softwire").and_then(|it| it.as_array_of_tables_mut())
    else {
        return Ok(None);
    };
    let mut changed = false;
    let mut gone = Vec::new();
    for (number, table) in tables.iter_mut().enumerate() {
        let Some(change) = key_of(table).and_then(|key| left.remove(&key)) else { continue };
        changed = true;
        match change.after {
            Some(after) => set(table, &Row::from(after)),
            None => gone.push(number),
        }
    }
    for number in gone.into_iter().rev() {
        tables.remove(number);
    }
    Ok(changed.then(|| document.to_string()))
}

fn key_of(table: &Table) -> Option<Key> {
    let ipv4 = table.get("ipv4")?.as_str()?.parse().ok()?;
    let psid = table.get("psid").map_or(Some(0), toml_edit::Item::as_integer)?;
    Some(Key { ipv4, psid: u16::try_from(psid).ok()? })
}

/// Sets what differs.
fn set(table: &mut Table, row: &Row) {
    for (name, number) in [
        (COLUMNS[1], i64::from(row.psid_offset)),
        (COLUMNS[2], i64::from(row.psid_len)),
        (COLUMNS[3], i64::from(row.psid)),
    ] {
        if table.get(name).map_or(0, |it| it.as_integer().unwrap_or(0)) != number {
            put(table, name, number.into());
        }
    }
    let texts = [
        (COLUMNS[4], Some(row.b4_ipv6.to_string())),
        (COLUMNS[5], row.br_ipv6.map(|br| br.to_string())),
        (VALID_UNTIL, row.valid_until.map(|until| until.to_string())),
    ];
    for (name, text) in texts {
        match text {
            // The only BR address may stay unsaid; where it is said, it is set.
            Some(_) if name == COLUMNS[5] && !table.contains_key(name) => {}
            Some(text) if table.get(name).and_then(|it| it.as_str()) != Some(&text) => {
                put(table, name, text.into());
            }
            Some(_) => {}
            None => _ = table.remove(name),
        }
    }
}

/// Sets a value where it stands, with the comment behind it.
fn put(table: &mut Table, name: &str, new: toml_edit::Value) {
    match table.get_mut(name).and_then(|it| it.as_value_mut()) {
        Some(old) => {
            let decor = old.decor().clone();
            *old = new;
            *old.decor_mut() = decor;
        }
        None => _ = table.insert(name, value(new)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn binding(row: &str) -> Binding {
        file::parse(row.as_bytes(), None).bindings().next().unwrap()
    }

    fn left(changes: &[(Option<&str>, Option<&str>)]) -> HashMap<Key, Change> {
        let changes = changes.iter().map(|(before, after)| Change {
            before: before.map(binding),
            after: after.map(binding),
        });
        changes.map(|change| (change.key().unwrap(), change)).collect()
    }

    const A: &str = "203.0.113.1,6,8,1,2001:db8::1,2001:db8:ffff::1";
    const B: &str = "203.0.113.2,6,8,1,2001:db8::2,2001:db8:ffff::1";
    const C: &str = "203.0.113.3,6,8,1,2001:db8::3,2001:db8:ffff::1";
    const B2: &str = "203.0.113.2,6,8,1,2001:db8::22,2001:db8:ffff::1,2027-01-31T00:00:00Z";

    #[test]
    fn a_table_keeps_its_comments_and_gets_a_new_trailer() {
        let mut text = format!(
            "# made by hand\nipv4,psid-offset,psid-len,psid,b4-ipv6,br-ipv6\n{A}\n# keep\n{B}\n"
        )
        .into_bytes();
        let digest = Sha256::digest(&text);
        text.extend_from_slice(file::trailer(2, &digest).as_bytes());
        assert!(file::parse(&text, None).errors.is_empty());
        let mut changes = left(&[(Some(A), None), (Some(B), Some(B2)), (None, Some(C))]);
        let folded = fold_table(&text, None, &mut changes);
        assert!(changes.is_empty());
        let parsed = file::parse(&folded, None);
        assert_eq!(parsed.errors, []);
        assert_eq!(parsed.bindings().collect::<Vec<_>>(), [binding(B2), binding(C)]);
        let folded = String::from_utf8(folded).unwrap();
        let expected = format!(
            "# made by hand\nipv4,psid-offset,psid-len,psid,b4-ipv6,br-ipv6,valid-until\n\
             # keep\n{B2}\n{C}\n# rows=2 sha256="
        );
        assert!(folded.starts_with(&expected), "{folded}");
    }

    #[test]
    fn a_table_without_newline_or_trailer_stays_without_trailer() {
        let folded = fold_table(A.as_bytes(), None, &mut left(&[(None, Some(C))]));
        assert_eq!(String::from_utf8(folded).unwrap(), format!("{A}\n{C}\n"));
    }

    #[test]
    fn the_configuration_file_keeps_its_comments() {
        let text = "# top\n[softwires] # here\nfile = \"x\"\n\n# one\n[[softwire]]\nipv4 = \
                    \"203.0.113.1\"\npsid-offset = 6\npsid-len = 8\npsid = 1\nb4-ipv6 = \
                    \"2001:db8::1\" # Ann\n\n[[softwire]]\nipv4 = \"203.0.113.2\"\n\
                    psid-offset = 6\npsid-len = 8\npsid = 1\nb4-ipv6 = \"2001:db8::2\"\n";
        let moved = "203.0.113.1,6,8,1,2001:db8::11,2001:db8:ffff::1";
        let mut changes = left(&[(Some(A), Some(moved)), (Some(B), None), (None, Some(C))]);
        let folded = fold_inline(text, &mut changes).unwrap().unwrap();
        assert_eq!(changes.len(), 1, "the new one is for the table file");
        let end = text.find("\n[[softwire]]\nipv4 = \"203.0.113.2").unwrap();
        assert_eq!(folded, text[..end].replace("2001:db8::1\"", "2001:db8::11\""));
        assert_eq!(fold_inline("[softwires]\n", &mut changes).unwrap(), None);
    }
}
