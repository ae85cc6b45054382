//! One packet's fragments, as far as they came, and what one more means for it.

use super::arena::{Arena, Chain};
use crate::frame::{Frame, RoomyFrame};
use crate::telemetry::DropReason;
use crate::wire::ipv6::{self, Fragment, Ipv6, Outer};

/// A packet that is not whole yet.
#[derive(Debug, Default)]
pub(super) struct Packet {
    /// In the order of their offsets; none overlaps another.
    pieces: Vec<Piece>,
    /// Where the last fragment ends, once it is there.
    end: Option<usize>,
    /// Frames that its fragments came in, and their bytes.
    pub(super) frames: u64,
    pub(super) frame_bytes: u64,
    /// It will never be whole, for this reason, nor may any further fragment of it be used.
    pub(super) refused: Option<DropReason>,
}

/// A fragment: its whole IPv6 packet is stored.
#[derive(Debug)]
struct Piece {
    /// Where its data belong.
    offset: usize,
    /// Where its data start in what is stored.
    head: usize,
    stored: Chain,
}

impl Piece {
    fn end(&self) -> usize {
        self.offset + self.stored.len - self.head
    }
}

/// What a further fragment is to a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fit {
    /// News.
    New,
    /// An exact copy of one that is there: tolerated (RFC 8200 section 4.5).
    Duplicate,
    /// It overlaps others, or another end was said: the packet is given up (RFC 5722).
    Contradiction,
}

impl Packet {
    /// What is this fragment to the packet?
    pub(super) fn fit(&self, fragment: &Fragment<'_>, arena: &Arena) -> Fit {
        let (start, end) = (fragment.offset, fragment.offset + fragment.data.len());
        let is_last = !fragment.more;
        if let Some(piece) = self.pieces.iter().find(|piece| piece.offset == start)
            && is_last == (self.end == Some(piece.end()))
            && arena.holds(&piece.stored, piece.head, fragment.data)
        {
            return Fit::Duplicate;
        }
        let overlaps = self.pieces.iter().any(|piece| piece.offset < end && start < piece.end());
        let said_otherwise = match self.end {
            Some(said) => is_last || end > said,
            None => is_last && self.pieces.last().is_some_and(|piece| piece.end() > end),
        };
        if overlaps || said_otherwise { Fit::Contradiction } else { Fit::New }
    }

    /// Fragments that are there.
    pub(super) fn count(&self) -> usize {
        self.pieces.len()
    }

    /// Memory that they take.
    pub(super) fn cost(&self) -> usize {
        self.pieces.iter().map(|piece| Chain::cost(piece.stored.len)).sum()
    }

    /// Stores a fragment that fits, in the packet it came in; its data stand at its end.
    pub(super) fn store(&mut self, fragment: &Fragment<'_>, packet: &[u8], arena: &mut Arena) {
        let piece = Piece {
            offset: fragment.offset,
            head: packet.len() - fragment.data.len(),
            stored: arena.store(packet),
        };
        if !fragment.more {
            self.end = Some(piece.end());
        }
        let place = self.pieces.partition_point(|other| other.offset < piece.offset);
        self.pieces.insert(place, piece);
    }

    /// Are all fragments there?
    pub(super) fn is_whole(&self) -> bool {
        let have: usize = self.pieces.iter().map(|piece| piece.end() - piece.offset).sum();
        self.end == Some(have)
    }

    /// Frees what is stored.
    pub(super) fn free(&mut self, arena: &mut Arena) {
        for piece in self.pieces.drain(..) {
            arena.give_back(&piece.stored);
        }
    }

    /// The first fragment's packet as it came, as much as fits; how much that is. `None` when it
    /// did not come.
    pub(super) fn quote(&self, arena: &Arena, out: &mut [u8]) -> Option<usize> {
        let first = self.pieces.first().filter(|piece| piece.offset == 0)?;
        arena.read(&first.stored, 0, out);
        Some(first.stored.len.min(out.len()))
    }

    /// Writes the whole packet behind `ethernet`. Its header is the first fragment's, without
    /// extension headers, which were obeyed when the fragments came. False when the fragments'
    /// ECN marks cannot be one packet's (RFC 3168 section 5.3).
    pub(super) fn write(&self, ethernet: &[u8], arena: &Arena, out: &mut RoomyFrame) -> bool {
        let Some(first) = self.pieces.first() else { return false };
        let len = self.end.unwrap_or(0);
        let mut head = [0; ipv6::HEADER];
        arena.read(&first.stored, 0, &mut head);
        let Some(outer) = Ipv6::parsed_before(&head) else { return false };
        let mut next_header = [0];
        arena.read(&first.stored, first.head - ipv6::FRAGMENT_HEADER, &mut next_header);
        let marks = self.marks(arena);
        let congestion = if marks & CE != 0 { CE_BITS } else { 0 };
        let header = Outer {
            traffic_class: outer.traffic_class() | congestion,
            flow_label: 0,
            payload_len: len as u16,
            next_header: next_header[0],
            hop_limit: outer.hop_limit(),
            source: outer.source(),
            destination: outer.destination(),
        };
        out.fresh(ethernet.len() + ipv6::HEADER + len);
        let (link, rest) = out.bytes_mut().split_at_mut(ethernet.len());
        link.copy_from_slice(ethernet);
        let Some((head, mut rest)) = rest.split_first_chunk_mut() else { return false };
        ipv6::write_header(head, &header);
        for piece in &self.pieces {
            let (here, behind) = rest.split_at_mut(piece.end() - piece.offset);
            arena.read(&piece.stored, piece.head, here);
            rest = behind;
        }
        marks & (CE | NOT_ECT) != CE | NOT_ECT
    }

    /// Which ECN codepoints the fragments have, as a set.
    fn marks(&self, arena: &Arena) -> u8 {
        let mark = |piece: &Piece| {
            let mut start = [0; 2];
            arena.read(&piece.stored, 0, &mut start);
            1 << (start[1] >> 4 & CE_BITS)
        };
        self.pieces.iter().map(mark).fold(0, |set, mark: u8| set | mark)
    }
}

/// Congestion experienced, as a codepoint and in a set.
const CE_BITS: u8 = 0b11;
const CE: u8 = 1 << CE_BITS;

/// Not ECN-capable, in a set.
const NOT_ECT: u8 = 1;
