//! Things in numbered places that are used again: a thing's number stays the same while it is
//! there, and once there was room for as many as there ever are, nothing is allocated.

use std::num::NonZeroU32;

/// The number of a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Id(NonZeroU32);

impl Id {
    #[inline]
    fn of(index: usize) -> Self {
        Self(NonZeroU32::MIN.saturating_add(index as u32))
    }

    #[inline]
    fn index(self) -> usize {
        self.0.get() as usize - 1
    }
}

/// Things by their numbers.
#[derive(Debug)]
pub(super) struct Slab<T> {
    places: Vec<Place<T>>,
    free: Option<Id>,
}

#[derive(Debug)]
enum Place<T> {
    Taken(T),
    /// Nothing is here; the next such place.
    Free(Option<Id>),
}

impl<T> Slab<T> {
    pub(super) const fn new() -> Self {
        Self { places: Vec::new(), free: None }
    }

    /// Makes room for so many in all. The memory is not touched before it is used.
    pub(super) fn reserve(&mut self, most: usize) {
        self.places.reserve_exact(most.saturating_sub(self.places.len()));
    }

    #[inline(always)]
    pub(super) fn insert(&mut self, thing: T) -> Id {
        if let Some(id) = self.free
            && let Some(place) = self.places.get_mut(id.index())
        {
            if let Place::Free(next) = *place {
                self.free = next;
            }
            *place = Place::Taken(thing);
            return id;
        }
        let id = Id::of(self.places.len());
        self.places.push(Place::Taken(thing));
        id
    }

    #[inline(always)]
    pub(super) fn remove(&mut self, id: Id) -> Option<T> {
        let place = self.places.get_mut(id.index())?;
        if matches!(place, Place::Free(_)) {
            return None;
        }
        let taken = std::mem::replace(place, Place::Free(self.free));
        self.free = Some(id);
        match taken {
            Place::Taken(thing) => Some(thing),
            Place::Free(_) => None,
        }
    }

    #[inline(always)]
    pub(super) fn get(&self, id: Id) -> Option<&T> {
        match self.places.get(id.index())? {
            Place::Taken(thing) => Some(thing),
            Place::Free(_) => None,
        }
    }

    #[inline(always)]
    pub(super) fn get_mut(&mut self, id: Id) -> Option<&mut T> {
        match self.places.get_mut(id.index())? {
            Place::Taken(thing) => Some(thing),
            Place::Free(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stay_and_places_are_used_again() {
        let mut slab = Slab::new();
        slab.reserve(3);
        let capacity = slab.places.capacity();
        let [a, b, c] = ['a', 'b', 'c'].map(|thing| slab.insert(thing));
        assert_eq!((slab.remove(b), slab.remove(b), slab.get(b)), (Some('b'), None, None));
        assert_eq!(slab.remove(a), Some('a'));
        assert_eq!((slab.insert('d'), slab.insert('e')), (a, b));
        *slab.get_mut(c).unwrap() = 'f';
        assert_eq!([a, b, c].map(|id| slab.get(id).copied()), [Some('d'), Some('e'), Some('f')]);
        assert_eq!(slab.places.capacity(), capacity);
        let fourth = slab.insert('g');
        assert_eq!((fourth.index(), slab.get_mut(fourth)), (3, Some(&mut 'g')));
    }
}
