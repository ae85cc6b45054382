//! What the management API reads of an instance, and the edits that it makes.

use jiff::Timestamp;

use super::actor::{Actor, Order};
use super::batch::{Batch, Edited};
use super::editor::{Editor, PortMacs};
use super::error::ControlError;
use super::state::Control;

/// What tells one state of the configuration and the table from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// Another one after each start.
    pub incarnation: i64,
    /// The version of the table.
    pub version: u64,
    /// When anything was changed last.
    pub modified: Timestamp,
}

impl Control {
    /// Reads what the editor knows, on another thread: it may be busy, and it may take its time.
    pub async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Editor) -> T + Send + 'static,
    ) -> Result<T, ControlError> {
        self.with_editor(|editor| work(editor)).await
    }

    /// What state the configuration and the table are in.
    pub async fn stamp(&self) -> Result<Stamp, ControlError> {
        let incarnation = self.started_at().as_microsecond();
        self.read(move |editor| Stamp {
            incarnation,
            version: editor.version(),
            modified: editor.modified(),
        })
        .await
    }

    /// When the instance started.
    #[must_use]
    pub fn started_at(&self) -> Timestamp {
        Timestamp::try_from(self.started_at).unwrap_or_default()
    }

    /// The MAC addresses of the two sides.
    #[must_use]
    pub fn macs(&self) -> PortMacs {
        let settings = &self.snapshots.load().settings;
        [settings.external.link.mac, settings.internal.link.mac]
    }

    /// Makes a batch of what is there, and applies it before anything else changes. `batch` also
    /// says what it is about, for the audit log.
    pub async fn edit<E>(
        &self,
        actor: &Actor,
        action: &'static str,
        batch: impl FnOnce(&Editor) -> Result<(Batch, String), E> + Send + 'static,
    ) -> Result<Edited, E>
    where
        E: From<ControlError> + std::fmt::Display + Send + 'static,
    {
        let _changing = self.changing.lock().await;
        let by = actor.clone();
        let edited = self
            .with_editor(move |editor| {
                let (batch, what) = batch(editor)?;
                let name = |number| format!("entry {}", number + 1);
                let order = Order::new(&by, action);
                let edited = editor.edit(&order, &batch, name).map_err(E::from)?;
                Ok::<_, E>((edited, what))
            })
            .await?;
        match &edited {
            Ok((Edited { added, removed }, what)) => {
                let detail = format!("{added} added, {removed} removed");
                self.audit().note(actor, action, what, Ok(&detail)).await;
            }
            Err(error) => {
                let error = ControlError::refused(error.to_string());
                self.audit().note(actor, action, "", Err(&error)).await;
            }
        }
        edited.map(|(edited, _)| edited)
    }
}
