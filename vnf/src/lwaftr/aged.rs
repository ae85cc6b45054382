//! What is kept for a while and gives way to newer things when there is too much of it: entries by
//! key, which may have several, and by age. Each has a number under which it is found again without
//! its key. Room is made once; after that nothing is allocated, whatever comes and goes.

use std::hash::{BuildHasher, Hash};

use hashbrown::DefaultHashBuilder;

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

/// The number of an entry. It is used again when the entry is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Id(u32);

impl Id {
    /// Of no entry.
    const NONE: Self = Self(u32::MAX);

    fn some(self) -> Option<Self> {
        (self != Self::NONE).then_some(self)
    }
}

/// Entries by key and by age.
#[derive(Debug)]
pub(super) struct Aged<K, V> {
    entries: Vec<Entry<K, V>>,
    /// The first of those that have nothing in them.
    free: Id,
    /// By hash: the newest of a chain of entries.
    buckets: Box<[Id]>,
    oldest: Id,
    newest: Id,
    len: usize,
}

/// One of what a key has.
#[derive(Debug)]
struct Entry<K, V> {
    key: Hashed<K>,
    value: Option<V>,
    /// When it came.
    since: u64,
    /// Its neighbours among all entries; of one that is free, the next such entry.
    older: Id,
    newer: Id,
    /// Its neighbours in its bucket's chain.
    older_in_chain: Id,
    newer_in_chain: Id,
}

impl<K: Copy + Eq, V> Aged<K, V> {
    pub(super) fn new() -> Self {
        Self {
            entries: Vec::new(),
            free: Id::NONE,
            buckets: Box::default(),
            oldest: Id::NONE,
            newest: Id::NONE,
            len: 0,
        }
    }

    /// Makes room for so many entries in all, if there is less. The memory is not touched before it
    /// is used.
    #[inline]
    pub(super) fn reserve(&mut self, most: usize) {
        if self.buckets.len() < most {
            self.grow(most);
        }
    }

    #[cold]
    fn grow(&mut self, most: usize) {
        self.entries.reserve_exact(most.saturating_sub(self.entries.len()));
        self.buckets = vec![Id::NONE; most.next_power_of_two()].into();
        let mut next = self.oldest;
        while let Some(entry) = self.entry(next) {
            let id = std::mem::replace(&mut next, entry.newer);
            self.chain(id);
        }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// What a key has, the newest first.
    #[inline]
    pub(super) fn of(&self, key: &Hashed<K>) -> impl Iterator<Item = (Id, &V)> {
        let mut next = self.buckets.get(self.bucket(key.hash)).copied().unwrap_or(Id::NONE);
        std::iter::from_fn(move || {
            while let Some(entry) = self.entry(next) {
                let id = std::mem::replace(&mut next, entry.older_in_chain);
                if entry.key.key == key.key {
                    return Some((id, entry.value.as_ref()?));
                }
            }
            None
        })
    }

    /// Adds an entry as the newest.
    #[inline]
    pub(super) fn insert(&mut self, key: Hashed<K>, value: V, now: u64) -> Id {
        self.reserve(self.len + 1);
        let (older, newer) = (self.newest, Id::NONE);
        let (older_in_chain, newer_in_chain) = (Id::NONE, Id::NONE);
        let (value, since) = (Some(value), now);
        let entry = Entry { key, value, since, older, newer, older_in_chain, newer_in_chain };
        let mut id = self.free;
        if let Some(place) = self.entries.get_mut(id.0 as usize) {
            self.free = place.older;
            *place = entry;
        } else {
            id = Id(self.entries.len() as u32);
            self.entries.push(entry);
        }
        match self.entry_mut(older) {
            Some(older) => older.newer = id,
            None => self.oldest = id,
        }
        self.newest = id;
        self.len += 1;
        self.chain(id);
        id
    }

    /// Puts an entry into the chain of its bucket, as the newest there.
    #[inline]
    fn chain(&mut self, id: Id) {
        let Some(entry) = self.entries.get_mut(id.0 as usize) else { return };
        let bucket = entry.key.hash as usize & self.buckets.len().wrapping_sub(1);
        let Some(bucket) = self.buckets.get_mut(bucket) else { return };
        let older = std::mem::replace(bucket, id);
        (entry.older_in_chain, entry.newer_in_chain) = (older, Id::NONE);
        if let Some(older) = self.entry_mut(older) {
            older.newer_in_chain = id;
        }
    }

    #[inline]
    pub(super) fn get(&self, id: Id) -> Option<&V> {
        self.entry(id)?.value.as_ref()
    }

    #[inline]
    pub(super) fn get_mut(&mut self, id: Id) -> Option<&mut V> {
        self.entry_mut(id)?.value.as_mut()
    }

    /// The key of an entry.
    #[inline]
    pub(super) fn key(&self, id: Id) -> Option<Hashed<K>> {
        self.entry(id).map(|entry| entry.key)
    }

    /// When an entry came.
    #[inline]
    pub(super) fn since(&self, id: Id) -> Option<u64> {
        self.entry(id).map(|entry| entry.since)
    }

    /// What the same key has that came next.
    #[inline]
    pub(super) fn newer_of_key(&self, id: Id) -> Option<Id> {
        let this = self.entry(id)?;
        let mut next = this.newer_in_chain;
        while let Some(entry) = self.entry(next)
            && entry.key.key != this.key.key
        {
            next = entry.newer_in_chain;
        }
        next.some()
    }

    /// Takes an entry out.
    #[inline]
    pub(super) fn remove(&mut self, id: Id) -> Option<V> {
        let gone = self.entries.get_mut(id.0 as usize)?;
        let value = gone.value.take()?;
        let Entry { older, newer, older_in_chain, newer_in_chain, .. } = *gone;
        let hash = gone.key.hash;
        gone.older = self.free;
        self.free = id;
        self.len -= 1;
        match self.entry_mut(older) {
            Some(entry) => entry.newer = newer,
            None => self.oldest = newer,
        }
        match self.entry_mut(newer) {
            Some(entry) => entry.older = older,
            None => self.newest = older,
        }
        if let Some(entry) = self.entry_mut(older_in_chain) {
            entry.newer_in_chain = newer_in_chain;
        }
        if let Some(entry) = self.entry_mut(newer_in_chain) {
            entry.older_in_chain = older_in_chain;
        } else {
            let bucket = self.bucket(hash);
            if let Some(bucket) = self.buckets.get_mut(bucket) {
                *bucket = older_in_chain;
            }
        }
        Some(value)
    }

    /// The oldest entry.
    #[inline]
    pub(super) fn oldest(&self) -> Option<Id> {
        self.oldest.some()
    }

    /// The oldest entry if it is at least that old.
    #[inline]
    pub(super) fn overdue(&self, now: u64, age: u64) -> Option<Id> {
        let since = self.since(self.oldest)?;
        (now.saturating_sub(since) >= age).then_some(self.oldest)
    }

    #[inline]
    fn entry(&self, id: Id) -> Option<&Entry<K, V>> {
        self.entries.get(id.0 as usize)
    }

    #[inline]
    fn entry_mut(&mut self, id: Id) -> Option<&mut Entry<K, V>> {
        self.entries.get_mut(id.0 as usize)
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
        assert_eq!((map.since(a), map.key(a), map.remove(a)), (Some(10), Some(key('a')), Some(10)));
        let a = map.insert(key('a'), 30, 30);
        assert_eq!((map.len(), map.oldest()), (3, Some(b)));
        assert_eq!(map.overdue(29, 10), None);
        assert_eq!(map.overdue(30, 10), Some(b));
        assert!(map.remove(b).is_some() && map.remove(b).is_none());
        assert_eq!(map.oldest(), Some(c));
        *map.get_mut(a).unwrap() = 7;
        let of = |name| map.of(&key(name)).map(|(_, value)| *value).collect::<Vec<_>>();
        assert_eq!((of('a'), of('b')), (vec![7], vec![]));
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
            let key = (random >> 40) as u32 % 100;
            let hashed = hasher.of(key);
            let expected = model.iter().rev().filter(|(other, _)| *other == key);
            let found = map.of(&hashed).map(|(id, value)| (map.key(id).unwrap().key, *value));
            assert!(found.eq(expected.copied()), "{key}");
            let ids: Vec<Id> = map.of(&hashed).map(|(id, _)| id).collect();
            let oldest = ids.last().copied();
            let mut upwards: Vec<Id> =
                std::iter::successors(oldest, |&id| map.newer_of_key(id)).collect();
            upwards.reverse();
            assert_eq!(upwards, ids);
            if random >> 63 == 0 && model.len() < 200 {
                map.insert(hashed, now, now);
                model.push((key, now));
            } else if let Some(&id) = ids.get((random >> 50) as usize % 3) {
                let since = map.since(id);
                let value = map.remove(id).unwrap();
                assert_eq!((since, map.get(id)), (Some(value), None));
                assert_eq!(map.remove(id), None);
                model.retain(|(_, other)| *other != value);
            }
            let oldest = map.oldest().and_then(|id| map.get(id)).copied();
            assert_eq!((map.len(), oldest), (model.len(), model.first().map(|(_, value)| *value)));
            if now == 20_000 {
                map.reserve(1000);
            }
        }
    }
}
