//! A large array of atomics that starts all zero. Pages come into being when they are first
//! written, so a region can be as large as the table may grow without costing that much; the
//! kernel is asked for 2 MB pages, which the table's random reads need.

use std::io;
use std::marker::PhantomData;
use std::ops::Deref;
use std::sync::atomic::{AtomicU32, AtomicU64};

use memmap2::{Advice, MmapOptions, MmapRaw};

/// Types that a [`Region`] may hold.
///
/// # Safety
/// All bytes zero must be a valid value, the type must need no drop, and it must be safe to share
/// between threads while one of them writes through `&self` (atomics).
pub unsafe trait Zeroed: Sync + Send {}

// SAFETY: an integer atomic is valid for every bit pattern, needs no drop and is made for sharing.
unsafe impl Zeroed for AtomicU32 {}
// SAFETY: as above.
unsafe impl Zeroed for AtomicU64 {}

/// `len` values of `T`, zero at first.
pub struct Region<T: Zeroed> {
    map: MmapRaw,
    len: usize,
    values: PhantomData<[T]>,
}

impl<T: Zeroed> Region<T> {
    /// Reserves room for `len` values.
    pub fn new(len: usize) -> io::Result<Self> {
        let bytes = len
            .max(1)
            .checked_mul(size_of::<T>())
            .ok_or_else(|| io::Error::other("the size overflows"))?;
        let map = MmapOptions::new().len(bytes).no_reserve_swap().map_anon()?;
        // Without huge pages the region works as well, only slower.
        let _ = map.advise(Advice::HugePage);
        Ok(Self { map: map.into(), len, values: PhantomData })
    }
}

impl<T: Zeroed> Deref for Region<T> {
    type Target = [T];

    #[inline]
    fn deref(&self) -> &[T] {
        // SAFETY: the mapping is page-aligned, which suffices for every `T` here (atomics and
        // structures of them), holds `len * size_of::<T>()` zeroed bytes, lives as long as `self`,
        // and is written only through the shared references of `T`, which `Zeroed` allows.
        unsafe { std::slice::from_raw_parts(self.map.as_ptr().cast(), self.len) }
    }
}

impl<T: Zeroed> std::fmt::Debug for Region<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Region").field("len", &self.len).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::Ordering::Relaxed;

    #[test]
    fn starts_zero_and_keeps_what_is_written() {
        let region = Region::<AtomicU64>::new(1 << 20).unwrap();
        assert!(region.iter().all(|value| value.load(Relaxed) == 0));
        region[77].store(5, Relaxed);
        assert_eq!(region[77].load(Relaxed), 5);
        assert!(Region::<AtomicU64>::new(usize::MAX).is_err());
    }
}
