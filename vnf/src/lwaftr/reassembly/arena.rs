//! Memory for packets of any length, in chains of small blocks: as much as is needed is taken and
//! then kept, so that a flood of fragments costs what the limits say and no more.

use std::num::NonZeroU32;

/// Bytes of a block: what the length of a packet is rounded up to.
pub(super) const BLOCK: usize = 256;

/// Blocks that are taken at once: a quarter of a mebibyte, which the system gives as it is touched.
const CHUNK: usize = 1024;

/// The number of a block, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Id(NonZeroU32);

impl Id {
    fn of(index: usize) -> Self {
        Self(NonZeroU32::MIN.saturating_add(index as u32))
    }

    #[inline]
    fn index(self) -> usize {
        self.0.get() as usize - 1
    }
}

/// All blocks, and which are free. What is stored has the number of its first block, and a thing of
/// type `T` that is told of it.
#[derive(Debug)]
pub(super) struct Arena<T> {
    chunks: Vec<Chunk<T>>,
    free: Option<Id>,
    used: usize,
}

#[derive(Debug)]
struct Chunk<T> {
    bytes: Box<[u8]>,
    blocks: Box<[Block<T>]>,
}

/// What is known of a block.
#[derive(Debug, Clone, Copy, Default)]
struct Block<T> {
    /// The block behind it, in its chain or among the free ones.
    next: Option<Id>,
    /// How many bytes are stored from this block on.
    len: u32,
    /// Told of what is stored.
    thing: T,
}

/// Bytes of memory that so many bytes take.
pub(super) fn cost(len: usize) -> usize {
    len.next_multiple_of(BLOCK)
}

impl<T: Copy + Default> Arena<T> {
    pub(super) const fn new() -> Self {
        Self { chunks: Vec::new(), free: None, used: 0 }
    }

    /// Bytes of memory that are in use.
    pub(super) fn used(&self) -> usize {
        self.used
    }

    /// Stores a copy. Who has its number gives it back.
    #[inline]
    pub(super) fn store(&mut self, bytes: &[u8], thing: T) -> Id {
        let first = self.take();
        let (mut at, mut rest) = (first, bytes);
        loop {
            let (piece, behind) = rest.split_at(rest.len().min(BLOCK));
            let next = (!behind.is_empty()).then(|| self.take());
            let chunk = &mut self.chunks[at.index() / CHUNK];
            let start = at.index() % CHUNK * BLOCK;
            chunk.bytes[start..start + piece.len()].copy_from_slice(piece);
            chunk.blocks[at.index() % CHUNK] = Block { next, len: rest.len() as u32, thing };
            let Some(next) = next else { break };
            (at, rest) = (next, behind);
        }
        self.used += cost(bytes.len());
        first
    }

    /// What was told of what is stored.
    #[inline]
    pub(super) fn get(&self, stored: Id) -> &T {
        &self.block(stored).thing
    }

    #[inline]
    pub(super) fn get_mut(&mut self, stored: Id) -> &mut T {
        &mut self.block_mut(stored).thing
    }

    /// Frees what was stored; what was told of it.
    #[inline]
    pub(super) fn give_back(&mut self, stored: Id) -> T {
        let Block { len, thing, .. } = *self.block(stored);
        self.used -= cost(len as usize);
        let mut next = Some(stored);
        while let Some(id) = next {
            let free = self.free.replace(id);
            next = std::mem::replace(&mut self.block_mut(id).next, free);
        }
        thing
    }

    /// What was told of what is stored, and the start of that: all of it, or a block.
    #[inline]
    pub(super) fn glance(&self, stored: Id) -> Option<(&T, &[u8])> {
        let Chunk { bytes, blocks } = self.chunks.get(stored.index() / CHUNK)?;
        let number = stored.index() % CHUNK;
        let block = blocks.get(number)?;
        Some((&block.thing, bytes.get(number * BLOCK..)?.get(..BLOCK.min(block.len as usize))?))
    }

    /// Copies what is stored from `skip` on, as much as fits; how much that is.
    pub(super) fn read(&self, stored: Id, skip: usize, out: &mut [u8]) -> usize {
        let (most, mut rest) = (out.len(), out);
        for piece in self.pieces(stored, skip) {
            let len = piece.len().min(rest.len());
            let (here, behind) = rest.split_at_mut(len);
            here.copy_from_slice(&piece[..len]);
            rest = behind;
        }
        most - rest.len()
    }

    /// Is this what is stored from `skip` on?
    pub(super) fn holds(&self, stored: Id, skip: usize, bytes: &[u8]) -> bool {
        let mut rest = bytes;
        self.pieces(stored, skip).all(|piece| match rest.split_at_checked(piece.len()) {
            Some((here, behind)) if here == piece => {
                rest = behind;
                true
            }
            _ => false,
        }) && rest.is_empty()
    }

    /// What is stored from `skip` on, block by block.
    fn pieces(&self, stored: Id, skip: usize) -> impl Iterator<Item = &[u8]> {
        let (mut next, mut skip) = (Some(stored), skip);
        std::iter::from_fn(move || {
            let id = next?;
            let block = self.block(id);
            let bytes = self.bytes(id, BLOCK.min(block.len as usize));
            next = block.next;
            let skipped = skip.min(bytes.len());
            skip -= skipped;
            Some(&bytes[skipped..])
        })
    }

    /// Takes a block that is free, as the last of a chain.
    #[inline]
    fn take(&mut self) -> Id {
        let id = match self.free {
            Some(id) => id,
            None => self.grow(),
        };
        self.free = self.block_mut(id).next.take();
        id
    }

    #[cold]
    fn grow(&mut self) -> Id {
        let first = self.chunks.len() * CHUNK;
        let block = |index| Block { next: Some(Id::of(index)), len: 0, thing: T::default() };
        let mut blocks: Box<[_]> = (first + 1..=first + CHUNK).map(block).collect();
        blocks[CHUNK - 1].next = None;
        self.chunks.push(Chunk { bytes: vec![0; CHUNK * BLOCK].into(), blocks });
        Id::of(first)
    }

    #[inline]
    fn block(&self, id: Id) -> &Block<T> {
        &self.chunks[id.index() / CHUNK].blocks[id.index() % CHUNK]
    }

    #[inline]
    fn block_mut(&mut self, id: Id) -> &mut Block<T> {
        &mut self.chunks[id.index() / CHUNK].blocks[id.index() % CHUNK]
    }

    #[inline]
    fn bytes(&self, id: Id, len: usize) -> &[u8] {
        &self.chunks[id.index() / CHUNK].bytes[id.index() % CHUNK * BLOCK..][..len]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(len: usize) -> Vec<u8> {
        (0..len).map(|i| (i * 7 + i / 251 + len) as u8).collect()
    }

    #[test]
    fn what_is_stored_is_read_from_anywhere() {
        let mut arena = Arena::new();
        for len in [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 1500, 65_535] {
            let bytes = packet(len);
            let stored = arena.store(&bytes, len);
            assert_eq!(arena.glance(stored), Some((&len, &bytes[..len.min(BLOCK)])));
            for skip in [0, 1, BLOCK, len / 2, len] {
                let skip = skip.min(len);
                let mut out = vec![0; len - skip];
                assert_eq!(arena.read(stored, skip, &mut out), out.len());
                assert_eq!(out, bytes[skip..], "{len} from {skip}");
                assert!(arena.holds(stored, skip, &out));
                assert!(!arena.holds(stored, skip, &[&out[..], &[0]].concat()));
                if let Some(last) = out.pop() {
                    assert!(!arena.holds(stored, skip, &out));
                    out.push(!last);
                    assert!(!arena.holds(stored, skip, &out));
                }
            }
            assert_eq!((*arena.get(stored), arena.used()), (len, cost(len)));
            assert_eq!((arena.give_back(stored), arena.used()), (len, 0));
        }
    }

    #[test]
    fn memory_is_used_again() {
        let mut arena = Arena::new();
        for round in 0..100 {
            let bytes = |number: usize| packet(1200 + round + number);
            let stored: Vec<Id> =
                (0..50).map(|number| arena.store(&bytes(number), number)).collect();
            let costs = (0..50).map(|number| cost(bytes(number).len()));
            assert_eq!(arena.used(), costs.sum::<usize>());
            for (number, &id) in stored.iter().enumerate() {
                assert!(arena.holds(id, 0, &bytes(number)));
                assert_eq!(arena.give_back(id), number);
            }
        }
        assert_eq!(arena.used(), 0);
        assert!(arena.chunks.len() == 1, "{} chunks for at most 300 blocks", arena.chunks.len());
    }
}
