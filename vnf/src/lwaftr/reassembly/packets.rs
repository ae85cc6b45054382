//! All packets that are not whole yet, within their limits (F1, F6): a source that has too much
//! under way loses its own oldest packet, and where all have too much the oldest goes. So nobody
//! takes more than his share, and a flood only shortens how long fragments may wait.

use super::arena::{self, cost};
use super::packet::{Arrival, Fit, LARGEST, Packet, Pieces};
use crate::frame::RoomyFrame;
use crate::lwaftr::aged::{Aged, Hashed, Hasher, Id};
use crate::lwaftr::drops::Drops;
use crate::lwaftr::tap::Tap;
use crate::side::Side;
use crate::telemetry::DropReason;
use crate::wire::ipv6::Fragment;

/// What fragments of one packet have in common (RFC 8200 section 4.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(in super::super) struct PacketId {
    pub(in super::super) source: u128,
    pub(in super::super) destination: u128,
    pub(in super::super) identification: u32,
}

/// Bytes of a frame that somebody who looks gets to see.
const MOST_SHOWN: usize = 2048;

/// A worker's share of the limits.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Limits {
    pub(in super::super) fragments: usize,
    pub(in super::super) packets_per_source: usize,
    pub(in super::super) bytes_per_source: usize,
    pub(in super::super) packets: usize,
    pub(in super::super) bytes: usize,
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
    /// By source: of each there are few.
    packets: Aged<u128, UnderWay>,
    hasher: Hasher,
    pieces: Pieces,
}

/// One of its source's packets.
#[derive(Debug)]
struct UnderWay {
    destination: u128,
    identification: u32,
    packet: Packet,
}

/// What a source has under way.
#[derive(Debug, Default)]
struct Line {
    /// The packet that was looked for.
    found: Option<Id>,
    oldest: Option<Id>,
    packets: usize,
    bytes: usize,
}

impl Packets {
    pub(in super::super) fn new() -> Self {
        Self { packets: Aged::new(), hasher: Hasher::default(), pieces: Pieces::new() }
    }

    /// Takes a fragment in. If it makes its packet whole, that is written to `out`. An error is the
    /// fragment's own fate; what becomes of others is counted here.
    #[inline]
    pub(in super::super) fn add(
        &mut self,
        id: PacketId,
        fragment: &Fragment<'_>,
        arrival: &Arrival<'_>,
        limits: &Limits,
        drops: &mut Drops<'_>,
        out: &mut RoomyFrame,
    ) -> Result<Option<Whole>, DropReason> {
        let len = fragment.data.len();
        let end = arrival.front(fragment) + fragment.offset + len;
        if len == 0 || fragment.more && !len.is_multiple_of(8) || end > LARGEST {
            return Err(DropReason::Ipv6FragmentMalformed);
        }
        let source = self.hasher.of(id.source);
        let line = self.line(&source, &id);
        let (at, behind) = match line.found {
            Some(at) => (at, self.place(at, fragment, arrival, limits, drops)?),
            None => (self.open(&source, &id, &line, arrival.now, limits, drops), None),
        };
        let cost = cost(arrival.frame.len());
        if line.bytes + cost > limits.bytes_per_source || self.pieces.used() + cost > limits.bytes {
            self.make_room(&source, &id, cost, limits, drops);
        }
        // It may have been this packet that had to go.
        let Some(UnderWay { packet, .. }) = self.packets.get_mut(at) else {
            return Err(DropReason::Ipv6FragmentLimit);
        };
        packet.store(fragment, arrival, behind, &mut self.pieces);
        if !packet.is_whole() {
            drops.counters.held.add(1);
            return Ok(None);
        }
        let since = self.packets.since(at).unwrap_or(arrival.now);
        let Some(UnderWay { packet, .. }) = self.packets.remove(at) else { return Ok(None) };
        let marks_agree = packet.write(arrival, &self.pieces, out);
        packet.free(&mut self.pieces);
        drops.counters.held.sub(u64::from(packet.count) - 1);
        drops.counters.absorbed.add(u64::from(packet.count));
        drops.counters.absorbed_bytes.add(u64::from(packet.frame_bytes));
        drops.counters.reassembled.add(1);
        Ok(Some(Whole { since, marks_agree }))
    }

    /// Behind which piece of its packet a fragment belongs.
    #[inline]
    fn place(
        &mut self,
        at: Id,
        fragment: &Fragment<'_>,
        arrival: &Arrival<'_>,
        limits: &Limits,
        drops: &mut Drops<'_>,
    ) -> Result<Option<arena::Id>, DropReason> {
        let Some(UnderWay { packet, .. }) = self.packets.get(at) else {
            return Err(DropReason::Ipv6FragmentLimit);
        };
        if let Some(reason) = packet.refused {
            return Err(reason);
        }
        match packet.fit(fragment, arrival, &self.pieces) {
            Fit::New(behind) if (packet.count as usize) < limits.fragments => Ok(behind),
            Fit::New(_) => Err(self.refuse(at, DropReason::Ipv6FragmentTooMany, drops)),
            Fit::TooLong => Err(DropReason::Ipv6FragmentMalformed),
            Fit::Duplicate => Err(DropReason::Ipv6FragmentDuplicate),
            Fit::Contradiction => Err(self.refuse(at, DropReason::Ipv6FragmentOverlap, drops)),
        }
    }

    /// Gives up the oldest packet if it has waited that long. True if it did; then the frame of its
    /// first fragment, if it came, is in `quote`: how much of it, and where its packet starts.
    pub(in super::super) fn expire(
        &mut self,
        now: u64,
        timeout: u64,
        drops: &mut Drops<'_>,
        quote: &mut [u8],
    ) -> Option<Option<(PacketId, usize, usize)>> {
        let at = self.packets.overdue(now, timeout)?;
        let quoted = self.packets.get(at).and_then(|under_way| {
            let &UnderWay { destination, identification, ref packet } = under_way;
            let (len, start) = packet.quote(&self.pieces, quote)?;
            let source = self.packets.key(at)?.key;
            Some((PacketId { source, destination, identification }, len, start))
        });
        self.discard(at, DropReason::Ipv6FragmentTimeout, drops);
        Some(quoted)
    }

    /// How many there are.
    pub(in super::super) fn len(&self) -> usize {
        self.packets.len()
    }

    /// Bytes of memory that they take.
    pub(in super::super) fn used(&self) -> usize {
        self.pieces.used()
    }

    /// Is there a packet that has waited that long?
    pub(in super::super) fn is_overdue(&self, now: u64, timeout: u64) -> bool {
        self.packets.overdue(now, timeout).is_some()
    }

    /// What a source has under way, this packet perhaps among it.
    #[inline]
    fn line(&self, source: &Hashed<u128>, id: &PacketId) -> Line {
        let mut line = Line::default();
        for (at, UnderWay { destination, identification, packet }) in self.packets.of(source) {
            if *identification == id.identification && *destination == id.destination {
                line.found = Some(at);
            }
            line.oldest = Some(at);
            line.packets += 1;
            line.bytes += packet.cost as usize;
        }
        line
    }

    /// A packet that nothing came of yet, behind what its source has under way.
    #[inline]
    fn open(
        &mut self,
        source: &Hashed<u128>,
        id: &PacketId,
        line: &Line,
        now: u64,
        limits: &Limits,
        drops: &mut Drops<'_>,
    ) -> Id {
        self.packets.reserve(limits.packets);
        // One, or more where the limit was higher before.
        for _ in limits.packets_per_source..=line.packets {
            let oldest = self.packets.of(source).last().map(|(at, _)| at);
            if let Some(oldest) = oldest {
                self.discard(oldest, DropReason::Ipv6FragmentLimit, drops);
            }
        }
        while self.packets.len() >= limits.packets
            && let Some(oldest) = self.packets.oldest()
        {
            self.discard(oldest, DropReason::Ipv6FragmentLimit, drops);
        }
        let PacketId { destination, identification, .. } = *id;
        let packet = Packet::default();
        self.packets.insert(*source, UnderWay { destination, identification, packet }, now)
    }

    /// Room for so many bytes more of a source, and in all.
    #[cold]
    fn make_room(
        &mut self,
        source: &Hashed<u128>,
        id: &PacketId,
        cost: usize,
        limits: &Limits,
        drops: &mut Drops<'_>,
    ) {
        loop {
            let line = self.line(source, id);
            let oldest = if line.bytes + cost > limits.bytes_per_source {
                line.oldest
            } else if self.pieces.used() + cost > limits.bytes {
                self.packets.oldest()
            } else {
                None
            };
            let Some(oldest) = oldest else { break };
            self.discard(oldest, DropReason::Ipv6FragmentLimit, drops);
        }
    }

    /// Gives a packet up, and remembers that for what may still come of it (RFC 5722 section 4).
    fn refuse(&mut self, at: Id, reason: DropReason, drops: &mut Drops<'_>) -> DropReason {
        if let Some(UnderWay { packet, .. }) = self.packets.get_mut(at) {
            let packet = std::mem::replace(packet, Packet::refused(reason));
            count_dropped(&packet, reason, &self.pieces, drops);
            packet.free(&mut self.pieces);
        }
        reason
    }

    /// Gives a packet up and forgets it.
    fn discard(&mut self, at: Id, reason: DropReason, drops: &mut Drops<'_>) {
        if let Some(UnderWay { packet, .. }) = self.packets.remove(at) {
            count_dropped(&packet, reason, &self.pieces, drops);
            packet.free(&mut self.pieces);
        }
    }
}

/// Counts the frames that waited in vain.
#[inline]
fn count_dropped(packet: &Packet, reason: DropReason, pieces: &Pieces, drops: &mut Drops<'_>) {
    let frames = u64::from(packet.count);
    drops.counters.held.sub(frames);
    drops.count(reason, (frames, u64::from(packet.frame_bytes)), || packet.example(pieces));
    if drops.tap.is_on() {
        show_dropped(packet, reason, pieces, drops.tap);
    }
}

/// Shows the frames to whoever looks: as they were received, up to the end of their packets.
#[cold]
fn show_dropped(packet: &Packet, reason: DropReason, pieces: &Pieces, tap: &mut Tap) {
    let mut frame = [0; MOST_SHOWN];
    packet.each_frame(pieces, &mut frame, |start, len| {
        tap.given_up(Side::Internal, reason, start, len);
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::Frame;
    use crate::lwaftr::drops::Exemplified;
    use crate::telemetry::{InterfaceTotals, WorkerCounters};
    use crate::wire::ipv6::FRAGMENT_HEADER;

    const LIMITS: Limits = Limits {
        fragments: 4,
        packets_per_source: 3,
        bytes_per_source: 4096,
        packets: 10,
        bytes: 8192,
    };

    const ETHERNET: usize = 14;

    /// The packets and what they count.
    struct Bench {
        packets: Packets,
        counters: WorkerCounters,
        exemplified: Exemplified,
        tap: Tap,
        out: RoomyFrame,
    }

    impl Bench {
        fn new() -> Self {
            Self {
                packets: Packets::new(),
                counters: WorkerCounters::default(),
                exemplified: Exemplified::default(),
                tap: Tap::off(),
                out: RoomyFrame::default(),
            }
        }

        /// A fragment of `len` bytes at `offset`.
        fn add(
            &mut self,
            id: (u128, u32),
            piece: (usize, usize, bool),
            now: u64,
        ) -> Result<Option<Whole>, DropReason> {
            self.add_behind(0, id, piece, now)
        }

        /// The same with so many bytes of extension headers in front.
        fn add_behind(
            &mut self,
            front: usize,
            (source, identification): (u128, u32),
            (offset, len, more): (usize, usize, bool),
            now: u64,
        ) -> Result<Option<Whole>, DropReason> {
            let head = ETHERNET + 40 + front + FRAGMENT_HEADER;
            let frame: Vec<u8> = (0..head + len).map(|i| (i + offset) as u8).collect();
            let data = &frame[head..];
            let fragment = Fragment { next_header: 4, offset, more, identification, data };
            let arrival = Arrival { frame: &frame, packet: ETHERNET, frame_len: frame.len(), now };
            let id = PacketId { source, destination: 1, identification };
            let Self { packets, counters, exemplified, tap, out } = self;
            let mut drops = Drops::new(Side::Internal, counters, exemplified, tap);
            packets.add(id, &fragment, &arrival, &LIMITS, &mut drops, out)
        }

        fn expire(
            &mut self,
            now: u64,
            timeout: u64,
            quote: &mut [u8],
        ) -> Option<Option<(PacketId, usize, usize)>> {
            let mut drops =
                Drops::new(Side::Internal, &self.counters, &mut self.exemplified, &mut self.tap);
            self.packets.expire(now, timeout, &mut drops, quote)
        }

        fn totals(&self) -> InterfaceTotals {
            let mut totals = InterfaceTotals::default();
            totals.add(self.counters.of(Side::Internal));
            totals
        }

        fn dropped(&self, reason: DropReason) -> u64 {
            self.totals().drops[reason.index()].packets
        }

        fn is_idle(&self) -> bool {
            self.packets.packets.len() == 0
                && self.packets.pieces.used() == 0
                && self.totals().held == 0
        }
    }

    #[test]
    fn the_last_piece_makes_it_whole() {
        let mut bench = Bench::new();
        assert_eq!(bench.add((1, 1), (16, 5, false), 10), Ok(None));
        assert_eq!(bench.add((1, 1), (0, 8, true), 20), Ok(None));
        assert_eq!(bench.totals().held, 2);
        let whole = Whole { since: 10, marks_agree: true };
        assert_eq!(bench.add((1, 1), (8, 8, true), 30), Ok(Some(whole)));
        assert_eq!(bench.out.bytes().len(), 14 + 40 + 21);
        assert_eq!((bench.totals().absorbed, bench.totals().reassembled), (3, 1));
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
                assert_eq!(bench.add((1, identification), (offset, 960, true), 0), Ok(None));
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

    /// F6: a fragment that no source may have room for takes nobody else's.
    #[test]
    fn a_fragment_too_large_for_its_source_is_nobody_elses_loss() {
        let mut bench = Bench::new();
        assert_eq!(bench.add((2, 1), (0, 8, true), 0), Ok(None));
        assert_eq!(bench.add((1, 1), (0, 8, true), 0), Ok(None));
        assert_eq!(bench.add((1, 2), (0, 9_000, true), 0), Err(DropReason::Ipv6FragmentLimit));
        assert_eq!(bench.dropped(DropReason::Ipv6FragmentLimit), 1);
        assert!(bench.add((2, 1), (8, 8, false), 1).unwrap().is_some());
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
        assert_eq!(bench.expire(59, 60, &mut quote), None);
        assert_eq!(bench.expire(60, 60, &mut quote), Some(None));
        assert_eq!(bench.dropped(DropReason::Ipv6FragmentTimeout), 0);
        assert!(bench.is_idle());
    }

    /// What stands in front of the first fragment's header counts as well, whatever comes first.
    #[test]
    fn a_packet_has_at_most_65535_bytes_behind_its_header() {
        const FAR: usize = 65_536 - 16;
        for (front, len, fits) in [(0, 15, true), (0, 16, false), (8, 7, true), (8, 8, false)] {
            let mut bench = Bench::new();
            let expected = if fits { Ok(None) } else { Err(DropReason::Ipv6FragmentMalformed) };
            assert_eq!(bench.add_behind(front, (1, 1), (0, 8, true), 0), Ok(None));
            assert_eq!(bench.add((1, 1), (FAR, len, false), 0), expected);
            assert_eq!(bench.add_behind(front, (1, 2), (FAR, len, false), 0), expected);
            if len < 16 {
                assert_eq!(bench.add((1, 3), (FAR, len, false), 0), Ok(None));
                assert_eq!(bench.add_behind(front, (1, 3), (0, 8, true), 0), expected);
            }
        }
    }

    /// A2: also what waited leaves an example.
    #[test]
    fn what_waited_in_vain_leaves_an_example() {
        let mut bench = Bench::new();
        assert_eq!(bench.add((1, 1), (8, 400, true), 0), Ok(None));
        assert_eq!(bench.expire(60, 60, &mut []), Some(None));
        let example = bench.counters.examples(Side::Internal);
        let example = example.get(DropReason::Ipv6FragmentTimeout).unwrap();
        let start: Vec<u8> = (8..8 + 64).collect();
        assert_eq!((example.start, example.length), (start, ETHERNET + 48 + 400));
    }

    #[test]
    fn what_waits_too_long_is_given_up_and_its_first_fragment_quoted() {
        let mut bench = Bench::new();
        assert_eq!(bench.add((1, 1), (8, 8, true), 5), Ok(None));
        assert_eq!(bench.add((1, 2), (0, 8, true), 6), Ok(None));
        assert_eq!(bench.add((1, 2), (8, 8, true), 9), Ok(None));
        let mut quote = [0; 100];
        assert!(!bench.packets.is_overdue(14, 10) && bench.packets.is_overdue(15, 10));
        assert_eq!(bench.expire(15, 10, &mut quote), Some(None));
        assert_eq!(bench.expire(15, 10, &mut quote), None);
        let told = bench.expire(16, 10, &mut quote).flatten();
        assert_eq!(told.map(|(id, len, at)| (id.identification, len, at)), Some((2, 70, 14)));
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
            let Packets { packets, hasher, pieces } = &bench.packets;
            assert!(packets.len() <= LIMITS.packets && pieces.used() <= LIMITS.bytes);
            let (mut count, mut bytes) = (0, 0);
            for source in 0..20 {
                let of_source: Vec<_> = packets.of(&hasher.of(source)).collect();
                assert!(of_source.len() <= LIMITS.packets_per_source);
                let cost = |packet: &Packet| packet.cost as usize;
                let cost: usize = of_source.iter().map(|(_, one)| cost(&one.packet)).sum();
                assert!(cost <= LIMITS.bytes_per_source);
                (count, bytes) = (count + of_source.len(), bytes + cost);
            }
            assert_eq!((count, bytes), (packets.len(), pieces.used()));
        }
        let dropped: u64 = DropReason::ALL.iter().map(|reason| bench.dropped(*reason)).sum();
        let totals = bench.totals();
        assert_eq!(came, refused + dropped + totals.absorbed + totals.held);
        assert!(totals.reassembled > 100);
    }
}
