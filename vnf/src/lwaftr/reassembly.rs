//! Tunnelled packets that come in IPv6 fragments (F1): they are put together in memory of their
//! own, so that no fragment keeps a port's buffer, and go on from there like any other packet.

mod arena;
mod packet;
mod packets;

pub(super) use packet::Arrival;
pub(super) use packets::{Packets, Whole};

use super::context::Context;
use super::drops::Drops;
use super::errors::Icmpv6Error;
use super::internal::{FromB4, may_carry_error, station};
use super::keys::Lookup;
use super::outbox::Received;
use super::relay::Relay;
use super::rewrite::Place;
use super::settings::Fragments;
use super::verdict::{Stop, Verdict};
use crate::frame::plan::LARGE_ROOM;
use crate::frame::{Frame, FramePool, RoomyFrame};
use crate::side::Side;
use crate::softwire::Direction;
use crate::telemetry::DropReason;
use crate::wire::ipv6::{self, Fragment, Ipv6};
use crate::wire::protocol;
use packets::{Limits, PacketId};

const SECOND: u64 = 1_000_000_000;

/// Packets that may be given up at once; the others a little later (F6).
pub(super) const MOST_EXPIRED: usize = 256;

/// What is quoted of a first fragment's frame: as much as an error has room for.
const QUOTED: usize = 18 + 1280 - 48;

impl Limits {
    /// One worker's share. Packets of one source may meet several workers, if they go to several
    /// BR addresses: each allows it everything.
    fn share(settings: &Fragments, workers: usize) -> Self {
        let bytes = Fragments::share(settings.bytes, workers);
        Self {
            fragments: settings.max_fragments.into(),
            packets_per_source: settings.packets_per_source as usize,
            // What is too large for all is so for its source, and nobody else's loss.
            bytes_per_source: bytes.min(settings.bytes_per_source as usize),
            packets: Fragments::share(settings.packets, workers),
            bytes,
        }
    }
}

impl<P: FramePool> Relay<P> {
    /// Takes in a fragment of a packet to a BR address. If its packet is whole with it, that is in
    /// `self.assembled`.
    #[inline(never)]
    pub(super) fn reassemble(
        &mut self,
        cx: &Context<'_>,
        outer: &Ipv6<'_>,
        fragment: &Fragment<'_>,
        arrival: &Arrival<'_>,
    ) -> Result<Option<Whole>, DropReason> {
        let id = PacketId {
            source: outer.source(),
            destination: outer.destination(),
            identification: fragment.identification,
        };
        let limits = Limits::share(&cx.snapshot.settings.fragments, self.workers);
        let mut drops =
            Drops::new(Side::Internal, &self.counters, &mut self.exemplified, &mut self.tap);
        self.packets.add(id, fragment, arrival, &limits, &mut drops, &mut self.assembled)
    }

    /// Takes the packet that was put together where it goes. It may be larger than any buffer, and
    /// what leaves of it is not: buffers come in only then.
    #[cold]
    pub(super) fn take_assembled(&mut self, cx: &Context<'_>, start: usize, whole: Whole) {
        let mut packet = std::mem::take(&mut self.assembled);
        let len = packet.bytes().len();
        let since = (whole.since < cx.now).then_some(whole.since);
        let received = Received { len: len as u32, since };
        match self.pool.frame(len.min(LARGE_ROOM.into())) {
            None => self.count_drop(Side::Internal, DropReason::NoBuffer, &packet, len),
            Some(carrier) => {
                let judged = self.judge_assembled(cx, &mut packet, start, whole.marks_agree);
                self.carry_out_assembled(cx, carrier, &packet, judged, received);
            }
        }
        self.assembled = packet;
    }

    /// From F1 on, the way of any packet from a B4. Only tunnelled packets are for us.
    fn judge_assembled(
        &mut self,
        cx: &Context<'_>,
        frame: &mut RoomyFrame,
        start: usize,
        marks_agree: bool,
    ) -> Result<Verdict, Stop> {
        let bytes = frame.bytes().get(start..).unwrap_or_default();
        let packet = Ipv6::parse(bytes).map_err(DropReason::from)?;
        let data = packet.payload();
        let behind = ipv6::upper_of_fragments(packet.next_header(), data, ipv6::HEADER);
        let upper = self.known(cx, &packet, frame, bytes, behind)?;
        if upper.protocol != protocol::IPV4 {
            return Err(DropReason::UnsupportedProtocol.into());
        }
        let len = upper.payload.len();
        let payload = Place { start: start + ipv6::HEADER + data.len() - len, len };
        let (inner, Lookup { key, without_port }) =
            self.classify_inner(cx, frame, start, payload)?;
        let from = FromB4 { outer: start as u16, inner, without_port, marks_agree };
        let (table, worker) = (&cx.snapshot.table, self.worker);
        let slot = table.locate(key);
        let hairpin = self.leave_tunnel(cx, frame, &from, slot)?;
        let Some((hairpin, key)) = hairpin else {
            table.count(worker, slot, Direction::FromB4, inner.len);
            return Ok(Verdict::Forward);
        };
        self.count_hairpin(cx, slot, inner.len);
        let slot = table.locate(key);
        self.enter_tunnel(cx, frame, &hairpin, slot)?;
        table.count(worker, slot, Direction::ToB4, inner.len);
        Ok(Verdict::Hairpin)
    }

    /// Puts what is left of an assembled packet into a buffer if it goes anywhere.
    fn carry_out_assembled(
        &mut self,
        cx: &Context<'_>,
        mut carrier: P::Frame,
        packet: &RoomyFrame,
        judged: Result<Verdict, Stop>,
        received: Received,
    ) {
        let judged = match judged {
            // Nothing of it leaves, and it is the example of its reason (A2).
            Err(Stop::Ends(Verdict::Drop(reason))) => {
                let len = received.len as usize;
                return self.count_drop(Side::Internal, reason, packet, len);
            }
            Err(Stop::Ends(Verdict::Consume | Verdict::Ignore(_))) => judged,
            _ if copy(packet, &mut carrier) => judged,
            _ => Err(DropReason::NoBuffer.into()),
        };
        match judged {
            Ok(verdict) => self.carry_out(cx, Side::Internal, carrier, verdict, received),
            Err(stop) => self.stop(cx, Side::Internal, carrier, stop, received),
        }
    }

    /// Gives up packets that are not whole in time, and tells their senders (RFC 8200 section 4.5).
    #[cold]
    pub(super) fn expire_packets(&mut self, cx: &Context<'_>) {
        let timeout = timeout(cx);
        let mut quote = [0; QUOTED];
        for _ in 0..MOST_EXPIRED {
            let mut drops =
                Drops::new(Side::Internal, &self.counters, &mut self.exemplified, &mut self.tap);
            match self.packets.expire(cx.now, timeout, &mut drops, &mut quote) {
                None => break,
                Some(None) => {}
                Some(Some((id, len, packet))) => {
                    let frame = quote.get(..len).unwrap_or_default();
                    let about = frame.get(packet..).unwrap_or_default();
                    let tells = Ipv6::parse_embedded(about)
                        .is_ok_and(|packet| !may_carry_error(&packet))
                        && cx.snapshot.is_br(id.destination);
                    if tells {
                        let error = Icmpv6Error::ReassemblyTimeout;
                        let ends = (id.destination, id.source);
                        self.icmpv6_error(cx, error, about, ends, station(frame));
                    }
                }
            }
        }
    }

    /// Says how much waits, for whoever looks at that.
    pub(super) fn report_waiting(&self) {
        let reassembly = &self.counters.reassembly;
        reassembly.packets.set(self.packets.len() as u64);
        reassembly.bytes.set(self.packets.used() as u64);
    }

    /// Is a packet not whole in time?
    pub(super) fn has_overdue_packets(&self, cx: &Context<'_>) -> bool {
        self.packets.is_overdue(cx.now, timeout(cx))
    }
}

fn timeout(cx: &Context<'_>) -> u64 {
    u64::from(cx.snapshot.settings.fragments.timeout) * SECOND
}

/// Makes a buffer hold what a frame does. False when it has no room for that.
fn copy(from: &RoomyFrame, to: &mut impl Frame) -> bool {
    let (len, room) = (from.bytes().len(), to.bytes().len());
    if len > room && !to.grow_back(len - room) {
        return false;
    }
    to.truncate(len);
    to.bytes_mut().copy_from_slice(from.bytes());
    true
}
