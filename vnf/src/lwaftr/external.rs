//! Packets from the Internet: in the order of E0, which tunnel they enter and why some do not.

use super::context::Context;
use super::errors::{Icmpv4Error, Path};
use super::keys::{End, Lookup, flow_hash};
use super::limiter::Class;
use super::link;
use super::outbox::{Fate, Received};
use super::relay::Relay;
use super::rewrite::{self, Changes, Place};
use super::settings::{Fragment, TooBigDf};
use super::snapshot::Snapshot;
use super::usual::Way;
use super::verdict::{Stop, Verdict};
use super::waiting::Waiting;
use crate::frame::{BATCH, Burst, Frame, FramePool};
use crate::side::Side;
use crate::softwire::{Direction, Slot};
use crate::telemetry::DropReason;
use crate::wire::ethernet::Template;
use crate::wire::icmpv4::Icmpv4;
use crate::wire::ipv4::Ipv4;
use crate::wire::ipv6::{self, Ipv6, Outer};
use crate::wire::protocol;

/// The tunnel of fragments that came by none.
const FROM_INTERNET: (u128, u128) = (0, 0);

/// A packet that awaits the binding table's answer about its destination: only what cannot be read
/// from the frame again, so that a burst's worth of them stays in few cache lines.
#[derive(Debug, Clone, Copy)]
pub(super) struct ToB4 {
    /// Where the outer packet starts that it came in, if it came from a B4.
    pub(super) outer: Option<u16>,
    pub(super) place: Place,
    /// Why it is dropped should it have no port and its destination be shared.
    pub(super) without_port: DropReason,
    /// DSCP and ECN that it takes on, if not its own.
    pub(super) tos: Option<u8>,
}

/// Nobody's, for places that no packet has.
impl Default for ToB4 {
    fn default() -> Self {
        Self::from_internet(Place::default(), DropReason::PortLessProtocol)
    }
}

impl ToB4 {
    #[inline(always)]
    fn from_internet(place: Place, without_port: DropReason) -> Self {
        Self { outer: None, place, without_port, tos: None }
    }

    /// How its sender is told of errors.
    #[cold]
    fn path(&self, frame: &[u8]) -> Path {
        let outer = self.outer.and_then(|start| frame.get(usize::from(start)..));
        match outer.and_then(Ipv6::parsed_before) {
            Some(outer) => Path::Softwire { b4: outer.source(), br: outer.destination() },
            None => Path::External,
        }
    }
}

impl<P: FramePool> Relay<P> {
    /// Takes a burst from the external side where it goes. `since` is when it was received, if it
    /// waited.
    #[inline(never)]
    pub(super) fn external(
        &mut self,
        cx: &Context<'_>,
        burst: &mut Burst<P::Frame>,
        since: Option<u64>,
    ) {
        let mut waiting = Waiting::new();
        // What has waited is counted in other ways.
        let way = if since.is_none() { Way::of(cx, Side::External) } else { None };
        while !burst.is_empty() {
            for frame in burst.drain(..burst.len().min(BATCH)) {
                match way.as_ref().and_then(|way| way.usual_ipv4(cx.snapshot, &frame)) {
                    Some(key) => waiting.push_usual(frame, key),
                    None => self.external_unusual(cx, frame, &mut waiting, since),
                }
            }
            self.enter_tunnels(cx, &mut waiting, way.as_ref(), Side::External, since);
        }
    }

    /// A frame that needs a closer look: it waits for its answer, or ends here.
    #[inline(never)]
    fn external_unusual(
        &mut self,
        cx: &Context<'_>,
        mut frame: P::Frame,
        waiting: &mut Waiting<P::Frame, ToB4>,
        since: Option<u64>,
    ) {
        let received = frame.bytes().len() as u32;
        match self.classify_external(cx, &mut frame, since.is_some()) {
            Ok((place, Lookup { key, without_port })) => {
                waiting.push(frame, ToB4::from_internet(place, without_port), key);
            }
            Err(stop) => {
                self.stop(cx, Side::External, frame, stop, Received { len: received, since });
            }
        }
    }

    /// Looks up the destinations of packets that came from side `from`, and sends each into its
    /// softwire. Usual packets among them go `way`.
    #[inline(never)]
    pub(super) fn enter_tunnels(
        &mut self,
        cx: &Context<'_>,
        waiting: &mut Waiting<P::Frame, ToB4>,
        way: Option<&Way<'_>>,
        from: Side,
        since: Option<u64>,
    ) {
        let table = &*cx.snapshot.table;
        let counter = table.counter(self.worker);
        let fate = match from {
            Side::External => Fate::Forwarded,
            Side::Internal => Fate::Hairpinned,
        };
        if self.looked.is_some() {
            self.note_keys(cx, waiting, End::Destination);
        }
        for (mut frame, packet, slot) in waiting.answered(table, counter) {
            let received = frame.bytes().len() as u32;
            if packet.is_none()
                && let Some(way) = way
                && let Some(len) = way.enter_tunnel(cx, &mut frame, table.entries(), slot)
            {
                if self.forward(way, (from, Side::Internal), fate, frame, received) {
                    counter.count(slot, Direction::ToB4, len);
                }
            } else {
                let packet = packet.or_else(|| way.map(|way| way.packet_to_b4(frame.bytes())));
                let received = Received { len: received, since };
                self.enter_unusual(cx, frame, &packet.unwrap_or_default(), slot, from, received);
            }
        }
    }

    /// The same for a packet that needs a closer look.
    #[inline(never)]
    fn enter_unusual(
        &mut self,
        cx: &Context<'_>,
        mut frame: P::Frame,
        packet: &ToB4,
        slot: Slot,
        from: Side,
        received: Received,
    ) {
        let verdict = match self.enter_tunnel(cx, &mut frame, packet, slot) {
            Ok(()) => {
                let (table, len) = (&cx.snapshot.table, packet.place.len);
                table.count(self.worker, slot, Direction::ToB4, len);
                match from {
                    Side::External => Verdict::Forward,
                    Side::Internal => Verdict::Hairpin,
                }
            }
            Err(verdict) => verdict,
        };
        self.carry_out(cx, from, frame, verdict, received);
    }

    /// Everything up to the lookup: P1-P3, N4, Q1, I1, F2. A frame that has waited passed all this
    /// before; what was charged for it then is not charged again.
    #[inline(never)]
    fn classify_external(
        &mut self,
        cx: &Context<'_>,
        frame: &mut P::Frame,
        has_waited: bool,
    ) -> Result<(Place, Lookup), Stop> {
        let received =
            link::check(frame.bytes(), Side::External, &cx.snapshot.settings.external.link)?;
        if received.is_arp {
            return Err(self.answer_arp(cx, frame).into());
        }
        let start = received.start;
        let bytes = frame.bytes().get(start..).unwrap_or_default();
        if received.to_group {
            return Err(link::group_fate(bytes, cx.snapshot).into());
        }
        let packet = Ipv4::parse(bytes).map_err(DropReason::from)?;
        check_addresses(cx.snapshot, &packet)?;
        let place = Place { start, len: packet.bytes().len() };
        if cx.snapshot.is_own_ipv4(packet.destination()) {
            return Err(self.answer_ipv4(cx, frame, place).into());
        }
        if !cx.snapshot.settings.filters.admits(Side::External, packet.bytes()) {
            return Err(DropReason::FilterIngress.into());
        }
        if packet.protocol() == protocol::ICMPV4 {
            self.admit_icmp(cx, &packet, has_waited)?;
        }
        let lookup = if packet.is_fragment() {
            self.lookup_of_fragment(cx, &packet, FROM_INTERNET, End::Destination)?
        } else {
            Lookup::of(&packet, End::Destination)
        };
        Ok((place, lookup))
    }

    /// I1: is ICMP let in, and is this message whole?
    fn admit_icmp(
        &mut self,
        cx: &Context<'_>,
        packet: &Ipv4<'_>,
        has_waited: bool,
    ) -> Result<(), DropReason> {
        let policy = &cx.snapshot.settings.policy;
        if !policy.allow_incoming_icmpv4 {
            return Err(DropReason::IcmpNotAllowed);
        }
        if !packet.is_fragment() {
            let icmp = Icmpv4::parse(packet.payload()).ok_or(DropReason::IcmpTruncated)?;
            if !icmp.verifies() {
                return Err(DropReason::IcmpBadChecksum);
            }
        }
        let rate = policy.icmpv4_rate;
        if rate > 0 && !has_waited && !self.limiter.allow(Class::IncomingIcmpv4, rate, cx.now) {
            return Err(DropReason::RateLimited);
        }
        Ok(())
    }

    /// Everything after the lookup: E7, I2, E6, E8, E3, Q1, N3.
    #[cfg_attr(lwaftr_no_panic, no_panic::no_panic)]
    pub(super) fn enter_tunnel<F: Frame>(
        &mut self,
        cx: &Context<'_>,
        frame: &mut F,
        to: &ToB4,
        slot: Slot,
    ) -> Result<(), Verdict> {
        let bytes = frame.bytes();
        // It was parsed before; this only finds its fields again.
        let packet = bytes.get(to.place.start..to.place.end()).and_then(Ipv4::parsed_before);
        let packet = packet.ok_or(DropReason::Ipv4Truncated)?;
        let Some(ends) = cx.snapshot.table.endpoints(slot) else {
            return Err(self.no_softwire(cx, &packet, to, to.path(bytes), slot).into());
        };
        if packet.ttl() <= 1 {
            self.icmpv4_error(cx, Icmpv4Error::TimeExceeded, &packet, to.path(bytes));
            return Err(DropReason::TtlExpired.into());
        }
        let policy = &cx.snapshot.settings.policy;
        let link_mtu = cx.snapshot.settings.internal.link.mtu;
        let mtu = ends.path_mtu(cx.now).map_or(link_mtu, |learned| learned.min(link_mtu));
        let is_too_big = to.place.len + ipv6::HEADER > usize::from(mtu);
        let dont_fragment = packet.dont_fragment();
        if is_too_big && dont_fragment && policy.too_big_df == TooBigDf::Drop {
            let ahead = mtu - ipv6::HEADER as u16;
            self.icmpv4_error(cx, Icmpv4Error::TooBig(ahead), &packet, to.path(bytes));
            return Err(DropReason::TooBig.into());
        }
        let br = cx.br_addresses.get(usize::from(ends.br)).map_or(0, |&br| br.into());
        let tos = to.tos.unwrap_or(packet.tos());
        let outer = rewrite::outer(policy, br, ends.b4, to.place.len, tos, flow_hash(&packet));
        let most_segment = cx.snapshot.most_segment;
        let changes = Changes { decrement_ttl: true, tos: to.tos, most_segment };
        let next_hop = cx.to_next_hop(Side::Internal);
        if (is_too_big || next_hop.is_none())
            && !self.would_let_out(cx, Side::Internal, &packet, changes, Some(&outer))
        {
            return Err(DropReason::FilterEgress.into());
        }
        let ethernet = next_hop.ok_or(Verdict::Wait(Side::Internal))?;
        changes.make(frame, to.place);
        if is_too_big {
            if policy.fragment == Fragment::Outer || dont_fragment {
                return Ok(self.fragment_outer(frame, to.place, ethernet, &outer, mtu.into())?);
            }
            return Ok(self.fragment_into_tunnel(frame, to.place, ethernet, &outer, mtu.into())?);
        }
        if !rewrite::encapsulate(frame, to.place, ethernet, &outer) {
            return Err(DropReason::NoBuffer.into());
        }
        let packet = frame.bytes().get(ethernet.header_len()..).unwrap_or_default();
        if !cx.snapshot.settings.filters.lets_out(Side::Internal, packet) {
            return Err(DropReason::FilterEgress.into());
        }
        Ok(())
    }

    /// E8 with `fragment = "inner"`: each fragment has its own tunnel header.
    #[cold]
    #[cfg_attr(lwaftr_no_panic, no_panic::no_panic)]
    fn fragment_into_tunnel(
        &mut self,
        frame: &mut impl Frame,
        place: Place,
        ethernet: &Template,
        outer: &Outer,
        mtu: usize,
    ) -> Result<(), DropReason> {
        let front = ethernet.header_len() + ipv6::HEADER;
        self.fragment_inner(Side::Internal, frame, place, mtu - ipv6::HEADER, front, |len, out| {
            let (head, rest) = ethernet.write(out)?.split_first_chunk_mut()?;
            ipv6::write_header(head, &Outer { payload_len: len as u16, ..*outer });
            Some(rest)
        })
    }

    #[cold]
    #[cfg_attr(lwaftr_no_panic, no_panic::no_panic)]
    fn no_softwire(
        &mut self,
        cx: &Context<'_>,
        packet: &Ipv4<'_>,
        to: &ToB4,
        path: Path,
        slot: Slot,
    ) -> DropReason {
        if slot == Slot::PORT_NEEDED {
            to.without_port
        } else if packet.protocol() == protocol::ICMPV4 {
            DropReason::IcmpNoSoftwire
        } else {
            if cx.snapshot.settings.policy.generate_icmpv4_errors {
                self.icmpv4_error(cx, Icmpv4Error::HostUnreachable, packet, path);
            }
            DropReason::NoSoftwire
        }
    }
}

/// P3, but for the header itself.
#[cfg_attr(lwaftr_no_panic, no_panic::no_panic)]
pub(super) fn check_addresses(snapshot: &Snapshot, packet: &Ipv4<'_>) -> Result<(), DropReason> {
    let is_ordinary =
        snapshot.is_ordinary(packet.source()) && snapshot.is_ordinary(packet.destination());
    if is_ordinary && !packet.has_options() {
        return Ok(());
    }
    if snapshot.is_martian(packet.source()) || snapshot.is_martian(packet.destination()) {
        return Err(DropReason::Ipv4Martian);
    }
    if snapshot.is_own_ipv4(packet.source()) {
        return Err(DropReason::Ipv4SourceIsOurs);
    }
    if packet.has_source_route() && !snapshot.settings.policy.allow_source_route {
        return Err(DropReason::Ipv4SourceRoute);
    }
    Ok(())
}
