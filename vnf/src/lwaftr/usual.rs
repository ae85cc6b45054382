//! The way of nearly all packets: TCP or UDP in an IPv4 header without options or fragmentation,
//! between addresses with nothing special about them, in a frame to our MAC address, small enough
//! for the link ahead, with time to live.
//!
//! Nothing is decided here but that a packet goes through. A few loads and compares tell the usual
//! ones; then the binding table is asked about the burst; then each header is written. Whatever
//! is not like that at any step takes the careful way, in `external` and `internal`, which every
//! packet can go, with the same result.
//!
//! A tunnelled packet's outer addresses are not looked at before its softwire is known: if they are
//! its ends they are right, because no softwire has others.

mod head;
mod start;

pub(super) use start::packet_start;

use std::net::Ipv6Addr;

use super::context::Context;
use super::external::ToB4;
use super::internal::FromB4;
use super::keys::hash_of_flow;
use super::rewrite::{self, OuterRules, Place};
use super::settings::{DecapDscp, DecapTtl, Hairpinning, asked};
use super::snapshot::Snapshot;
use crate::filter::Filter;
use crate::frame::Frame;
use crate::side::Side;
use crate::softwire::{Entries, Key, Slot};
use crate::telemetry::DropReason;
use crate::wire::ethernet::{HEADER, TAGGED, Template};
use crate::wire::{ipv4, ipv6, protocol, tcp};
use head::{Head, IPV4_AND_PORTS, word};
use start::Start;

/// An IPv4 header without options and the ports behind it, behind an outer header.
const TUNNELLED: usize = ipv6::HEADER + IPV4_AND_PORTS;

/// What the usual packets of one side have in common during a burst.
#[derive(Debug)]
pub(super) struct Way<'a> {
    start: Start,
    /// Where in a frame the IPv4 packet is.
    packet: usize,
    /// The longest IPv4 packet that fits the link ahead, and the least TTL that it may arrive with.
    longest: usize,
    least_ttl: u8,
    /// SYNs are looked at closely, for the segments that they announce (E10).
    clamps: bool,
    /// Packets may be for other B4s (D6), and then go straight there.
    hairpins: bool,
    hairpins_pass: bool,
    /// The headers of what leaves, and who is asked about it.
    ethernet: &'a Template,
    outer: OuterRules,
    filter: Option<&'a Filter>,
}

/// Where a usual packet that left its tunnel goes.
#[derive(Debug, Clone, Copy)]
pub(super) enum Left {
    /// To the Internet: it is ready. Its length.
    ToInternet(usize),
    /// Into another tunnel, whose softwire has this key. Its length.
    ToB4(Key, usize),
    /// That needs a closer look.
    Unusual,
}

/// Does this TCP packet without options start a connection, or cannot that be told?
#[inline(always)]
fn is_syn(packet: &[u8]) -> bool {
    packet.get(ipv4::HEADER + tcp::FLAGS).is_none_or(|flags| flags & tcp::SYN != 0)
}

impl<'a> Way<'a> {
    /// The way of packets that are received on `side`; none while the next hop is not known.
    pub(super) fn of(cx: &'a Context<'_>, side: Side) -> Option<Self> {
        let (snapshot, policy) = (cx.snapshot, &cx.snapshot.settings.policy);
        let mtu = usize::from(snapshot.link(side.other()).mtu);
        let (longest, decrements) = match side {
            Side::External => (mtu.saturating_sub(ipv6::HEADER), true),
            Side::Internal => (mtu, policy.decap_ttl == DecapTtl::Decrement),
        };
        let start = Start::new(snapshot.link(side), side);
        let ethernet = cx.to_next_hop(side.other())?;
        let packet = match side {
            Side::External => start.len,
            Side::Internal => start.len + ipv6::HEADER,
        };
        Some(Self {
            start,
            packet,
            longest,
            least_ttl: 1 + u8::from(decrements),
            clamps: snapshot.most_segment.is_some(),
            hairpins: policy.hairpinning != Hairpinning::External,
            // Who has to wait for the next hop takes the careful way there.
            hairpins_pass: policy.hairpinning == Hairpinning::Local
                && cx.to_next_hop(Side::Internal).is_some(),
            ethernet,
            outer: OuterRules::new(policy),
            filter: snapshot.settings.filters.egress[side.other().index()].as_ref(),
        })
    }

    /// The way of packets that left one tunnel and enter another (D6): that of packets from the
    /// Internet, from where they are in their frames.
    pub(super) fn between_b4s(cx: &'a Context<'_>) -> Option<Self> {
        let way = Self::of(cx, Side::External)?;
        let start = Start::new(cx.snapshot.link(Side::Internal), Side::Internal);
        Some(Self { packet: start.len + ipv6::HEADER, start, ..way })
    }

    /// Where in a frame the outer packet is, if there is one around the IPv4 packet.
    fn outer_packet(&self) -> Option<u16> {
        (self.packet > self.start.len).then_some(self.start.len as u16)
    }

    /// Where the IPv4 packet of a usual frame is.
    fn place(&self, frame: &[u8]) -> Place {
        let packet = frame.get(self.packet..).and_then(<[u8]>::first_chunk);
        Place { start: self.packet, len: packet.map_or(0, |packet| Head::read(packet).len()) }
    }

    /// What is known of a usual packet on its way to a B4, for the careful way.
    #[cold]
    pub(super) fn packet_to_b4(&self, frame: &[u8]) -> ToB4 {
        ToB4 {
            outer: self.outer_packet(),
            place: self.place(frame),
            without_port: DropReason::PortLessProtocol,
            tos: None,
        }
    }

    /// The same of one from a B4.
    #[cold]
    pub(super) fn packet_from_b4(&self, frame: &[u8]) -> FromB4 {
        FromB4 {
            outer: self.outer_packet().unwrap_or_default(),
            inner: self.place(frame),
            ..FromB4::default()
        }
    }

    /// The head of a usual packet at the start of `bytes`. The port may have `verified` its checksum.
    #[inline(always)]
    fn head(&self, snapshot: &Snapshot, bytes: &[u8], verified: bool) -> Option<Head> {
        let head = Head::read(bytes.first_chunk()?);
        let len = head.len();
        let is_usual = head.is_plain(verified)
            && len >= IPV4_AND_PORTS
            && len <= bytes.len()
            && len <= self.longest
            && head.ttl() >= self.least_ttl
            && snapshot.is_ordinary_octet((head.source() >> 24) as u8)
            && snapshot.is_ordinary_octet((head.destination >> 24) as u8)
            && !(self.clamps && head.protocol() == protocol::TCP && is_syn(bytes));
        is_usual.then_some(head)
    }

    /// The key of a usual packet from the Internet.
    #[inline(always)]
    #[cfg_attr(lwaftr_no_panic, no_panic::no_panic)]
    pub(super) fn usual_ipv4<F: Frame>(&self, snapshot: &Snapshot, frame: &F) -> Option<Key> {
        // What is known beforehand costs less, all along the way.
        match self.start.len {
            HEADER => self.key_of_ipv4::<F, HEADER>(snapshot, frame),
            _ => self.key_of_ipv4::<F, TAGGED>(snapshot, frame),
        }
    }

    #[inline(always)]
    fn key_of_ipv4<F: Frame, const START: usize>(
        &self,
        snapshot: &Snapshot,
        frame: &F,
    ) -> Option<Key> {
        let bytes = self.start.packet::<START>(frame.bytes())?;
        let head = self.head(snapshot, bytes, frame.ipv4_checksum_verified())?;
        if !snapshot.settings.filters.admits(Side::External, bytes.get(..head.len())?) {
            return None;
        }
        Some(head.destination_key())
    }

    /// The key of a usual packet from a B4.
    #[inline(always)]
    #[cfg_attr(lwaftr_no_panic, no_panic::no_panic)]
    pub(super) fn usual_tunnelled(&self, snapshot: &Snapshot, frame: &[u8]) -> Option<Key> {
        match self.start.len {
            HEADER => self.key_of_tunnelled::<HEADER>(snapshot, frame),
            _ => self.key_of_tunnelled::<TAGGED>(snapshot, frame),
        }
    }

    #[inline(always)]
    fn key_of_tunnelled<const START: usize>(
        &self,
        snapshot: &Snapshot,
        frame: &[u8],
    ) -> Option<Key> {
        /// Version and next header.
        const FORM: u64 = 0xf000_0000_0000_ff00;
        const IPV4_IN_IPV6: u64 = 6 << 60 | (protocol::IPV4 as u64) << 8;
        let packet = self.start.packet::<START>(frame)?;
        let (outer, payload) = packet.split_first_chunk::<{ ipv6::HEADER }>()?;
        let first = word(outer, 0);
        if (first & FORM) != IPV4_IN_IPV6 {
            return None;
        }
        let payload = payload.get(..usize::from((first >> 16) as u16))?;
        let inner = self.head(snapshot, payload, false)?;
        let (outer_tos, tos) = ((first >> 52) as u8, inner.tos());
        let keeps_tos = match snapshot.settings.policy.decap_dscp {
            DecapDscp::Keep => rewrite::keeps_ecn(tos, outer_tos),
            DecapDscp::Copy => tos == outer_tos,
        };
        let whole = packet.get(..ipv6::HEADER + payload.len())?;
        if !keeps_tos || !snapshot.settings.filters.admits(Side::Internal, whole) {
            return None;
        }
        Some(Key::with_port(inner.source(), (inner.ports >> 16) as u16))
    }

    /// Puts a usual packet into its softwire (E3-E6); returns its length. Nothing, and nothing has
    /// changed, if there is none or its path has an MTU of its own.
    #[inline(always)]
    #[cfg_attr(lwaftr_no_panic, no_panic::no_panic)]
    pub(super) fn enter_tunnel<F: Frame>(
        &self,
        cx: &Context<'_>,
        frame: &mut F,
        softwires: Entries<'_>,
        slot: Slot,
    ) -> Option<usize> {
        let ends = softwires.plain_endpoints(slot)?;
        let br = cx.br_addresses.get(usize::from(ends.br))?;
        if self.ethernet.is_tagged() {
            self.enter::<F, TAGGED, { TAGGED + TUNNELLED }>(frame, ends.b4, br)
        } else {
            self.enter::<F, HEADER, { HEADER + TUNNELLED }>(frame, ends.b4, br)
        }
    }

    /// The same, with an Ethernet header of so many bytes, and so many up to the ports behind it: what
    /// is known beforehand takes a few moves.
    #[inline(always)]
    fn enter<F: Frame, const ETHERNET: usize, const WRITTEN: usize>(
        &self,
        frame: &mut F,
        b4: u128,
        br: &Ipv6Addr,
    ) -> Option<usize> {
        let head = Head::read(frame.bytes().get(self.packet..)?.first_chunk()?);
        let len = head.len();
        // Packets from other B4s were measured by the external side's MTU.
        if len > self.longest || !frame.reframe(ETHERNET + ipv6::HEADER, self.packet, len) {
            return None;
        }
        let headers = frame.bytes_mut().first_chunk_mut::<WRITTEN>()?;
        let (ethernet, headers) = headers.split_first_chunk_mut::<ETHERNET>()?;
        let (outer, packet) = headers.split_first_chunk_mut::<{ ipv6::HEADER }>()?;
        self.ethernet.copy_to(ethernet);
        head.write_decremented(packet.first_chunk_mut()?);
        let flow = hash_of_flow(head.source(), head.destination, head.ports, head.protocol());
        outer[..8].copy_from_slice(&self.outer.first_word(len, head.tos(), flow).to_be_bytes());
        outer[8..24].copy_from_slice(&br.octets());
        outer[24..].copy_from_slice(&b4.to_be_bytes());
        Some(len)
    }

    /// Takes a usual packet from its B4 out of the tunnel (D4), unless it goes to another B4 (D6) or
    /// this is not its own (D2): then nothing has changed.
    #[inline(always)]
    #[cfg_attr(lwaftr_no_panic, no_panic::no_panic)]
    pub(super) fn leave_tunnel<F: Frame>(
        &self,
        cx: &Context<'_>,
        frame: &mut F,
        softwires: Entries<'_>,
        slot: Slot,
    ) -> Left {
        self.leave(cx, frame, softwires, slot).unwrap_or(Left::Unusual)
    }

    #[inline(always)]
    fn leave<F: Frame>(
        &self,
        cx: &Context<'_>,
        frame: &mut F,
        softwires: Entries<'_>,
        slot: Slot,
    ) -> Option<Left> {
        let ends = softwires.endpoints(slot)?;
        let br = cx.br_addresses.get(usize::from(ends.br))?;
        let tunnelled = frame.bytes_mut().get_mut(self.start.len..)?;
        let (outer, packet) = tunnelled.first_chunk_mut::<TUNNELLED>()?.split_at_mut(ipv6::HEADER);
        let packet = packet.first_chunk_mut()?;
        let (head, outer) = (Head::read(packet), outer.first_chunk()?);
        if !ipv6::is_between(outer, ends.b4, (*br).into()) {
            return None;
        }
        let len = head.len();
        if self.hairpins && cx.snapshot.table.has_address(head.destination) {
            let passes = self.hairpins_pass && head.ttl() > 1;
            return passes.then(|| Left::ToB4(head.destination_key(), len));
        }
        if self.least_ttl > 1 {
            head.write_decremented(packet);
        }
        let is_bare = if self.ethernet.is_tagged() {
            self.bare::<F, TAGGED>(frame, len)
        } else {
            self.bare::<F, HEADER>(frame, len)
        };
        is_bare.then_some(Left::ToInternet(len))
    }

    /// Leaves nothing but an Ethernet header of so many bytes in front of the packet.
    #[inline(always)]
    fn bare<F: Frame, const FRONT: usize>(&self, frame: &mut F, len: usize) -> bool {
        if !frame.reframe(FRONT, self.packet, len) {
            return false;
        }
        match frame.bytes_mut().first_chunk_mut::<FRONT>() {
            Some(ethernet) => self.ethernet.copy_to(ethernet),
            None => return false,
        }
        true
    }

    /// Does the filter of the side that it leaves by let a frame out (Q1)?
    #[inline(always)]
    #[cfg_attr(lwaftr_no_panic, no_panic::no_panic)]
    pub(super) fn lets_out<F: Frame>(&self, frame: &F) -> bool {
        match self.filter {
            None => true,
            Some(filter) => {
                asked(filter, frame.bytes().get(self.ethernet.header_len()..).unwrap_or_default())
            }
        }
    }
}
