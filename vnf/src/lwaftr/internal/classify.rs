//! What a frame on the internal side is, before the binding table is asked: in the order of E0.

use crate::frame::{Frame, FramePool};
use crate::lwaftr::context::Context;
use crate::lwaftr::errors::Icmpv6Error;
use crate::lwaftr::keys::{End, Lookup};
use crate::lwaftr::link;
use crate::lwaftr::others;
use crate::lwaftr::reassembly::{Arrival, Whole};
use crate::lwaftr::relay::Relay;
use crate::lwaftr::rewrite::Place;
use crate::lwaftr::verdict::{Stop, Verdict};
use crate::side::Side;
use crate::telemetry::DropReason;
use crate::wire::ethernet::Ethernet;
use crate::wire::ipv4::Ipv4;
use crate::wire::ipv6::{self, Fragment, Ipv6, Upper};
use crate::wire::{MacAddr, icmpv4, icmpv6, protocol};

/// What a frame on the internal side is, if it goes any further.
#[derive(Debug, Clone, Copy)]
pub(super) enum Classified {
    /// A tunnelled packet: where the outer one starts, where the inner one is.
    Packet(u16, Place, Lookup),
    /// A fragment of one that waits for others.
    Waits,
    /// The last fragment of one, which is whole with it: where the fragment's outer packet starts.
    Whole(usize, Whole),
}

impl<P: FramePool> Relay<P> {
    /// Everything up to the lookup: P1, P2, P4, D1, F1, and what [`Self::classify_inner`] does.
    #[inline(never)]
    pub(super) fn classify_internal(
        &mut self,
        cx: &Context<'_>,
        frame: &mut P::Frame,
    ) -> Result<Classified, Stop> {
        let link = &cx.snapshot.settings.internal.link;
        let link::Received { start, to_group: in_group_frame, .. } =
            link::check(frame.bytes(), Side::Internal, link)?;
        let bytes = frame.bytes().get(start..).unwrap_or_default();
        let packet = Ipv6::parse(bytes).map_err(DropReason::from)?;
        let (b4, br) = (packet.source(), packet.destination());
        let to_group = ipv6::is_group(br);
        if in_group_frame && !to_group {
            return Err(DropReason::MulticastFrame.into());
        }
        if let Err(reason) = check_source(cx, b4) {
            let ethernet = Ethernet::parse(frame.bytes());
            let heard = ethernet.and_then(|ethernet| self.hear_namesake(cx, &ethernet, &packet));
            return Err(heard.unwrap_or(reason.into()).into());
        }
        let mut upper = self.known(cx, &packet, frame, bytes, packet.upper())?;
        let place = Place { start, len: ipv6::HEADER + packet.payload().len() };
        if upper.protocol == protocol::FRAGMENT {
            let fragment = Fragment::parse(upper.payload).ok_or(DropReason::Ipv6Truncated)?;
            if fragment.is_atomic() {
                // It is processed by itself, whatever else has its identification (RFC 6946).
                let data = fragment.data;
                let at = place.len - data.len();
                let behind = ipv6::upper_of_fragments(fragment.next_header, data, at);
                upper = self.known(cx, &packet, frame, bytes, behind)?;
            } else if cx.snapshot.is_br(br) {
                let arrival = Arrival {
                    frame: frame.bytes().get(..place.end()).unwrap_or_default(),
                    packet: start,
                    frame_len: frame.bytes().len(),
                    now: cx.now,
                };
                let whole = self.reassemble(cx, &packet, &fragment, &arrival)?;
                return Ok(whole.map_or(Classified::Waits, |whole| Classified::Whole(start, whole)));
            }
        }
        let (carries, len) = (upper.protocol, upper.payload.len());
        let inner = Place { start: place.end() - len, len };
        if !cx.snapshot.is_br(br) || carries != protocol::IPV4 {
            return Err(self.not_tunnelled(cx, frame, place, carries, inner).into());
        }
        let (inner, lookup) = self.classify_inner(cx, frame, start, inner)?;
        Ok(Classified::Packet(start as u16, inner, lookup))
    }

    /// Everything between F1, where packets come together that were in fragments and those that
    /// were not, and the lookup: Q1, D3's lengths and checksum, F3. `payload` is what the outer packet
    /// at `start` carries; returns where in it the inner packet is.
    pub(in crate::lwaftr) fn classify_inner(
        &mut self,
        cx: &Context<'_>,
        frame: &impl Frame,
        start: usize,
        payload: Place,
    ) -> Result<(Place, Lookup), Stop> {
        let bytes = frame.bytes();
        let inner = bytes.get(payload.start..payload.end()).unwrap_or_default();
        let whole = bytes.get(start..payload.end()).unwrap_or_default();
        if !cx.snapshot.settings.filters.admits(Side::Internal, whole) && !is_echo_to_us(cx, inner)
        {
            return Err(DropReason::FilterIngress.into());
        }
        let inner = Ipv4::parse(inner).map_err(DropReason::from)?;
        let place = Place { start: payload.start, len: inner.bytes().len() };
        if !inner.is_fragment() {
            return Ok((place, Lookup::of(&inner, End::Source)));
        }
        let outer = bytes.get(start..).and_then(Ipv6::parsed_before);
        let tunnel = outer.map_or((0, 0), |outer| (outer.source(), outer.destination()));
        Ok((place, self.lookup_of_fragment(cx, &inner, tunnel, End::Source)?))
    }

    /// P4: what stands behind a packet's extension headers, if they were `walked` to their end. The
    /// packet is at the start of `bytes`, which are of this frame.
    #[inline(always)]
    pub(in crate::lwaftr) fn known<'a>(
        &mut self,
        cx: &Context<'_>,
        packet: &Ipv6<'_>,
        frame: &impl Frame,
        bytes: &[u8],
        walked: Result<Upper<'a>, ipv6::Malformed>,
    ) -> Result<Upper<'a>, Verdict> {
        match walked {
            Ok(upper) => Ok(upper),
            Err(malformed) => Err(self.not_walked(cx, packet, frame.bytes(), bytes, malformed)),
        }
    }

    /// Extension headers that are not what they should be. Between others, what is no tunnelled packet
    /// may have any that are whole.
    #[cold]
    #[inline(never)]
    fn not_walked(
        &mut self,
        cx: &Context<'_>,
        packet: &Ipv6<'_>,
        frame: &[u8],
        bytes: &[u8],
        malformed: ipv6::Malformed,
    ) -> Verdict {
        let destination = packet.destination();
        let is_tunnelled =
            || packet.upper_unchecked().is_ok_and(|upper| upper.protocol == protocol::IPV4);
        if ipv6::is_group(destination) && malformed != ipv6::Malformed::Truncated && !is_tunnelled()
        {
            let kind = others::of_ipv6(packet);
            if others::is_between_others(cx.snapshot, destination, kind) {
                return Verdict::Ignore(kind);
            }
        }
        self.report_option(cx, packet, bytes, malformed, station(frame));
        DropReason::from(malformed).into()
    }

    /// Tells the sender of an option that we do not know, if the option says so.
    #[cold]
    fn report_option(
        &mut self,
        cx: &Context<'_>,
        packet: &Ipv6<'_>,
        bytes: &[u8],
        malformed: ipv6::Malformed,
        station: MacAddr,
    ) {
        let ipv6::Malformed::UnknownOption { report_at: Some(at) } = malformed else { return };
        if cx.snapshot.is_own_ipv6(packet.destination()) && !may_carry_error(packet) {
            let about = bytes.get(..ipv6::HEADER + packet.payload().len()).unwrap_or(bytes);
            let error = Icmpv6Error::UnknownOption(at);
            let ends = (packet.destination(), packet.source());
            self.icmpv6_error(cx, error, about, ends, station);
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
        let destination = packet.destination();
        let is_own = cx.snapshot.is_own_ipv6(destination);
        if upper == protocol::ICMPV6 && (is_own || ipv6::is_group(destination)) {
            return self.answer_icmpv6(cx, frame, place, upper_place);
        }
        let about = frame.bytes().get(place.start..place.end()).unwrap_or_default();
        self.not_served(cx, about, upper, station(frame.bytes()))
    }

    /// The same for all that is not ICMPv6 to us: `about` is the packet, `station` where it came from.
    pub(super) fn not_served(
        &mut self,
        cx: &Context<'_>,
        about: &[u8],
        upper: u8,
        station: MacAddr,
    ) -> Verdict {
        let Some(packet) = Ipv6::parsed_before(about) else {
            return DropReason::Ipv6Truncated.into();
        };
        let (source, destination) = (packet.source(), packet.destination());
        // A tunnelled packet is never somebody else's control traffic.
        if ipv6::is_group(destination) && upper != protocol::IPV4 {
            return Verdict::Ignore(others::of_ipv6(&packet));
        }
        if !cx.snapshot.is_own_ipv6(destination) {
            return DropReason::NotForUs.into();
        }
        if upper == protocol::UDP {
            let ends = (destination, source);
            self.icmpv6_error(cx, Icmpv6Error::PortUnreachable, about, ends, station);
        }
        DropReason::UnsupportedProtocol.into()
    }
}

/// Where a frame came from.
pub(in crate::lwaftr) fn station(frame: &[u8]) -> MacAddr {
    Ethernet::parse(frame).map(|ethernet| ethernet.source).unwrap_or_default()
}

/// P4: an IPv6 source that cannot be one.
#[inline]
pub(super) fn check_source(cx: &Context<'_>, source: u128) -> Result<(), DropReason> {
    const LOOPBACK: u128 = 1;
    if ipv6::is_group(source) || source == LOOPBACK || cx.snapshot.is_own_ipv6(source) {
        return Err(DropReason::Ipv6BadSource);
    }
    Ok(())
}

/// Is this tunnelled packet a whole echo request to an external address of ours? No filter is asked
/// about it (Q1).
#[cold]
fn is_echo_to_us(cx: &Context<'_>, inner: &[u8]) -> bool {
    Ipv4::parse(inner).is_ok_and(|packet| {
        packet.protocol() == protocol::ICMPV4
            && cx.snapshot.is_own_ipv4(packet.destination())
            && !packet.is_fragment()
            && packet.payload().first() == Some(&icmpv4::ECHO_REQUEST)
    })
}

/// I5: does this packet carry an ICMP error, or can it not be told that it does not?
#[cold]
pub(in crate::lwaftr) fn may_carry_error(packet: &Ipv6<'_>) -> bool {
    let Ok(mut upper) = packet.upper_unchecked() else { return true };
    if upper.protocol == protocol::FRAGMENT {
        let Some(first) = ipv6::first_fragment(upper.payload) else { return true };
        upper = first;
    }
    match upper.protocol {
        protocol::ICMPV6 => upper.payload.first().is_none_or(|&kind| icmpv6::bars_errors(kind)),
        protocol::IPV4 => Ipv4::parse_embedded(upper.payload).is_ok_and(|inner| {
            inner.is_later_fragment() || icmpv4::may_be_error(inner.protocol(), inner.payload())
        }),
        _ => false,
    }
}
