//! What somebody may order, and what is done because of the time: one change after the other, off the
//! control thread, each with its line in the audit log.

use std::time::Duration;

use jiff::Timestamp;

use super::actor::{Actor, Order};
use super::batch::{Batch, Edited};
use super::binding::key;
use super::diff::{self, DiffReport};
use super::editor::Editor;
use super::error::ControlError;
use super::fold::{self, Folded};
use super::reload::{ReloadOptions, ReloadReport, prepare};
use super::row::{Key, Row};
use super::state::{Control, blocking};
use super::systemd;
use super::undo::impatience;
use crate::softwire::{Binding, file};

/// So many softwires are named in the audit log.
const NAMED: usize = 5;

impl Control {
    /// Reads the configuration anew. The caller and the log hear what came of it.
    pub async fn reload(
        &self,
        actor: &Actor,
        options: ReloadOptions,
    ) -> Result<ReloadReport, ControlError> {
        let _changing = self.changing.lock().await;
        self.take_up(actor, options).await
    }

    /// The same for whoever sees to it that nothing else changes meanwhile.
    pub(super) async fn take_up(
        &self,
        actor: &Actor,
        options: ReloadOptions,
    ) -> Result<ReloadReport, ControlError> {
        let basis = self.with_editor(|editor| editor.basis()).await?;
        if options.dry_run {
            return blocking(move || Ok(prepare(&basis, options)?.report)).await?;
        }
        let within = options.confirm_within;
        systemd::reloading();
        let outcome = match blocking(move || prepare(&basis, options)).await? {
            Ok(prepared) => {
                let actor = actor.clone();
                self.change_editor(move |editor| {
                    editor.commit(&order(&actor, "reload", within), prepared)
                })
                .await?
            }
            Err(error) => Err(error),
        };
        systemd::ready(&self.summary());
        self.monitor.reloaded(&outcome);
        match &outcome {
            Ok(report) => {
                let difference = &report.softwires;
                let summary = format!(
                    "configuration reloaded: {} keys differ; {} softwires: {} added, {} removed, {} changed",
                    report.settings.len(),
                    report.total,
                    difference.added,
                    difference.removed,
                    difference.changed,
                );
                let keys = report.settings.join("; ");
                self.audit.note(actor, "reload", &keys, Ok(&summary)).await;
                for warning in &report.warnings {
                    tracing::warn!("{warning}");
                }
            }
            Err(error) => {
                tracing::error!("configuration not reloaded, the old one stays: {error}");
                self.audit.note(actor, "reload", "", Err(error)).await;
            }
        }
        outcome
    }

    /// Adds softwires, given as rows or as the text of a table file.
    pub(super) async fn add(
        &self,
        actor: &Actor,
        rows: Vec<Row>,
        csv: Option<String>,
        (replace, within): (bool, Option<u32>),
    ) -> Result<Edited, ControlError> {
        let what = named(rows.iter().map(Row::key), rows.len(), csv.is_some());
        let order = (actor, "softwire-add", what, within);
        self.change(order, rows.len(), csv, move |editor, listed| {
            let mut softwires = Vec::new();
            let br_addresses = &editor.config().softwires.br_addresses;
            let mut errors = Vec::new();
            for (number, row) in rows.iter().enumerate() {
                match row.binding(br_addresses) {
                    Ok(softwire) => softwires.push(softwire),
                    Err(problem) => errors.push(format!("softwire {}: {problem}", number + 1)),
                }
            }
            if !errors.is_empty() {
                return Err(ControlError::refused(errors.join("\n")));
            }
            softwires.extend_from_slice(listed);
            Ok(Batch::Add { softwires, replace })
        })
        .await
    }

    /// Removes softwires, given by their keys or as the text of a table file.
    pub(super) async fn remove(
        &self,
        actor: &Actor,
        keys: Vec<Key>,
        csv: Option<String>,
        within: Option<u32>,
    ) -> Result<Edited, ControlError> {
        let what = named(keys.iter().copied(), keys.len(), csv.is_some());
        let order = (actor, "softwire-del", what, within);
        self.change(order, keys.len(), csv, move |_, listed| {
            Ok(Batch::Remove(keys.into_iter().chain(listed.iter().map(key)).collect()))
        })
        .await
    }

    /// Makes a batch and applies it, off the control thread: fsync takes its time. `rows` is how
    /// many softwires of the batch come before those of the text.
    async fn change(
        &self,
        (actor, action, what, within): (&Actor, &'static str, String, Option<u32>),
        rows: usize,
        csv: Option<String>,
        batch: impl FnOnce(&Editor, &[Binding]) -> Result<Batch, ControlError> + Send + 'static,
    ) -> Result<Edited, ControlError> {
        let _changing = self.changing.lock().await;
        let by = actor.clone();
        let edited = self.with_editor(move |editor| {
            let listed =
                csv.map_or_else(|| Ok(file::Parsed::default()), |csv| parse(&csv, editor))?;
            let all: Vec<Binding> = listed.bindings().collect();
            let batch = batch(editor, &all)?;
            editor.edit(&order(&by, action, within), &batch, |number| {
                match number.checked_sub(rows) {
                    Some(row) => format!("line {}", listed.lines.of(row)),
                    None => format!("softwire {}", number + 1),
                }
            })
        });
        let edited = edited.await?;
        let summary = edited
            .as_ref()
            .map(|edited| format!("{} added, {} removed", edited.added, edited.removed));
        self.audit.note(actor, action, &what, summary.as_deref().map_err(|error| *error)).await;
        edited
    }

    /// Says where what runs and what the files say differ.
    pub async fn diff(&self) -> Result<DiffReport, ControlError> {
        let _changing = self.changing.lock().await;
        let basis = self.with_editor(|editor| editor.basis()).await?;
        blocking(move || diff::report(&basis)).await?
    }

    /// Writes the edits that were made by hand into the files.
    pub async fn fold(&self, actor: &Actor) -> Result<Folded, ControlError> {
        let _changing = self.changing.lock().await;
        let folded = self.change_editor(fold::fold).await?;
        let summary = folded.as_ref().map(ToString::to_string);
        self.audit.note(actor, "fold", "", summary.as_deref().map_err(|error| *error)).await;
        folded
    }

    /// Takes the last change back.
    pub async fn roll_back(&self, actor: &Actor) -> Result<String, ControlError> {
        let _changing = self.changing.lock().await;
        let by = actor.clone();
        let undone = self
            .change_editor(move |editor| editor.roll_back(&order(&by, "rollback", None)))
            .await?;
        self.audit.note(actor, "rollback", "the last change", undone.as_deref()).await;
        undone
    }

    /// Keeps the change that waits for its confirmation.
    pub async fn confirm(&self, actor: &Actor) -> Result<String, ControlError> {
        let _changing = self.changing.lock().await;
        let confirmed = self.with_editor(Editor::confirm).await?;
        self.audit.note(actor, "confirm", "the last change", confirmed.as_deref()).await;
        confirmed
    }

    /// Waits until no change waits for its confirmation.
    pub(super) async fn settled(&self) {
        while !matches!(self.with_editor(|editor| editor.unconfirmed()).await, Ok(None)) {
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }

    /// Something has to be done because of the time; false while the editor is busy.
    pub(super) fn is_due(&self) -> bool {
        let editor = self.editor.try_lock();
        editor.is_ok_and(|editor| editor.is_overdue() || editor.has_ended(Timestamp::now()))
    }

    /// Takes away softwires that have ended, and takes back what was not confirmed in time.
    pub(super) async fn do_what_is_due(&self) {
        let _changing = self.changing.lock().await;
        let actor = impatience();
        let by = actor.clone();
        let undone = self.change_editor(move |editor| {
            editor.is_overdue().then(|| editor.roll_back(&order(&by, "undo", None)))
        });
        if let Ok(Some(undone)) = undone.await {
            match &undone {
                Ok(what) => tracing::error!("{what}: not confirmed in time, and undone"),
                Err(error) => tracing::error!("what was not confirmed stays for now: {error}"),
            }
            self.audit.note(&actor, "undo", "the last change", undone.as_deref()).await;
        }
        let now = Timestamp::now();
        let ended = self.with_editor(move |editor| editor.has_ended(now).then(|| editor.end(now)));
        let (actor, ended) = (Actor::instance("valid-until"), ended.await);
        match ended {
            Ok(Some(Ok(keys))) => {
                let (what, count) = (named(keys.iter().copied(), keys.len(), false), keys.len());
                self.audit.note(&actor, "expire", &what, Ok(&format!("{count} removed"))).await;
            }
            Ok(Some(Err(error))) => self.audit.note(&actor, "expire", "", Err(&error)).await,
            Ok(None) | Err(_) => {}
        }
    }
}

/// What somebody wants; confirmed within so many seconds, perhaps.
fn order<'a>(actor: &'a Actor, action: &'a str, within: Option<u32>) -> Order<'a> {
    let confirm_within = within.map(|seconds| Duration::from_secs(seconds.into()));
    Order { confirm_within, ..Order::new(actor, action) }
}

/// What an order is about: the first softwires that it names.
fn named(keys: impl Iterator<Item = Key>, count: usize, and_listed: bool) -> String {
    let mut names: Vec<String> = keys.take(NAMED).map(|key| key.to_string()).collect();
    if count > NAMED {
        names.push(format!("{} more", count - NAMED));
    }
    if and_listed {
        names.push("those of a file".to_owned());
    }
    names.join(", ")
}

/// The softwires of a table file's text.
fn parse(csv: &str, editor: &Editor) -> Result<file::Parsed, ControlError> {
    let only_br = match editor.config().softwires.br_addresses[..] {
        [br] => Some(br),
        _ => None,
    };
    let parsed = file::parse(csv.as_bytes(), only_br);
    if parsed.errors.is_empty() {
        return Ok(parsed);
    }
    let mut lines: Vec<String> = parsed
        .errors
        .iter()
        .map(|error| format!("line {}: {}: {}", error.line, error.key, error.problem))
        .collect();
    if parsed.more_errors > 0 {
        lines.push(format!("and {} more", parsed.more_errors));
    }
    Err(ControlError::refused(lines.join("\n")))
}
