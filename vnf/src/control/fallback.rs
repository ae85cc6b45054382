//! A configuration that counts instead of what the files say, because that was taken back.
//!
//! `NAME.fallback` has a line of JSON with the text of the configuration file as it was, and then
//! all its softwires as a table file. It counts at a start as long as the files are those that were
//! taken back; when they are others, or are reloaded, it goes.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::binding::key;
use super::change::Changes;
use super::durable;
use super::error::ControlError;
use crate::config::{self, Config};
use crate::softwire::{Binding, TableWriter, file};

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Head {
    version: u32,
    since: Timestamp,
    why: String,
    instead_of: String,
    text: String,
}

/// What is kept, and why.
pub(super) struct Kept<'a> {
    /// The configuration that is to count.
    pub(super) config: &'a Config,
    /// What tells the files that are not to count from all others.
    pub(super) instead_of: &'a str,
    pub(super) why: &'a str,
}

/// Writes it down.
pub(super) fn write(
    path: &Path,
    Kept { config, instead_of, why }: Kept<'_>,
    table: impl Iterator<Item = Binding>,
) -> io::Result<()> {
    let head = Head {
        version: 1,
        since: Timestamp::now(),
        why: why.to_owned(),
        instead_of: instead_of.to_owned(),
        text: config.text.clone(),
    };
    let mut head = serde_json::to_vec(&head)?;
    head.push(b'\n');
    if let Some(directory) = path.parent() {
        durable::create_directory(directory)?;
    }
    durable::replace(path, |out| {
        out.write_all(&head)?;
        file::write(out, table).map(drop)
    })
}

/// A table, in order, as it is without these edits.
pub(super) fn without<'a>(
    table: &'a [Binding],
    edits: &'a Changes,
) -> impl Iterator<Item = Binding> + 'a {
    let is_made = |binding: &Binding| {
        edits.get(key(binding)).is_some_and(|edit| edit.after == Some(*binding))
    };
    let untouched = table.iter().copied().filter(move |binding| !is_made(binding));
    let before = edits.iter().filter_map(move |edit| {
        let found = table.binary_search_by_key(&edit.key()?, key).ok().map(|at| table[at]);
        // One that is not in force has changed nothing.
        edit.before.filter(|_| found == edit.after)
    });
    untouched.chain(before)
}

/// Reads the configuration to start with: what the files say, unless that was taken back.
pub fn load(
    path: &Path,
    journal: impl Fn(&Config) -> PathBuf,
) -> Result<(Config, TableWriter), ControlError> {
    let (config, writer) = config::load_with_table(path)?;
    let kept = journal(&config).with_extension("fallback");
    let refuse = |problem: String| {
        ControlError::refused(format!(
            "{}: {problem}: move it away to start with what the files say",
            kept.display()
        ))
    };
    let bytes = match fs::read(&kept) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok((config, writer)),
        Err(error) => return Err(refuse(error.to_string())),
    };
    let end = bytes.iter().position(|&byte| byte == b'\n').unwrap_or(bytes.len());
    let (head, table) = bytes.split_at(end);
    let head: Head = serde_json::from_slice(head).map_err(|error| refuse(error.to_string()))?;
    if head.instead_of != config.fingerprint {
        tracing::info!("the files have changed since {}: they count", head.why);
        durable::remove(&kept).map_err(|error| refuse(error.to_string()))?;
        return Ok((config, writer));
    }
    tracing::error!(
        "{}: {}, so what was there before counts, not the files: see `lwaftr config diff`; a \
         reload takes the files",
        path.display(),
        head.why
    );
    let table = table.strip_prefix(b"\n").unwrap_or_default();
    config::load_kept(path, &head.text, &kept, table).map_err(|errors| refuse(errors.to_string()))
}
