//! Memory for packets of any length, in chains of small blocks: as much as is needed is taken and
//! then kept, so that a flood of fragments costs what the limits say and no more.

/// Bytes of a block: what the length of a packet is rounded up to.
pub(super) const BLOCK: usize = 256;

/// Blocks that are taken at once: a mebibyte, which the system gives as it is touched.
const CHUNK: usize = 4096;

/// No block.
const NONE: u32 = u32::MAX;

/// All blocks, and which are free.
#[derive(Debug)]
pub(super) struct Arena {
    chunks: Vec<Box<[u8]>>,
    /// The block behind each, in its chain or among the free ones.
    next: Vec<u32>,
    free: u32,
    used: usize,
}

/// Bytes in the arena. Who has it gives it back.
#[derive(Debug)]
pub(super) struct Chain {
    first: u32,
    len: u32,
}

impl Chain {
    /// Bytes that are stored.
    pub(super) fn len(&self) -> usize {
        self.len as usize
    }

    /// Bytes of memory that so many bytes take.
    pub(super) fn cost(len: usize) -> usize {
        len.next_multiple_of(BLOCK)
    }
}

impl Arena {
    pub(super) const fn new() -> Self {
        Self { chunks: Vec::new(), next: Vec::new(), free: NONE, used: 0 }
    }

    /// Bytes of memory that are in use.
    pub(super) fn used(&self) -> usize {
        self.used
    }

    /// Stores a copy.
    #[inline]
    pub(super) fn store(&mut self, bytes: &[u8]) -> Chain {
        let mut first = NONE;
        // From the end, so that each block knows the next.
        for piece in bytes.chunks(BLOCK).rev() {
            let block = self.take();
            let place = block as usize % CHUNK * BLOCK;
            self.chunks[block as usize / CHUNK][place..place + piece.len()].copy_from_slice(piece);
            self.next[block as usize] = first;
            first = block;
        }
        self.used += Chain::cost(bytes.len());
        Chain { first, len: bytes.len() as u32 }
    }

    /// Frees what was stored.
    #[inline]
    pub(super) fn give_back(&mut self, chain: &Chain) {
        let mut block = chain.first;
        while block != NONE {
            let next = self.next[block as usize];
            self.next[block as usize] = self.free;
            self.free = block;
            block = next;
        }
        self.used -= Chain::cost(chain.len());
    }

    /// The start of what is stored: all of it, or a block.
    pub(super) fn start(&self, chain: &Chain) -> &[u8] {
        let block = chain.first as usize;
        let start = block % CHUNK * BLOCK;
        let chunk = self.chunks.get(block / CHUNK);
        chunk.and_then(|chunk| chunk.get(start..start + BLOCK.min(chain.len()))).unwrap_or_default()
    }

    /// Copies what is stored from `skip` on, as much as fits.
    pub(super) fn read(&self, chain: &Chain, skip: usize, out: &mut [u8]) {
        let mut rest = out;
        for piece in self.pieces(chain, skip) {
            let len = piece.len().min(rest.len());
            let (here, behind) = rest.split_at_mut(len);
            here.copy_from_slice(&piece[..len]);
            rest = behind;
        }
    }

    /// Is this what is stored from `skip` on?
    pub(super) fn holds(&self, chain: &Chain, skip: usize, bytes: &[u8]) -> bool {
        let mut rest = bytes;
        self.pieces(chain, skip).all(|piece| match rest.split_at_checked(piece.len()) {
            Some((here, behind)) if here == piece => {
                rest = behind;
                true
            }
            _ => false,
        }) && rest.is_empty()
    }

    /// What is stored from `skip` on, block by block.
    fn pieces<'a>(&'a self, chain: &Chain, skip: usize) -> impl Iterator<Item = &'a [u8]> {
        let (mut block, mut at, len) = (chain.first, 0, chain.len());
        std::iter::from_fn(move || {
            if block == NONE {
                return None;
            }
            let start = block as usize % CHUNK * BLOCK;
            let bytes = &self.chunks[block as usize / CHUNK][start..start + BLOCK.min(len - at)];
            block = self.next[block as usize];
            let skipped = skip.saturating_sub(at).min(bytes.len());
            at += bytes.len();
            Some(&bytes[skipped..])
        })
    }

    #[inline]
    fn take(&mut self) -> u32 {
        if self.free == NONE {
            let first = self.next.len();
            self.chunks.push(vec![0; CHUNK * BLOCK].into());
            self.next.extend((first + 1..first + CHUNK).map(|next| next as u32).chain([NONE]));
            self.free = first as u32;
        }
        let block = self.free;
        self.free = self.next[block as usize];
        block
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
            let chain = arena.store(&bytes);
            assert_eq!(arena.start(&chain), &bytes[..len.min(BLOCK)]);
            for skip in [0, 1, BLOCK, len / 2, len] {
                let skip = skip.min(len);
                let mut out = vec![0; len - skip];
                arena.read(&chain, skip, &mut out);
                assert_eq!(out, bytes[skip..], "{len} from {skip}");
                assert!(arena.holds(&chain, skip, &out));
                assert!(!arena.holds(&chain, skip, &[&out[..], &[0]].concat()));
                if let Some(last) = out.pop() {
                    assert!(!arena.holds(&chain, skip, &out));
                    out.push(!last);
                    assert!(!arena.holds(&chain, skip, &out));
                }
            }
            arena.give_back(&chain);
            assert_eq!(arena.used(), 0);
        }
    }

    #[test]
    fn memory_is_used_again() {
        let mut arena = Arena::new();
        for round in 0..100 {
            let chains: Vec<Chain> =
                (0..50).map(|number| arena.store(&packet(1200 + round + number))).collect();
            let cost: usize = chains.iter().map(|chain| Chain::cost(chain.len())).sum();
            assert_eq!(arena.used(), cost);
            for (number, chain) in chains.iter().enumerate() {
                assert!(arena.holds(chain, 0, &packet(1200 + round + number)));
                arena.give_back(chain);
            }
        }
        assert_eq!(arena.used(), 0);
        assert!(arena.chunks.len() == 1, "{} chunks for at most 300 blocks", arena.chunks.len());
    }
}
