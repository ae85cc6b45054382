//! F1 to F4: what waits for fragments, kept in plain lists with the oldest in front.

use std::cell::{Cell, RefCell};
use std::net::{Ipv4Addr, Ipv6Addr};

use crate::bytes::{ICMP, ICMPV6, IPIP, Ipv6Fields, TCP, be16, has_ports};
use crate::errors;
use crate::internal::{self, Packet6};
use crate::ipv4::Packet;
use crate::keys::{self, Subscriber};
use crate::link::Arrived;
use crate::verdict::{Passed, Verdict, drop};
use crate::world::{Hairpinning, World};

/// Fragments that wait for their first, in all.
const MOST_WAITING: usize = 512;

/// The limits (Q2): nanoseconds, bytes and numbers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) max_fragments: usize,
    pub(crate) packets_per_source: usize,
    pub(crate) bytes_per_source: usize,
    pub(crate) packets: usize,
    pub(crate) bytes: usize,
    pub(crate) timeout: u64,
    pub(crate) port_memory: u64,
    pub(crate) hold: u64,
    pub(crate) held_per_packet: usize,
}

/// What is the same in all fragments of an IPv4 packet: the tunnel, if any, both addresses,
/// protocol and identification.
pub(crate) type Flow = (Option<(Ipv6Addr, Ipv6Addr)>, Ipv4Addr, Ipv4Addr, u8, u16);

/// What a first fragment told.
#[derive(Debug, Clone)]
struct Told {
    flow: Flow,
    since: u64,
    source: Passed<u16>,
    destination: Passed<u16>,
}

/// An IPv4 fragment ahead of its first: the packet it arrived in.
#[derive(Debug, Clone)]
struct Waiting {
    side: Arrived,
    packet: Vec<u8>,
}

/// A tunnelled packet that is not whole.
#[derive(Debug, Clone)]
struct Partial {
    id: (Ipv6Addr, Ipv6Addr, [u8; 4]),
    since: u64,
    pieces: Vec<Piece>,
    refused: Option<&'static str>,
}

#[derive(Debug, Clone)]
struct Piece {
    offset: usize,
    more: bool,
    data: Vec<u8>,
    /// The whole packet that it came in, and what was in front of that.
    packet: Vec<u8>,
    link_header: Vec<u8>,
}

impl Piece {
    fn end(&self) -> usize {
        self.offset + self.data.len()
    }
}

/// Something that happened to what had waited.
#[derive(Debug, Clone)]
pub(crate) enum Event {
    /// So many frames were given up, and perhaps somebody told: what, and the station they are at.
    GivenUp(Arrived, &'static str, usize, Option<(Vec<u8>, [u8; 6])>),
    /// A packet goes on, for its first fragment has come.
    Ready(Arrived, Vec<u8>),
}

/// All that waits or is remembered.
#[derive(Debug, Clone, Default)]
pub(crate) struct State {
    pub(crate) now: Cell<u64>,
    /// What is in front of the IPv6 packet in the frame that is judged.
    pub(crate) link_header: RefCell<Vec<u8>>,
    pub(crate) events: RefCell<Vec<Event>>,
    told: RefCell<Vec<Told>>,
    waiting: RefCell<Vec<(Flow, u64, Vec<Waiting>)>>,
    partial: RefCell<Vec<Partial>>,
}

impl State {
    fn give_up(&self, side: Arrived, reason: &'static str, frames: usize) {
        self.events.borrow_mut().push(Event::GivenUp(side, reason, frames, None));
    }

    /// Lets a fragment wait for its first.
    pub(crate) fn wait(&self, limits: &Limits, side: Arrived, flow: Flow, packet: Vec<u8>) {
        let mut waiting = self.waiting.borrow_mut();
        let others = waiting.iter().position(|(of, ..)| *of == flow);
        if others.map_or(0, |at| waiting[at].2.len()) >= limits.held_per_packet {
            return self.give_up(side, "ipv4-fragment-limit", 1);
        }
        if waiting.iter().map(|(_, _, all)| all.len()).sum::<usize>() >= MOST_WAITING {
            for fragment in waiting.remove(0).2 {
                self.give_up(fragment.side, "ipv4-fragment-limit", 1);
            }
        }
        match waiting.iter_mut().find(|(of, ..)| *of == flow) {
            Some((_, _, all)) => all.push(Waiting { side, packet }),
            None => waiting.push((flow, self.now.get(), vec![Waiting { side, packet }])),
        }
    }
}

/// F1 and F2: what has waited too long by now.
pub(crate) fn expire(world: &World) {
    let (state, limits) = (&world.state, &world.fragments);
    let is_over = |since: u64, most: u64| state.now.get() - since >= most;
    let mut partial = state.partial.borrow_mut();
    while partial.first().is_some_and(|oldest| is_over(oldest.since, limits.timeout)) {
        let packet = partial.remove(0);
        let error = packet.pieces.iter().find(|piece| piece.offset == 0).and_then(|first| {
            let about = Packet6 { bytes: &first.packet, protocol: 44, payload: &[] };
            let station = first.link_header[6..12].try_into().unwrap();
            (!internal::may_carry_error(about))
                .then(|| errors::reassembly_timeout(world, about))
                .flatten()
                .map(|error| (error, station))
        });
        state.events.borrow_mut().push(Event::GivenUp(
            Arrived::Internal,
            "ipv6-fragment-timeout",
            packet.pieces.len(),
            error,
        ));
    }
    let mut waiting = state.waiting.borrow_mut();
    while waiting.first().is_some_and(|(_, since, _)| is_over(*since, limits.hold)) {
        for fragment in waiting.remove(0).2 {
            state.give_up(fragment.side, "ipv4-fragment-timeout", 1);
        }
    }
}

// F1.

/// What a stored frame counts.
fn cost(piece: &Piece) -> usize {
    (piece.link_header.len() + piece.packet.len()).div_ceil(256) * 256
}

/// A packet to a BR address with a fragment header behind what P4 walks.
pub(crate) fn arrive(world: &World, outer: Packet6<'_>) -> Passed<Verdict> {
    let [_, _, high, low, id @ ..] = match outer.payload.first_chunk::<8>() {
        Some(header) => *header,
        None => return drop("ipv6-truncated"),
    };
    let field = u16::from_be_bytes([high, low]);
    let piece = Piece {
        offset: usize::from(field / 8) * 8,
        more: field % 2 == 1,
        data: outer.payload[8..].to_vec(),
        packet: outer.bytes.to_vec(),
        link_header: world.state.link_header.borrow().clone(),
    };
    if piece.data.is_empty()
        || piece.more && !piece.data.len().is_multiple_of(8)
        || piece.end() > 65535
    {
        return drop("ipv6-fragment-malformed");
    }
    let Some(whole) = add(world, (outer.source(), outer.destination(), id), piece)? else {
        return Err(Verdict::Kept);
    };
    let frames = whole.len();
    let packet = assembled(&whole);
    let packet = Packet6 { bytes: &packet, protocol: packet[6], payload: &packet[40..] };
    let verdict = tunnelled(world, packet, marks_agree(&whole)).unwrap_or_else(|ended| ended);
    Ok(Verdict::Assembled(frames, Box::new(verdict)))
}

/// What fragments carried.
fn tunnelled(world: &World, packet: Packet6<'_>, marks_agree: bool) -> Passed<Verdict> {
    let (protocol, payload) =
        internal::behind_fragments(world, packet, packet.protocol, packet.payload)?;
    if protocol != IPIP {
        return drop("unsupported-protocol");
    }
    internal::decapsulated(world, Packet6 { protocol, payload, ..packet }, marks_agree)
}

/// Adds a fragment; all of them, in order, when none is missing any more.
fn add(
    world: &World,
    id: (Ipv6Addr, Ipv6Addr, [u8; 4]),
    piece: Piece,
) -> Passed<Option<Vec<Piece>>> {
    let (state, limits) = (&world.state, &world.fragments);
    let mut all = state.partial.borrow_mut();
    let forget = |all: &mut Vec<Partial>, at: usize| {
        let packet = all.remove(at);
        state.give_up(Arrived::Internal, "ipv6-fragment-limit", packet.pieces.len());
    };
    let its_source = |packet: &Partial| packet.id.0 == id.0;
    if !all.iter().any(|packet| packet.id == id) {
        while all.iter().filter(|packet| its_source(packet)).count() >= limits.packets_per_source {
            let oldest = all.iter().position(its_source).unwrap();
            forget(&mut all, oldest);
        }
        while all.len() >= limits.packets {
            forget(&mut all, 0);
        }
        all.push(Partial { id, since: state.now.get(), pieces: Vec::new(), refused: None });
    }
    let packet = all.iter_mut().find(|packet| packet.id == id).unwrap();
    if let Some(reason) = packet.refused {
        return drop(reason);
    }
    if packet
        .pieces
        .iter()
        .any(|p| (p.offset, p.more, &p.data) == (piece.offset, piece.more, &piece.data))
    {
        return drop("ipv6-fragment-duplicate");
    }
    let refusal = if contradicts(&packet.pieces, &piece) {
        Some("ipv6-fragment-overlap")
    } else if packet.pieces.len() >= limits.max_fragments {
        Some("ipv6-fragment-too-many")
    } else {
        None
    };
    if let Some(reason) = refusal {
        state.give_up(Arrived::Internal, reason, packet.pieces.len());
        packet.pieces.clear();
        packet.refused = Some(reason);
        return drop(reason);
    }
    let cost_of = |packets: &mut dyn Iterator<Item = &Partial>| -> usize {
        packets.flat_map(|packet| &packet.pieces).map(cost).sum()
    };
    while cost_of(&mut all.iter().filter(|packet| its_source(packet))) + cost(&piece)
        > limits.bytes_per_source
    {
        let Some(oldest) = all.iter().position(its_source) else { break };
        forget(&mut all, oldest);
    }
    // What no source may have is nobody else's loss.
    if cost(&piece) > limits.bytes_per_source {
        return drop("ipv6-fragment-limit");
    }
    while !all.is_empty() && cost_of(&mut all.iter()) + cost(&piece) > limits.bytes {
        forget(&mut all, 0);
    }
    let Some(at) = all.iter().position(|packet| packet.id == id) else {
        return drop("ipv6-fragment-limit");
    };
    let pieces = &mut all[at].pieces;
    pieces.push(piece);
    pieces.sort_by_key(|piece| piece.offset);
    let reached =
        pieces.iter().try_fold(0, |reached, piece| (piece.offset == reached).then(|| piece.end()));
    let is_whole = reached.is_some() && pieces.last().is_some_and(|last| !last.more);
    Ok(is_whole.then(|| all.remove(at).pieces))
}

/// RFC 5722, and what is as bad: data behind the end.
fn contradicts(pieces: &[Piece], new: &Piece) -> bool {
    pieces.iter().any(|old| {
        old.offset < new.end() && new.offset < old.end()
            || !old.more && (!new.more || new.end() > old.end())
            || !new.more && old.end() > new.end()
    })
}

/// RFC 3168 section 5.3.
fn marks_agree(pieces: &[Piece]) -> bool {
    let has = |mark: u8| pieces.iter().any(|piece| piece.packet[1] >> 4 & 3 == mark);
    !(has(3) && has(0))
}

/// RFC 8200 section 4.5, with the extension headers already obeyed.
fn assembled(pieces: &[Piece]) -> Vec<u8> {
    let first = &pieces[0];
    let data: Vec<u8> = pieces.iter().flat_map(|piece| piece.data.clone()).collect();
    let outer = Packet6 { bytes: &first.packet, protocol: 44, payload: &[] };
    let congested = pieces.iter().any(|piece| piece.packet[1] >> 4 & 3 == 3);
    let header = Ipv6Fields {
        traffic_class: outer.traffic_class() | if congested { 3 } else { 0 },
        flow_label: 0,
        next_header: first.packet[first.packet.len() - first.data.len() - 8],
        hop_limit: outer.hop_limit(),
        source: outer.source(),
        destination: outer.destination(),
    };
    header.with(&data)
}

// F2, F3, F4.

/// A fragment whose packet may need a port: the first tells it, the others must wait for it.
/// `arrived` is the packet as it came, with its tunnel header if it has one.
pub(crate) fn identify(
    world: &World,
    packet: Packet<'_>,
    subscriber: Subscriber,
    tunnel: Option<(Ipv6Addr, Ipv6Addr)>,
    arrived: &[u8],
) -> Passed<()> {
    let is_shared = |address| world.in_table(address) && world.whole(address).is_none();
    let (source, destination) = (packet.source(), packet.destination());
    let (own, needs_other) = match subscriber {
        Subscriber::Destination => (destination, false),
        Subscriber::Source => {
            let hairpins = world.policy.hairpinning == Hairpinning::Local;
            (source, hairpins && world.in_table(source) && is_shared(destination))
        }
    };
    let protocol = packet.protocol();
    if !is_shared(own) && !needs_other || !has_ports(protocol) && protocol != ICMP {
        return Ok(());
    }
    let offset = be16(packet.bytes, 6) & 0x1fff;
    let least = if protocol == TCP { 16 } else { 8 };
    if offset == 0 && packet.payload().len() < least {
        return drop("ipv4-fragment-tiny");
    }
    if offset == 1 && protocol == TCP {
        return drop("ipv4-fragment-overlap");
    }
    let state = &world.state;
    let flow = (tunnel, source, destination, protocol, be16(packet.bytes, 4));
    let mut told = state.told.borrow_mut();
    if offset > 0 {
        let known = told.iter().any(|told| {
            told.flow == flow && state.now.get() - told.since < world.fragments.port_memory
        });
        return if known { Ok(()) } else { Err(Verdict::Waits(flow, arrived.to_vec())) };
    }
    let told_of = |subscriber, address| keys::port(packet, subscriber, address);
    let first = Told {
        flow,
        since: state.now.get(),
        source: told_of(Subscriber::Source, source),
        destination: told_of(Subscriber::Destination, destination),
    };
    let own_port = match subscriber {
        Subscriber::Source => &first.source,
        Subscriber::Destination => &first.destination,
    };
    if is_shared(own) && own_port.is_err() || needs_other && first.destination.is_err() {
        return Ok(());
    }
    told.retain(|told| told.flow != flow);
    told.push(first);
    if told.len() > world.fragments.packets {
        told.remove(0);
    }
    let mut waiting = state.waiting.borrow_mut();
    if let Some(at) = waiting.iter().position(|(of, ..)| *of == flow) {
        for fragment in waiting.remove(at).2 {
            let ready = Event::Ready(fragment.side, fragment.packet);
            state.events.borrow_mut().push(ready);
        }
    }
    Ok(())
}

/// The port of a later fragment, as its first told it.
pub(crate) fn told(
    world: &World,
    packet: Packet<'_>,
    subscriber: Subscriber,
    tunnel: Option<(Ipv6Addr, Ipv6Addr)>,
) -> Passed<u16> {
    let (source, destination) = (packet.source(), packet.destination());
    let flow = (tunnel, source, destination, packet.protocol(), be16(packet.bytes, 4));
    let told = world.state.told.borrow();
    let since = |told: &Told| world.state.now.get() - told.since;
    match told.iter().find(|told| told.flow == flow) {
        Some(told) if since(told) < world.fragments.port_memory => match subscriber {
            Subscriber::Source => told.source.clone(),
            Subscriber::Destination => told.destination.clone(),
        },
        _ => drop("ipv4-fragment-timeout"),
    }
}

/// True for what an ICMPv6 error must not be about, behind a first fragment's header.
pub(crate) fn first_carries_error(payload: &[u8], is_error: impl Fn(&[u8]) -> bool) -> bool {
    match payload {
        [next, _, high, low, _, _, _, _, rest @ ..] if *high == 0 && *low < 8 => match *next {
            ICMPV6 => rest.first().is_none_or(|kind| *kind < 128 || *kind == 137),
            IPIP => is_error(rest),
            _ => false,
        },
        _ => true,
    }
}
