//! What is kept for a while and gives way to newer things when there is too much of it: entries by
//! key and by age. Each has a number under which it is found again without its key. Room is made
//! once; after that nothing is allocated, whatever comes and goes.

use std::hash::{BuildHasher, Hash};

use hashbrown::DefaultHashBuilder;

use super::slab::{Id, Slab};

/// Hashes keys, in a way that is random, so that nobody can choose what makes long chains.
#[derive(Debug, Default)]
pub(super) struct Hasher(DefaultHashBuilder);

impl Hasher {
    #[inline]
    pub(super) fn of<K: Hash>(&self, key: K) -> Hashed<K> {
        let hash = self.0.hash_one(&key);
        Hashed { hash: (hash ^ hash >> 32) as u32, key }
    }
}

/// A key and its hash, which is computed once for all that it is looked up in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Hashed<K> {
    hash: u32,
    pub(super) key: K,
}

/// Entries by key and by age.
#[derive(Debug)]
pub(super) struct Aged<K, V> {
    entries: Slab<Entry<K, V>>,
    /// By hash: the first of a chain of entries.
    buckets: Box<[Option<Id>]>,
    oldest: Option<Id>,
    newest: Option<Id>,
    len: usize,
}

/// What a key has.
#[derive(Debug)]
pub(super) struct Entry<K, V> {
    pub(super) key: Hashed<K>,
    pub(super) value: V,
    /// When it came.
    pub(super) since: u64,
    /// The next in its chain.
    chained: Option<Id>,
    older: Option<Id>,
    newer: Option<Id>,
}

impl<K: Copy + Eq, V> Aged<K, V> {
    pub(super) fn new() -> Self {
        Self { entries: Slab::new(), buckets: Box::default(), oldest: None, newest: None, len: 0 }
    }

    /// Makes room for so many entries in all, if there is less.
    #[inline]
    pub(super) fn reserve(&mut self, most: usize) {
        if self.buckets.len() < most {
            self.grow(most);
        }
    }

    #[cold]
    fn grow(&mut self, most: usize) {
        self.entries.reserve(most);
        self.buckets = vec![None; most.next_power_of_two()].into();
        let mut next = self.oldest;
        while let Some(id) = next
            && let Some(entry) = self.entries.get_mut(id)
        {
            next = entry.newer;
            let bucket = entry.key.hash as usize & (self.buckets.len() - 1);
            if let Some(bucket) = self.buckets.get_mut(bucket) {
                entry.chained = bucket.replace(id);
            }
        }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// The number of a key's entry.
    #[inline]
    pub(super) fn find(&self, key: &Hashed<K>) -> Option<Id> {
        let mut next = *self.buckets.get(self.bucket(key.hash))?;
        while let Some(id) = next {
            let entry = self.entries.get(id)?;
            if entry.key == *key {
                break;
            }
            next = entry.chained;
        }
        next
    }

    /// Adds an entry as the newest. The key must have none.
    #[inline]
    pub(super) fn insert(&mut self, key: Hashed<K>, value: V, now: u64) -> Id {
        self.reserve(self.len + 1);
        let (older, bucket) = (self.newest, self.bucket(key.hash));
        let chained = self.buckets.get(bucket).copied().flatten();
        let entry = Entry { key, value, since: now, chained, older, newer: None };
        let id = self.entries.insert(entry);
        if let Some(bucket) = self.buckets.get_mut(bucket) {
            *bucket = Some(id);
        }
        match older.and_then(|id| self.entries.get_mut(id)) {
            Some(entry) => entry.newer = Some(id),
            None => self.oldest = Some(id),
        }
        self.newest = Some(id);
        self.len += 1;
        id
    }

    #[inline]
    pub(super) fn get(&self, id: Id) -> Option<&Entry<K, V>> {
        self.entries.get(id)
    }

    #[inline]
    pub(super) fn get_mut(&mut self, id: Id) -> Option<&mut V> {
        self.entries.get_mut(id).map(|entry| &mut entry.value)
    }

    /// Takes an entry out.
    #[inline]
    pub(super) fn remove(&mut self, id: Id) -> Option<Entry<K, V>> {
        let entry = self.entries.remove(id)?;
        self.unchain(id, &entry);
        match entry.older.and_then(|id| self.entries.get_mut(id)) {
            Some(older) => older.newer = entry.newer,
            None => self.oldest = entry.newer,
        }
        match entry.newer.and_then(|id| self.entries.get_mut(id)) {
            Some(newer) => newer.older = entry.older,
            None => self.newest = entry.older,
        }
        self.len -= 1;
        Some(entry)
    }

    #[inline]
    fn unchain(&mut self, id: Id, entry: &Entry<K, V>) {
        let bucket = self.bucket(entry.key.hash);
        let Some(mut link) = self.buckets.get_mut(bucket) else { return };
        while *link != Some(id) {
            let Some(other) = link.and_then(|other| self.entries.get_mut(other)) else { return };
            link = &mut other.chained;
        }
        *link = entry.chained;
    }

    /// The oldest entry.
    pub(super) fn oldest(&self) -> Option<Id> {
        self.oldest
    }

    /// The oldest entry if it is at least that old.
    #[inline]
    pub(super) fn overdue(&self, now: u64, age: u64) -> Option<Id> {
        let id = self.oldest?;
        let since = self.entries.get(id)?.since;
        (now.saturating_sub(since) >= age).then_some(id)
    }

    #[inline]
    fn bucket(&self, hash: u32) -> usize {
        hash as usize & self.buckets.len().wrapping_sub(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_is_the_one_that_came_first_and_is_still_there() {
        let (mut map, hasher) = (Aged::new(), Hasher::default());
        let key = |key: char| hasher.of(key);
        let [a, b, c] =
            [('a', 10), ('b', 20), ('c', 20)].map(|(name, now)| map.insert(key(name), now, now));
        let gone = map.remove(a).unwrap();
        assert_eq!((gone.key.key, gone.value, gone.since), ('a', 10, 10));
        let a = map.insert(key('a'), 30, 30);
        assert_eq!((map.len(), map.oldest()), (3, Some(b)));
        assert_eq!(map.overdue(29, 10), None);
        assert_eq!(map.overdue(30, 10), Some(b));
        assert!(map.remove(b).is_some() && map.remove(b).is_none());
        assert_eq!(map.oldest(), Some(c));
        *map.get_mut(a).unwrap() = 7;
        assert_eq!(
            map.find(&key('a')).and_then(|id| map.get(id)).map(|entry| entry.value),
            Some(7)
        );
        assert_eq!(map.find(&key('b')), None);
        map.remove(c);
        map.remove(a);
        assert_eq!((map.len(), map.oldest(), map.overdue(99, 0)), (0, None, None));
    }

    /// Against a plain list; there is room for few at first, later for more.
    #[test]
    fn finds_what_is_there_and_nothing_else() {
        let (mut map, mut model) = (Aged::new(), Vec::<(u32, u64)>::new());
        let hasher = Hasher::default();
        let mut random = 1_u64;
        for now in 0..30_000 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(99);
            let key = (random >> 40) as u32 % 300;
            let hashed = hasher.of(key);
            match model.iter().position(|(other, _)| *other == key) {
                None if model.len() < 200 => {
                    map.insert(hashed, now, now);
                    model.push((key, now));
                }
                None => assert_eq!(map.find(&hashed), None),
                Some(at) => {
                    let id = map.find(&hashed).unwrap();
                    let entry = map.get(id).unwrap();
                    assert_eq!((entry.key.key, entry.value), model[at]);
                    if random >> 63 == 0 {
                        map.remove(id);
                        model.remove(at);
                    }
                }
            }
            let oldest = map.oldest().and_then(|id| map.get(id)).map(|entry| entry.key.key);
            assert_eq!((map.len(), oldest), (model.len(), model.first().map(|(key, _)| *key)));
            if now == 20_000 {
                map.reserve(1000);
            }
        }
    }
}
