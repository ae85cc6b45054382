//! Cutting what is too large for the link ahead (E8, D5, F5).
//!
//! All pieces but the last are new frames; the last one stays in the frame that was received, so
//! that its fate is the packet's. Either all pieces find buffers and room or none is sent.

use std::hash::{DefaultHasher, Hasher};

use arrayvec::ArrayVec;

use super::outbox::{Fate, Received};
use super::relay::Relay;
use super::rewrite::{Place, reshape};
use crate::frame::{Frame, FramePool};
use crate::side::Side;
use crate::telemetry::DropReason;
use crate::wire::ethernet::Template;
use crate::wire::ipv4::{FragmentHeader, Ipv4};
use crate::wire::ipv6::{self, Outer};
use crate::wire::protocol;

/// Pieces that one packet is cut into, at most: 64 KiB for the smallest IPv6 link.
const MOST_PIECES: usize = 64;

/// Identifications of IPv6 fragments (F5): a keyed hash of a counter, which tells nobody the next
/// one (RFC 7739 section 4), and repeats under the same seed.
#[derive(Debug)]
pub(super) struct Identifications {
    seed: u64,
    count: u64,
}

impl Identifications {
    pub(super) const fn new(seed: u64) -> Self {
        Self { seed, count: 0 }
    }

    fn next(&mut self) -> u32 {
        self.count += 1;
        let mut hasher = DefaultHasher::new();
        hasher.write_u64(self.seed);
        hasher.write_u64(self.count);
        hasher.finish() as u32
    }
}

/// One piece: which bytes of what is cut.
#[derive(Debug, Clone, Copy)]
struct Piece {
    offset: usize,
    len: usize,
    is_last: bool,
}

impl<P: FramePool> Relay<P> {
    /// Puts the packet at `place` into IPv6 fragments of at most `mtu` bytes.
    #[cold]
    #[cfg_attr(lwaftr_no_panic, no_panic::no_panic)]
    pub(super) fn fragment_outer(
        &mut self,
        frame: &mut impl Frame,
        place: Place,
        ethernet: &Template,
        outer: &Outer,
        mtu: usize,
    ) -> Result<(), DropReason> {
        let front = ethernet.header_len() + ipv6::HEADER + ipv6::FRAGMENT_HEADER;
        let most = mtu - ipv6::HEADER - ipv6::FRAGMENT_HEADER;
        let identification = self.identifications.next();
        self.cut(
            Side::Internal,
            frame,
            place,
            |_| most,
            |_| front,
            |piece, out| {
                let rest = ethernet.write(out)?;
                let (head, rest) = rest.split_first_chunk_mut()?;
                let payload_len = (ipv6::FRAGMENT_HEADER + piece.len) as u16;
                ipv6::write_header(
                    head,
                    &Outer { payload_len, next_header: protocol::FRAGMENT, ..*outer },
                );
                let (head, rest) = rest.split_first_chunk_mut()?;
                ipv6::write_fragment_header(
                    head,
                    outer.next_header,
                    piece.offset,
                    !piece.is_last,
                    identification,
                );
                Some(rest)
            },
        )
    }

    /// Cuts the IPv4 packet at `place` into fragments of at most `mtu` bytes, each behind `front`
    /// bytes that `write_front` fills in, given the fragment's length, and returns what follows.
    #[cold]
    #[cfg_attr(lwaftr_no_panic, no_panic::no_panic)]
    pub(super) fn fragment_inner(
        &mut self,
        side: Side,
        frame: &mut impl Frame,
        place: Place,
        mtu: usize,
        front: usize,
        write_front: impl for<'a> Fn(usize, &'a mut [u8]) -> Option<&'a mut [u8]>,
    ) -> Result<(), DropReason> {
        let bytes = frame.bytes().get(place.start..place.start + place.len).unwrap_or_default();
        let packet = Ipv4::parse_embedded(bytes)?;
        let (first, later) = (FragmentHeader::first(&packet), FragmentHeader::later(&packet));
        let header = |offset: usize| if offset == 0 { &first } else { &later };
        let data = Place {
            start: place.start + packet.header_len(),
            len: place.len - packet.header_len(),
        };
        // What is a fragment itself may lie, and end where no packet ends: no offset could say so.
        if packet.fragment_offset() + data.len > usize::from(u16::MAX) {
            return Err(DropReason::TooBig);
        }
        let most = |offset| mtu - header(offset).header_len();
        let fronts = |piece: &Piece| front + header(piece.offset).header_len();
        self.cut(side, frame, data, most, fronts, |piece, out| {
            let header = header(piece.offset);
            let rest = write_front(header.header_len() + piece.len, out)?;
            header.write(rest, piece.offset, piece.len, piece.is_last)
        })
    }

    /// Cuts the bytes at `data` into pieces, multiples of 8 bytes but for the last, and no longer
    /// than `most` says for their offset. `write` fills in the `front` bytes before a piece and
    /// returns what follows them.
    fn cut(
        &mut self,
        side: Side,
        frame: &mut impl Frame,
        data: Place,
        most: impl Fn(usize) -> usize,
        front: impl Fn(&Piece) -> usize,
        write: impl for<'a> Fn(Piece, &'a mut [u8]) -> Option<&'a mut [u8]>,
    ) -> Result<(), DropReason> {
        let mut pieces = ArrayVec::<P::Frame, MOST_PIECES>::new();
        let mut offset = 0;
        while data.len - offset > most(offset) {
            let step = most(offset) & !7;
            let piece = Piece { offset, len: step, is_last: false };
            let start = data.start + offset;
            let source = frame.bytes().get(start..start + step).ok_or(DropReason::NoBuffer)?;
            let mut new = self.pool.frame(front(&piece) + step).ok_or(DropReason::NoBuffer)?;
            let rest = write(piece, new.bytes_mut()).ok_or(DropReason::NoBuffer)?;
            rest.get_mut(..step).ok_or(DropReason::NoBuffer)?.copy_from_slice(source);
            pieces.try_push(new).map_err(|_| DropReason::NoBuffer)?;
            offset += step;
        }
        let out = &mut self.out[side.index()];
        if out.room() <= pieces.len() {
            return Err(DropReason::TxFull);
        }
        let last = Piece { offset, len: data.len - offset, is_last: true };
        let place = Place { start: data.start + offset, len: last.len };
        if !reshape(frame, place, front(&last)) || write(last, frame.bytes_mut()).is_none() {
            return Err(DropReason::NoBuffer);
        }
        for piece in pieces {
            // There is room for all of them.
            let _ = out.push(piece, Fate::Piece, Received::default());
        }
        Ok(())
    }
}
