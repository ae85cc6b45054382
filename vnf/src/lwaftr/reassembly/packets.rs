//! All packets that are not whole yet, within their limits (F1, F6): a source that has too much
//! under way loses its own oldest packet, and where all have too much the oldest goes. So nobody
//! takes more than his share, and a flood only shortens how long fragments may wait.

use hashbrown::HashMap;

use super::super::aged::Aged;
use super::arena::{Arena, Chain};
use super::packet::{Fit, Packet};
use crate::frame::RoomyFrame;
use crate::telemetry::{DropReason, InterfaceCounters};
use crate::wire::ipv6::Fragment;

/// The most data a packet can be put together to.
const LARGEST: usize = 65_535;

/// What fragments of one packet have in common (RFC 8200 section 4.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(in super::super) struct PacketId {
    pub(in super::super) source: u128,
    pub(in super::super) destination: u128,
    pub(in super::super) identification: u32,
}

/// A worker's share of the limits.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Limits {
    pub(in super::super) fragments: usize,
    pub(in super::super) packets_per_source: usize,
    pub(in super::super) bytes_per_source: usize,
    pub(in super::super) packets: usize,
    pub(in super::super) bytes: usize,
}

/// A fragment as it came.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Arrival<'a> {
    /// Its frame up to the IPv6 header.
    pub(in super::super) ethernet: &'a [u8],
    /// Its IPv6 packet, which ends with the fragment's data.
    pub(in super::super) packet: &'a [u8],
    /// Bytes of its frame.
    pub(in super::super) frame_len: usize,
    pub(in super::super) now: u64,
}

/// A packet became whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) struct Whole {
    /// When its first frame came.
    pub(in super::super) since: u64,
    /// Its fragments' ECN marks agree.
    pub(in super::super) marks_agree: bool,
}

/// All packets that are not whole yet.
#[derive(Debug)]
pub(in super::super) struct Packets {
    packets: Aged<PacketId, Packet>,
    sources: HashMap<u128, Source>,
    arena: Arena,
}

/// What one outer source has under way.
#[derive(Debug, Default)]
struct Source {
    /// Its packets, the oldest first.
    packets: Vec<PacketId>,
    bytes: usize,
}

impl Packets {
    pub(in super::super) fn new() -> Self {
        Self { packets: Aged::new(), sources: HashMap::new(), arena: Arena::new() }
    }

    /// Takes a fragment in. If it makes its packet whole, that is written to `out`. An error is the
    /// fragment's own fate; what becomes of others is counted here.
    pub(in super::super) fn add(
        &mut self,
        id: PacketId,
        fragment: &Fragment<'_>,
        arrival: &Arrival<'_>,
        limits: &Limits,
        counters: &InterfaceCounters,
        out: &mut RoomyFrame,
    ) -> Result<Option<Whole>, DropReason> {
        let len = fragment.data.len();
        if len == 0 || fragment.more && !len.is_multiple_of(8) || fragment.offset + len > LARGEST {
            return Err(DropReason::Ipv6FragmentMalformed);
        }
        if self.packets.get(&id).is_none() {
            self.open(id, arrival.now, limits, counters);
        }
        let Some(packet) = self.packets.get_mut(&id) else {
            return Err(DropReason::Ipv6FragmentLimit);
        };
        if let Some(reason) = packet.refused {
            return Err(reason);
        }
        match packet.fit(fragment, &self.arena) {
            Fit::New if packet.count() < limits.fragments => {}
            Fit::New => return Err(self.refuse(id, DropReason::Ipv6FragmentTooMany, counters)),
            Fit::Duplicate => return Err(DropReason::Ipv6FragmentDuplicate),
            Fit::Contradiction => {
                return Err(self.refuse(id, DropReason::Ipv6FragmentOverlap, counters));
            }
        }
        let cost = Chain::cost(arrival.packet.len());
        self.make_room(id.source, cost, limits, counters);
        // It may have been this packet that had to go.
        let Some(packet) = self.packets.get_mut(&id) else {
            return Err(DropReason::Ipv6FragmentLimit);
        };
        packet.store(fragment, arrival.packet, &mut self.arena);
        packet.frames += 1;
        packet.frame_bytes += arrival.frame_len as u64;
        self.sources.entry(id.source).or_default().bytes += cost;
        if !packet.is_whole() {
            counters.held.add(1);
            return Ok(None);
        }
        let Some((mut packet, since)) = self.close(id) else { return Ok(None) };
        let marks_agree = packet.write(arrival.ethernet, &self.arena, out);
        packet.free(&mut self.arena);
        counters.held.sub(packet.frames - 1);
        counters.absorbed.add(packet.frames);
        counters.reassembled.add(1);
        Ok(Some(Whole { since, marks_agree }))
    }

    /// Gives up the oldest packet if it has waited that long. True if it did; then its first
    /// fragment's packet, if it came, is in `quote`, and how much of it.
    pub(in super::super) fn expire(
        &mut self,
        now: u64,
        timeout: u64,
        counters: &InterfaceCounters,
        quote: &mut [u8],
    ) -> Option<Option<(PacketId, usize)>> {
        let id = self.packets.overdue(now, timeout)?;
        let quoted = self.packets.get(&id).and_then(|(packet, _)| packet.quote(&self.arena, quote));
        self.discard(id, DropReason::Ipv6FragmentTimeout, counters);
        Some(quoted.map(|len| (id, len)))
    }

    /// Is there a packet that has waited that long?
    pub(in super::super) fn is_overdue(&self, now: u64, timeout: u64) -> bool {
        self.packets.overdue(now, timeout).is_some()
    }

    /// A packet that nothing came of yet.
    fn open(&mut self, id: PacketId, now: u64, limits: &Limits, counters: &InterfaceCounters) {
        while let Some(oldest) = self
            .sources
            .get(&id.source)
            .filter(|source| source.packets.len() >= limits.packets_per_source)
            .and_then(|source| source.packets.first().copied())
            .or_else(|| self.packets.oldest().filter(|_| self.packets.len() >= limits.packets))
        {
            self.discard(oldest, DropReason::Ipv6FragmentLimit, counters);
        }
        self.packets.insert(id, Packet::default(), now);
        self.sources.entry(id.source).or_default().packets.push(id);
    }

    /// Room for so many bytes more of a source.
    fn make_room(
        &mut self,
        source: u128,
        cost: usize,
        limits: &Limits,
        counters: &InterfaceCounters,
    ) {
        while let Some(oldest) = self
            .sources
            .get(&source)
            .filter(|source| source.bytes + cost > limits.bytes_per_source)
            .and_then(|source| source.packets.first().copied())
            .or_else(|| self.packets.oldest().filter(|_| self.arena.used() + cost > limits.bytes))
        {
            self.discard(oldest, DropReason::Ipv6FragmentLimit, counters);
        }
    }

    /// Gives a packet up, and remembers that for what may still come of it (RFC 5722 section 4).
    fn refuse(
        &mut self,
        id: PacketId,
        reason: DropReason,
        counters: &InterfaceCounters,
    ) -> DropReason {
        if let Some(packet) = self.packets.get_mut(&id) {
            if let Some(source) = self.sources.get_mut(&id.source) {
                source.bytes -= packet.cost();
            }
            packet.free(&mut self.arena);
            count_dropped(packet, reason, counters);
            *packet = Packet::default();
            packet.refused = Some(reason);
        }
        reason
    }

    /// Gives a packet up and forgets it.
    fn discard(&mut self, id: PacketId, reason: DropReason, counters: &InterfaceCounters) {
        if let Some((mut packet, _)) = self.close(id) {
            packet.free(&mut self.arena);
            count_dropped(&packet, reason, counters);
        }
    }

    /// Takes a packet out of the books, and since when it was in them.
    fn close(&mut self, id: PacketId) -> Option<(Packet, u64)> {
        let (packet, since) = self.packets.remove(&id)?;
        if let Some(source) = self.sources.get_mut(&id.source) {
            source.packets.retain(|other| *other != id);
            source.bytes -= packet.cost();
            if source.packets.is_empty() {
                self.sources.remove(&id.source);
            }
        }
        Some((packet, since))
    }
}

/// Counts the frames that waited in vain.
fn count_dropped(packet: &Packet, reason: DropReason, counters: &InterfaceCounters) {
    counters.held.sub(packet.frames);
    counters.drops[reason.index()].add(packet.frames, packet.frame_bytes);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::Frame;
    use crate::wire::ipv6::FRAGMENT_HEADER;

    const LIMITS: Limits = Limits {
        fragments: 4,
        packets_per_source: 3,
        bytes_per_source: 4096,
        packets: 10,
        bytes: 8192,
    };

    /// The packets and what they count.
    struct Bench {
        packets: Packets,
        counters: InterfaceCounters,
        out: RoomyFrame,
    }

    impl Bench {
        fn new() -> Self {
            let counters = InterfaceCounters::default();
            Self { packets: Packets::new(), counters, out: RoomyFrame::default() }
        }

        /// A fragment of `len` bytes at `offset`.
        fn add(
            &mut self,
            (source, identification): (u128, u32),
            (offset, len, more): (usize, usize, bool),
            now: u64,
        ) -> Result<Option<Whole>, DropReason> {
            let packet: Vec<u8> = (0..48 + len).map(|i| (i + offset) as u8).collect();
            let data = &packet[40 + FRAGMENT_HEADER..];
            let fragment = Fragment { next_header: 4, offset, more, identification, data };
            let arrival =
                Arrival { ethernet: &[0; 14], packet: &packet, frame_len: packet.len() + 14, now };
            let id = PacketId { source, destination: 1, identification };
            let Self { packets, counters, out } = self;
            packets.add(id, &fragment, &arrival, &LIMITS, counters, out)
        }

        fn dropped(&self, reason: DropReason) -> u64 {
            let mut totals = crate::telemetry::InterfaceTotals::default();
            totals.add(&self.counters);
            totals.drops[reason.index()].packets
        }

        fn is_idle(&self) -> bool {
            self.packets.packets.len() == 0
                && self.packets.sources.is_empty()
                && self.packets.arena.used() == 0
                && self.counters.held.get() == 0
        }
    }

    #[test]
    fn the_last_piece_makes_it_whole() {
        let mut bench = Bench::new();
        assert_eq!(bench.add((1, 1), (16, 5, false), 10), Ok(None));
        assert_eq!(bench.add((1, 1), (0, 8, true), 20), Ok(None));
        assert_eq!(bench.counters.held.get(), 2);
        let whole = Whole { since: 10, marks_agree: true };
        assert_eq!(bench.add((1, 1), (8, 8, true), 30), Ok(Some(whole)));
        assert_eq!(bench.out.bytes().len(), 14 + 40 + 21);
        assert_eq!((bench.counters.absorbed.get(), bench.counters.reassembled.get()), (3, 1));
        assert!(bench.is_idle());
    }

    #[test]
    fn a_source_with_too_many_packets_loses_its_own_oldest() {
        let mut bench = Bench::new();
        assert_eq!(bench.add((2, 1), (0, 8, true), 0), Ok(None));
        for identification in 1..=4 {
            assert_eq!(bench.add((1, identification), (0, 8, true), 0), Ok(None));
        }
        assert_eq!(bench.dropped(DropReason::Ipv6FragmentLimit), 1);
        for (id, whole) in [((2, 1), true), ((1, 4), true), ((1, 3), true), ((1, 1), false)] {
            let result = bench.add(id, (8, 8, false), 1);
            assert_eq!(result.map(|whole| whole.is_some()), Ok(whole), "{id:?}");
        }
    }

    #[test]
    fn a_source_with_too_many_bytes_loses_its_own_oldest() {
        let mut bench = Bench::new();
        // 1024 bytes each, as they are stored.
        for identification in 1..=2 {
            for offset in [0, 1000] {
                assert_eq!(bench.add((1, identification), (offset, 976, true), 0), Ok(None));
            }
        }
        assert_eq!(bench.dropped(DropReason::Ipv6FragmentLimit), 0);
        assert_eq!(bench.add((1, 2), (2000, 8, true), 0), Ok(None));
        assert_eq!(bench.dropped(DropReason::Ipv6FragmentLimit), 2);
        // A packet that is itself the oldest goes as a whole.
        assert_eq!(bench.add((1, 2), (3000, 2000, true), 0), Err(DropReason::Ipv6FragmentLimit));
        assert_eq!(bench.dropped(DropReason::Ipv6FragmentLimit), 5);
        assert!(bench.is_idle());
    }

    #[test]
    fn too_many_fragments_and_what_comes_after_them() {
        let mut bench = Bench::new();
        for offset in 0..4 {
            assert_eq!(bench.add((1, 1), (offset * 8, 8, true), 0), Ok(None));
        }
        for offset in 4..6 {
            let result = bench.add((1, 1), (offset * 8, 8, true), 0);
            assert_eq!(result, Err(DropReason::Ipv6FragmentTooMany));
        }
        assert_eq!(bench.dropped(DropReason::Ipv6FragmentTooMany), 4);
        let mut quote = [0; 100];
        assert_eq!(bench.packets.expire(59, 60, &bench.counters, &mut quote), None);
        assert_eq!(bench.packets.expire(60, 60, &bench.counters, &mut quote), Some(None));
        assert_eq!(bench.dropped(DropReason::Ipv6FragmentTimeout), 0);
        assert!(bench.is_idle());
    }

    #[test]
    fn what_waits_too_long_is_given_up_and_its_first_fragment_quoted() {
        let mut bench = Bench::new();
        assert_eq!(bench.add((1, 1), (8, 8, true), 5), Ok(None));
        assert_eq!(bench.add((1, 2), (0, 8, true), 6), Ok(None));
        assert_eq!(bench.add((1, 2), (8, 8, true), 9), Ok(None));
        let mut quote = [0; 100];
        assert!(!bench.packets.is_overdue(14, 10) && bench.packets.is_overdue(15, 10));
        assert_eq!(bench.packets.expire(15, 10, &bench.counters, &mut quote), Some(None));
        assert_eq!(bench.packets.expire(15, 10, &bench.counters, &mut quote), None);
        let told = bench.packets.expire(16, 10, &bench.counters, &mut quote).flatten();
        assert_eq!(told.map(|(id, len)| (id.identification, len)), Some((2, 56)));
        assert_eq!(bench.dropped(DropReason::Ipv6FragmentTimeout), 3);
        assert!(bench.is_idle());
    }

    /// F6: whatever comes, the limits hold and the books are right.
    #[test]
    fn a_flood_stays_within_the_limits() {
        let mut bench = Bench::new();
        let mut random = 1_u64;
        let (mut came, mut refused) = (0, 0);
        for now in 0..50_000 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(99);
            let pick = |shift: u32, n: u64| (random >> shift) % n;
            let id = (u128::from(pick(20, 20)), pick(30, 6) as u32);
            let piece = (pick(40, 6) as usize * 200, 200, pick(50, 4) > 0);
            came += 1;
            refused += u64::from(bench.add(id, piece, now).is_err());
            let Packets { packets, sources, arena } = &bench.packets;
            assert!(packets.len() <= LIMITS.packets && arena.used() <= LIMITS.bytes);
            let bytes: usize = sources.values().map(|source| source.bytes).sum();
            let count: usize = sources.values().map(|source| source.packets.len()).sum();
            assert_eq!((bytes, count), (arena.used(), packets.len()));
            assert!(sources.values().all(|source| source.bytes <= LIMITS.bytes_per_source
                && source.packets.len() <= LIMITS.packets_per_source));
        }
        let dropped: u64 = DropReason::ALL.iter().map(|reason| bench.dropped(*reason)).sum();
        let counters = &bench.counters;
        assert_eq!(came, refused + dropped + counters.absorbed.get() + counters.held.get());
        assert!(counters.reassembled.get() > 100);
    }
}
