//! The audit log: who changed what, when, from where, and what came of it.
//!
//! One JSON object a line, refusals included:
//!
//! ```text
//! {"time":"2026-11-27T12:00:00.5Z","who":"root (uid 0)","from":"control socket, process 77",
//!  "action":"softwire-add","what":"203.0.113.7 psid 3","outcome":"done","detail":"1 added, ..."}
//! ```
//!
//! The file is `NAME.audit` beside the journal. When it has grown large it becomes `NAME.audit.1`,
//! that one `.2`, and so on; the oldest goes. The log has each line as well, so that what cannot
//! be written here is not lost.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::actor::Actor;
use super::durable;
use super::error::{ControlError, ErrorKind};
use super::state::blocking;

/// How large the file becomes, in bytes.
const LARGEST: u64 = 16 << 20;

/// How many older files are kept.
const OLDER: usize = 7;

/// How much of a message of several lines is written.
const LONGEST: usize = 1_000;

/// The most records that one answer has.
pub const MOST_RECORDS: usize = 1_000;

/// How an order ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// It was carried out.
    Done,
    /// The answer was no: nothing has changed.
    Refused,
    /// It broke down.
    Failed,
}

/// A line of the audit log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// When it ended.
    pub time: Timestamp,
    /// Who gave the order.
    #[serde(flatten)]
    pub actor: Actor,
    /// What kind of order it was, such as `reload`.
    pub action: String,
    /// What it was about.
    pub what: String,
    /// How it ended.
    pub outcome: Outcome,
    /// What came of it, or why nothing did.
    pub detail: String,
}

/// The audit log of an instance. Whoever writes to it or reads it waits for the disk, and nobody else
/// does: that happens on another thread.
#[derive(Debug, Clone)]
pub struct Audit(Arc<Mutex<Book>>);

/// Its files.
#[derive(Debug)]
struct Book {
    path: PathBuf,
    file: Option<File>,
}

impl Audit {
    /// The audit log in this file, which the first record begins.
    #[must_use]
    pub fn at(path: PathBuf) -> Self {
        Self(Arc::new(Mutex::new(Book { path, file: None })))
    }

    /// Notes how an order ended: with these words, or refused with this error. Ready when that is on
    /// disk.
    pub async fn note(
        &self,
        actor: &Actor,
        action: &str,
        what: &str,
        result: Result<&str, &ControlError>,
    ) {
        let (outcome, detail) = match result {
            Ok(detail) => (Outcome::Done, detail),
            Err(error) if error.kind == ErrorKind::Internal => {
                (Outcome::Failed, error.message.as_str())
            }
            Err(error) => (Outcome::Refused, error.message.as_str()),
        };
        let record = Record {
            time: Timestamp::now(),
            actor: actor.clone(),
            action: action.to_owned(),
            what: cut(what),
            outcome,
            detail: cut(detail),
        };
        let Record { what, detail, .. } = &record;
        match outcome {
            Outcome::Done if what.is_empty() => tracing::info!("{action} by {actor}: {detail}"),
            Outcome::Done => tracing::info!("{action} by {actor}: {what}: {detail}"),
            // Whoever asked hears why.
            Outcome::Refused | Outcome::Failed => {
                tracing::info!("{action} by {actor} came to nothing ({what})");
            }
        }
        if let Err(error) = self.with_book(move |book| book.note(&record)).await {
            tracing::error!("{error}");
        }
    }

    /// The last records, oldest first; lines that are none are left out.
    pub async fn last(&self, count: usize) -> Result<Vec<Record>, ControlError> {
        self.with_book(move |book| book.last(count)).await?.map_err(|error| {
            ControlError::internal(format!("the audit log cannot be read: {error}"))
        })
    }

    async fn with_book<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Book) -> T + Send + 'static,
    ) -> Result<T, ControlError> {
        let book = Arc::clone(&self.0);
        blocking(move || work(&mut book.lock().unwrap_or_else(PoisonError::into_inner))).await
    }
}

impl Book {
    fn note(&mut self, record: &Record) {
        if let Err(error) = self.write(record) {
            tracing::error!(
                "{}: the audit log cannot be written ({error}): the log alone has this",
                self.path.display()
            );
        }
    }

    fn write(&mut self, record: &Record) -> io::Result<()> {
        let mut line = serde_json::to_vec(record)?;
        line.push(b'\n');
        let mut file = match self.file.take() {
            Some(file) if file.metadata()?.len() < LARGEST => file,
            Some(_) => {
                self.make_room()?;
                self.open()?
            }
            None => self.open()?,
        };
        // Half a line, which a full disk leaves, must not spoil the next one.
        let end = file.seek(SeekFrom::End(0))?;
        let written = file.write_all(&line);
        if written.is_err() {
            file.set_len(end)?;
        }
        let written = written.and_then(|()| file.sync_data());
        self.file = Some(file);
        written
    }

    fn open(&self) -> io::Result<File> {
        if let Some(directory) = self.path.parent() {
            durable::create_directory(directory)?;
        }
        OpenOptions::new().read(true).append(true).create(true).mode(0o640).open(&self.path)
    }

    fn make_room(&self) -> io::Result<()> {
        for age in (0..OLDER).rev() {
            match fs::rename(self.older(age), self.older(age + 1)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }

    fn older(&self, age: usize) -> PathBuf {
        if age == 0 {
            return self.path.clone();
        }
        let mut name = self.path.as_os_str().to_owned();
        name.push(format!(".{age}"));
        name.into()
    }

    fn last(&self, count: usize) -> io::Result<Vec<Record>> {
        let count = count.min(MOST_RECORDS);
        let mut records = Vec::new();
        for age in 0..=OLDER {
            let bytes = match tail(&self.older(age)) {
                Ok(bytes) => bytes,
                Err(error) if error.kind() == io::ErrorKind::NotFound => break,
                Err(error) => return Err(error),
            };
            let lines = bytes.rsplit(|&byte| byte == b'\n');
            records.extend(lines.filter_map(|line| serde_json::from_slice::<Record>(line).ok()));
            if records.len() >= count {
                break;
            }
        }
        records.truncate(count);
        records.reverse();
        Ok(records)
    }
}

/// The end of a file, with room for more than [`MOST_RECORDS`] of the longest lines.
fn tail(path: &Path) -> io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(4 << 20)))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{} ...", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn records_are_kept_in_order_and_what_is_no_record_harms_nobody() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("state/a.audit");
        let audit = Audit::at(path.clone());
        assert!(audit.last(5).await.unwrap().is_empty());
        let actor = Actor::peer(0, Some(77));
        assert!(actor.to_string().starts_with("root (uid 0), control socket"), "{actor}");
        audit.note(&actor, "reload", "lwaftr.toml", Ok("2 keys")).await;
        let refused = ControlError::refused("x".repeat(5_000));
        audit.note(&Actor::signal(), "reload", "lwaftr.toml", Err(&refused)).await;
        fs::OpenOptions::new().append(true).open(&path).unwrap().write_all(b"{\"ti\n").unwrap();
        audit
            .note(&Actor::watch(), "reload", "lwaftr.toml", Err(&ControlError::internal("oh")))
            .await;
        let all = audit.last(50).await.unwrap();
        let outcomes: Vec<_> = all.iter().map(|record| record.outcome).collect();
        assert_eq!(outcomes, [Outcome::Done, Outcome::Refused, Outcome::Failed]);
        assert!(all[1].detail.len() < 1_010 && all[0].actor == actor);
        assert_eq!(audit.last(1).await.unwrap(), all[2..]);
    }

    #[tokio::test]
    async fn a_large_file_gives_way_to_a_new_one() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.audit");
        let audit = Audit::at(path.clone());
        audit.note(&Actor::signal(), "reload", "one", Ok("done")).await;
        File::options().append(true).open(&path).unwrap().set_len(LARGEST).unwrap();
        audit.note(&Actor::signal(), "reload", "two", Ok("done")).await;
        assert!(fs::metadata(&path).unwrap().len() < 1_000);
        assert_eq!(fs::metadata(directory.path().join("a.audit.1")).unwrap().len(), LARGEST);
        assert_eq!(audit.last(1).await.unwrap()[0].what, "two");
    }
}
