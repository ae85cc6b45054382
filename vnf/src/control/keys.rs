//! Keys of the configuration file, set by order: the file is changed, its comments untouched, and
//! taken up by a reload, so that there is one truth. When that is refused, the file is as it was.

use std::fs;
use std::io::Write as _;

use toml_edit::{DocumentMut, Item, Table, Value};

use super::actor::Actor;
use super::durable;
use super::editor::Editor;
use super::error::ControlError;
use super::reload::{ReloadOptions, ReloadReport};
use super::state::Control;
use crate::config;

/// A key, and its new value; `None` takes it out, so that its default counts.
#[derive(Debug, Clone)]
pub struct NewKey {
    /// The table.
    pub table: &'static str,
    /// The key.
    pub key: &'static str,
    /// The value.
    pub value: Option<Value>,
}

impl Control {
    /// Sets keys in the file, and reloads. The files must be those that run: else a reload would
    /// take up more than what is ordered. `may` has the last word before anything is written.
    pub async fn set_keys<E>(
        &self,
        actor: &Actor,
        keys: Vec<NewKey>,
        may: impl FnOnce(&Editor) -> Result<(), E> + Send + 'static,
    ) -> Result<ReloadReport, E>
    where
        E: From<ControlError> + Send + 'static,
    {
        let _changing = self.changing.lock().await;
        let write = move |editor: &mut Editor| {
            may(editor)?;
            write(editor, &keys).map_err(E::from)
        };
        let (path, old) = self.with_editor(write).await??;
        let reloaded = self.take_up(actor, ReloadOptions::default()).await;
        if reloaded.is_err() {
            let back = durable::replace(&path, |file| file.write_all(old.as_bytes()));
            if let Err(error) = back {
                tracing::error!("{}: cannot be changed back: {error}", path.display());
            }
        }
        reloaded.map_err(E::from)
    }
}

/// Changes the file; returns which it is, and what it was.
fn write(editor: &Editor, keys: &[NewKey]) -> Result<(std::path::PathBuf, String), ControlError> {
    editor.must_be_settled()?;
    let path = editor.config.path.clone();
    let cannot = |error: &dyn std::fmt::Display| {
        ControlError::refused(format!(
            "{}: {error}: parameters are kept in this file, which the instance must be able to \
             read and replace",
            path.display()
        ))
    };
    let text = fs::read_to_string(&path).map_err(|error| cannot(&error))?;
    let loaded = config::load_with_table(&path);
    let (config, _) = loaded?;
    if config.fingerprint != editor.config.fingerprint {
        return Err(ControlError::refused(
            "the files are not those that run: they have changed, or were taken back; see `lwaftr \
             config diff`, and reload first",
        ));
    }
    let mut document: DocumentMut = text.parse().map_err(|error| cannot(&error))?;
    for NewKey { table, key, value } in keys {
        let entry = document.entry(table).or_insert_with(|| Item::Table(Table::new()));
        let Some(table) = entry.as_table_like_mut() else { continue };
        match (value, table.get_mut(key).and_then(Item::as_value_mut)) {
            (None, _) => _ = table.remove(key),
            // What stands around it stays.
            (Some(value), Some(old)) => {
                let decor = old.decor().clone();
                *old = value.clone();
                *old.decor_mut() = decor;
            }
            (Some(value), None) => _ = table.insert(key, Item::Value(value.clone())),
        }
    }
    let new = document.to_string();
    durable::replace(&path, |file| file.write_all(new.as_bytes()))
        .map_err(|error| cannot(&error))?;
    Ok((path, text))
}
