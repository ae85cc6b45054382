//! One entry: a softwire as the fast path needs it, in half a cache line.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::atomic::{
    AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
};

use crate::memory::Zeroed;
use crate::softwire::{PortSet, Softwire};

/// 32 bytes, aligned so that an entry never crosses a cache line. All zero is an entry never used.
#[derive(Debug)]
#[repr(C, align(32))]
pub(super) struct Entry {
    /// The B4 address, as two halves in network order.
    b4: [AtomicU64; 2],
    /// Bit 63: present. Bits 32..63: second until which the path MTU holds. Bits 16..32: path MTU
    /// towards the B4, 0 for none learned. Bits 0..16: number of the BR address.
    state: AtomicU64,
    /// Bit 63: was ever used. IPv4 address << 31 | k << 26 | a << 21 | PSID.
    key: AtomicU64,
}

#[allow(unsafe_code)]
// SAFETY: a structure of integer atomics: valid when all bytes are zero, no drop, shareable.
unsafe impl Zeroed for Entry {}

const PRESENT: u64 = 1 << 63;

/// The bits of a learned path MTU.
const LEARNED: u64 = PRESENT - (1 << 16);

/// How long a learned path MTU holds, in seconds (M1).
const LEARNED_FOR: u64 = 600;

/// Nanoseconds of the workers' clock in a second.
const SECOND: u64 = 1_000_000_000;

/// The ends of a softwire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Endpoints {
    /// The B4 address, its first octet in the highest byte.
    pub b4: u128,
    /// The BR address, by its number in [`super::BindingTable::br_addresses`].
    pub br: u16,
    /// The path MTU towards the B4 and the second until which it holds; 0 for none.
    learned: u64,
}

impl Endpoints {
    /// The path MTU that was learned towards the B4, if it still holds (M1). `now` is in
    /// nanoseconds of the workers' clock.
    #[inline]
    #[must_use]
    pub fn path_mtu(&self, now: u64) -> Option<u16> {
        holding(self.learned, now)
    }
}

/// The path MTU in the bits of what was learned, if it still holds.
#[inline]
fn holding(learned: u64, now: u64) -> Option<u16> {
    (learned != 0 && now / SECOND < learned >> 32).then_some((learned >> 16) as u16)
}

impl Entry {
    /// The softwire's ends, if there is one here.
    #[inline(always)]
    pub(super) fn endpoints(&self) -> Option<Endpoints> {
        // State first: its Release store came after the address was written.
        let state = self.state.load(Acquire);
        let ends = Endpoints { b4: self.b4_bits(), br: state as u16, learned: state & LEARNED };
        (state & PRESENT != 0).then_some(ends)
    }

    /// The same, if nothing was learned of the path to the B4.
    #[inline(always)]
    pub(super) fn plain_endpoints(&self) -> Option<Endpoints> {
        let state = self.state.load(Acquire);
        // One comparison tells both.
        let br = u16::try_from(state ^ PRESENT).ok()?;
        Some(Endpoints { b4: self.b4_bits(), br, learned: 0 })
    }

    /// The B4 address, its first octet in the highest byte.
    #[inline(always)]
    fn b4_bits(&self) -> u128 {
        let [high, low] = [self.b4[0].load(Relaxed), self.b4[1].load(Relaxed)];
        u128::from(high) << 64 | u128::from(low)
    }

    /// Remembers the path MTU towards this B4 for ten minutes (M1). A larger one than is known is no
    /// news: what a router says never makes it grow (RFC 8201 section 4). Any worker may call this;
    /// a softwire that the writer changes meanwhile has nothing learned.
    pub(super) fn learn(&self, path_mtu: u16, now: u64) {
        let until = (now / SECOND + LEARNED_FOR) & 0x7fff_ffff;
        let state = self.state.load(Acquire);
        let known = holding(state & LEARNED, now);
        if state & PRESENT != 0 && known.is_none_or(|known| path_mtu <= known) {
            let learned = until << 32 | u64::from(path_mtu) << 16;
            let new = state & !LEARNED | learned;
            let _ = self.state.compare_exchange(state, new, Release, Relaxed);
        }
    }

    /// The address and port set this entry is, or was last, for.
    pub(super) fn key(&self) -> Option<(Ipv4Addr, PortSet)> {
        let key = self.key.load(Relaxed);
        if key & PRESENT == 0 {
            return None;
        }
        let (length, offset) = ((key >> 26) as u8 & 0x1f, (key >> 21) as u8 & 0x1f);
        let port_set = PortSet::new(offset, length, key as u16).ok()?;
        Some((Ipv4Addr::from((key >> 31) as u32), port_set))
    }

    /// The B4 of the softwire that this entry is, or was last, for.
    pub(super) fn b4(&self) -> Ipv6Addr {
        self.b4_bits().into()
    }

    /// True when no softwire was ever here, so that no reader can be looking.
    pub(super) fn is_virgin(&self) -> bool {
        self.key.load(Relaxed) == 0
    }

    /// Puts a softwire into an entry that no reader can be using.
    pub(super) fn put(&self, softwire: &Softwire, br: u16) {
        let b4 = u128::from(softwire.b4);
        self.b4[0].store((b4 >> 64) as u64, Relaxed);
        self.b4[1].store(b4 as u64, Relaxed);
        let set = softwire.port_set;
        let key = PRESENT
            | u64::from(u32::from(softwire.ipv4)) << 31
            | u64::from(set.length()) << 26
            | u64::from(set.offset()) << 21
            | u64::from(set.psid());
        self.key.store(key, Relaxed);
        self.state.store(PRESENT | u64::from(br), Release);
    }

    /// Takes the softwire away; readers that have it already may finish with it.
    pub(super) fn remove(&self) {
        self.state.store(0, Release);
    }

    /// Makes it as new, when no reader can be using it.
    pub(super) fn clear(&self) {
        for word in [&self.state, &self.key, &self.b4[0], &self.b4[1]] {
            word.store(0, Relaxed);
        }
    }

    /// Where the writer's index keeps this entry.
    pub(super) fn hash(&self) -> u64 {
        hash_halves(self.b4[0].load(Relaxed), self.b4[1].load(Relaxed))
    }
}

/// Where the writer's index keeps entries of this B4.
pub(super) fn hash_b4(b4: u128) -> u64 {
    hash_halves((b4 >> 64) as u64, b4 as u64)
}

fn hash_halves(high: u64, low: u64) -> u64 {
    let product =
        u128::from(high ^ 0x9e37_79b9_7f4a_7c15) * u128::from(low ^ 0xd1b5_4a32_d192_ed03);
    let mixed = (product >> 64) as u64 ^ product as u64 ^ low.rotate_left(32) ^ high;
    mixed.wrapping_mul(0xff51_afd7_ed55_8ccd) ^ mixed >> 32
}
