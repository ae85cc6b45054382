//! The binding table, in the shape the fast path reads it.
//!
//! ```text
//!  203.0.113.7, port 4711
//!     |
//!     +-- first 24 bits --> index[2^24] --> chunk --> one word per IPv4 address:
//!                                                     where its block is, a, k, m
//!                                                        |
//!     port -- (a, k, m) --> PSID ------------------------+--> entries[block + PSID]: B4, BR
//! ```
//!
//! Three loads, each prefetched for the whole batch before the next begins. The word of an address
//! holds everything about its port sets, so one load of it is consistent; an entry is 32 bytes and
//! never crosses a cache line. Both directions use the one table: encapsulation looks up the
//! destination, decapsulation the source, and compares the B4 and BR it finds.
//!
//! One [`TableWriter`] changes the table while workers read: a changed block is written aside and
//! its address's word replaced, and what it replaced is freed when the generation has passed.
//!
//! A chunk is a line-aligned piece of `words`: either 256 words, one per address of the /24, or,
//! where a /24 has few addresses, a 256-bit map of those that have a word, and just those words.

mod build;
mod by_b4;
mod edit;
mod entry;
mod layout;
mod lookup;
mod problem;
mod space;
mod tally;
#[cfg(test)]
mod tests;

pub use edit::{Applied, Edit, EditError, Retired};
pub use entry::Endpoints;
pub(crate) use lookup::Entries;
pub use lookup::{Key, Slot};
pub use problem::{RowError, RowProblem, Rules};
pub use tally::{Direction, SoftwireCounter, Tally};

use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::sync::atomic::{
    AtomicU32, AtomicU64, AtomicUsize,
    Ordering::{Acquire, Relaxed},
};

use self::by_b4::ByB4;
use self::entry::Entry;
use self::layout::{AddressWord, ChunkRef};
use self::space::Space;
use self::tally::Tallies;
use super::Softwire;
use crate::memory::Region;

/// All softwires, as workers read them.
#[derive(Debug)]
pub struct BindingTable {
    /// A [`ChunkRef`] for the first 24 bits of an address.
    index: Region<AtomicU32>,
    /// Chunks, in units of a cache line.
    words: Region<AtomicU64>,
    /// Blocks of 2^k entries.
    entries: Region<Entry>,
    /// A bit for each /16 that has or had softwires: keeps the hairpin test of most Internet
    /// addresses out of the large arrays.
    populated: Box<[AtomicU64]>,
    /// The BR addresses that entries refer to by number.
    br_addresses: Box<[Ipv6Addr]>,
    /// What each softwire carried, if that is wanted.
    tallies: Tallies,
    len: AtomicUsize,
}

/// The table's only writer: knows what is free, and which softwires a B4 has.
#[derive(Debug)]
pub struct TableWriter {
    table: Arc<BindingTable>,
    entries: Space,
    words: Space,
    /// Entry numbers by B4 address.
    by_b4: ByB4,
}

impl BindingTable {
    /// How many softwires there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len.load(Relaxed)
    }

    /// True when there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The BR addresses that softwires end at.
    #[must_use]
    pub fn br_addresses(&self) -> &[Ipv6Addr] {
        &self.br_addresses
    }

    /// The softwire that owns this address and port.
    #[must_use]
    pub fn lookup(&self, ipv4: Ipv4Addr, port: u16) -> Option<Softwire> {
        let slot = self.locate(Key::with_port(ipv4.into(), port));
        self.softwire_in(slot.entry()?)
    }

    /// The softwires of one IPv4 address, by PSID.
    #[must_use]
    pub fn at(&self, ipv4: Ipv4Addr) -> Vec<Softwire> {
        self.block_of(ipv4.into()).map_or_else(Vec::new, |word| self.softwires_of(word).collect())
    }

    /// All softwires, by address and PSID.
    pub fn softwires(&self) -> impl Iterator<Item = Softwire> {
        self.softwires_from(Ipv4Addr::UNSPECIFIED)
    }

    /// The softwires of this address and of those above it, by address and PSID.
    pub fn softwires_from(&self, first: Ipv4Addr) -> impl Iterator<Item = Softwire> {
        let first = u32::from(first);
        (first >> 16..=u32::from(u16::MAX))
            .filter(|&high| self.is_populated(high << 16))
            .flat_map(|high| high << 8..=(high << 8 | 0xff))
            .filter(move |&net| net >= first >> 8)
            .filter_map(|net| Some((net << 8, self.chunk_of(net << 8)?)))
            .flat_map(|(net, chunk)| chunk.addresses(&self.words).map(move |low| net | low))
            .filter(move |&address| address >= first)
            .filter_map(|address| self.block_of(address))
            .flat_map(|word| self.softwires_of(word))
    }

    /// True when some softwire's address may be in this address's /16.
    #[inline(always)]
    fn is_populated(&self, address: u32) -> bool {
        let bit = (address >> 16) as usize;
        self.populated.get(bit / 64).is_some_and(|word| word.load(Relaxed) >> (bit % 64) & 1 == 1)
    }

    /// The chunk of an address's /24.
    fn chunk_of(&self, address: u32) -> Option<ChunkRef> {
        ChunkRef::from_bits(self.index.get((address >> 8) as usize)?.load(Acquire))
    }

    /// The word of an address that has, or had, softwires.
    fn block_of(&self, address: u32) -> Option<AddressWord> {
        let position = self.chunk_of(address)?.position_of(&self.words, address)?;
        AddressWord::from_bits(self.words.get(position)?.load(Acquire))
    }

    fn softwires_of(&self, word: AddressWord) -> impl Iterator<Item = Softwire> {
        word.entries().filter_map(|number| self.softwire_in(number))
    }

    fn softwire_in(&self, number: u32) -> Option<Softwire> {
        let entry = self.entries.get(number as usize)?;
        let endpoints = entry.endpoints()?;
        let br = *self.br_addresses.get(usize::from(endpoints.br))?;
        let (ipv4, port_set) = entry.key()?;
        Some(Softwire { ipv4, port_set, b4: endpoints.b4.to_be_bytes().into(), br })
    }
}

impl TableWriter {
    /// The table, to share with readers.
    #[must_use]
    pub fn table(&self) -> &Arc<BindingTable> {
        &self.table
    }

    /// The softwires of one B4.
    #[must_use]
    pub fn of_b4(&self, b4: Ipv6Addr) -> Vec<Softwire> {
        let mut found: Vec<_> = self
            .by_b4
            .candidates(entry::hash_b4(b4.into()))
            .filter_map(|number| self.table.softwire_in(number))
            .filter(|softwire| softwire.b4 == b4)
            .collect();
        found.sort_by_key(|softwire| (softwire.ipv4, softwire.port_set));
        found
    }

    /// Bytes of memory in use, the writer's own index included.
    #[must_use]
    pub fn memory(&self) -> usize {
        let populated =
            self.table.populated.iter().map(|word| word.load(Relaxed).count_ones() as usize);
        // A populated /16 uses 256 references of the index.
        populated.sum::<usize>() * 256 * size_of::<u32>()
            + self.entries.used() * size_of::<Entry>()
            + self.words.used() * layout::LINE * size_of::<u64>()
            + self.by_b4.memory()
    }
}
