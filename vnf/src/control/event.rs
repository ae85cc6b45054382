//! What is told to those who follow the changes of an instance.

use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;
use tokio::sync::broadcast;

use super::actor::{Actor, Order};
use super::change::Change;
use super::compare::TableDifference;

/// An event has no more softwires than this.
pub const MOST_CHANGES: usize = 1_000;

/// So many events wait for a slow listener; then it misses the oldest ones.
const WAITING: usize = 256;

/// A change of the configuration or the table.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Event {
    /// When it was made.
    pub time: Timestamp,
    /// The version of the table that it made.
    pub version: u64,
    /// Who made it.
    #[serde(flatten)]
    pub actor: Actor,
    /// What kind of change: `softwire-add`, `softwire-del`, `reload`, `rollback`, `expire`, ...
    pub action: String,
    /// Softwires added.
    pub added: usize,
    /// Softwires removed.
    pub removed: usize,
    /// Softwires changed.
    pub changed: usize,
    /// Which, unless they are more than [`MOST_CHANGES`].
    #[serde(skip)]
    pub changes: Vec<Change>,
}

impl Event {
    pub(super) fn new(order: &Order<'_>, version: u64, changes: &[Change]) -> Self {
        let TableDifference { added, removed, changed, .. } = TableDifference::of(changes);
        let few = changes.len() <= MOST_CHANGES;
        Self {
            time: Timestamp::now(),
            version,
            actor: order.actor.clone(),
            action: order.action.to_owned(),
            added,
            removed,
            changed,
            changes: if few { changes.to_vec() } else { Vec::new() },
        }
    }
}

pub(super) fn channel() -> broadcast::Sender<Arc<Event>> {
    broadcast::Sender::new(WAITING)
}
