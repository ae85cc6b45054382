//! Packets from the B4s: in the order of E0, whether they are who they say, and where they go.

use super::context::Context;
use super::errors::{Icmpv4Error, Icmpv6Error, Path};
use super::external::{ToB4, check_addresses};
use super::keys::{End, Lookup};
use super::link;
use super::outbox::Received;
use super::relay::Relay;
use super::rewrite::{self, Changes, Place};
use super::settings::{DecapTtl, Hairpinning};
use super::usual;
use super::verdict::Verdict;
use super::waiting::Waiting;
use crate::frame::{Burst, Frame, FramePool};
use crate::side::Side;
use crate::softwire::{Direction, Key, Slot};
use crate::telemetry::{DropReason, IgnoreReason};
use crate::wire::ipv4::Ipv4;
use crate::wire::ipv6::{self, Ipv6};
use crate::wire::{icmpv4, icmpv6, protocol};

/// A tunnelled packet that awaits the binding table's answer about its source: only what cannot be
/// read from the frame again.
#[derive(Debug, Clone, Copy)]
struct FromB4 {
    /// Bytes of its frame as it was received.
    received: u32,
    /// Where the outer packet starts.
    outer: u16,
    /// Where the inner packet is.
    inner: Place,
    /// Why it is dropped should it have no port and its source be shared.
    without_port: DropReason,
}

impl<P: FramePool> Relay<P> {
    /// Takes a burst from the internal side where it goes. `since` is when it was received, if it
    /// waited.
    pub(super) fn internal(
        &mut self,
        cx: &Context<'_>,
        burst: &mut Burst<P::Frame>,
        since: Option<u64>,
    ) {
        let mut waiting = Waiting::new();
        for mut frame in burst.drain(..) {
            let received = frame.bytes().len() as u32;
            if let Some(packet) = usual::from_b4(cx.snapshot, frame.bytes()) {
                let usual::Tunnelled { outer, inner, key } = packet;
                let without_port = DropReason::PortLessProtocol;
                waiting.push(frame, FromB4 { received, outer, inner, without_port }, key);
                continue;
            }
            match self.classify_internal(cx, &mut frame) {
                Ok((outer, inner, Lookup { key, without_port })) => {
                    waiting.push(frame, FromB4 { received, outer, inner, without_port }, key);
                }
                Err(verdict) => {
                    let received = Received { len: received, since };
                    self.carry_out(cx, Side::Internal, frame, verdict, received);
                }
            }
        }
        let mut hairpins = Waiting::new();
        let (table, worker) = (&cx.snapshot.table, self.worker);
        waiting.answered(table, worker, |mut frame, packet, slot| {
            let done = self.leave_tunnel(cx, &mut frame, packet, slot);
            if done.is_ok() {
                table.count(worker, slot, Direction::FromB4, packet.inner.len);
            }
            let verdict = match done {
                Ok(None) => Verdict::Forward,
                Ok(Some((hairpin, key))) => return hairpins.push(frame, hairpin, key),
                Err(verdict) => verdict,
            };
            let received = Received { len: packet.received, since };
            self.carry_out(cx, Side::Internal, frame, verdict, received);
        });
        if !hairpins.is_empty() {
            self.enter_tunnels(cx, hairpins, Side::Internal, since);
        }
    }

    /// Everything up to the lookup: P1, P2, P4, D1, F1, and D3's lengths and checksum. Where outer
    /// and inner packet are, and how to find the softwire.
    #[inline(never)]
    fn classify_internal(
        &mut self,
        cx: &Context<'_>,
        frame: &mut P::Frame,
    ) -> Result<(u16, Place, Lookup), Verdict> {
        let link = &cx.snapshot.settings.internal.link;
        let ethernet = link::check(frame.bytes(), Side::Internal, link)?.ethernet;
        let start = ethernet.header_len();
        let bytes = frame.bytes().get(start..).unwrap_or_default();
        let packet = Ipv6::parse(bytes).map_err(DropReason::from)?;
        let (b4, br) = (packet.source(), packet.destination());
        let to_group = br >> 120 == 0xff;
        if ethernet.destination.is_multicast() && !to_group {
            return Err(DropReason::MulticastFrame.into());
        }
        check_source(cx, b4)?;
        let upper = packet.upper().map_err(|malformed| {
            self.report_option(cx, &packet, bytes, malformed);
            DropReason::from(malformed)
        })?;
        let place = Place { start, len: ipv6::HEADER + packet.payload().len() };
        let upper_place =
            Place { start: place.end() - upper.payload.len(), len: upper.payload.len() };
        if upper.protocol != protocol::IPV4 || !cx.snapshot.is_br(br) {
            return Err(self.not_tunnelled(cx, frame, place, upper.protocol, upper_place));
        }
        let inner = Ipv4::parse(upper.payload).map_err(DropReason::from)?;
        let inner_place = Place { start: upper_place.start, len: inner.bytes().len() };
        Ok((start as u16, inner_place, Lookup::of(&inner, End::Source)))
    }

    /// P4: tells the sender of an option that we do not know, if the option says so.
    #[cold]
    fn report_option(
        &mut self,
        cx: &Context<'_>,
        packet: &Ipv6<'_>,
        bytes: &[u8],
        malformed: ipv6::Malformed,
    ) {
        let ipv6::Malformed::UnknownOption { report_at: Some(at) } = malformed else { return };
        if cx.snapshot.is_own_ipv6(packet.destination()) && !may_carry_error(packet) {
            let about = bytes.get(..ipv6::HEADER + packet.payload().len()).unwrap_or(bytes);
            let error = Icmpv6Error::UnknownOption(at);
            self.icmpv6_error(cx, error, about, packet.destination(), packet.source());
        }
    }

    /// D1, for all that is not a tunnelled packet to a BR address.
    #[cold]
    fn not_tunnelled(
        &mut self,
        cx: &Context<'_>,
        frame: &mut P::Frame,
        place: Place,
        upper: u8,
        upper_place: Place,
    ) -> Verdict {
        let Some(Ok(packet)) = frame.bytes().get(place.start..).map(Ipv6::parse) else {
            return DropReason::Ipv6Truncated.into();
        };
        let (source, destination) = (packet.source(), packet.destination());
        let is_own = cx.snapshot.is_own_ipv6(destination);
        if upper == protocol::ICMPV6 && (is_own || destination >> 120 == 0xff) {
            return self.answer_icmpv6(cx, frame, place, upper_place);
        }
        if destination >> 120 == 0xff {
            return Verdict::Ignore(match upper {
                protocol::EIGRP | protocol::OSPF | protocol::PIM | protocol::VRRP => {
                    IgnoreReason::Routing
                }
                _ => IgnoreReason::OtherMulticast,
            });
        }
        if !is_own {
            return DropReason::NotForUs.into();
        }
        if upper == protocol::FRAGMENT && cx.snapshot.is_br(destination) {
            return DropReason::Ipv6Fragment.into();
        }
        if upper == protocol::UDP {
            let about = frame.bytes().get(place.start..place.start + place.len).unwrap_or_default();
            self.icmpv6_error(cx, Icmpv6Error::PortUnreachable, about, destination, source);
        }
        DropReason::UnsupportedProtocol.into()
    }

    /// Everything after the lookup: D2, the rest of D3, D7, D4, D6, D5. A packet for another B4 is
    /// given back, to be looked up.
    #[inline(always)]
    fn leave_tunnel(
        &mut self,
        cx: &Context<'_>,
        frame: &mut P::Frame,
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
            .ok_or(DropReason::EcnMismatch)?;
        if !is_ordinary && snapshot.is_own_ipv4(packet.destination()) {
            return Err(self.answer_tunnelled(cx, frame, from.inner, b4, br));
        }
        let path = || Path::Softwire { b4, br };
        let decrement_ttl = policy.decap_ttl == DecapTtl::Decrement;
        if decrement_ttl && packet.ttl() <= 1 {
            self.icmpv4_error(cx, Icmpv4Error::TimeExceeded, &packet, path());
            return Err(DropReason::TtlExpired.into());
        }
        if policy.hairpinning != Hairpinning::External
            && snapshot.table.has_address(packet.destination().into())
        {
            if policy.hairpinning == Hairpinning::Drop {
                return Err(DropReason::HairpinDenied.into());
            }
            let Lookup { key, without_port } = Lookup::of(&packet, End::Destination);
            let hairpin = ToB4 {
                received: from.received,
                outer: Some(from.outer),
                place: from.inner,
                without_port,
                tos,
            };
            return Ok(Some((hairpin, key)));
        }
        let mtu = snapshot.settings.external.link.mtu;
        let is_too_big = from.inner.len > usize::from(mtu);
        if is_too_big && packet.dont_fragment() {
            self.icmpv4_error(cx, Icmpv4Error::TooBig(mtu), &packet, path());
            return Err(DropReason::TooBig.into());
        }
        let ethernet = cx.to_next_hop(Side::External).ok_or(Verdict::Wait(Side::External))?;
        let most_segment = snapshot.most_segment;
        Changes { decrement_ttl, tos, most_segment }.make(frame, from.inner);
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
    fn not_own_softwire(
        &mut self,
        cx: &Context<'_>,
        frame: &mut P::Frame,
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
        let place = Place { start, len: ipv6::HEADER + outer.payload().len() };
        if !cx.snapshot.is_br(br) {
            let upper = Place { start: from.inner.start, len: place.end() - from.inner.start };
            return self.not_tunnelled(cx, frame, place, protocol::IPV4, upper);
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
            let about = about.get(..place.len).unwrap_or(about);
            self.icmpv6_error(cx, Icmpv6Error::SourcePolicy, about, br, b4);
        }
        reason.into()
    }
}

/// P4: an IPv6 source that cannot be one.
#[inline]
fn check_source(cx: &Context<'_>, source: u128) -> Result<(), DropReason> {
    const LOOPBACK: u128 = 1;
    if source >> 120 == 0xff || source == LOOPBACK || cx.snapshot.is_own_ipv6(source) {
        return Err(DropReason::Ipv6BadSource);
    }
    Ok(())
}

/// I5: does this packet carry an ICMP error, or can it not be told that it does not?
#[cold]
fn may_carry_error(packet: &Ipv6<'_>) -> bool {
    let Ok(upper) = packet.upper_unchecked() else { return true };
    match upper.protocol {
        protocol::ICMPV6 => upper.payload.first().is_none_or(|&kind| kind < icmpv6::ECHO_REQUEST),
        protocol::IPV4 => Ipv4::parse_embedded(upper.payload).is_ok_and(|inner| {
            inner.is_later_fragment() || icmpv4::may_be_error(inner.protocol(), inner.payload())
        }),
        protocol::FRAGMENT => ipv6::first_fragment(upper.payload).is_none(),
        _ => false,
    }
}
