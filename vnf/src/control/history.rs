//! The history of bindings: who had an address and port at some time.
//!
//! A directory, `NAME.history`, with one file for each day (UTC) on which something changed, and a
//! copy of the table to start from. A file is a sequence of changes as they were made, each a line
//! of JSON and then what went and what came, as lines of a table file:
//!
//! ```text
//! {"time":"2026-11-27T12:00:00Z","version":7,"lines":2,"who":"root (uid 0)","from":"...","action":"reload"}
//! -203.0.113.7,6,8,52,2001:db8:0:7::1,2001:db8:ffff::1
//! +203.0.113.7,6,8,52,2001:db8:0:8::1,2001:db8:ffff::1
//! ```
//!
//! A change is on disk before it is in force. Nothing is written for what stays as it is, so a
//! change costs at most the lines of the old and the new table together. The copy of the table is
//! made anew when more lines have followed it than the table has softwires / 2; at a start, it and
//! what followed are compared with the table that is loaded, so what changed while nothing ran is
//! noticed. What a table was at some time is found by taking back all that came later.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, BufRead as _, BufReader, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::actor::Actor;
use super::binding::key;
use super::change::Change;
use super::compare::changes_between;
use super::durable;
use super::row::{Key, Row};
use crate::softwire::{Binding, file};

/// So many lines may follow the copy of the table, however small that is.
const SLACK: usize = 10_000;

/// The history of an instance.
#[derive(Debug)]
pub struct History {
    directory: PathBuf,
    /// Days for which it is kept.
    days: u16,
    /// The first moment that it knows of.
    begin: Timestamp,
    last: Timestamp,
    version: u64,
    /// Lines since the copy of the table was made.
    lines: usize,
    /// The day that is written, by its name.
    today: Option<(String, File)>,
    /// Where the whole changes of that day end, while half a one may stand behind them.
    torn_at: Option<u64>,
    /// Held as long as the instance lives.
    _lock: File,
}

/// The first line of a change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// When it was made.
    pub time: Timestamp,
    /// The version of the table that it made.
    pub version: u64,
    lines: usize,
    /// Who made it.
    #[serde(flatten)]
    pub actor: Actor,
    /// By which kind of order.
    pub action: String,
}

/// A softwire as it was at some time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Had {
    /// The softwire.
    pub softwire: Row,
    /// What made it; `None` when that was before the history began.
    pub since: Option<Head>,
    /// What ended it; `None` when it is still there.
    pub until: Option<Head>,
}

impl History {
    /// Opens the history of an instance that starts with this table, or begins one. Returns what
    /// has changed since it was written last.
    pub fn open(
        directory: &Path,
        days: u16,
        table: impl Iterator<Item = Binding>,
    ) -> io::Result<(Self, Vec<Change>)> {
        durable::create_directory(directory)?;
        // Earlier versions let everybody look.
        if fs::metadata(directory)?.mode() & 0o007 != 0 {
            fs::set_permissions(directory, Permissions::from_mode(0o750))?;
        }
        let begun = directory.join("begin");
        let mut lock = OpenOptions::new();
        let lock =
            lock.read(true).write(true).create(true).truncate(false).mode(0o640).open(&begun)?;
        lock.try_lock().map_err(|error| match error {
            fs::TryLockError::WouldBlock => io::Error::other("in use by another instance"),
            fs::TryLockError::Error(error) => error,
        })?;
        let now = Timestamp::now();
        let known = fs::read_to_string(&begun)?.trim().parse().ok();
        let mut history = Self {
            directory: directory.to_owned(),
            days,
            begin: known.unwrap_or(now),
            last: now,
            version: 0,
            lines: 0,
            today: None,
            torn_at: None,
            _lock: lock,
        };
        let copy = history.copies()?.pop();
        history.version = copy.as_ref().map_or(0, |&(version, _)| version);
        let net = history.replay()?;
        let Some((_, copy)) = copy else {
            // Without the copy, what went before cannot be told.
            history.begin = now;
            (&history._lock).write_all(format!("{now}\n").as_bytes())?;
            history._lock.sync_all()?;
            history.copy(table)?;
            return Ok((history, Vec::new()));
        };
        let parsed = file::parse(&fs::read(&copy)?, None);
        if let Some(error) = parsed.errors.first() {
            let words = format!("{}:{}: {}", copy.display(), error.line, error.problem);
            return Err(io::Error::new(io::ErrorKind::InvalidData, words));
        }
        let mut old: Vec<Binding> =
            parsed.bindings().filter(|old| !net.contains_key(&key(old))).collect();
        old.extend(net.into_values().flatten());
        old.sort_by_key(key);
        Ok((history, changes_between(old.into_iter(), table)))
    }

    /// Takes away what was kept when nothing is to be kept any more.
    pub fn remove(directory: &Path) {
        match fs::remove_dir_all(directory) {
            Ok(()) => tracing::info!("{}: removed, as nothing is kept", directory.display()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => tracing::warn!("{}: {error}", directory.display()),
        }
    }

    /// Keeps it for so many days from now on.
    pub fn keep(&mut self, days: u16) {
        self.days = days;
    }

    /// The version of the table.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version
    }

    /// The first moment that it can tell of.
    #[must_use]
    pub fn begin(&self) -> Timestamp {
        self.begin.max(self.oldest_kept())
    }

    fn oldest_kept(&self) -> Timestamp {
        let kept = SignedDuration::from_hours(24 * i64::from(self.days));
        Timestamp::now().checked_sub(kept).unwrap_or(Timestamp::MIN)
    }

    /// Writes a change. When this returns it survives a power failure.
    pub fn append(&mut self, actor: &Actor, action: &str, changes: &[Change]) -> io::Result<()> {
        // A clock that was set back must not change the order.
        let time = Timestamp::now().max(self.last);
        let ended = changes.iter().filter_map(|change| change.before);
        let begun = changes.iter().filter_map(|change| change.after);
        let lines = ended.clone().count() + begun.clone().count();
        let (actor, action) = (actor.clone(), action.to_owned());
        let head = Head { time, version: self.version + 1, lines, actor, action };
        let mut text = serde_json::to_vec(&head)?;
        text.push(b'\n');
        for (sign, binding) in
            ended.map(|binding| ('-', binding)).chain(begun.map(|binding| ('+', binding)))
        {
            // Writing to memory cannot fail.
            _ = writeln!(text, "{sign}{}", Row::from(binding).csv());
        }
        let file = self.day(time)?;
        let end = file.seek(SeekFrom::End(0))?;
        if let Err(error) = file.write_all(&text).and_then(|()| file.sync_data()) {
            self.torn_at = Some(end);
            // If it cannot be done now, it is done before the next change.
            _ = self.cut_torn();
            return Err(error);
        }
        self.last = time;
        self.version += 1;
        self.lines += lines;
        Ok(())
    }

    /// The file of a day, ready to be written.
    fn day(&mut self, time: Timestamp) -> io::Result<&mut File> {
        self.cut_torn()?;
        let name = day_of(time);
        if self.today.as_ref().is_none_or(|(today, _)| *today != name) {
            let path = self.directory.join(&name);
            let file =
                OpenOptions::new().read(true).append(true).create(true).mode(0o640).open(path)?;
            File::open(&self.directory)?.sync_all()?;
            self.today = Some((name, file));
        }
        match &mut self.today {
            Some((_, file)) => Ok(file),
            None => Err(io::Error::other("no file for today")),
        }
    }

    fn cut_torn(&mut self) -> io::Result<()> {
        if let (Some(end), Some((_, file))) = (self.torn_at, &self.today) {
            file.set_len(end)?;
            self.torn_at = None;
        }
        Ok(())
    }

    /// Makes the copy of the table anew when much has followed it, and lets go of days that are
    /// too old. Nothing depends on its success.
    pub fn tidy(&mut self, softwires: usize, table: impl Iterator<Item = Binding>) {
        let copied = if self.lines > SLACK.max(softwires / 2) { self.copy(table) } else { Ok(()) };
        if let Err(error) = copied.and_then(|()| self.forget()) {
            tracing::warn!("{}: cannot be tidied up: {error}", self.directory.display());
        }
    }

    /// Writes a copy of the table, which has this version.
    fn copy(&mut self, table: impl Iterator<Item = Binding>) -> io::Result<()> {
        let older = self.copies()?;
        let path = self.directory.join(format!("table-{:012}", self.version));
        durable::replace(&path, |out| file::write(out, table).map(drop))?;
        self.lines = 0;
        for (_, older) in older.iter().filter(|(_, older)| *older != path) {
            durable::remove(older)?;
        }
        Ok(())
    }

    fn forget(&self) -> io::Result<()> {
        let oldest = day_of(self.oldest_kept());
        for (day, path) in self.days()? {
            if day < oldest {
                fs::remove_file(path)?;
            }
        }
        Ok(())
    }

    /// The copies of the table by their versions, the newest last.
    fn copies(&self) -> io::Result<Vec<(u64, PathBuf)>> {
        let version = |name: &str| name.strip_prefix("table-")?.parse().ok();
        self.named(version)
    }

    /// The days by their names, the newest last.
    fn days(&self) -> io::Result<Vec<(String, PathBuf)>> {
        self.named(|name| is_day(name).then(|| name.to_owned()))
    }

    fn named<T: Ord>(&self, of: impl Fn(&str) -> Option<T>) -> io::Result<Vec<(T, PathBuf)>> {
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.directory)? {
            let entry = entry?;
            found.extend(entry.file_name().to_str().and_then(&of).map(|of| (of, entry.path())));
        }
        found.sort();
        Ok(found)
    }

    /// What all changes since the copy of the table come to. Half a change at the end is dropped:
    /// it was never in force.
    fn replay(&mut self) -> io::Result<HashMap<Key, Option<Binding>>> {
        let copied = self.version;
        let mut net = HashMap::new();
        for (_, path) in &self.days()? {
            let whole = scan(path, &mut |_, _| {})?;
            let length = fs::metadata(path)?.len();
            if whole < length {
                tracing::warn!("{}: the last change is cut short and dropped", path.display());
                OpenOptions::new().write(true).open(path)?.set_len(whole)?;
            }
            scan(path, &mut |head, line| {
                self.version = self.version.max(head.version);
                self.last = self.last.max(head.time);
                if head.version <= copied {
                    return;
                }
                self.lines += 1;
                if let Some((came, binding)) = parse(line) {
                    net.insert(key(&binding), came.then_some(binding));
                }
            })?;
        }
        Ok(net)
    }

    /// Where the files of its changes are, for [`had`].
    pub fn day_files(&self) -> io::Result<Vec<PathBuf>> {
        Ok(self.days()?.into_iter().map(|(_, path)| path).collect())
    }
}

/// What there was at a time, given what is there now: softwires that `is_wanted`, found by a text
/// that all their lines contain.
pub fn had(
    days: &[PathBuf],
    at: Timestamp,
    now: &[Binding],
    text: &str,
    is_wanted: impl Fn(&Binding) -> bool,
) -> io::Result<Vec<Had>> {
    let mut lines: Vec<(Head, bool, Binding)> = Vec::new();
    for day in days {
        scan(day, &mut |head, line| {
            if line.contains(text)
                && let Some((came, binding)) = parse(line)
                && is_wanted(&binding)
            {
                lines.push((head.clone(), came, binding));
            }
        })?;
    }
    let mut there: Vec<(Binding, Option<Head>)> =
        now.iter().filter(|now| is_wanted(now)).map(|&now| (now, None)).collect();
    let later = lines.partition_point(|(head, ..)| head.time <= at);
    for (head, came, binding) in lines[later..].iter().rev() {
        if *came {
            there.retain(|(there, _)| there != binding);
        } else {
            there.push((*binding, Some(head.clone())));
        }
    }
    let since = |had: &Binding| {
        let made = lines[..later].iter().rev().find(|(_, came, binding)| *came && binding == had);
        made.map(|(head, ..)| head.clone())
    };
    let had = there.into_iter().filter(|(had, _)| had.is_live(at));
    Ok(had.map(|(had, until)| Had { softwire: had.into(), since: since(&had), until }).collect())
}

/// Goes through the lines of a day; returns where its last whole change ends.
fn scan(path: &Path, each: &mut dyn FnMut(&Head, &str)) -> io::Result<u64> {
    let mut file = BufReader::with_capacity(1 << 18, File::open(path)?);
    let (mut line, mut whole, mut at) = (String::new(), 0, 0);
    loop {
        line.clear();
        at += file.read_line(&mut line)? as u64;
        // What is cut short was never in force; a whole line that is no change is somebody's doing.
        let Some(head) = line.strip_suffix('\n') else { return Ok(whole) };
        let head: Head = serde_json::from_str(head).map_err(|error| {
            let words = format!("{}: byte {whole}: not a change ({error})", path.display());
            io::Error::new(io::ErrorKind::InvalidData, words)
        })?;
        // A change without lines is only a new version.
        for _ in 0..head.lines {
            line.clear();
            at += file.read_line(&mut line)? as u64;
            let Some(text) = line.strip_suffix('\n') else { return Ok(whole) };
            each(&head, text);
        }
        if head.lines == 0 {
            each(&head, "");
        }
        whole = at;
    }
}

/// Did it come or go, and what?
fn parse(line: &str) -> Option<(bool, Binding)> {
    let (sign, row) = line.split_at_checked(1)?;
    let parsed = file::parse(row.as_bytes(), None);
    let binding = parsed.bindings().next()?;
    matches!(sign, "+" | "-").then_some((sign == "+", binding))
}

fn day_of(time: Timestamp) -> String {
    time.to_string().chars().take(10).collect()
}

fn is_day(name: &str) -> bool {
    name.len() == 10
        && name.bytes().enumerate().all(|(at, byte)| match at {
            4 | 7 => byte == b'-',
            _ => byte.is_ascii_digit(),
        })
}
