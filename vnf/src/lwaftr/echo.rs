//! Packets to our own addresses (N4, D7): echo is answered, UDP is told that nobody listens.

use std::net::Ipv6Addr;

use super::context::Context;
use super::errors::{Icmpv4Error, Path};
use super::internal::station;
use super::keys::hash_of_flow;
use super::limiter::Class;
use super::relay::Relay;
use super::rewrite::{self, Place, reshape};
use super::verdict::Verdict;
use crate::frame::{Frame, FramePool};
use crate::side::Side;
use crate::telemetry::DropReason;
use crate::wire::ethernet::Ethernet;
use crate::wire::icmpv4::{self, Icmpv4};
use crate::wire::icmpv6;
use crate::wire::ipv4::{self, Ipv4};
use crate::wire::ipv6::{self, Ipv6, Outer};
use crate::wire::protocol;

/// TTL and hop limit of echo replies.
const TTL: u8 = 64;

impl<P: FramePool> Relay<P> {
    /// N4: an IPv4 packet to one of our own addresses.
    #[cold]
    pub(super) fn answer_ipv4(
        &mut self,
        cx: &Context<'_>,
        frame: &mut P::Frame,
        place: Place,
    ) -> Verdict {
        let station = station(frame.bytes());
        let header = cx.to_station(Side::External, station);
        let mtu = cx.snapshot.settings.external.link.mtu;
        if let Err(reason) = self
            .check_echo(cx, frame, place, mtu.into(), Path::Station(station))
            .and_then(|()| self.allow_echo(cx))
        {
            return reason.into();
        }
        let packet = reshape(frame, place, header.header_len())
            .then(|| header.write(frame.bytes_mut()))
            .flatten();
        let Some(packet) = packet else { return DropReason::NoBuffer.into() };
        make_echo_reply(packet);
        Verdict::Answer
    }

    /// D7: a tunnelled packet to one of our own external addresses.
    #[cold]
    #[cfg_attr(lwaftr_no_panic, no_panic::no_panic)]
    pub(super) fn answer_tunnelled<F: Frame>(
        &mut self,
        cx: &Context<'_>,
        frame: &mut F,
        place: Place,
        b4: u128,
        br: u128,
    ) -> Verdict {
        let mtu = usize::from(cx.snapshot.settings.internal.link.mtu) - ipv6::HEADER;
        if let Err(reason) = self.check_echo(cx, frame, place, mtu, Path::Softwire { b4, br }) {
            return reason.into();
        }
        let Some(ethernet) = cx.to_next_hop(Side::Internal) else {
            return Verdict::Wait(Side::Internal);
        };
        if let Err(reason) = self.allow_echo(cx) {
            return reason.into();
        }
        let request = frame.bytes().get(place.start..place.end()).and_then(Ipv4::parsed_before);
        let Some(request) = request else { return DropReason::Ipv4Truncated.into() };
        let (from, to) = (request.destination().into(), request.source().into());
        let flow = hash_of_flow(from, to, 0, protocol::ICMPV4);
        let policy = &cx.snapshot.settings.policy;
        let outer = rewrite::outer(policy, br, b4, place.len, request.tos(), flow);
        if !rewrite::encapsulate(frame, place, ethernet, &outer) {
            return DropReason::NoBuffer.into();
        }
        let inner = ethernet.header_len() + ipv6::HEADER;
        make_echo_reply(frame.bytes_mut().get_mut(inner..).unwrap_or_default());
        Verdict::Answer
    }

    /// Is this an echo request that we answer? Who sends UDP is told that nobody listens, so that
    /// traceroute ends well.
    fn check_echo(
        &mut self,
        cx: &Context<'_>,
        frame: &impl Frame,
        place: Place,
        mtu: usize,
        path: Path,
    ) -> Result<(), DropReason> {
        let bytes = frame.bytes().get(place.start..place.start + place.len).unwrap_or_default();
        let packet = Ipv4::parse_embedded(bytes)?;
        if packet.is_fragment() {
            return Err(DropReason::Ipv4FragmentToUs);
        }
        if packet.protocol() == protocol::UDP {
            self.icmpv4_error(cx, Icmpv4Error::PortUnreachable, &packet, path);
        }
        if packet.protocol() != protocol::ICMPV4 {
            return Err(DropReason::UnsupportedProtocol);
        }
        let icmp = Icmpv4::parse(packet.payload()).ok_or(DropReason::IcmpTruncated)?;
        if !icmp.verifies() {
            return Err(DropReason::IcmpBadChecksum);
        }
        if icmp.kind() != icmpv4::ECHO_REQUEST {
            return Err(DropReason::IcmpType);
        }
        if place.len > mtu {
            return Err(DropReason::TooBig);
        }
        Ok(())
    }

    fn allow_echo(&mut self, cx: &Context<'_>) -> Result<(), DropReason> {
        let rate = cx.snapshot.settings.policy.rates.echo;
        let allowed = self.limiter.allow(Class::Echo, rate, cx.now);
        if allowed { Ok(()) } else { Err(DropReason::RateLimited) }
    }

    /// N4: an ICMPv6 echo request to one of our addresses.
    pub(super) fn answer_echo_v6(
        &mut self,
        cx: &Context<'_>,
        frame: &mut P::Frame,
        ethernet: &Ethernet,
        place: Place,
        message: Place,
    ) -> Verdict {
        let Some(Ok(packet)) = frame.bytes().get(place.start..).map(Ipv6::parse) else {
            return DropReason::Ipv6Truncated.into();
        };
        let (source, destination) = (packet.source(), packet.destination());
        // Extension headers of the request are not repeated.
        let outer = Outer {
            traffic_class: packet.traffic_class(),
            flow_label: 0,
            payload_len: message.len as u16,
            next_header: protocol::ICMPV6,
            hop_limit: TTL,
            source: destination,
            destination: source,
        };
        if Ipv6Addr::from(source).is_unspecified() {
            return DropReason::Ipv6BadSource.into();
        }
        if message.len + ipv6::HEADER > usize::from(cx.snapshot.settings.internal.link.mtu) {
            return DropReason::TooBig.into();
        }
        if let Err(reason) = self.allow_echo(cx) {
            return reason.into();
        }
        let header = cx.to_station(Side::Internal, ethernet.source);
        if !rewrite::encapsulate(frame, message, &header, &outer) {
            return DropReason::NoBuffer.into();
        }
        let start = header.header_len() + ipv6::HEADER;
        icmpv6::answer_echo(frame.bytes_mut().get_mut(start..).unwrap_or_default());
        Verdict::Answer
    }
}

fn make_echo_reply(packet: &mut [u8]) {
    ipv4::turn_around(packet, TTL);
    let header_len = packet.first().map_or(0, |first| usize::from(first & 0x0f) * 4);
    icmpv4::answer_echo(packet.get_mut(header_len..).unwrap_or_default());
}
