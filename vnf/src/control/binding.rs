//! When softwires end (RFC 7596 section 6.1: as long as the address is allocated). The binding
//! table knows nothing of times: they are kept here, beside it, for those softwires that have one.

use std::collections::{BTreeSet, HashMap};
use std::net::Ipv4Addr;

use jiff::Timestamp;

use super::row::Key;
use crate::softwire::{Binding, Softwire};

/// What names it.
#[must_use]
pub(super) fn key(binding: &Binding) -> Key {
    Key::of(&binding.softwire)
}

/// When softwires end.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Leases {
    by_key: HashMap<Key, Timestamp>,
    by_time: BTreeSet<(Timestamp, Key)>,
}

impl Leases {
    /// Those of a configuration.
    #[must_use]
    pub fn of(rows: &[(Ipv4Addr, u16, Timestamp)]) -> Self {
        let mut leases = Self::default();
        for &(ipv4, psid, until) in rows {
            leases.set(Key { ipv4, psid }, Some(until));
        }
        leases
    }

    /// When the softwire of this key ends.
    #[must_use]
    pub fn get(&self, key: Key) -> Option<Timestamp> {
        if self.by_key.is_empty() { None } else { self.by_key.get(&key).copied() }
    }

    /// Sets when it ends, or that it does not.
    pub fn set(&mut self, key: Key, until: Option<Timestamp>) {
        let old = match until {
            Some(until) => self.by_key.insert(key, until),
            None => self.by_key.remove(&key),
        };
        if let Some(old) = old {
            self.by_time.remove(&(old, key));
        }
        if let Some(until) = until {
            self.by_time.insert((until, key));
        }
    }

    /// A softwire of the table with its time.
    #[must_use]
    pub fn bind(&self, softwire: Softwire) -> Binding {
        Binding { softwire, until: self.get(Key::of(&softwire)) }
    }

    /// When the next one ends.
    #[must_use]
    pub fn next(&self) -> Option<Timestamp> {
        self.by_time.first().map(|&(until, _)| until)
    }

    /// Those that have ended.
    pub fn ended(&self, now: Timestamp) -> impl Iterator<Item = Key> {
        self.by_time.iter().take_while(move |&&(until, _)| until <= now).map(|&(_, key)| key)
    }

    /// How many softwires have a time.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_key.len()
    }

    /// No softwire has one.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_key.is_empty()
    }
}
