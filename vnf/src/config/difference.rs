//! What a new configuration changes, key by key.

use super::key::Table;
use super::{Alarms, Config, KeyInfo};
use crate::lwaftr::{Fragments, Policy};

/// A key with two values.
#[derive(Debug, Clone)]
pub struct Difference {
    /// Which key.
    pub key: KeyInfo,
    /// What it was, as TOML; empty for nothing.
    pub old: String,
    /// What it becomes, as TOML; empty for nothing.
    pub new: String,
}

impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let or_nothing =
            |value: &str| if value.is_empty() { "(none)".to_owned() } else { value.to_owned() };
        write!(f, "{}: {} -> {}", self.key.path(), or_nothing(&self.old), or_nothing(&self.new))
    }
}

/// The keys whose values differ between two configurations. Those with `key.restart` cannot be
/// changed in a running instance. Softwires are not compared here.
#[must_use]
pub fn differences(old: &Config, new: &Config) -> Vec<Difference> {
    [
        of_table(&old.instance, &new.instance),
        of_table(&old.workers, &new.workers),
        of_table(&old.external, &new.external),
        of_table(&old.internal, &new.internal),
        of_table(&old.softwires, &new.softwires),
        of_table(&old.policy, &new.policy),
        of_table(&old.fragments, &new.fragments),
        of_table(&old.api, &new.api),
        of_table(&old.alarms, &new.alarms),
    ]
    .concat()
}

/// The keys whose values differ between two tables.
pub(super) fn of_table<T: Table>(old: &T, new: &T) -> Vec<Difference> {
    let both = T::keys().into_iter().zip(T::describe());
    both.map(|(key, info)| Difference { key: info, old: (key.show)(old), new: (key.show)(new) })
        .filter(|difference| difference.old != difference.new)
        .collect()
}

impl Config {
    /// The rules of `[policy]`, `[fragments]` and `[alarms]` that are not as they are by default.
    #[must_use]
    pub fn policy_choices(&self) -> Vec<Difference> {
        [
            of_table(&Policy::default(), &self.policy),
            of_table(&Fragments::default(), &self.fragments),
            of_table(&Alarms::default(), &self.alarms),
        ]
        .concat()
    }
}
