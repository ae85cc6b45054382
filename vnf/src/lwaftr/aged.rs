//! A map that knows which of its entries is the oldest: what is kept for a while, and gives way to
//! newer things when there is too much of it.

use std::collections::BTreeMap;
use std::hash::Hash;

use hashbrown::HashMap;

/// Entries by key and by age.
#[derive(Debug)]
pub(super) struct Aged<K, V> {
    entries: HashMap<K, Entry<V>>,
    /// The keys in the order they came.
    order: BTreeMap<u64, K>,
    next: u64,
}

#[derive(Debug)]
struct Entry<V> {
    value: V,
    since: u64,
    number: u64,
}

impl<K: Copy + Eq + Hash, V> Aged<K, V> {
    pub(super) fn new() -> Self {
        Self { entries: HashMap::new(), order: BTreeMap::new(), next: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Adds an entry as the newest, in place of what the key had.
    pub(super) fn insert(&mut self, key: K, value: V, now: u64) {
        let number = self.next;
        self.next += 1;
        self.order.insert(number, key);
        let entry = Entry { value, since: now, number };
        if let Some(former) = self.entries.insert(key, entry) {
            self.order.remove(&former.number);
        }
    }

    /// An entry and since when it is there.
    pub(super) fn get(&self, key: &K) -> Option<(&V, u64)> {
        self.entries.get(key).map(|entry| (&entry.value, entry.since))
    }

    pub(super) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        self.entries.get_mut(key).map(|entry| &mut entry.value)
    }

    /// Takes an entry out, and since when it was there.
    pub(super) fn remove(&mut self, key: &K) -> Option<(V, u64)> {
        let entry = self.entries.remove(key)?;
        self.order.remove(&entry.number);
        Some((entry.value, entry.since))
    }

    /// The oldest key.
    pub(super) fn oldest(&self) -> Option<K> {
        self.order.first_key_value().map(|(_, key)| *key)
    }

    /// The oldest key if its entry is at least that old.
    pub(super) fn overdue(&self, now: u64, age: u64) -> Option<K> {
        let key = self.oldest()?;
        let since = self.entries.get(&key)?.since;
        (now.saturating_sub(since) >= age).then_some(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_is_the_one_that_came_first_and_is_still_there() {
        let mut map = Aged::new();
        for (key, now) in [('a', 10), ('b', 20), ('c', 20), ('a', 30)] {
            map.insert(key, now, now);
        }
        assert_eq!((map.len(), map.oldest()), (3, Some('b')));
        assert_eq!(map.overdue(29, 10), None);
        assert_eq!(map.overdue(30, 10), Some('b'));
        assert_eq!(map.remove(&'b'), Some((20, 20)));
        assert_eq!(map.remove(&'b'), None);
        assert_eq!(map.oldest(), Some('c'));
        *map.get_mut(&'a').unwrap() = 7;
        assert_eq!(map.get(&'a'), Some((&7, 30)));
        map.remove(&'c');
        map.remove(&'a');
        assert_eq!((map.len(), map.oldest(), map.overdue(99, 0)), (0, None, None));
    }
}
