//! Whose is an IPv4 fragment to or from a shared address (F2, F3, F4)? Only the first of a packet
//! has ports: they are remembered for the others, and those that come ahead of it wait for a moment.
//! Each fragment is then forwarded on its own; nothing is put together.

use super::aged::{Aged, Hashed, Hasher};
use super::context::Context;
use super::keys::{End, Lookup};
use super::outbox::Received;
use super::reassembly::MOST_EXPIRED;
use super::relay::Relay;
use super::settings::{Fragments, Hairpinning};
use super::slab::{Id, Slab};
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
    /// The next in its line.
    behind: Option<Id>,
}

/// Fragments in the order they came.
#[derive(Debug, Clone, Copy, Default)]
struct Line {
    first: Option<Id>,
    last: Option<Id>,
    count: usize,
}

/// What one worker remembers of first fragments, and what waits for them.
#[derive(Debug)]
pub(super) struct FragmentPorts<F> {
    hasher: Hasher,
    told: Aged<FlowId, Told>,
    /// Of the fragment that was last found to have to wait.
    awaited: Hashed<FlowId>,
    waiting: Aged<FlowId, Line>,
    fragments: Slab<Waiting<F>>,
    /// Fragments that wait, in all.
    count: usize,
    /// Those whose first came meanwhile.
    ready: Line,
}

impl<F> FragmentPorts<F> {
    pub(super) fn new() -> Self {
        let hasher = Hasher::default();
        Self {
            awaited: hasher.of(FlowId::default()),
            hasher,
            told: Aged::new(),
            waiting: Aged::new(),
            fragments: Slab::new(),
            count: 0,
            ready: Line::default(),
        }
    }

    /// Remembers what a first fragment told; of too many the oldest is forgotten.
    fn learn(&mut self, flow: Hashed<FlowId>, told: Told, now: u64, most: usize) {
        self.told.reserve(most);
        if let Some(former) = self.told.find(&flow) {
            self.told.remove(former);
        }
        while self.told.len() >= most
            && let Some(oldest) = self.told.oldest()
        {
            self.told.remove(oldest);
        }
        self.told.insert(flow, told, now);
        if let Some(waited) = self.waiting.find(&flow) {
            let waited = self.take(waited);
            self.append(waited);
        }
    }

    fn recall(&self, flow: &Hashed<FlowId>, now: u64, memory: u64) -> Option<Told> {
        let entry = self.told.get(self.told.find(flow)?)?;
        (now.saturating_sub(entry.since) < memory).then_some(entry.value)
    }

    /// Takes out all that waits for one first fragment.
    fn take(&mut self, flow: Id) -> Line {
        let line = self.waiting.remove(flow).map(|entry| entry.value).unwrap_or_default();
        self.count -= line.count;
        line
    }

    /// Makes a line of fragments ready, behind those that are.
    fn append(&mut self, line: Line) {
        match self.ready.last.and_then(|last| self.fragments.get_mut(last)) {
            Some(last) => last.behind = line.first,
            None => self.ready.first = line.first,
        }
        self.ready.last = line.last.or(self.ready.last);
        self.ready.count += line.count;
    }

    /// Takes the first fragment out of a line.
    fn pop(&mut self, line: &mut Line) -> Option<Waiting<F>> {
        let fragment = self.fragments.remove(line.first?)?;
        line.first = fragment.behind;
        line.last = line.last.filter(|_| line.first.is_some());
        line.count -= 1;
        Some(fragment)
    }

    /// Lets a fragment wait for its first; `known` is who else does. Gives back those that cannot
    /// any more.
    fn wait(
        &mut self,
        flow: Hashed<FlowId>,
        known: Option<Id>,
        fragment: Waiting<F>,
        now: u64,
    ) -> Line {
        self.fragments.reserve(MOST_WAITING);
        self.waiting.reserve(MOST_WAITING);
        let mut given_up = Line::default();
        if self.count >= MOST_WAITING
            && let Some(oldest) = self.waiting.oldest()
        {
            given_up = self.take(oldest);
        }
        let id = self.fragments.insert(fragment);
        self.count += 1;
        match known.and_then(|known| self.waiting.get_mut(known)) {
            Some(line) => {
                if let Some(last) = line.last.and_then(|last| self.fragments.get_mut(last)) {
                    last.behind = Some(id);
                }
                (line.last, line.count) = (Some(id), line.count + 1);
            }
            None => {
                let line = Line { first: Some(id), last: Some(id), count: 1 };
                self.waiting.insert(flow, line, now);
            }
        }
        given_up
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
        let flow = self.ports.awaited;
        let known = self.ports.waiting.find(&flow);
        let others = known.and_then(|known| self.ports.waiting.get(known));
        if others.map_or(0, |others| others.value.count) >= most {
            let len = received.len as usize;
            return self.count_drop(received_on, DropReason::Ipv4FragmentLimit, &frame, len);
        }
        self.counters.of(received_on).held.add(1);
        let fragment = Waiting { frame, received_on, since, behind: None };
        let given_up = self.ports.wait(flow, known, fragment, cx.now);
        self.give_up(given_up, DropReason::Ipv4FragmentLimit);
    }

    fn give_up(&mut self, mut fragments: Line, reason: DropReason) {
        while let Some(Waiting { frame, received_on, .. }) = self.ports.pop(&mut fragments) {
            self.counters.of(received_on).held.sub(1);
            self.count_drop(received_on, reason, &frame, frame.bytes().len());
        }
    }

    /// Gives up fragments whose first did not come in time.
    #[cold]
    pub(super) fn expire_waiting(&mut self, cx: &Context<'_>) {
        for _ in 0..MOST_EXPIRED {
            let Some(flow) = self.ports.waiting.overdue(cx.now, patience(cx)) else { break };
            let fragments = self.ports.take(flow);
            self.give_up(fragments, DropReason::Ipv4FragmentTimeout);
        }
    }

    /// Does a fragment wait in vain?
    pub(super) fn has_overdue_waiting(&self, cx: &Context<'_>) -> bool {
        self.ports.waiting.overdue(cx.now, patience(cx)).is_some()
    }

    /// Has the first fragment come that others waited for?
    pub(super) fn has_ready_fragments(&self) -> bool {
        self.ports.ready.count > 0
    }

    /// Decides once more about fragments whose first has come.
    #[cold]
    pub(super) fn decide_ready(&mut self, cx: &Context<'_>) {
        // What they lead to comes behind these, for the next time.
        let mut ready = std::mem::take(&mut self.ports.ready);
        while let Some(waiting) = self.ports.pop(&mut ready) {
            let Waiting { frame, received_on, since, .. } = waiting;
            self.counters.of(received_on).held.sub(1);
            let mut burst = Burst::<P::Frame>::new();
            burst.extend([frame]);
            self.decide(cx, received_on, &mut burst, Some(since));
        }
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
