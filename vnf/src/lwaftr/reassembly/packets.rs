//! All packets that are not whole yet, within their limits (F1, F6): a source that has too much
//! under way loses its own oldest packet, and where all have too much the oldest goes. So nobody
//! takes more than his share, and a flood only shortens how long fragments may wait.

use std::collections::HashMap;

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
