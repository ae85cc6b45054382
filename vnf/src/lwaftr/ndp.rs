//! Neighbour discovery (N2): answers for our own addresses, what next hops say of themselves, who
//! else claims an address of ours, and what we ask.

use std::net::Ipv6Addr;

use super::context::Context;
use super::outbox::{Fate, Received};
use super::relay::Relay;
use super::rewrite::{Place, resize};
use super::snapshot::ALL_NODES;
use super::verdict::Verdict;
use crate::frame::{Frame, FramePool};
use crate::side::Side;
use crate::telemetry::{DropReason, IgnoreReason};
use crate::wire::ethernet::{Ethernet, Template};
use crate::wire::icmpv6::Icmpv6;
use crate::wire::ipv6::{self, Ipv6, Outer, solicited_node};
use crate::wire::ndp::{self, Kind, Neighbour};
use crate::wire::{MacAddr, protocol};

impl<P: FramePool> Relay<P> {
    /// A solicitation or advertisement that is well-formed by itself. `place` is its packet.
    pub(super) fn answer_neighbour(
        &self,
        cx: &Context<'_>,
        frame: &mut P::Frame,
        ethernet: &Ethernet,
        place: Place,
        neighbour: &Neighbour,
    ) -> Verdict {
        let Some(Ok(packet)) = frame.bytes().get(place.start..).map(Ipv6::parse) else {
            return DropReason::Ipv6Truncated.into();
        };
        match neighbour.kind {
            Kind::Solicitation => self.answer_solicitation(cx, frame, ethernet, place, neighbour),
            Kind::Advertisement { solicited, .. }
                if solicited && ipv6::is_group(packet.destination()) =>
            {
                DropReason::NdpMalformed.into()
            }
            Kind::Advertisement { solicited, over_ride, .. } => {
                self.hear_advertisement(cx, ethernet, neighbour, (solicited, over_ride))
            }
        }
    }

    /// A packet whose source is an address of ours: does somebody advertise that it is his? Who
    /// answers a probe for an address does so from that very address. Other relays may say so of
    /// BR addresses.
    #[cold]
    pub(super) fn hear_namesake(
        &self,
        cx: &Context<'_>,
        ethernet: &Ethernet,
        packet: &Ipv6<'_>,
    ) -> Option<Verdict> {
        let (source, destination) = (packet.source(), packet.destination());
        let for_us = cx.snapshot.is_own_group(destination) || cx.snapshot.is_own_ipv6(destination);
        let upper = packet.upper().ok()?;
        if !for_us || upper.protocol != protocol::ICMPV6 || packet.hop_limit() != ndp::HOP_LIMIT {
            return None;
        }
        let icmp = Icmpv6::parse(upper.payload, source.into(), destination.into())?;
        let neighbour = Neighbour::parse(icmp.message())?;
        let Kind::Advertisement { solicited: false, .. } = neighbour.kind else { return None };
        let is_about_us = cx.snapshot.is_own_ipv6(neighbour.target.into());
        is_about_us.then(|| self.hear_advertisement(cx, ethernet, &neighbour, (false, false)))
    }

    /// Somebody says to have an address. An advertisement makes known what was asked for, even
    /// when it does not answer a question of ours (RFC 4861 section 7.2.5).
    fn hear_advertisement(
        &self,
        cx: &Context<'_>,
        ethernet: &Ethernet,
        neighbour: &Neighbour,
        (solicited, over_ride): (bool, bool),
    ) -> Verdict {
        let neighbours = &cx.snapshot.neighbours;
        if let Some(own) = neighbours.own_address(neighbour.target.into()) {
            let mac = neighbour.link_layer.unwrap_or(ethernet.source);
            return self.hear_claim(cx, Side::Internal, own, mac);
        }
        let Some(hop) = neighbours.next_hop(Side::Internal, neighbour.target.into()) else {
            return Verdict::Ignore(IgnoreReason::Ndp);
        };
        // Without the option it can only confirm what is known.
        let said = neighbour.link_layer.or_else(|| hop.mac());
        if let Some(mac) = said.filter(|&mac| mac != cx.snapshot.settings.internal.link.mac) {
            hop.heard(mac, solicited || hop.mac().is_none(), over_ride);
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
        if cx.snapshot.is_silent(Side::Internal) {
            return Verdict::Consume;
        }
        let is_anycast = cx.snapshot.is_anycast(target);
        if is_probe && is_anycast {
            return Verdict::Consume;
        }
        if is_probe && ethernet.source == cx.snapshot.settings.internal.link.mac {
            // Our own probe came back (RFC 4862 appendix A).
            return Verdict::Ignore(IgnoreReason::Ndp);
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
        let len = ipv6::HEADER + advertisement.message_len();
        if !resize(frame, header.header_len() + len) {
            return DropReason::NoBuffer.into();
        }
        match write_ndp(frame.bytes_mut(), &header, &advertisement, asked.target, to) {
            Some(()) => Verdict::Answer,
            None => DropReason::NoBuffer.into(),
        }
    }

    /// Asks the link for an address, or who else has it: then `source` is unspecified, and nothing
    /// is said of us (RFC 4862 section 5.4.2).
    pub(super) fn solicit(
        &mut self,
        cx: &Context<'_>,
        source: Ipv6Addr,
        target: Ipv6Addr,
    ) -> Option<()> {
        let to = solicited_node(target);
        let header = cx.to_station(Side::Internal, MacAddr::of_ipv6_multicast(to));
        let mac = cx.snapshot.settings.internal.link.mac;
        let link_layer = (!source.is_unspecified()).then_some(mac);
        let solicitation = Neighbour { kind: Kind::Solicitation, target, link_layer };
        let len = header.header_len() + ipv6::HEADER + solicitation.message_len();
        let mut frame = self.pool.frame(len)?;
        write_ndp(frame.bytes_mut(), &header, &solicitation, source, to)?;
        self.out[Side::Internal.index()].push(frame, Fate::Originated, Received::default()).ok()
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
        payload_len: neighbour.message_len() as u16,
        next_header: protocol::ICMPV6,
        hop_limit: ndp::HOP_LIMIT,
        source: source.into(),
        destination: destination.into(),
    };
    ipv6::write_header(head, &outer);
    neighbour.write(message, source, destination)
}
