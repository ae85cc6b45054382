//! ARP (N1): answers for our own addresses, what next hops say of themselves, who else claims an
//! address of ours, and what we ask and announce.

use std::net::Ipv4Addr;

use super::context::Context;
use super::outbox::{Fate, Received};
use super::own_addresses::OwnAddress;
use super::relay::Relay;
use super::rewrite::{Place, reshape};
use super::verdict::Verdict;
use crate::frame::{Frame, FramePool};
use crate::side::Side;
use crate::telemetry::{DropReason, IgnoreReason};
use crate::wire::MacAddr;
use crate::wire::arp::{self, Arp};
use crate::wire::ethernet::{Ethernet, Template, ethertype};

impl<P: FramePool> Relay<P> {
    /// N1: answers for our own addresses, and hears what the next hop says of itself.
    #[cold]
    pub(super) fn answer_arp(&mut self, cx: &Context<'_>, frame: &mut P::Frame) -> Verdict {
        let Some(ethernet) = Ethernet::parse(frame.bytes()) else {
            return DropReason::FrameTooShort.into();
        };
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
        if let Some(own) = cx.snapshot.neighbours.own_address(arp.sender.into()) {
            return self.hear_claim(cx, Side::External, own, arp.sender_mac);
        }
        if arp.sender_mac == settings.link.mac {
            // Our own words came back.
            return Verdict::Ignore(IgnoreReason::Arp);
        }
        let is_ours = cx.snapshot.is_own_ipv4(arp.target);
        // Who announces an address asks nothing. Who probes for a subscriber's must hear that it is
        // taken (RFC 5227 section 2.1).
        let to_us = is_ours
            || settings.proxy_arp
                && arp.sender != arp.target
                && cx.snapshot.table.has_address(arp.target.into());
        let is_reply = arp.operation == arp::Operation::Reply;
        let next_hop = cx.snapshot.neighbours.next_hop(Side::External, arp.sender.into());
        if let Some(next_hop) = next_hop {
            // We never ask from a subscriber's address.
            next_hop.heard(arp.sender_mac, is_reply && is_ours, true);
        }
        if !to_us || is_reply {
            let is_news = next_hop.is_some() || is_reply && to_us;
            return if is_news { Verdict::Consume } else { Verdict::Ignore(IgnoreReason::Arp) };
        }
        if cx.snapshot.is_silent(Side::External) {
            return Verdict::Consume;
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

    /// Somebody says to have an address of ours. If it is not we, whose own words came back, that
    /// is an alarm.
    pub(super) fn hear_claim(
        &self,
        cx: &Context<'_>,
        side: Side,
        own: &OwnAddress,
        mac: MacAddr,
    ) -> Verdict {
        if mac == cx.snapshot.link(side).mac {
            return Verdict::Ignore(match side {
                Side::External => IgnoreReason::Arp,
                Side::Internal => IgnoreReason::Ndp,
            });
        }
        own.collides(mac);
        self.counters.of(side).address_conflicts.add(1);
        Verdict::Consume
    }

    /// Asks the link for an address. The sender is an address of ours; none in a probe, the target
    /// itself in an announcement (RFC 5227).
    pub(super) fn request_arp(
        &mut self,
        cx: &Context<'_>,
        sender: Ipv4Addr,
        target: Ipv4Addr,
    ) -> Option<()> {
        let link = &cx.snapshot.settings.external.link;
        let request = Arp {
            operation: arp::Operation::Request,
            sender_mac: link.mac,
            sender,
            target_mac: MacAddr::default(),
            target,
        };
        let header = Template::new(MacAddr::BROADCAST, link.mac, link.vlan, ethertype::ARP);
        let mut frame = self.pool.frame(header.header_len() + arp::LEN)?;
        *header.write(frame.bytes_mut())?.first_chunk_mut()? = request.to_bytes();
        self.out[Side::External.index()].push(frame, Fate::Originated, Received::default()).ok()
    }
}
