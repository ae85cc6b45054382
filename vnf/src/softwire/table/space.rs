//! Which parts of a region are free: pieces whose size is a small number of units, handed out from
//! the lists of returned ones first, then from the untouched end.

use std::collections::BTreeMap;

/// Free and used units of a region.
#[derive(Debug)]
pub(super) struct Space {
    next: u32,
    end: u32,
    free: BTreeMap<u32, Vec<u32>>,
    free_units: usize,
}

impl Space {
    /// All of a region of `units`, its first `taken` in use.
    pub(super) fn new(units: usize, taken: u32) -> Self {
        let end = u32::try_from(units).unwrap_or(u32::MAX);
        Self { next: taken, end, free: BTreeMap::new(), free_units: 0 }
    }

    /// A piece of `units`, starting at a multiple of nothing in particular.
    pub(super) fn take(&mut self, units: u32) -> Option<u32> {
        if let Some(piece) = self.free.get_mut(&units).and_then(Vec::pop) {
            self.free_units -= units as usize;
            return Some(piece);
        }
        let piece = self.next;
        self.next = piece.checked_add(units).filter(|&next| next <= self.end)?;
        Some(piece)
    }

    /// Gives a piece back.
    pub(super) fn give(&mut self, piece: u32, units: u32) {
        self.free_units += units as usize;
        self.free.entry(units).or_default().push(piece);
    }

    /// Units that could still be taken in one piece.
    pub(super) fn untouched(&self) -> usize {
        (self.end - self.next) as usize
    }

    /// Units in use.
    pub(super) fn used(&self) -> usize {
        self.next as usize - self.free_units
    }
}
