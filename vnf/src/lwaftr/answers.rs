//! Being a good neighbour: ARP, NDP and echo to our own addresses (N1, N2, N4, D7). An answer is
//! made of the frame it answers.

use std::net::Ipv6Addr;

use ipnet::Ipv6Net;

use super::context::Context;
use super::errors::{Icmpv4Error, Path};
use super::limiter::Class;
use super::neighbours::Question;
use super::outbox::{Fate, Received};
use super::relay::Relay;
use super::rewrite::{self, Place, reshape};
use super::snapshot::ALL_NODES;
use super::verdict::Verdict;
use crate::frame::{Frame, FramePool};
use crate::side::Side;
use crate::telemetry::{DropReason, IgnoreReason};
use crate::wire::arp::{self, Arp};
use crate::wire::ethernet::{Ethernet, Template, ethertype};
use crate::wire::icmpv4::{self, Icmpv4};
use crate::wire::icmpv6::{self, Icmpv6};
use crate::wire::ipv4::{self, Ipv4};
use crate::wire::ipv6::{self, Ipv6, Outer, solicited_node};
use crate::wire::ndp::{self, Kind, Neighbour};
use crate::wire::{MacAddr, protocol};

/// TTL and hop limit of echo replies.
const TTL: u8 = 64;

impl<P: FramePool> Relay<P> {
    /// N1: answers for our own addresses, and hears what the next hop says of itself.
    #[cold]
    pub(super) fn answer_arp(
        &mut self,
        cx: &Context<'_>,
        frame: &mut P::Frame,
        ethernet: &Ethernet,
    ) -> Verdict {
        let start = ethernet.header_len();
        let bytes = frame.bytes().get(start..).unwrap_or_default();
        if bytes.len() < arp::LEN {
            return DropReason::FrameTooShort.into();
        }
        let Some(arp) = Arp::parse(bytes) else {
            return DropReason::ArpMalformed.into();
        };
        if arp.sender_mac.is_multicast() || arp.sender.is_multicast() || arp.sender.is_broadcast() {
            return DropReason::ArpMalformed.into();
        }
        let settings = &cx.snapshot.settings.external;
        let to_us = cx.snapshot.is_own_ipv4(arp.target)
            || settings.proxy_arp && cx.snapshot.table.has_address(arp.target.into());
        let is_reply = arp.operation == arp::Operation::Reply;
        let from_next_hop = settings.next_hop == super::settings::NextHop::Address(arp.sender);
        if from_next_hop {
            let asked_for = is_reply && to_us;
            self.next_hops.heard(Side::External, arp.sender_mac, asked_for, true);
        }
        if !to_us || is_reply || cx.snapshot.is_own_ipv4(arp.sender) {
            let is_news = from_next_hop || is_reply && to_us;
            return if is_news { Verdict::Consume } else { Verdict::Ignore(IgnoreReason::Arp) };
        }
        let link = &settings.link;
        let reply = Arp {
            operation: arp::Operation::Reply,
            sender_mac: link.mac,
            sender: arp.target,
            target_mac: arp.sender_mac,
            target: arp.sender,
        };
        let header = Template::new(arp.sender_mac, link.mac, link.vlan, ethertype::ARP);
        let body = reshape(frame, Place { start, len: arp::LEN }, header.header_len())
            .then(|| header.write(frame.bytes_mut()))
            .flatten()
            .and_then(|body| body.first_chunk_mut());
        let Some(body) = body else { return DropReason::NoBuffer.into() };
        *body = reply.to_bytes();
        Verdict::Answer
    }

    /// N4: an IPv4 packet to one of our own addresses.
    #[cold]
    pub(super) fn answer_ipv4(
        &mut self,
        cx: &Context<'_>,
        frame: &mut P::Frame,
        ethernet: &Ethernet,
        place: Place,
    ) -> Verdict {
        let header = cx.to_station(Side::External, ethernet.source);
        let mtu = cx.snapshot.settings.external.link.mtu;
        if let Err(reason) = self.check_echo(cx, frame, place, mtu.into(), Path::External) {
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
        let tos = frame.bytes().get(place.start + 1).copied().unwrap_or(0);
        let outer = rewrite::outer(&cx.snapshot.settings.policy, br, b4, place.len, tos, 0);
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
        self.allow_echo(cx)
    }

    fn allow_echo(&mut self, cx: &Context<'_>) -> Result<(), DropReason> {
        let rate = cx.snapshot.settings.policy.rates.echo;
        let allowed = self.limiter.allow(Class::Echo, rate, cx.now);
        if allowed { Ok(()) } else { Err(DropReason::RateLimited) }
    }

    /// N2 and N4: ICMPv6 to us, or to a group. `place` is the packet, `message` its ICMPv6.
    #[cold]
    pub(super) fn answer_icmpv6(
        &mut self,
        cx: &Context<'_>,
        frame: &mut P::Frame,
        place: Place,
        message: Place,
    ) -> Verdict {
        let Some(ethernet) = Ethernet::parse(frame.bytes()) else {
            return DropReason::FrameTooShort.into();
        };
        let Some(Ok(packet)) = frame.bytes().get(place.start..).map(Ipv6::parse) else {
            return DropReason::Ipv6Truncated.into();
        };
        let (source, destination) = (packet.source(), packet.destination());
        let hop_limit = packet.hop_limit();
        let bytes =
            frame.bytes().get(message.start..message.start + message.len).unwrap_or_default();
        if let Some(ignored) = others_icmpv6(cx, bytes, destination) {
            return Verdict::Ignore(ignored);
        }
        let Some(icmp) = Icmpv6::parse(bytes, source.into(), destination.into()) else {
            return DropReason::Icmpv6BadChecksum.into();
        };
        match icmp.kind() {
            icmpv6::NEIGHBOUR_SOLICITATION | icmpv6::NEIGHBOUR_ADVERTISEMENT => {
                let neighbour = (hop_limit == ndp::HOP_LIMIT)
                    .then(|| Neighbour::parse(icmp.message()))
                    .flatten();
                let Some(neighbour) = neighbour else { return DropReason::NdpMalformed.into() };
                match neighbour.kind {
                    Kind::Solicitation => {
                        self.answer_solicitation(cx, frame, &ethernet, place, &neighbour)
                    }
                    Kind::Advertisement { solicited, .. } => {
                        if solicited && destination >> 120 == 0xff {
                            return DropReason::NdpMalformed.into();
                        }
                        self.hear_advertisement(cx, &neighbour)
                    }
                }
            }
            _ if destination >> 120 == 0xff => Verdict::Ignore(IgnoreReason::OtherMulticast),
            icmpv6::ECHO_REQUEST => self.answer_echo_v6(cx, frame, &ethernet, place, message),
            icmpv6::UNREACHABLE
            | icmpv6::PACKET_TOO_BIG
            | icmpv6::TIME_EXCEEDED
            | icmpv6::PARAMETER_PROBLEM => match self.hear_tunnel_error(cx, destination, &icmp) {
                Ok(()) => Verdict::Consume,
                Err(reason) => reason.into(),
            },
            _ => DropReason::Icmpv6Type.into(),
        }
    }

    fn hear_advertisement(&self, cx: &Context<'_>, neighbour: &Neighbour) -> Verdict {
        let next_hop = cx.snapshot.settings.internal.next_hop;
        if next_hop != super::settings::NextHop::Address(neighbour.target) {
            return Verdict::Ignore(IgnoreReason::Ndp);
        }
        if let Some(mac) = neighbour.link_layer {
            let Kind::Advertisement { over_ride, .. } = neighbour.kind else {
                return Verdict::Consume;
            };
            self.next_hops.heard(Side::Internal, mac, true, over_ride);
        }
        Verdict::Consume
    }

    fn answer_solicitation(
        &self,
        cx: &Context<'_>,
        frame: &mut P::Frame,
        ethernet: &Ethernet,
        place: Place,
        asked: &Neighbour,
    ) -> Verdict {
        let Some(Ok(packet)) = frame.bytes().get(place.start..).map(Ipv6::parse) else {
            return DropReason::Ipv6Truncated.into();
        };
        let (source, destination) = (packet.source(), packet.destination());
        let target = u128::from(asked.target);
        let is_probe = source == 0;
        let to_solicited_node = destination == u128::from(solicited_node(asked.target));
        // RFC 4861 section 7.1.1: a probe goes to the group, and says nothing of its sender.
        if is_probe && (!to_solicited_node || asked.link_layer.is_some()) {
            return DropReason::NdpMalformed.into();
        }
        if !cx.snapshot.is_own_ipv6(target) {
            return Verdict::Ignore(IgnoreReason::Ndp);
        }
        // BR addresses are anycast: another relay may have them too.
        let is_anycast = cx.snapshot.is_br(target);
        if is_probe && is_anycast {
            return Verdict::Consume;
        }
        let (to, mac) = if is_probe {
            (ALL_NODES, MacAddr::of_ipv6_multicast(ALL_NODES))
        } else {
            (source.into(), asked.link_layer.unwrap_or(ethernet.source))
        };
        let link = &cx.snapshot.settings.internal.link;
        let advertisement = Neighbour {
            kind: Kind::Advertisement {
                router: false,
                solicited: !is_probe,
                over_ride: !is_anycast,
            },
            target: asked.target,
            link_layer: Some(link.mac),
        };
        let header = cx.to_station(Side::Internal, mac);
        let len = ipv6::HEADER + ndp::LEN;
        if !resize(frame, header.header_len() + len) {
            return DropReason::NoBuffer.into();
        }
        match write_ndp(frame.bytes_mut(), &header, &advertisement, asked.target, to) {
            Some(()) => Verdict::Answer,
            None => DropReason::NoBuffer.into(),
        }
    }

    fn answer_echo_v6(
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

    /// Asks the link for a next hop.
    pub(super) fn ask(&mut self, cx: &Context<'_>, question: Question) -> Option<()> {
        let (side, frame) = match question {
            Question::Arp(target) => {
                let settings = &cx.snapshot.settings.external;
                let on_link = settings.addresses.iter().find(|net| net.contains(&target));
                let link = &settings.link;
                let request = Arp {
                    operation: arp::Operation::Request,
                    sender_mac: link.mac,
                    sender: on_link.or(settings.addresses.first())?.addr(),
                    target_mac: MacAddr::default(),
                    target,
                };
                let header = Template::new(MacAddr::BROADCAST, link.mac, link.vlan, ethertype::ARP);
                let mut frame = self.pool.frame(header.header_len() + arp::LEN)?;
                *header.write(frame.bytes_mut())?.first_chunk_mut()? = request.to_bytes();
                (Side::External, frame)
            }
            Question::Solicit(target) => {
                let settings = &cx.snapshot.settings.internal;
                let global = || settings.addresses.first().map(Ipv6Net::addr);
                let source = if target.is_unicast_link_local() { None } else { global() };
                let to = solicited_node(target);
                let header = cx.to_station(Side::Internal, MacAddr::of_ipv6_multicast(to));
                let mut frame = self.pool.frame(header.header_len() + ipv6::HEADER + ndp::LEN)?;
                let solicitation = Neighbour {
                    kind: Kind::Solicitation,
                    target,
                    link_layer: Some(settings.link.mac),
                };
                let source = source.unwrap_or(settings.link_local);
                write_ndp(frame.bytes_mut(), &header, &solicitation, source, to)?;
                (Side::Internal, frame)
            }
        };
        self.out[side.index()].push(frame, Fate::Originated, Received::default()).ok()
    }
}

/// ICMPv6 that is between others: told by its type, or by its group.
fn others_icmpv6(cx: &Context<'_>, message: &[u8], destination: u128) -> Option<IgnoreReason> {
    let kind = *message.first()?;
    if icmpv6::LISTENER.contains(&kind) {
        return Some(IgnoreReason::Multicast);
    }
    match kind {
        icmpv6::ROUTER_SOLICITATION | icmpv6::ROUTER_ADVERTISEMENT | icmpv6::REDIRECT => {
            Some(IgnoreReason::RouterDiscovery)
        }
        _ if destination >> 120 != 0xff || cx.snapshot.is_own_group(destination) => None,
        icmpv6::NEIGHBOUR_SOLICITATION | icmpv6::NEIGHBOUR_ADVERTISEMENT => Some(IgnoreReason::Ndp),
        _ => Some(IgnoreReason::OtherMulticast),
    }
}

fn write_ndp(
    frame: &mut [u8],
    header: &Template,
    neighbour: &Neighbour,
    source: Ipv6Addr,
    destination: Ipv6Addr,
) -> Option<()> {
    let (head, message) = header.write(frame)?.split_first_chunk_mut()?;
    let outer = Outer {
        traffic_class: 0,
        flow_label: 0,
        payload_len: ndp::LEN as u16,
        next_header: protocol::ICMPV6,
        hop_limit: ndp::HOP_LIMIT,
        source: source.into(),
        destination: destination.into(),
    };
    ipv6::write_header(head, &outer);
    neighbour.write(message.first_chunk_mut()?, source, destination);
    Some(())
}

/// Gives the frame this length; its content is to be written anew.
fn resize<F: Frame>(frame: &mut F, len: usize) -> bool {
    frame.truncate(len);
    frame.grow_back(len - frame.bytes().len())
}

fn make_echo_reply(packet: &mut [u8]) {
    ipv4::turn_around(packet, TTL);
    let header_len = packet.first().map_or(0, |first| usize::from(first & 0x0f) * 4);
    icmpv4::answer_echo(packet.get_mut(header_len..).unwrap_or_default());
}
