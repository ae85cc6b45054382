//! Packets from the B4s: in the order of E0, whether they are who they say, and where they go.

use super::context::Context;
use super::errors::{Icmpv4Error, Icmpv6Error, Path};
use super::external::{ToB4, Waiting, check_addresses};
use super::keys::{End, Lookup};
use super::link;
use super::relay::{Relay, Verdicts};
use super::rewrite::{self, Changes, Place};
use super::settings::{DecapTtl, Hairpinning};
use super::verdict::Verdict;
use crate::frame::{BURST, Burst, Frame, FramePool};
use crate::side::Side;
use crate::softwire::Slot;
use crate::telemetry::{DropReason, IgnoreReason};
use crate::wire::ipv4::Ipv4;
use crate::wire::ipv6::{self, Ipv6};
use crate::wire::{ethernet::Ethernet, icmpv4, icmpv6, protocol};

/// A tunnelled packet that awaits the binding table's answer about its source.
#[derive(Debug, Clone, Copy)]
struct FromB4 {
    frame: usize,
    /// Where the outer packet is.
    outer: Place,
    /// Where the inner packet is.
    inner: Place,
    lookup: Lookup,
    b4: u128,
    br: u128,
    traffic_class: u8,
}

impl FromB4 {
    fn path(&self) -> Path {
        Path::Softwire { b4: self.b4, br: self.br }
    }
}

impl<P: FramePool> Relay<P> {
    /// Decides about a burst from the internal side.
    pub(super) fn internal(
        &mut self,
        cx: &Context<'_>,
        burst: &mut Burst<P::Frame>,
        verdicts: &mut Verdicts,
    ) {
        let mut waiting = Waiting::new();
        for (number, (frame, verdict)) in burst.iter_mut().zip(verdicts.iter_mut()).enumerate() {
            match self.classify_internal(cx, number, frame) {
                Ok(packet) => waiting.push(packet, packet.lookup.key),
                Err(decided) => *verdict = decided,
            }
        }
        let mut slots = [Slot::NOBODY; BURST];
        cx.snapshot.table.locate_batch(&waiting.keys, &mut slots);
        let mut hairpins = Waiting::new();
        for (packet, slot) in waiting.packets.iter().zip(slots) {
            if let (Some(frame), Some(verdict)) =
                (burst.get_mut(packet.frame), verdicts.get_mut(packet.frame))
            {
                match self.leave_tunnel(cx, frame, packet, slot) {
                    Ok(Some(hairpin)) => hairpins.push(hairpin, hairpin.lookup.key),
                    Ok(None) => *verdict = Verdict::Forward,
                    Err(decided) => *verdict = decided,
                }
            }
        }
        if !hairpins.packets.is_empty() {
            self.enter_tunnels(cx, burst, &hairpins, verdicts, Verdict::Hairpin);
        }
    }

    /// Everything up to the lookup: P1, P2, P4, D1, F1, and D3's lengths and checksum.
    #[inline]
    fn classify_internal(
        &mut self,
        cx: &Context<'_>,
        number: usize,
        frame: &mut P::Frame,
    ) -> Result<FromB4, Verdict> {
        let received =
            link::check(frame.bytes(), Side::Internal, &cx.snapshot.settings.internal.link)?;
        let start = received.ethernet.header_len();
        let bytes = frame.bytes().get(start..).unwrap_or_default();
        let packet = Ipv6::parse(bytes).map_err(DropReason::from)?;
        let (b4, br) = (packet.source(), packet.destination());
        let to_group = br >> 120 == 0xff;
        if received.ethernet.destination.is_multicast() && !to_group {
            return Err(DropReason::MulticastFrame.into());
        }
        check_source(cx, b4)?;
        let upper = packet.upper().map_err(|malformed| {
            self.report_option(cx, &packet, bytes, malformed);
            DropReason::from(malformed)
        })?;
        if upper.protocol != protocol::IPV4 || !cx.snapshot.is_br(br) {
            let len = ipv6::HEADER + packet.payload().len();
            let upper_place =
                Place { start: start + len - upper.payload.len(), len: upper.payload.len() };
            let place = Place { start, len };
            return Err(self.not_tunnelled(
                cx,
                frame,
                &received.ethernet,
                place,
                upper.protocol,
                upper_place,
            ));
        }
        let inner = Ipv4::parse(upper.payload).map_err(DropReason::from)?;
        Ok(FromB4 {
            frame: number,
            outer: Place { start, len: ipv6::HEADER + packet.payload().len() },
            inner: Place {
                start: start + ipv6::HEADER + packet.payload().len() - upper.payload.len(),
                len: inner.bytes().len(),
            },
            lookup: Lookup::of(&inner, End::Source),
            b4,
            br,
            traffic_class: packet.traffic_class(),
        })
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
        ethernet: &Ethernet,
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
            return self.answer_icmpv6(cx, frame, ethernet, place, upper_place);
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
    #[inline]
    fn leave_tunnel(
        &mut self,
        cx: &Context<'_>,
        frame: &mut P::Frame,
        from: &FromB4,
        slot: Slot,
    ) -> Result<Option<ToB4>, Verdict> {
        let (snapshot, policy) = (cx.snapshot, &cx.snapshot.settings.policy);
        let packet_at = |place: Place| {
            frame.bytes().get(place.start..place.start + place.len).unwrap_or_default()
        };
        // It was parsed before; this only finds its fields again.
        let packet = Ipv4::parse_embedded(packet_at(from.inner)).map_err(DropReason::from)?;
        self.check_spoofing(cx, packet_at(from.outer), from, &packet, slot)?;
        check_addresses(cx, &packet)?;
        let tos = rewrite::decapsulated_tos(policy, packet.tos(), from.traffic_class)
            .ok_or(DropReason::EcnMismatch)?;
        if snapshot.is_own_ipv4(packet.destination()) {
            return Err(self.answer_tunnelled(cx, frame, from.inner, from.b4, from.br));
        }
        let decrement_ttl = policy.decap_ttl == DecapTtl::Decrement;
        if decrement_ttl && packet.ttl() <= 1 {
            self.icmpv4_error(cx, Icmpv4Error::TimeExceeded, &packet, from.path());
            return Err(DropReason::TtlExpired.into());
        }
        if policy.hairpinning != Hairpinning::External
            && snapshot.table.has_address(packet.destination().into())
        {
            if policy.hairpinning == Hairpinning::Drop {
                return Err(DropReason::HairpinDenied.into());
            }
            return Ok(Some(ToB4 {
                frame: from.frame,
                place: from.inner,
                lookup: Lookup::of(&packet, End::Destination),
                path: from.path(),
                tos,
            }));
        }
        let mtu = snapshot.settings.external.link.mtu;
        let is_too_big = from.inner.len > usize::from(mtu);
        if is_too_big && packet.dont_fragment() {
            self.icmpv4_error(cx, Icmpv4Error::TooBig(mtu), &packet, from.path());
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

    /// D2: is this packet's softwire the one it came by?
    #[inline]
    fn check_spoofing(
        &mut self,
        cx: &Context<'_>,
        about: &[u8],
        from: &FromB4,
        packet: &Ipv4<'_>,
        slot: Slot,
    ) -> Result<(), DropReason> {
        let reason = match cx.snapshot.table.endpoints(slot) {
            Some(ends) if ends.b4 != from.b4 => DropReason::SourceWrongB4,
            Some(ends) => {
                let br = cx.snapshot.table.br_addresses().get(usize::from(ends.br));
                if br.is_some_and(|&br| u128::from(br) == from.br) {
                    return Ok(());
                }
                DropReason::SourceWrongBr
            }
            None if slot == Slot::PORT_NEEDED => return Err(from.lookup.without_port),
            None => DropReason::SourceNoSoftwire,
        };
        let is_error = icmpv4::may_be_error(packet.protocol(), packet.payload());
        if cx.snapshot.settings.policy.generate_icmpv6_errors
            && !is_error
            && !packet.is_later_fragment()
        {
            self.icmpv6_error(cx, Icmpv6Error::SourcePolicy, about, from.br, from.b4);
        }
        Err(reason)
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
