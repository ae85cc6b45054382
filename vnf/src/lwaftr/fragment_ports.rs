//! Whose is an IPv4 fragment to or from a shared address (F2, F3, F4)? Only the first of a packet
//! has ports: they are remembered for the others, and those that come ahead of it wait for a moment.
//! Each fragment is then forwarded on its own; nothing is put together.

use super::aged::{Aged, Hashed, Hasher, Id};
use super::context::Context;
use super::keys::{End, Lookup};
use super::outbox::Received;
use super::reassembly::MOST_EXPIRED;
use super::relay::Relay;
use super::settings::{Fragments, Hairpinning};
use super::verdict::Stop;
use crate::frame::{Burst, Frame, FramePool};
use crate::side::Side;
use crate::softwire::{Key, Slot};
use crate::telemetry::DropReason;
use crate::wire::ipv4::Ipv4;
use crate::wire::protocol;
use crate::wire::transport::has_ports;

/// Fragments that one worker lets wait for their first. They stay in their ports' buffers, which
/// are counted out for it.
pub const MOST_WAITING: usize = 512;

const SECOND: u64 = 1_000_000_000;

/// What the fragments of one IPv4 packet have in common.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
struct FlowId {
    /// Outer source and destination; zeros for packets from the Internet.
    tunnel: (u128, u128),
    source: u32,
    destination: u32,
    identification: u16,
    protocol: u8,
}

impl FlowId {
    fn of(packet: &Ipv4<'_>, tunnel: (u128, u128)) -> Self {
        Self {
            tunnel,
            source: packet.source().into(),
            destination: packet.destination().into(),
            identification: packet.identification(),
            protocol: packet.protocol(),
        }
    }
}

/// What a first fragment told: its ports, or the identifier in their place.
#[derive(Debug, Clone, Copy)]
struct Told {
    source: Result<u16, DropReason>,
    destination: Result<u16, DropReason>,
}

impl Told {
    fn by(first: &Ipv4<'_>) -> Self {
        Self { source: End::Source.port(first), destination: End::Destination.port(first) }
    }

    fn at(&self, end: End) -> Result<u16, DropReason> {
        match end {
            End::Source => self.source,
            End::Destination => self.destination,
        }
    }
}

/// A fragment that waits for its first.
#[derive(Debug)]
struct Waiting<F> {
    frame: F,
    received_on: Side,
    since: u64,
}

/// What one worker remembers of first fragments, and what waits for them.
#[derive(Debug)]
pub(super) struct FragmentPorts<F> {
    hasher: Hasher,
    told: Aged<FlowId, Told>,
    /// Of the fragment that was last found to have to wait.
    awaited: Hashed<FlowId>,
    waiting: Aged<FlowId, Waiting<F>>,
    /// Those whose first came meanwhile.
    ready: Vec<Waiting<F>>,
}

impl<F> FragmentPorts<F> {
    pub(super) fn new() -> Self {
        let hasher = Hasher::default();
        let mut waiting = Aged::new();
        waiting.reserve(MOST_WAITING);
        Self {
            awaited: hasher.of(FlowId::default()),
            hasher,
            told: Aged::new(),
            waiting,
            ready: Vec::with_capacity(MOST_WAITING),
        }
    }

    /// Remembers what a first fragment told; of too many the oldest is forgotten.
    fn learn(&mut self, flow: Hashed<FlowId>, told: Told, now: u64, most: usize) {
        self.told.reserve(most);
        let former = self.told.of(&flow).next().map(|(id, _)| id);
        if let Some(former) = former {
            self.told.remove(former);
        }
        while self.told.len() >= most
            && let Some(oldest) = self.told.oldest()
        {
            self.told.remove(oldest);
        }
        self.told.insert(flow, told, now);
        let mut next = self.waiting.of(&flow).last().map(|(id, _)| id);
        while let Some(waited) = self.take(&mut next) {
            self.ready.push(waited);
        }
    }

    fn recall(&self, flow: &Hashed<FlowId>, now: u64, memory: u64) -> Option<Told> {
        let (id, told) = self.told.of(flow).next()?;
        (now.saturating_sub(self.told.since(id)?) < memory).then_some(*told)
    }

    /// Takes out a fragment that waits; `next` becomes the one of its packet that came next.
    #[inline(always)]
    fn take(&mut self, next: &mut Option<Id>) -> Option<Waiting<F>> {
        let id = (*next)?;
        *next = self.waiting.newer_of_key(id);
        self.waiting.remove(id)
    }
}

impl<P: FramePool> Relay<P> {
    /// How to find the softwire at this end of a fragment: what [`Lookup::of`] is to others.
    #[inline(never)]
    pub(super) fn lookup_of_fragment(
        &mut self,
        cx: &Context<'_>,
        packet: &Ipv4<'_>,
        tunnel: (u128, u128),
        end: End,
    ) -> Result<Lookup, Stop> {
        let policy = &cx.snapshot.settings.policy;
        let is_shared = |end: End| {
            let key = Key::address_only(end.address(packet).into());
            cx.snapshot.table.locate(key) == Slot::PORT_NEEDED
        };
        let address = end.address(packet);
        // A packet for another B4 needs its destination's port as well, later.
        let needs_here = is_shared(end);
        let may_hairpin = end == End::Source && policy.hairpinning == Hairpinning::Local;
        let needs_there = may_hairpin
            && cx.snapshot.table.has_address(address.into())
            && is_shared(End::Destination);
        let carries_ports = has_ports(packet.protocol()) || packet.protocol() == protocol::ICMPV4;
        if !needs_here && !needs_there || !carries_ports {
            return Ok(Lookup::at(address, Err(DropReason::PortLessProtocol)));
        }
        if hides_ports(packet) {
            return Err(DropReason::Ipv4FragmentTiny.into());
        }
        if overwrites_header(packet) {
            return Err(DropReason::Ipv4FragmentOverlap.into());
        }
        let flow = self.ports.hasher.of(FlowId::of(packet, tunnel));
        let limits = &cx.snapshot.settings.fragments;
        if packet.is_later_fragment() {
            let memory = u64::from(limits.port_memory) * SECOND;
            let Some(told) = self.ports.recall(&flow, cx.now, memory) else {
                self.ports.awaited = flow;
                return Err(Stop::AwaitsFirst);
            };
            return Ok(Lookup::at(address, told.at(end)));
        }
        let told = Told::by(packet);
        let tells_here = !needs_here || told.at(end).is_ok();
        if tells_here && (!needs_there || told.destination.is_ok()) {
            let most = Fragments::share(limits.packets, self.workers);
            self.ports.learn(flow, told, cx.now, most);
        }
        Ok(Lookup::at(address, told.at(end)))
    }

    /// How to find the softwire that a fragment out of a tunnel goes to. Its source was found, so
    /// its first fragment is known if one had to be.
    #[cold]
    #[cfg_attr(lwaftr_no_panic, no_panic::no_panic)]
    pub(super) fn lookup_of_hairpin(
        &self,
        cx: &Context<'_>,
        packet: &Ipv4<'_>,
        tunnel: (u128, u128),
    ) -> Lookup {
        let carries_ports = has_ports(packet.protocol()) || packet.protocol() == protocol::ICMPV4;
        let port = if !carries_ports {
            Err(DropReason::PortLessProtocol)
        } else if packet.is_later_fragment() {
            let memory = u64::from(cx.snapshot.settings.fragments.port_memory) * SECOND;
            let flow = self.ports.hasher.of(FlowId::of(packet, tunnel));
            let told = self.ports.recall(&flow, cx.now, memory);
            told.map_or(Err(DropReason::Ipv4FragmentTimeout), |told| told.destination)
        } else {
            End::Destination.port(packet)
        };
        Lookup::at(packet.destination(), port)
    }

    /// Lets a fragment wait for its first: the one that was just found to have to.
    #[inline(never)]
    pub(super) fn await_first(
        &mut self,
        cx: &Context<'_>,
        received_on: Side,
        frame: P::Frame,
        received: Received,
    ) {
        let since = received.since.unwrap_or(cx.now);
        let most = cx.snapshot.settings.fragments.held_per_packet.into();
        if self.ports.waiting.of(&self.ports.awaited).count() >= most {
            let len = received.len as usize;
            return self.count_drop(received_on, DropReason::Ipv4FragmentLimit, &frame, len);
        }
        if self.ports.waiting.len() >= MOST_WAITING {
            self.give_up_oldest(DropReason::Ipv4FragmentLimit);
        }
        self.counters.of(received_on).held.add(1);
        let waiting = Waiting { frame, received_on, since };
        self.ports.waiting.insert(self.ports.awaited, waiting, cx.now);
    }

    /// Drops the fragment that has waited longest, and what else waits for its first.
    #[inline]
    fn give_up_oldest(&mut self, reason: DropReason) {
        let mut next = self.ports.waiting.oldest();
        while let Some(Waiting { frame, received_on, .. }) = self.ports.take(&mut next) {
            self.counters.of(received_on).held.sub(1);
            self.count_drop(received_on, reason, &frame, frame.bytes().len());
        }
    }

    /// Gives up fragments whose first did not come in time.
    #[cold]
    pub(super) fn expire_waiting(&mut self, cx: &Context<'_>) {
        for _ in 0..MOST_EXPIRED {
            if !self.has_overdue_waiting(cx) {
                break;
            }
            self.give_up_oldest(DropReason::Ipv4FragmentTimeout);
        }
    }

    /// Does a fragment wait in vain?
    pub(super) fn has_overdue_waiting(&self, cx: &Context<'_>) -> bool {
        self.ports.waiting.overdue(cx.now, patience(cx)).is_some()
    }

    /// Has the first fragment come that others waited for?
    pub(super) fn has_ready_fragments(&self) -> bool {
        !self.ports.ready.is_empty()
    }

    /// Decides once more about fragments whose first has come.
    #[cold]
    pub(super) fn decide_ready(&mut self, cx: &Context<'_>) {
        let mut ready = std::mem::take(&mut self.ports.ready);
        for Waiting { frame, received_on, since } in ready.drain(..) {
            self.counters.of(received_on).held.sub(1);
            let mut burst = Burst::<P::Frame>::new();
            burst.extend([frame]);
            self.decide(cx, received_on, &mut burst, Some(since));
        }
        // None of these is a first one, which others wait for: its memory is used again.
        self.ports.ready = ready;
    }
}

fn patience(cx: &Context<'_>) -> u64 {
    u64::from(cx.snapshot.settings.fragments.hold) * SECOND
}

/// F4: a first fragment too short for the header that tells its ports; of TCP, for its flags too
/// (RFC 1858 section 3).
fn hides_ports(packet: &Ipv4<'_>) -> bool {
    let least = if packet.protocol() == protocol::TCP { 16 } else { 8 };
    !packet.is_later_fragment() && packet.payload().len() < least
}

/// F4: data that would replace the rest of a TCP header which the first fragment has shown (RFC
/// 1858 section 4, RFC 3128).
fn overwrites_header(packet: &Ipv4<'_>) -> bool {
    packet.protocol() == protocol::TCP && packet.fragment_offset() == 8
}
