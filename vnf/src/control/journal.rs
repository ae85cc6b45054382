//! The edits that were made by hand, on disk, so that they survive a reload and a restart.
//!
//! One JSON line per batch, appended and fsynced before the batch is applied:
//!
//! ```text
//! {"version":1,"changes":[{"before":{"ipv4":...},"after":{"ipv4":...}}, ...]}
//! ```
//!
//! `before` is what the batch found, `after` what it left. That tells later whether a new file
//! contains an edit already, or contradicts it. A last line without its newline is a batch that
//! nobody was told had succeeded; it is dropped. A whole line that cannot be read is never touched:
//! it may be somebody's edits. When lines have piled up, what they come to is written aside and
//! renamed into place.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::change::{Change, ChangeRow, Changes};
use super::durable::{create_directory, directory_of};

/// The format's version.
const VERSION: u32 = 1;

/// So many changes may be on disk beyond twice those that count.
const SLACK: usize = 10_000;

/// Changes per line of a rewritten journal.
const PER_LINE: usize = 1_000;

/// An open journal. No other process can open it meanwhile.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: File,
    /// What all lines come to.
    changes: Changes,
    /// Changes on disk.
    written: usize,
    /// Where the whole lines end, while half a line may stand behind them.
    torn_at: Option<u64>,
    /// The directory, while a power failure may bring back the journal that this one replaced.
    unsynced: Option<File>,
}

/// Why there is no journal.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The operating system refuses.
    #[error("{}: {error}", path.display())]
    Io {
        /// The journal.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// Another instance has it.
    #[error(
        "{}: in use by another instance of the same name: give this one another instance.name",
        path.display()
    )]
    InUse {
        /// The journal.
        path: PathBuf,
    },
    /// It holds something that was not written by us.
    #[error(
        "{}:{line}: {problem}: repair or delete that line, or move the file away to give up the \
         edits in it",
        path.display()
    )]
    Corrupt {
        /// The journal.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        problem: String,
    },
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    version: u32,
    changes: Vec<ChangeRow>,
}

/// Where the journal of an instance is kept: below `$STATE_DIRECTORY` (systemd's), else
/// `/var/lib/lwaftr`.
#[must_use]
pub fn default_path(instance: &str) -> PathBuf {
    let state = std::env::var_os("STATE_DIRECTORY")
        .and_then(|list| std::env::split_paths(&list).next())
        .unwrap_or_else(|| PathBuf::from("/var/lib/lwaftr"));
    state.join(format!("{instance}.journal"))
}

impl Journal {
    /// Opens the journal, or begins one.
    pub fn open(path: &Path) -> Result<Self, JournalError> {
        let io_error = |error| JournalError::Io { path: path.to_owned(), error };
        let directory = directory_of(path);
        create_directory(directory).map_err(io_error)?;
        let mut file = open(path).map_err(io_error)?;
        // It may be new, and is to be found after a power failure.
        File::open(directory).and_then(|directory| directory.sync_all()).map_err(io_error)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => {
                return Err(JournalError::InUse { path: path.to_owned() });
            }
            Err(fs::TryLockError::Error(error)) => return Err(io_error(error)),
        }
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(io_error)?;
        let (changes, written, length) = read(&bytes).map_err(|(line, problem)| {
            JournalError::Corrupt { path: path.to_owned(), line, problem }
        })?;
        if length < bytes.len() {
            let path = path.display();
            tracing::warn!("{path}: the last line is cut short and dropped: it was never applied");
            file.set_len(length as u64).and_then(|()| file.sync_all()).map_err(io_error)?;
            file.seek(SeekFrom::End(0)).map_err(io_error)?;
        }
        Ok(Self { path: path.to_owned(), file, changes, written, torn_at: None, unsynced: None })
    }

    /// What all edits come to.
    #[must_use]
    pub fn changes(&self) -> &Changes {
        &self.changes
    }

    /// Writes a batch. When this returns it survives a power failure.
    pub fn append(&mut self, batch: &Changes) -> io::Result<()> {
        if batch.is_empty() {
            return Ok(());
        }
        self.sync_directory()?;
        self.cut_torn_line()?;
        let end = self.file.stream_position()?;
        let written = self.file.write_all(&line(batch.iter())).and_then(|()| self.file.sync_data());
        if let Err(error) = written {
            self.torn_at = Some(end);
            // If it cannot be done now, it is done before the next edit.
            let _ = self.cut_torn_line();
            return Err(error);
        }
        for change in batch.iter() {
            self.changes.add(*change);
        }
        self.written += batch.len();
        if self.written > 2 * self.changes.len() + SLACK {
            // The batch is safe whatever becomes of this.
            if let Err(error) = self.rewrite(self.changes.clone()) {
                tracing::warn!("{}: cannot be made shorter: {error}", self.path.display());
            }
        }
        Ok(())
    }

    /// Takes away what a failed write left: half a line in the middle of the file would make it
    /// unreadable.
    fn cut_torn_line(&mut self) -> io::Result<()> {
        if let Some(end) = self.torn_at {
            self.file.set_len(end)?;
            self.file.seek(SeekFrom::Start(end))?;
            self.torn_at = None;
        }
        Ok(())
    }

    /// Replaces the journal by one that holds just these changes.
    pub fn rewrite(&mut self, changes: Changes) -> io::Result<()> {
        if changes == self.changes && self.written == changes.len() {
            return Ok(());
        }
        let directory = File::open(directory_of(&self.path))?;
        self.rewrite_in(directory, changes)
    }

    /// Whatever fails up to the renaming leaves everything as it was; from there on the new file
    /// is the journal.
    fn rewrite_in(&mut self, directory: File, changes: Changes) -> io::Result<()> {
        let mut aside = self.path.clone().into_os_string();
        aside.push(".new");
        let mut file = open(Path::new(&aside))?;
        file.try_lock()?;
        file.set_len(0)?;
        let all: Vec<&Change> = changes.iter().collect();
        for some in all.chunks(PER_LINE) {
            file.write_all(&line(some.iter().copied()))?;
        }
        file.sync_all()?;
        fs::rename(&aside, &self.path)?;
        self.file = file;
        self.torn_at = None;
        self.written = changes.len();
        self.changes = changes;
        self.unsynced = Some(directory);
        if let Err(error) = self.sync_directory() {
            tracing::warn!(
                "{}: replaced, but a power failure may bring the old one back ({error}); tried \
                 again before the next edit",
                self.path.display()
            );
        }
        Ok(())
    }

    /// Makes sure that a power failure leaves the present file under this name.
    fn sync_directory(&mut self) -> io::Result<()> {
        if let Some(directory) = &self.unsynced {
            directory.sync_all()?;
            self.unsynced = None;
        }
        Ok(())
    }
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o640).open(path)
}

fn line<'a>(changes: impl Iterator<Item = &'a Change>) -> Vec<u8> {
    let line = Line { version: VERSION, changes: changes.map(ChangeRow::from).collect() };
    let mut bytes =
        serde_json::to_vec(&line).expect("a line is made of numbers, addresses and fixed names");
    bytes.push(b'\n');
    bytes
}

/// What the lines come to, how many changes they hold, and the bytes of the whole ones; or which
/// line is wrong.
fn read(bytes: &[u8]) -> Result<(Changes, usize, usize), (usize, String)> {
    let mut changes = Changes::default();
    let (mut written, mut length) = (0, 0);
    for (number, text) in (1..).zip(bytes.split_inclusive(|&byte| byte == b'\n')) {
        // Only the last line can be without its newline.
        let Some(whole) = text.strip_suffix(b"\n") else { break };
        let batch = parse(whole).map_err(|problem| (number, problem))?;
        written += batch.len();
        for change in batch {
            changes.add(change);
        }
        length += text.len();
    }
    Ok((changes, written, length))
}

fn parse(text: &[u8]) -> Result<Vec<Change>, String> {
    let line: Line = serde_json::from_slice(text).map_err(|error| error.to_string())?;
    if line.version != VERSION {
        return Err(format!(
            "version {} of the format, and this program knows {VERSION}",
            line.version
        ));
    }
    line.changes.into_iter().map(Change::try_from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::softwire::{Binding, PortSet, Softwire};

    fn softwire(psid: u16, b4: u16) -> Binding {
        Binding::from(Softwire {
            ipv4: "203.0.113.7".parse().unwrap(),
            port_set: PortSet::new(6, 6, psid).unwrap(),
            b4: format!("2001:db8::{b4:x}").parse().unwrap(),
            br: "2001:db8:ffff::1".parse().unwrap(),
        })
    }

    fn added(psid: u16, b4: u16) -> Change {
        Change { before: None, after: Some(softwire(psid, b4)) }
    }

    fn batch(changes: &[Change]) -> Changes {
        changes.iter().copied().collect()
    }

    #[test]
    fn edits_survive_and_sum_up() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("deep/a.journal");
        let mut journal = Journal::open(&path).unwrap();
        journal.append(&batch(&[added(1, 1), added(2, 2)])).unwrap();
        let moved = Change { before: Some(softwire(1, 1)), after: Some(softwire(1, 9)) };
        let gone = Change { before: Some(softwire(2, 2)), after: None };
        journal.append(&batch(&[moved, gone])).unwrap();
        drop(journal);
        let journal = Journal::open(&path).unwrap();
        assert_eq!(journal.changes(), &batch(&[added(1, 9)]));
        assert_eq!(fs::read_to_string(&path).unwrap().lines().count(), 2);
    }

    #[test]
    fn a_torn_last_line_is_dropped_and_the_next_one_is_whole() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.journal");
        let mut journal = Journal::open(&path).unwrap();
        journal.append(&batch(&[added(1, 1)])).unwrap();
        journal.append(&batch(&[added(2, 2)])).unwrap();
        drop(journal);
        let bytes = fs::read(&path).unwrap();
        let first = bytes.iter().position(|&byte| byte == b'\n').unwrap() + 1;
        for cut in first + 1..bytes.len() {
            fs::write(&path, &bytes[..cut]).unwrap();
            let mut journal = Journal::open(&path).unwrap();
            assert_eq!(journal.changes(), &batch(&[added(1, 1)]), "cut at {cut}");
            journal.append(&batch(&[added(3, 3)])).unwrap();
            drop(journal);
            let journal = Journal::open(&path).unwrap();
            assert_eq!(journal.changes(), &batch(&[added(1, 1), added(3, 3)]));
        }
    }

    #[test]
    fn a_corrupt_line_is_named_and_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.journal");
        let mut journal = Journal::open(&path).unwrap();
        for psid in 0..3 {
            journal.append(&batch(&[added(psid, psid + 1)])).unwrap();
        }
        drop(journal);
        let text = fs::read_to_string(&path).unwrap();
        for (bad, problem) in [
            ("rubbish", "expected value"),
            (r#"{"version":2,"changes":[]}"#, "version 2"),
            (
                r#"{"version":1,"changes":[{"after":{"ipv4":"1.2.3.4","psid-len":3,"psid":8,"b4-ipv6":"::1","br-ipv6":"::1"}}]}"#,
                "psid 8 does not fit",
            ),
        ] {
            for wrong in 0..3 {
                let mut lines: Vec<&str> = text.lines().collect();
                lines[wrong] = bad;
                let text = lines.join("\n") + "\n";
                fs::write(&path, &text).unwrap();
                let error = Journal::open(&path).unwrap_err().to_string();
                assert!(error.contains(&format!("a.journal:{}: ", wrong + 1)), "{error}");
                assert!(error.contains(problem), "{error}");
                assert_eq!(fs::read_to_string(&path).unwrap(), text, "the edits are still there");
            }
        }
    }

    #[test]
    fn a_rewritten_journal_that_may_not_be_durable_is_used_and_synced_before_the_next_edit() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.journal");
        let mut journal = Journal::open(&path).unwrap();
        journal.append(&batch(&[added(1, 1), added(2, 2)])).unwrap();
        // Something that cannot be synced, as a failing disk cannot.
        let failing = File::open("/dev/null").unwrap();
        assert!(failing.sync_all().is_err());
        journal.rewrite_in(failing, batch(&[added(2, 2)])).unwrap();
        journal.append(&batch(&[added(3, 3)])).unwrap_err();
        assert_eq!(journal.changes(), &batch(&[added(2, 2)]), "what was refused is not there");
        journal.unsynced = Some(File::open(directory.path()).unwrap());
        journal.append(&batch(&[added(4, 4)])).unwrap();
        drop(journal);
        let journal = Journal::open(&path).unwrap();
        assert_eq!(journal.changes(), &batch(&[added(2, 2), added(4, 4)]));
    }

    #[test]
    fn half_a_line_that_could_not_be_cut_off_is_before_the_next_edit() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.journal");
        let mut journal = Journal::open(&path).unwrap();
        journal.append(&batch(&[added(1, 1)])).unwrap();
        // A disk that is full, and on which nothing can be cut either.
        let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
        let end = journal.file.stream_position().unwrap();
        let mut real = std::mem::replace(&mut journal.file, full);
        journal.append(&batch(&[added(2, 2)])).unwrap_err();
        real.write_all(b"{\"version\":1,\"cha").unwrap();
        journal.torn_at = Some(end);
        journal.append(&batch(&[added(3, 3)])).unwrap_err();
        journal.file = real;
        journal.append(&batch(&[added(4, 4)])).unwrap();
        drop(journal);
        let journal = Journal::open(&path).unwrap();
        assert_eq!(journal.changes(), &batch(&[added(1, 1), added(4, 4)]));
    }

    #[test]
    fn rewriting_keeps_what_counts_and_the_lock() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.journal");
        let mut journal = Journal::open(&path).unwrap();
        for psid in 0..60 {
            journal.append(&batch(&[added(psid, psid + 1)])).unwrap();
        }
        journal.rewrite(batch(&[added(5, 6)])).unwrap();
        assert!(matches!(Journal::open(&path), Err(JournalError::InUse { .. })));
        journal.append(&batch(&[added(6, 7)])).unwrap();
        drop(journal);
        let journal = Journal::open(&path).unwrap();
        assert_eq!(journal.changes(), &batch(&[added(5, 6), added(6, 7)]));
        assert_eq!(fs::read_to_string(&path).unwrap().lines().count(), 2);
    }

    #[test]
    fn what_piled_up_is_compacted_by_itself() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.journal");
        let mut journal = Journal::open(&path).unwrap();
        let there: Vec<Change> = (0..60).map(|psid| added(psid, psid + 1)).collect();
        let gone: Vec<Change> =
            there.iter().map(|change| Change { before: change.after, after: None }).collect();
        for _ in 0..100 {
            journal.append(&batch(&there)).unwrap();
            journal.append(&batch(&gone)).unwrap();
        }
        let lines = fs::read_to_string(&path).unwrap().lines().count();
        assert!(lines < 200, "{lines} lines");
        assert!(journal.changes().is_empty());
    }
}
