//! Packets from the B4s: in the order of E0, whether they are who they say, and where they go.

mod classify;

pub(super) use classify::{may_carry_error, station};

use super::context::Context;
use super::errors::{Icmpv4Error, Icmpv6Error, Path};
use super::external::{ToB4, check_addresses};
use super::keys::{End, Lookup};
use super::outbox::{Fate, Received};
use super::relay::Relay;
use super::rewrite::{self, Changes, Place};
use super::settings::{DecapTtl, Hairpinning};
use super::usual::{Left, Way};
use super::verdict::Verdict;
use super::waiting::Waiting;
use crate::frame::{BATCH, Burst, Frame, FramePool};
use crate::side::Side;
use crate::softwire::{Direction, Key, Slot};
use crate::telemetry::DropReason;
use crate::wire::ipv4::Ipv4;
use crate::wire::ipv6::{self, Ipv6};
use crate::wire::{icmpv4, protocol};
use classify::{Classified, check_source};

/// A tunnelled packet that awaits the binding table's answer about its source: only what cannot be
/// read from the frame again.
#[derive(Debug, Clone, Copy)]
pub(super) struct FromB4 {
    /// Where the outer packet starts.
    pub(super) outer: u16,
    /// Where the inner packet is.
    pub(super) inner: Place,
    /// Why it is dropped should it have no port and its source be shared.
    pub(super) without_port: DropReason,
    /// Whether the fragments that it came in, if any, can all have had one ECN (RFC 3168 section 5.3).
    pub(super) marks_agree: bool,
}

impl FromB4 {
    /// The same packet on its way to another B4.
    #[inline(always)]
    fn hairpin(&self, tos: Option<u8>) -> ToB4 {
        let Self { outer, inner, without_port, .. } = *self;
        ToB4 { outer: Some(outer), place: inner, without_port, tos }
    }
}

/// Nobody's, for places that no packet has.
impl Default for FromB4 {
    fn default() -> Self {
        let without_port = DropReason::PortLessProtocol;
        Self { outer: 0, inner: Place::default(), without_port, marks_agree: true }
    }
}

impl<P: FramePool> Relay<P> {
    /// Takes a burst from the internal side where it goes. `since` is when it was received, if it
    /// waited.
    #[inline(never)]
    pub(super) fn internal(
        &mut self,
        cx: &Context<'_>,
        burst: &mut Burst<P::Frame>,
        since: Option<u64>,
    ) {
        let mut waiting = Waiting::new();
        // What has waited is counted in other ways.
        let way = if since.is_none() { Way::of(cx, Side::Internal) } else { None };
        while !burst.is_empty() {
            for frame in burst.drain(..burst.len().min(BATCH)) {
                match way.as_ref().and_then(|way| way.usual_tunnelled(cx.snapshot, frame.bytes())) {
                    Some(key) => waiting.push_usual(frame, key),
                    None => self.internal_unusual(cx, frame, &mut waiting, way.as_ref(), since),
                }
            }
            self.leave_tunnels(cx, &mut waiting, way.as_ref(), since);
        }
    }

    /// A frame that needs a closer look: it waits for its answer, or ends here, or is a fragment
    /// with which a packet is whole.
    #[inline(never)]
    fn internal_unusual(
        &mut self,
        cx: &Context<'_>,
        mut frame: P::Frame,
        waiting: &mut Waiting<P::Frame, FromB4>,
        way: Option<&Way<'_>>,
        since: Option<u64>,
    ) {
        let received = frame.bytes().len() as u32;
        let stop = match self.classify_internal(cx, &mut frame) {
            Ok(Classified::Packet(outer, inner, Lookup { key, without_port })) => {
                let packet = FromB4 { outer, inner, without_port, marks_agree: true };
                return waiting.push(frame, packet, key);
            }
            Ok(Classified::Waits) => return,
            Ok(Classified::Whole(start, whole)) => {
                // What came before it goes before it.
                if !waiting.is_empty() {
                    self.leave_tunnels(cx, waiting, way, since);
                }
                return self.take_assembled(cx, start, whole);
            }
            Err(stop) => stop,
        };
        self.stop(cx, Side::Internal, frame, stop, Received { len: received, since });
    }

    /// Looks up the sources of tunnelled packets, and sends each where it goes. Usual packets among
    /// them go `way`.
    #[inline(never)]
    fn leave_tunnels(
        &mut self,
        cx: &Context<'_>,
        waiting: &mut Waiting<P::Frame, FromB4>,
        way: Option<&Way<'_>>,
        since: Option<u64>,
    ) {
        if self.looked.is_some() {
            self.note_keys(cx, waiting, End::Source);
        }
        let mut hairpins = Waiting::new();
        let table = &*cx.snapshot.table;
        let counter = table.counter(self.worker);
        for (mut frame, packet, slot) in waiting.answered(table, counter) {
            let received = frame.bytes().len() as u32;
            let left = match (&packet, way) {
                (None, Some(way)) => {
                    Some((way, way.leave_tunnel(cx, &mut frame, table.entries(), slot)))
                }
                _ => None,
            };
            match left {
                Some((way, Left::ToInternet(len))) => {
                    let sides = (Side::Internal, Side::External);
                    if self.forward(way, sides, Fate::Forwarded, frame, received) {
                        counter.count(slot, Direction::FromB4, len);
                    }
                }
                Some((_, Left::ToB4(key, len))) => {
                    self.count_hairpin(cx, slot, len);
                    hairpins.push_usual(frame, key);
                }
                _ => {
                    let packet =
                        packet.or_else(|| way.map(|way| way.packet_from_b4(frame.bytes())));
                    let packet = packet.unwrap_or_default();
                    let received = Received { len: received, since };
                    self.leave_unusual(cx, frame, &packet, slot, received, &mut hairpins);
                }
            }
        }
        if !hairpins.is_empty() {
            let way = if since.is_none() { Way::between_b4s(cx) } else { None };
            self.enter_tunnels(cx, &mut hairpins, way.as_ref(), Side::Internal, since);
        }
    }

    /// The same for a packet that needs a closer look.
    #[inline(never)]
    fn leave_unusual(
        &mut self,
        cx: &Context<'_>,
        mut frame: P::Frame,
        packet: &FromB4,
        slot: Slot,
        received: Received,
        hairpins: &mut Waiting<P::Frame, ToB4>,
    ) {
        let verdict = match self.leave_tunnel(cx, &mut frame, packet, slot) {
            Ok(None) => {
                let (table, len) = (&cx.snapshot.table, packet.inner.len);
                table.count(self.worker, slot, Direction::FromB4, len);
                Verdict::Forward
            }
            Ok(Some((hairpin, key))) => {
                self.count_hairpin(cx, slot, packet.inner.len);
                return hairpins.push(frame, hairpin, key);
            }
            Err(verdict) => verdict,
        };
        self.carry_out(cx, Side::Internal, frame, verdict, received);
    }

    /// Counts a packet on its way to another B4 in its sender's softwire (A3). One that has to wait
    /// for the next hop is decided about once more when that is known.
    #[inline(always)]
    pub(super) fn count_hairpin(&self, cx: &Context<'_>, slot: Slot, len: usize) {
        if cx.to_next_hop(Side::Internal).is_some() {
            cx.snapshot.table.count(self.worker, slot, Direction::FromB4, len);
        }
    }

    /// Everything after the lookup: D2, the rest of D3, D7, D4, D6, D5, Q1, N3. A packet for another B4 is
    /// given back, to be looked up.
    #[cfg_attr(lwaftr_no_panic, no_panic::no_panic)]
    pub(super) fn leave_tunnel<F: Frame>(
        &mut self,
        cx: &Context<'_>,
        frame: &mut F,
        from: &FromB4,
        slot: Slot,
    ) -> Result<Option<(ToB4, Key)>, Verdict> {
        let (snapshot, policy) = (cx.snapshot, &cx.snapshot.settings.policy);
        let bytes = frame.bytes();
        // Both were parsed before; this only finds their fields again.
        let outer = bytes.get(usize::from(from.outer)..).and_then(Ipv6::parsed_before);
        let outer = outer.ok_or(DropReason::Ipv6Truncated)?;
        let packet = bytes.get(from.inner.start..from.inner.end()).and_then(Ipv4::parsed_before);
        let packet = packet.ok_or(DropReason::Ipv4Truncated)?;
        let (b4, br) = (outer.source(), outer.destination());
        let is_own = snapshot.table.endpoints(slot).is_some_and(|ends| {
            ends.b4 == b4
                && cx.br_addresses.get(usize::from(ends.br)).is_some_and(|&ours| br == ours.into())
        });
        if !is_own {
            return Err(self.not_own_softwire(cx, frame, from, slot));
        }
        let is_ordinary = snapshot.is_ordinary(packet.source())
            && snapshot.is_ordinary(packet.destination())
            && !packet.has_options();
        if !is_ordinary {
            check_addresses(snapshot, &packet)?;
        }
        let tos = rewrite::decapsulated_tos(policy, packet.tos(), outer.traffic_class())
            .filter(|_| from.marks_agree)
            .ok_or(DropReason::EcnMismatch)?;
        if !is_ordinary && snapshot.is_own_ipv4(packet.destination()) {
            return Err(self.answer_tunnelled(cx, frame, from.inner, b4, br));
        }
        let path = || Path::Softwire { b4, br };
        let decrement_ttl = policy.decap_ttl == DecapTtl::Decrement;
        // A router forwards no TTL of zero, not even one it leaves alone (RFC 1812 section 4.2.2.9).
        if packet.ttl() <= u8::from(decrement_ttl) {
            self.icmpv4_error(cx, Icmpv4Error::TimeExceeded, &packet, path());
            return Err(DropReason::TtlExpired.into());
        }
        if policy.hairpinning != Hairpinning::External
            && snapshot.table.has_address(packet.destination().into())
        {
            if policy.hairpinning == Hairpinning::Drop {
                return Err(DropReason::HairpinDenied.into());
            }
            let Lookup { key, without_port } = if packet.is_fragment() {
                self.lookup_of_hairpin(cx, &packet, (b4, br))
            } else {
                Lookup::of(&packet, End::Destination)
            };
            return Ok(Some((ToB4 { without_port, ..from.hairpin(tos) }, key)));
        }
        let mtu = snapshot.settings.external.link.mtu;
        let is_too_big = from.inner.len > usize::from(mtu);
        if is_too_big && packet.dont_fragment() {
            self.icmpv4_error(cx, Icmpv4Error::TooBig(mtu), &packet, path());
            return Err(DropReason::TooBig.into());
        }
        let changes = Changes { decrement_ttl, tos, most_segment: snapshot.most_segment };
        let next_hop = cx.to_next_hop(Side::External);
        if next_hop.is_none() && !self.would_let_out(cx, Side::External, &packet, changes, None) {
            return Err(DropReason::FilterEgress.into());
        }
        let ethernet = next_hop.ok_or(Verdict::Wait(Side::External))?;
        changes.make(frame, from.inner);
        let packet = frame.bytes().get(from.inner.start..from.inner.end()).unwrap_or_default();
        if !snapshot.settings.filters.lets_out(Side::External, packet) {
            return Err(DropReason::FilterEgress.into());
        }
        if is_too_big {
            let front = ethernet.header_len();
            self.fragment_inner(Side::External, frame, from.inner, mtu.into(), front, |_, out| {
                ethernet.write(out)
            })?;
            return Ok(None);
        }
        if rewrite::bare(frame, from.inner, ethernet) {
            Ok(None)
        } else {
            Err(DropReason::NoBuffer.into())
        }
    }

    /// D2: this packet's softwire is not the one it came by. Why, and its sender is told. What was
    /// put off for a usual packet comes first: could its outer addresses be right at all?
    #[cold]
    #[cfg_attr(lwaftr_no_panic, no_panic::no_panic)]
    fn not_own_softwire(
        &mut self,
        cx: &Context<'_>,
        frame: &impl Frame,
        from: &FromB4,
        slot: Slot,
    ) -> Verdict {
        let start = usize::from(from.outer);
        let about = frame.bytes().get(start..).unwrap_or_default();
        let Ok(outer) = Ipv6::parse(about) else { return DropReason::Ipv6Truncated.into() };
        let (b4, br) = (outer.source(), outer.destination());
        if let Err(reason) = check_source(cx, b4) {
            return reason.into();
        }
        let about = about.get(..ipv6::HEADER + outer.payload().len()).unwrap_or(about);
        if !cx.snapshot.is_br(br) {
            return self.not_served(cx, about, protocol::IPV4, station(frame.bytes()));
        }
        let reason = match cx.snapshot.table.endpoints(slot) {
            Some(ends) if ends.b4 != b4 => DropReason::SourceWrongB4,
            Some(_) => DropReason::SourceWrongBr,
            None if slot == Slot::PORT_NEEDED => return from.without_port.into(),
            None => DropReason::SourceNoSoftwire,
        };
        let packet = frame.bytes().get(from.inner.start..from.inner.end());
        let tells = packet.and_then(Ipv4::parsed_before).is_some_and(|packet| {
            !icmpv4::may_be_error(packet.protocol(), packet.payload())
                && !packet.is_later_fragment()
        });
        if cx.snapshot.settings.policy.generate_icmpv6_errors && tells {
            let station = station(frame.bytes());
            self.icmpv6_error(cx, Icmpv6Error::SourcePolicy, about, (br, b4), station);
        }
        reason.into()
    }
}
