//! ICMP errors of our own making (I5, I6).

use std::net::Ipv6Addr;

use super::context::Context;
use super::keys::hash_of_flow;
use super::limiter::Class;
use super::outbox::{Fate, Received};
use super::relay::Relay;
use super::rewrite;
use crate::frame::{Frame, FramePool};
use crate::side::Side;
use crate::wire::ipv4::{self, Ipv4};
use crate::wire::ipv6::{self, Outer};
use crate::wire::{MacAddr, icmpv4, icmpv6, protocol};

/// An ICMPv4 packet of ours is at most this long (RFC 1812 section 4.3.2.3).
const ICMPV4_MOST: usize = 576;

/// An ICMPv6 packet of ours is at most this long (RFC 4443 section 2.4 c).
const ICMPV6_MOST: usize = 1280;

/// TTL of what we make.
const TTL: u8 = 64;

/// Precedence of ICMPv4 errors: internetwork control (RFC 1812 section 4.3.2.5).
const TOS: u8 = 0xc0;

/// What to say in ICMPv4.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Icmpv4Error {
    /// 3/1: nobody has that address and port.
    HostUnreachable,
    /// 3/3: we do not listen there.
    PortUnreachable,
    /// 3/4, with the MTU of what is ahead.
    TooBig(u16),
    /// 11/0
    TimeExceeded,
}

/// How an error gets back to who sent the packet it is about.
#[derive(Debug, Clone, Copy)]
pub(super) enum Path {
    /// By the external interface, to its next hop.
    External,
    /// By the external interface, to the station that the packet came from: it is about ourselves.
    Station(MacAddr),
    /// Through the sender's softwire.
    Softwire {
        /// The sender's B4.
        b4: u128,
        /// The BR address it sent to.
        br: u128,
    },
}

/// What to say in ICMPv6.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Icmpv6Error {
    /// 1/4: we do not listen there.
    PortUnreachable,
    /// 1/5: this softwire is not yours (D2).
    SourcePolicy,
    /// 3/1: fragments were missing (F1).
    ReassemblyTimeout,
    /// 4/2: an option that we do not know, at this place in the packet.
    UnknownOption(u32),
}

impl Icmpv6Error {
    /// Type, code and the last four bytes of the fixed part.
    fn fields(self) -> (u8, u8, u32) {
        match self {
            Self::PortUnreachable => (icmpv6::UNREACHABLE, icmpv6::PORT_UNREACHABLE, 0),
            Self::SourcePolicy => (icmpv6::UNREACHABLE, icmpv6::SOURCE_POLICY, 0),
            Self::ReassemblyTimeout => (icmpv6::TIME_EXCEEDED, icmpv6::REASSEMBLY_TIMEOUT, 0),
            Self::UnknownOption(at) => (icmpv6::PARAMETER_PROBLEM, icmpv6::UNKNOWN_OPTION, at),
        }
    }
}

impl Icmpv4Error {
    fn class(self) -> Class {
        match self {
            Self::TooBig(_) => Class::TooBig,
            Self::TimeExceeded => Class::TimeExceeded,
            Self::HostUnreachable | Self::PortUnreachable => Class::Icmpv4Error,
        }
    }

    /// Type, code and the last four bytes of the fixed part.
    fn fields(self) -> (u8, u8, u32) {
        match self {
            Self::HostUnreachable => (icmpv4::UNREACHABLE, icmpv4::HOST_UNREACHABLE, 0),
            Self::PortUnreachable => (icmpv4::UNREACHABLE, icmpv4::PORT_UNREACHABLE, 0),
            Self::TooBig(mtu) => (icmpv4::UNREACHABLE, icmpv4::FRAGMENTATION_NEEDED, mtu.into()),
            Self::TimeExceeded => (icmpv4::TIME_EXCEEDED, 0, 0),
        }
    }
}

impl<P: FramePool> Relay<P> {
    /// Says in ICMPv4 what is wrong with a packet, unless nobody may be told (I5), or too much was
    /// said already (I6).
    #[cold]
    #[cfg_attr(lwaftr_no_panic, no_panic::no_panic)]
    pub(super) fn icmpv4_error(
        &mut self,
        cx: &Context<'_>,
        error: Icmpv4Error,
        about: &Ipv4<'_>,
        path: Path,
    ) {
        let receiver = about.source();
        if about.is_later_fragment()
            || icmpv4::may_be_error(about.protocol(), about.payload())
            || cx.snapshot.is_martian(receiver)
            || receiver.is_unspecified()
            || receiver.is_multicast()
            || cx.snapshot.is_broadcast(receiver)
            || about.destination().is_multicast()
            || cx.snapshot.is_broadcast(about.destination())
        {
            return;
        }
        let side = match path {
            Path::External | Path::Station(_) => Side::External,
            Path::Softwire { .. } => Side::Internal,
        };
        let receiver_number = u128::from(u32::from(receiver));
        let rates = &cx.snapshot.settings.policy.rates;
        if !self.limiter.allow_error(error.class(), rates, receiver_number, cx.now)
            || self.send_icmpv4(cx, error, about, path).is_none()
        {
            self.counters.of(side).suppressed_errors.add(1);
        }
    }

    fn send_icmpv4(
        &mut self,
        cx: &Context<'_>,
        error: Icmpv4Error,
        about: &Ipv4<'_>,
        path: Path,
    ) -> Option<()> {
        let quoted = about.bytes();
        let quoted = quoted.get(..ICMPV4_MOST - ipv4::HEADER - icmpv4::HEADER).unwrap_or(quoted);
        let len = ipv4::HEADER + icmpv4::HEADER + quoted.len();
        let (side, tunnel, ethernet) = match path {
            Path::External => (Side::External, 0, *cx.to_next_hop(Side::External)?),
            Path::Station(mac) => (Side::External, 0, cx.to_station(Side::External, mac)),
            Path::Softwire { .. } => {
                (Side::Internal, ipv6::HEADER, *cx.to_next_hop(Side::Internal)?)
            }
        };
        let mut frame = self.pool.frame(ethernet.header_len() + tunnel + len)?;
        let mut rest = ethernet.write(frame.bytes_mut())?;
        if let Path::Softwire { b4, br } = path {
            let (head, inner) = rest.split_first_chunk_mut()?;
            let (policy, source) = (&cx.snapshot.settings.policy, cx.snapshot.icmpv4_source());
            let flow = hash_of_flow(source.into(), about.source().into(), 0, protocol::ICMPV4);
            ipv6::write_header(head, &rewrite::outer(policy, br, b4, len, TOS, flow));
            rest = inner;
        }
        let (head, message) = rest.split_first_chunk_mut()?;
        ipv4::write_header(
            head,
            len as u16,
            TTL,
            protocol::ICMPV4,
            cx.snapshot.icmpv4_source(),
            about.source(),
        );
        ipv4::set_tos(head, TOS);
        message.get_mut(icmpv4::HEADER..)?.get_mut(..quoted.len())?.copy_from_slice(quoted);
        let (kind, code, last) = error.fields();
        icmpv4::write_error(message, kind, code, last);
        self.send_error(side, frame, Fate::Icmpv4Error)
    }

    /// Says in ICMPv6 that a packet to `from`, an address of ours, was refused. `about` is that
    /// packet from its IPv6 header on, `station` where its frame came from: what is about ourselves
    /// goes back there, and so does what no router would carry.
    #[cold]
    #[cfg_attr(lwaftr_no_panic, no_panic::no_panic)]
    pub(super) fn icmpv6_error(
        &mut self,
        cx: &Context<'_>,
        error: Icmpv6Error,
        about: &[u8],
        (from, to): (u128, u128),
        station: MacAddr,
    ) {
        let receiver = Ipv6Addr::from(to);
        if receiver.is_unspecified() || receiver.is_multicast() {
            return;
        }
        let rates = &cx.snapshot.settings.policy.rates;
        if !self.limiter.allow_error(Class::Icmpv6, rates, to, cx.now)
            || self.send_icmpv6(cx, error, about, (from, to), station).is_none()
        {
            self.counters.of(Side::Internal).suppressed_errors.add(1);
        }
    }

    fn send_icmpv6(
        &mut self,
        cx: &Context<'_>,
        error: Icmpv6Error,
        about: &[u8],
        (from, to): (u128, u128),
        station: MacAddr,
    ) -> Option<()> {
        let quoted = about.get(..ICMPV6_MOST - ipv6::HEADER - icmpv6::HEADER).unwrap_or(about);
        let len = icmpv6::HEADER + quoted.len();
        let is_link_local = Ipv6Addr::from(to).is_unicast_link_local();
        let ethernet = if is_link_local || error == Icmpv6Error::PortUnreachable {
            cx.to_station(Side::Internal, station)
        } else {
            *cx.to_next_hop(Side::Internal)?
        };
        let mut frame = self.pool.frame(ethernet.header_len() + ipv6::HEADER + len)?;
        let rest = ethernet.write(frame.bytes_mut())?;
        let (head, message) = rest.split_first_chunk_mut()?;
        let outer = Outer {
            traffic_class: 0,
            flow_label: 0,
            payload_len: len as u16,
            next_header: protocol::ICMPV6,
            hop_limit: cx.snapshot.settings.policy.hop_limit,
            source: from,
            destination: to,
        };
        ipv6::write_header(head, &outer);
        let (kind, code, last) = error.fields();
        message.get_mut(4..icmpv6::HEADER)?.copy_from_slice(&last.to_be_bytes());
        message.get_mut(icmpv6::HEADER..)?.get_mut(..quoted.len())?.copy_from_slice(quoted);
        icmpv6::write(message, kind, code, from.into(), to.into());
        self.send_error(Side::Internal, frame, Fate::Icmpv6Error)
    }

    fn send_error(&mut self, side: Side, frame: P::Frame, fate: Fate) -> Option<()> {
        let received = Received { len: frame.bytes().len() as u32, since: None };
        self.out[side.index()].push(frame, fate, received).ok()
    }
}
