//! One packet's fragments, as far as they came, and what one more means for it.

use super::arena::{Arena, Id, cost};
use crate::frame::{Frame, RoomyFrame};
use crate::telemetry::DropReason;
use crate::wire::ipv6::{self, Fragment, Ipv6, Outer};

/// The most that a packet can be put together to, behind its IPv6 header.
pub(super) const LARGEST: usize = 65_535;

/// A fragment's frame as it came.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Arrival<'a> {
    /// Up to the end of its IPv6 packet, which ends with the fragment's data.
    pub(in super::super) frame: &'a [u8],
    /// Where in it the IPv6 packet starts.
    pub(in super::super) packet: usize,
    /// Bytes of the whole frame.
    pub(in super::super) frame_len: usize,
    pub(in super::super) now: u64,
}

impl Arrival<'_> {
    /// Bytes of extension headers in front of the fragment header.
    #[inline]
    pub(super) fn front(&self, fragment: &Fragment<'_>) -> usize {
        let rest = ipv6::HEADER + ipv6::FRAGMENT_HEADER + fragment.data.len();
        self.frame.len().saturating_sub(self.packet + rest)
    }

    /// The ECN codepoint of its packet, as a set.
    fn mark(&self) -> u8 {
        let traffic = self.frame.get(self.packet + 1).copied().unwrap_or_default();
        1 << (traffic >> 4 & CE_BITS)
    }
}

/// The fragments of all packets: their frames are stored.
pub(super) type Pieces = Arena<Piece>;

/// What is known of a fragment.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Piece {
    /// Where its data belong, how many there are, and where they start in what is stored.
    offset: u32,
    len: u32,
    head: u32,
    /// Where the IPv6 packet starts in what is stored.
    packet: u32,
    /// Bytes of the frame.
    frame_len: u32,
    /// The one behind it in its packet.
    next: Option<Id>,
}

impl Piece {
    fn end(&self) -> usize {
        self.offset as usize + self.len as usize
    }

    /// Bytes of extension headers in front of its fragment header.
    fn front(&self) -> usize {
        let rest = self.packet as usize + ipv6::HEADER + ipv6::FRAGMENT_HEADER;
        (self.head as usize).saturating_sub(rest)
    }
}

/// A packet that is not whole yet.
#[derive(Debug, Default)]
pub(super) struct Packet {
    /// Its pieces in the order of their offsets; none overlaps another.
    first: Option<Id>,
    last: Option<Id>,
    /// Pieces, the data in them, the memory that they take, and the bytes of their frames.
    pub(super) count: u32,
    have: u32,
    pub(super) cost: u32,
    pub(super) frame_bytes: u32,
    /// Which ECN codepoints they have, as a set.
    marks: u8,
    /// Where the last fragment ends, once it is there.
    end: Option<u32>,
    /// It will never be whole, for this reason, nor may any further fragment of it be used.
    pub(super) refused: Option<DropReason>,
}

/// What a further fragment is to a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fit {
    /// News, behind this piece.
    New(Option<Id>),
    /// An exact copy of one that is there: tolerated (RFC 8200 section 4.5).
    Duplicate,
    /// It overlaps others, or another end was said: the packet is given up (RFC 5722).
    Contradiction,
    /// With it the packet would be longer than any (RFC 8200 section 4.5).
    TooLong,
}

impl Packet {
    /// One that was given up.
    pub(super) fn refused(reason: DropReason) -> Self {
        Self { refused: Some(reason), ..Self::default() }
    }

    /// What is this fragment to the packet?
    #[inline]
    pub(super) fn fit(&self, fragment: &Fragment<'_>, arrival: &Arrival<'_>, all: &Pieces) -> Fit {
        let (start, end) = (fragment.offset, fragment.offset + fragment.data.len());
        let is_last = !fragment.more;
        let reach = self.last.map_or(0, |last| all.get(last).end());
        let first = self.first.map(|first| all.get(first));
        // What the packet keeps of what is in front of the fragment header is the first one's.
        let front = match first.filter(|first| start > 0 && first.offset == 0) {
            Some(first) => first.front(),
            None => arrival.front(fragment),
        };
        if front + reach.max(end) > LARGEST {
            return Fit::TooLong;
        }
        // What comes in order needs no look at the others.
        let (mut behind, mut next) =
            if reach <= start { (self.last, None) } else { (None, self.first) };
        while let Some(id) = next {
            let piece = all.get(id);
            if piece.offset as usize >= end {
                break;
            }
            if start < piece.end() {
                let is_copy = piece.offset as usize == start
                    && is_last == (self.said() == Some(piece.end()))
                    && all.holds(id, piece.head as usize, fragment.data);
                return if is_copy { Fit::Duplicate } else { Fit::Contradiction };
            }
            (behind, next) = (next, piece.next);
        }
        let said_otherwise = match self.said() {
            Some(said) => is_last || end > said,
            None => is_last && reach > end,
        };
        if said_otherwise { Fit::Contradiction } else { Fit::New(behind) }
    }

    /// Stores a fragment that fits behind this piece.
    #[inline]
    pub(super) fn store(
        &mut self,
        fragment: &Fragment<'_>,
        arrival: &Arrival<'_>,
        behind: Option<Id>,
        all: &mut Pieces,
    ) {
        let next = match behind {
            Some(behind) => all.get(behind).next,
            None => self.first,
        };
        let piece = Piece {
            offset: fragment.offset as u32,
            len: fragment.data.len() as u32,
            head: (arrival.frame.len() - fragment.data.len()) as u32,
            packet: arrival.packet as u32,
            frame_len: arrival.frame_len as u32,
            next,
        };
        if !fragment.more {
            self.end = Some(piece.end() as u32);
        }
        self.count += 1;
        self.have += piece.len;
        self.cost += cost(arrival.frame.len()) as u32;
        self.frame_bytes += piece.frame_len;
        self.marks |= arrival.mark();
        let id = all.store(arrival.frame, piece);
        match behind {
            Some(behind) => all.get_mut(behind).next = Some(id),
            None => self.first = Some(id),
        }
        if next.is_none() {
            self.last = Some(id);
        }
    }

    /// Where the last fragment said that the packet ends.
    fn said(&self) -> Option<usize> {
        self.end.map(|end| end as usize)
    }

    /// Are all fragments there?
    pub(super) fn is_whole(&self) -> bool {
        self.end == Some(self.have)
    }

    /// Frees what is stored.
    #[inline]
    pub(super) fn free(&self, all: &mut Pieces) {
        let mut next = self.first;
        while let Some(id) = next {
            next = all.give_back(id).next;
        }
    }

    /// The start of one of its frames, and how long that was.
    #[inline]
    pub(super) fn example<'a>(&self, all: &'a Pieces) -> (&'a [u8], usize) {
        let first = self.first.and_then(|id| all.glance(id));
        first.map_or((&[], 0), |(piece, start)| (start, piece.frame_len as usize))
    }

    /// Gives all its frames, one after the other: how each begins, as much as `out` has room for, and
    /// how long it was.
    pub(super) fn each_frame(
        &self,
        all: &Pieces,
        out: &mut [u8],
        mut take: impl FnMut(&[u8], usize),
    ) {
        let mut next = self.first;
        while let Some(id) = next {
            let (kept, piece) = (all.read(id, 0, out), all.get(id));
            take(out.get(..kept).unwrap_or_default(), piece.frame_len as usize);
            next = piece.next;
        }
    }

    /// The first fragment's frame up to the end of its packet, as much as fits; how much that is,
    /// and where in it the packet starts. `None` when it did not come.
    pub(super) fn quote(&self, all: &Pieces, out: &mut [u8]) -> Option<(usize, usize)> {
        let id = self.first.filter(|&id| all.get(id).offset == 0)?;
        Some((all.read(id, 0, out), all.get(id).packet as usize))
    }

    /// Writes the whole packet behind the Ethernet header of `arrival`. Its header is the first
    /// fragment's, without extension headers, which were obeyed when the fragments came. False when
    /// the fragments' ECN marks cannot be one packet's (RFC 3168 section 5.3).
    pub(super) fn write(&self, arrival: &Arrival<'_>, all: &Pieces, out: &mut RoomyFrame) -> bool {
        let Some(id) = self.first else { return false };
        let first = all.get(id);
        let len = self.said().unwrap_or(0);
        let mut head = [0; ipv6::HEADER];
        all.read(id, first.packet as usize, &mut head);
        let Some(outer) = Ipv6::parsed_before(&head) else { return false };
        let mut next_header = [0];
        all.read(id, first.head as usize - ipv6::FRAGMENT_HEADER, &mut next_header);
        let congestion = if self.marks & CE != 0 { CE_BITS } else { 0 };
        let header = Outer {
            traffic_class: outer.traffic_class() | congestion,
            flow_label: 0,
            payload_len: len as u16,
            next_header: next_header[0],
            hop_limit: outer.hop_limit(),
            source: outer.source(),
            destination: outer.destination(),
        };
        let ethernet = arrival.frame.get(..arrival.packet).unwrap_or_default();
        out.fresh(ethernet.len() + ipv6::HEADER + len);
        let (link, rest) = out.bytes_mut().split_at_mut(ethernet.len());
        link.copy_from_slice(ethernet);
        let Some((head, mut rest)) = rest.split_first_chunk_mut() else { return false };
        ipv6::write_header(head, &header);
        let mut next = self.first;
        while let Some(id) = next {
            let piece = all.get(id);
            let (here, behind) = rest.split_at_mut(piece.len as usize);
            all.read(id, piece.head as usize, here);
            (next, rest) = (piece.next, behind);
        }
        self.marks & (CE | NOT_ECT) != CE | NOT_ECT
    }
}

/// Congestion experienced, as a codepoint and in a set.
const CE_BITS: u8 = 0b11;
const CE: u8 = 1 << CE_BITS;

/// Not ECN-capable, in a set.
const NOT_ECT: u8 = 1;
