//! Notices that the files of the configuration have changed, once they have stopped changing.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

/// How long nothing may have happened: editors and copies write in several steps.
const QUIET: Duration = Duration::from_secs(2);

/// Watches the directories of files, so that a file renamed into place is seen as well.
#[derive(Debug)]
pub(super) struct Watch {
    watcher: RecommendedWatcher,
    directories: HashSet<PathBuf>,
    files: Vec<PathBuf>,
    seen: Vec<Option<Print>>,
    /// Something happened in a directory.
    hints: mpsc::Receiver<()>,
}

/// What tells one state of a file from another without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Print {
    device: u64,
    inode: u64,
    len: u64,
    modified: (i64, i64),
}

impl Watch {
    /// Begins to watch these files.
    pub(super) fn new(files: Vec<PathBuf>) -> notify::Result<Self> {
        let (sender, hints) = mpsc::channel(1);
        let watcher = notify::recommended_watcher(move |_| {
            // One hint that was not taken yet is as good as two.
            _ = sender.try_send(());
        })?;
        let mut watch = Self {
            watcher,
            directories: HashSet::new(),
            files: Vec::new(),
            seen: Vec::new(),
            hints,
        };
        watch.follow(files)?;
        Ok(watch)
    }

    /// Watches these files from now on. Those that were watched already may have changed since
    /// [`Self::look`].
    pub(super) fn follow(&mut self, files: Vec<PathBuf>) -> notify::Result<()> {
        let known: HashMap<&PathBuf, &Option<Print>> = self.files.iter().zip(&self.seen).collect();
        let mut seen = prints(&files);
        for (file, print) in files.iter().zip(&mut seen) {
            if let Some(&&earlier) = known.get(file) {
                *print = earlier;
            }
        }
        self.seen = seen;
        // A link's own directory and that of what it points to.
        let real = files.iter().filter_map(|file| fs::canonicalize(file).ok());
        let directories: HashSet<PathBuf> =
            files.iter().cloned().chain(real).map(|file| directory(&file)).collect();
        for gone in self.directories.difference(&directories) {
            _ = self.watcher.unwatch(gone);
        }
        for new in directories.difference(&self.directories) {
            self.watcher.watch(new, RecursiveMode::NonRecursive)?;
        }
        self.directories = directories;
        self.files = files;
        Ok(())
    }

    /// The files are about to be read: what they are now is no change any more.
    pub(super) fn look(&mut self) {
        self.seen = prints(&self.files);
    }

    /// Waits until a file has changed and then nothing has for [`QUIET`]. Who stops waiting and
    /// asks again misses nothing.
    pub(super) async fn changed(&mut self) {
        loop {
            let mut last = prints(&self.files);
            if last == self.seen {
                if self.hints.recv().await.is_none() {
                    // The watcher is gone, which it is not while we are here.
                    std::future::pending::<()>().await;
                }
                continue;
            }
            let mut quiet_at = Instant::now() + QUIET;
            while timeout_at(quiet_at, self.hints.recv()).await.is_ok() {
                let now = prints(&self.files);
                if now != last {
                    last = now;
                    quiet_at = Instant::now() + QUIET;
                }
            }
            if last != self.seen {
                return;
            }
        }
    }
}

fn directory(file: &Path) -> PathBuf {
    match file.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

fn prints(files: &[PathBuf]) -> Vec<Option<Print>> {
    let print = |file: &PathBuf| {
        let metadata = fs::metadata(file).ok()?;
        Some(Print {
            device: metadata.dev(),
            inode: metadata.ino(),
            len: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
        })
    };
    files.iter().map(print).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::timeout;

    #[tokio::test]
    async fn sees_a_file_renamed_into_place_but_not_its_neighbours() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("lwaftr.toml");
        fs::write(&file, "one").unwrap();
        let mut watch = Watch::new(vec![file.clone()]).unwrap();

        fs::write(directory.path().join("other"), "x").unwrap();
        assert!(timeout(Duration::from_millis(2_500), watch.changed()).await.is_err());

        let aside = directory.path().join("lwaftr.toml~");
        fs::write(&aside, "two").unwrap();
        fs::rename(&aside, &file).unwrap();
        let started = Instant::now();
        timeout(Duration::from_secs(20), watch.changed()).await.expect("the change is seen");
        assert!(started.elapsed() > Duration::from_millis(1_800), "waits for quiet");
    }
}
