//! The writer's index: which entries have softwires of a B4.
//!
//! It holds the numbers of entries, whose addresses stand in the entries themselves; a hash table
//! from a library keeps a byte more for each, and room for twice as many. Four bytes for a number
//! leave bits unused, which tell most other B4s' entries apart without a look at them.

/// A place without a number: its lowest bits are no entry's number.
const EMPTY: u32 = u32::MAX;

/// Numbers of entries, in places that start where the hash of their B4 says (linear probing).
#[derive(Debug)]
pub(super) struct ByB4 {
    places: Box<[u32]>,
    len: usize,
    /// Of a place's bits those that are the number; the others are bits of the hash.
    number: u32,
}

impl ByB4 {
    /// An index of entries with numbers below `slots`.
    pub(super) fn new(slots: usize) -> Self {
        let number = slots.checked_add(1).and_then(usize::checked_next_power_of_two);
        let number = number.and_then(|above| u32::try_from(above - 1).ok()).unwrap_or(u32::MAX);
        Self { places: Box::default(), len: 0, number }
    }

    /// Makes room for so many, if it is empty.
    pub(super) fn reserve(&mut self, len: usize) {
        if self.len == 0 {
            self.places = vec![EMPTY; len + len / 3 + 1].into();
        }
    }

    /// The entries whose B4 may have this hash: those that have, and few others.
    pub(super) fn candidates(&self, hash: u64) -> impl Iterator<Item = u32> {
        let tag = self.tag(hash);
        self.taken_from(hash)
            .map(|at| self.places[at])
            .filter(move |place| place & !self.number == tag)
            .map(|place| place & self.number)
    }

    /// Adds an entry.
    pub(super) fn insert(&mut self, number: u32, hash_of: impl Fn(u32) -> u64) {
        // Seven of eight places are the most that are taken.
        if (self.len + 1) * 8 > self.places.len() * 7 {
            self.grow(&hash_of);
        }
        self.put(number, hash_of(number));
        self.len += 1;
    }

    /// Takes an entry away that was added when its B4 had the same hash.
    pub(super) fn remove(&mut self, number: u32, hash_of: impl Fn(u32) -> u64) {
        let hash = hash_of(number);
        let is_it = |&at: &usize| self.places[at] & self.number == number;
        let Some(mut hole) = self.taken_from(hash).find(is_it) else { return };
        self.len -= 1;
        // What stands behind the hole, and started at or before it, would not be found any more.
        let mut at = hole;
        loop {
            at = if at + 1 == self.places.len() { 0 } else { at + 1 };
            let place = self.places[at];
            if place == EMPTY || at == hole {
                break;
            }
            let home = self.home(hash_of(place & self.number));
            let stays =
                if hole < at { hole < home && home <= at } else { hole < home || home <= at };
            if !stays {
                self.places[hole] = place;
                hole = at;
            }
        }
        self.places[hole] = EMPTY;
    }

    /// Bytes of memory.
    pub(super) fn memory(&self) -> usize {
        size_of_val(&*self.places)
    }

    /// Twice as many places as are needed now.
    #[cold]
    fn grow(&mut self, hash_of: impl Fn(u32) -> u64) {
        let places = vec![EMPTY; (self.len + 8) * 2].into();
        for place in std::mem::replace(&mut self.places, places) {
            if place != EMPTY {
                let number = place & self.number;
                self.put(number, hash_of(number));
            }
        }
    }

    fn put(&mut self, number: u32, hash: u64) {
        let place = number | self.tag(hash);
        let home = self.home(hash);
        let free = self.around(home).find(|&at| self.places[at] == EMPTY);
        if let Some(free) = free {
            self.places[free] = place;
        }
    }

    /// The places from where a hash starts to the first free one.
    fn taken_from(&self, hash: u64) -> impl Iterator<Item = usize> {
        self.around(self.home(hash)).take_while(|&at| self.places[at] != EMPTY)
    }

    /// All places, this one first.
    fn around(&self, home: usize) -> impl Iterator<Item = usize> + use<> {
        (home..self.places.len()).chain(0..home)
    }

    /// Where the search for a hash starts: its upper bits, scaled to the places.
    fn home(&self, hash: u64) -> usize {
        ((u128::from(hash) * self.places.len() as u128) >> u64::BITS) as usize
    }

    fn tag(&self, hash: u64) -> u32 {
        hash as u32 & !self.number
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Few different hashes, so that runs are long, wrap around and have holes torn into them.
    fn hash_of(number: u32) -> u64 {
        const HASHES: [u64; 5] = [0, u64::MAX, u64::MAX - 99, 1 << 63 | 0xabc, 1 << 62];
        HASHES[number as usize % 5].wrapping_add(u64::from(number) % 3)
    }

    proptest! {
        #[test]
        fn finds_what_was_added_and_not_taken_away(
            reserved in 0_usize..40,
            steps in prop::collection::vec((any::<bool>(), 0_u32..60), 0..300),
        ) {
            let mut index = ByB4::new(60);
            index.reserve(reserved);
            let mut model = std::collections::BTreeSet::new();
            for (adds, number) in steps {
                if adds && model.insert(number) {
                    index.insert(number, hash_of);
                } else if !adds && model.remove(&number) {
                    index.remove(number, hash_of);
                }
                prop_assert_eq!(index.len, model.len());
                for number in 0..60 {
                    let times = index.candidates(hash_of(number)).filter(|&it| it == number).count();
                    prop_assert_eq!(times, usize::from(model.contains(&number)), "{}", number);
                }
            }
        }
    }

    #[test]
    fn numbers_and_hashes_share_a_place() {
        assert_eq!(ByB4::new(0).number, 0);
        assert_eq!(ByB4::new(60).number, 63);
        // 63 would be all ones, as an empty place is.
        assert_eq!(ByB4::new(63).number, 63);
        assert_eq!(ByB4::new(64).number, 127);
        assert_eq!(ByB4::new(usize::MAX).number, u32::MAX);
        let index = ByB4::new(1);
        assert_eq!(index.candidates(7).count(), 0);
    }
}
