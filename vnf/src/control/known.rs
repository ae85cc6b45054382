//! What the editor says of itself to those who only look: as it is, or, while it is busy (with a disk
//! that does not answer, say), as it was when somebody last looked.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::editor::Editor;
use super::state::Control;
use crate::config::Config;
use crate::telemetry::{ConfigurationReading, TableReading};

/// How long the editor is waited for, and how often it is asked meanwhile.
const PATIENCE: Duration = Duration::from_millis(200);
const LOOK: Duration = Duration::from_millis(2);

/// The configuration, the table, and what is to become of the last change.
#[derive(Debug, Clone)]
pub(super) struct Known {
    pub(super) config: Arc<Config>,
    pub(super) table: TableReading,
    pub(super) table_version: u64,
    /// Softwires that will end by themselves.
    pub(super) with_end: usize,
    /// The change that waits for its confirmation.
    pub(super) unconfirmed: Option<String>,
    /// But for reloads, which the editor does not count.
    pub(super) configuration: ConfigurationReading,
}

impl Known {
    pub(super) fn of(editor: &Editor) -> Self {
        let publisher = editor.publisher();
        Self {
            config: Arc::clone(editor.config()),
            table: TableReading {
                softwires: publisher.table().len(),
                ended: editor.ended.load(Relaxed),
                bytes: publisher.writer().memory(),
                changed: Some(publisher.changed()),
                edits: editor.journalled(),
            },
            table_version: editor.version(),
            with_end: editor.leases().len(),
            unconfirmed: editor.unconfirmed(),
            configuration: ConfigurationReading {
                loaded: Some(editor.loaded()),
                generation: publisher.generation(),
                unfreed: publisher.unfreed(),
                ..ConfigurationReading::default()
            },
        }
    }
}

impl Control {
    /// Asks the editor, but not for long.
    pub(super) async fn known(&self) -> Arc<Known> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(known) = self.try_with_editor(|editor| Known::of(editor)) {
                self.known.store(Arc::new(known));
                break;
            }
            if Instant::now() >= deadline {
                break;
            }
            sleep(LOOK).await;
        }
        self.known.load_full()
    }
}
