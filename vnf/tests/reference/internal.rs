//! E0, second half: a packet from a B4.

use std::net::Ipv6Addr;

use crate::bytes::{ICMP, ICMPV6, IPIP, UDP, be16, fix_ipv4_checksum, ipv6_at};
use crate::external::{alive, back_through, no_softwire, to_ourselves};
use crate::ipv4::{self, Packet};
use crate::keys::{self, Subscriber};
use crate::verdict::{Passed, Verdict, drop};
use crate::world::{Hairpinning, Softwire, World};
use crate::{cut, errors, fragments, mss};

/// How far the headers in front of a payload are walked (P4).
const MOST_HEADERS: usize = 8;
const MOST_BYTES: usize = 256;

/// The fragment header.
pub(crate) const FRAGMENT: u8 = 44;

/// An IPv6 packet, without whatever followed it in its frame.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Packet6<'a> {
    pub(crate) bytes: &'a [u8],
    /// What stands behind the extension headers.
    pub(crate) protocol: u8,
    pub(crate) payload: &'a [u8],
}

impl Packet6<'_> {
    pub(crate) fn source(self) -> Ipv6Addr {
        ipv6_at(self.bytes, 8)
    }

    pub(crate) fn destination(self) -> Ipv6Addr {
        ipv6_at(self.bytes, 24)
    }

    pub(crate) fn hop_limit(self) -> u8 {
        self.bytes[7]
    }

    pub(crate) fn traffic_class(self) -> u8 {
        self.bytes[0] << 4 | self.bytes[1] >> 4
    }
}

/// P2 and P4.
pub(crate) fn well_formed<'a>(
    world: &World,
    bytes: &'a [u8],
    to_group: bool,
) -> Passed<Packet6<'a>> {
    let whole = whole(bytes)?;
    // P1: a unicast packet in a group frame.
    if to_group && !whole.destination().is_multicast() {
        return drop("multicast-frame");
    }
    let source = whole.source();
    if source.is_multicast() || source.is_loopback() || world.is_our_ipv6(source) {
        return drop("ipv6-bad-source");
    }
    let (mut protocol, mut payload) = walk(world, whole)?;
    if protocol == FRAGMENT {
        let [next, _, high, low, ..] = match payload.first_chunk::<8>() {
            Some(header) => *header,
            None => return drop("ipv6-truncated"),
        };
        // RFC 6946: neither further on nor more to come. It is a packet like any other.
        if high == 0 && low & !6 == 0 {
            (protocol, payload) = behind_fragments(world, whole, next, &payload[8..])?;
        }
    }
    Ok(Packet6 { protocol, payload, ..whole })
}

/// P4 for what fragments carried, or could have: it starts with `next`.
pub(crate) fn behind_fragments<'a>(
    world: &World,
    packet: Packet6<'a>,
    next: u8,
    payload: &'a [u8],
) -> Passed<(u8, &'a [u8])> {
    if next == 0 {
        return drop("ipv6-extension-chain");
    }
    walk(world, Packet6 { protocol: next, payload, ..packet })
}

/// The same packet whatever its source is, if it is well-formed otherwise.
pub(crate) fn any_source<'a>(world: &World, bytes: &'a [u8]) -> Option<Packet6<'a>> {
    let whole = whole(bytes).ok()?;
    let (protocol, payload) = walk(world, whole).ok()?;
    Some(Packet6 { protocol, payload, ..whole })
}

/// P2: the fixed header, and as many bytes as it says.
fn whole(bytes: &[u8]) -> Passed<Packet6<'_>> {
    if bytes.len() < 40 {
        return drop("ipv6-truncated");
    }
    if bytes[0] >> 4 != 6 {
        return drop("ipv6-bad-header");
    }
    let len = 40 + usize::from(be16(bytes, 4));
    if len > bytes.len() {
        return drop("ipv6-truncated");
    }
    let bytes = &bytes[..len];
    Ok(Packet6 { bytes, protocol: bytes[6], payload: &bytes[40..] })
}

/// P4: hop-by-hop options (first or not at all), destination options, routing headers.
pub(crate) fn walk<'a>(world: &World, packet: Packet6<'a>) -> Passed<(u8, &'a [u8])> {
    let (mut next, mut rest) = (packet.protocol, packet.payload);
    let (mut headers, mut bytes) = (0, 0);
    while matches!(next, 0 | 43 | 60) {
        if headers == MOST_HEADERS || next == 0 && headers > 0 {
            return drop("ipv6-extension-chain");
        }
        if rest.len() < 2 {
            return drop("ipv6-truncated");
        }
        let len = (usize::from(rest[1]) + 1) * 8;
        headers += 1;
        bytes += len;
        if len > rest.len() {
            return drop("ipv6-truncated");
        }
        if bytes > MOST_BYTES {
            return drop("ipv6-extension-chain");
        }
        let (header, behind) = rest.split_at(len);
        if next == 43 {
            if header[2] == 0 || header[3] != 0 {
                return drop("ipv6-routing-header");
            }
        } else {
            let at = packet.bytes.len() - rest.len();
            options(world, packet, at + 2, at + header.len())?;
        }
        (next, rest) = (header[0], behind);
    }
    Ok((next, rest))
}

/// RFC 8200 section 4.2: what an option that is not known wants is in its two highest bits: 00 skip
/// it, 01 discard the packet, 10 and 11 tell the sender too.
fn options(world: &World, packet: Packet6<'_>, mut at: usize, end: usize) -> Passed<()> {
    while at < end {
        let kind = packet.bytes[at];
        if kind == 0 {
            at += 1;
            continue;
        }
        if at + 1 == end {
            return drop("ipv6-truncated");
        }
        match kind >> 6 {
            0 => {}
            1 => return drop("ipv6-unknown-option"),
            _ if !world.is_our_ipv6(packet.destination()) => return drop("ipv6-unknown-option"),
            _ if may_carry_error(packet) => return drop("ipv6-unknown-option"),
            _ => {
                let error = errors::unknown_option(world, packet, at);
                return Err(Verdict::Drop("ipv6-unknown-option", error));
            }
        }
        at += 2 + usize::from(packet.bytes[at + 1]);
        if at > end {
            return drop("ipv6-truncated");
        }
    }
    Ok(())
}

/// I5, RFC 4443 section 2.4 e: is an ICMP error, a redirect, or a later fragment behind these headers? One that
/// cannot be found within the bounds of P4 may be.
pub(crate) fn may_carry_error(packet: Packet6<'_>) -> bool {
    let (mut next, mut rest) = (packet.bytes[6], &packet.bytes[40..]);
    let (mut headers, mut bytes) = (0, 0);
    while matches!(next, 0 | 43 | 60) {
        if headers == 8 || next == 0 && headers > 0 || rest.len() < 2 {
            return true;
        }
        let len = (usize::from(rest[1]) + 1) * 8;
        headers += 1;
        bytes += len;
        if bytes > 256 || rest.len() < len {
            return true;
        }
        (next, rest) = (rest[0], &rest[len..]);
    }
    match next {
        58 => rest.first().is_none_or(|kind| *kind < 128 || *kind == 137),
        44 => fragments::first_carries_error(rest, inner_is_error),
        4 => inner_is_error(rest),
        _ => false,
    }
}

/// The same of a tunnelled packet, whose header may be damaged.
fn inner_is_error(inner: &[u8]) -> bool {
    if inner.len() < 20 || inner[0] >> 4 != 4 {
        return false;
    }
    let header = usize::from(inner[0] & 15) * 4;
    let total = usize::from(u16::from_be_bytes([inner[2], inner[3]]));
    if header < 20 || header > total || header > inner.len() {
        return false;
    }
    let is_later = (u16::from_be_bytes([inner[6], inner[7]]) & 0x1fff) != 0;
    let payload = &inner[header..total.min(inner.len())];
    is_later || inner[9] == 1 && payload.first().is_none_or(|kind| [3, 4, 5, 11, 12].contains(kind))
}

/// D1, for everything but ICMPv6 (which `ndp` has).
pub(crate) fn from_b4(world: &World, outer: Packet6<'_>) -> Passed<Verdict> {
    let destination = outer.destination();
    if !world.is_our_ipv6(destination) {
        return drop("not-for-us");
    }
    // No fragment is in one that is atomic.
    let is_first_header =
        any_source(world, outer.bytes).is_some_and(|it| it.payload.len() == outer.payload.len());
    match outer.protocol {
        FRAGMENT if is_first_header && world.br_addresses.contains(&destination) => {
            fragments::arrive(world, outer)
        }
        IPIP if world.br_addresses.contains(&destination) => decapsulated(world, outer, true),
        UDP => {
            let error = errors::unreachable6(world, outer, 4);
            Err(Verdict::Drop("unsupported-protocol", error))
        }
        ICMPV6 => unreachable!("handled before"),
        _ => drop("unsupported-protocol"),
    }
}

/// Q1, D2 to D7. The fragments that it came in may have marks that cannot be one packet's.
pub(crate) fn decapsulated(
    world: &World,
    outer: Packet6<'_>,
    marks_agree: bool,
) -> Passed<Verdict> {
    if !is_echo_to_us(world, outer.payload) {
        world.internal_filters.admit(outer.bytes)?;
    }
    let packet = ipv4::well_formed(outer.payload)?;
    let softwire = legitimate(world, outer, packet)?;
    ipv4::no_martians(packet)?;
    ipv4::source_not_ours(world, packet)?;
    ipv4::no_source_route(world, packet)?;
    if !marks_agree {
        return drop("ecn-mismatch");
    }
    let ecn = merged_ecn(packet.tos() & 3, outer.traffic_class() & 3)?;
    if world.is_our_ipv4(packet.destination()) {
        let room = world.internal.mtu - 40;
        return through(world, softwire, to_ourselves(world, packet, room));
    }
    if !world.policy.decap_ttl_keep || packet.ttl() == 0 {
        alive(packet, back_through(world, softwire, errors::time_exceeded(world, packet)))?;
    }
    let too_big = |mtu| back_through(world, softwire, errors::too_big(world, packet, mtu));
    if world.in_table(packet.destination()) {
        match world.policy.hairpinning {
            Hairpinning::Drop => return drop("hairpin-denied"),
            Hairpinning::Local => {
                let other = receiver(world, outer, softwire, packet)?;
                let error = errors::time_exceeded(world, packet);
                alive(packet, back_through(world, softwire, error))?;
                let out = rewritten(world, outer, packet, ecn, true);
                let pieces = cut::into_tunnel(world, other, packet, &out, too_big)?;
                return Ok(Verdict::Hairpin(pieces));
            }
            Hairpinning::External => {}
        }
    }
    let out = rewritten(world, outer, packet, ecn, !world.policy.decap_ttl_keep);
    Ok(Verdict::Forward(cut::to_internet(world, packet, out, too_big)?))
}

/// Q1: no filter is asked about an echo request to ourselves that is whole.
fn is_echo_to_us(world: &World, inner: &[u8]) -> bool {
    let is_echo = |packet: Packet<'_>| {
        packet.protocol() == ICMP && !packet.is_fragment() && packet.payload().first() == Some(&8)
    };
    ipv4::well_formed(inner)
        .is_ok_and(|packet| world.is_our_ipv4(packet.destination()) && is_echo(packet))
}

/// D2: the softwire of the inner source, if the outer addresses are its own.
fn legitimate<'a>(
    world: &'a World,
    outer: Packet6<'_>,
    packet: Packet<'_>,
) -> Passed<&'a Softwire> {
    let refused = |reason| {
        let error =
            may_be_refused(world, packet).then(|| errors::unreachable6(world, outer, 5)).flatten();
        Err(Verdict::Drop(reason, error))
    };
    let tunnel = Some((outer.source(), outer.destination()));
    if packet.is_fragment() {
        fragments::identify(world, packet, Subscriber::Source, tunnel, outer.bytes)?;
    }
    let Some(softwire) = keys::softwire(world, packet, Subscriber::Source, tunnel)? else {
        return refused("source-no-softwire");
    };
    if outer.source() != softwire.b4 {
        return refused("source-wrong-b4");
    }
    if outer.destination() != softwire.br {
        return refused("source-wrong-br");
    }
    Ok(softwire)
}

/// I5 for 1/5: nothing about ICMP errors or later fragments.
fn may_be_refused(world: &World, packet: Packet<'_>) -> bool {
    world.policy.generate_icmpv6_errors
        && !packet.is_later_fragment()
        && !errors::is_icmp_error(packet)
}

/// D6: the softwire of the inner destination; what E7 says goes back through the sender's.
fn receiver<'a>(
    world: &'a World,
    outer: Packet6<'_>,
    sender: &Softwire,
    packet: Packet<'_>,
) -> Passed<&'a Softwire> {
    let tunnel = Some((outer.source(), outer.destination()));
    match keys::softwire(world, packet, Subscriber::Destination, tunnel)? {
        Some(softwire) => Ok(softwire),
        None => match no_softwire(world, packet) {
            Verdict::Drop(reason, error) => {
                Err(Verdict::Drop(reason, back_through(world, sender, error)))
            }
            other => Err(other),
        },
    }
}

/// D7: what we have to say goes back through the tunnel.
fn through(world: &World, softwire: &Softwire, said: Passed<Vec<u8>>) -> Passed<Verdict> {
    match said {
        Ok(answer) => Ok(Verdict::Answer(errors::encapsulated(world, softwire, &answer))),
        Err(Verdict::Drop(reason, error)) => {
            Err(Verdict::Drop(reason, back_through(world, softwire, error)))
        }
        Err(other) => Err(other),
    }
}

/// D3: RFC 6040 section 4.2, figure 4, row by row.
fn merged_ecn(inner: u8, outer: u8) -> Passed<u8> {
    const NOT_ECT: usize = 0b00;
    const ECT1: usize = 0b01;
    const ECT0: usize = 0b10;
    const CE: usize = 0b11;
    const DROP: usize = 4;
    // Columns: Not-ECT, ECT(1), ECT(0), CE as the bits are numbered.
    const TABLE: [[usize; 4]; 4] = [
        [NOT_ECT, NOT_ECT, NOT_ECT, DROP],
        [ECT1, ECT1, ECT1, CE],
        [ECT0, ECT1, ECT0, CE],
        [CE, CE, CE, CE],
    ];
    match TABLE[usize::from(inner)][usize::from(outer)] {
        DROP => drop("ecn-mismatch"),
        merged => Ok(merged as u8),
    }
}

/// D3, D4 and E10: TTL, DSCP, ECN and MSS of what leaves the tunnel.
fn rewritten(
    world: &World,
    outer: Packet6<'_>,
    packet: Packet<'_>,
    ecn: u8,
    decrement_ttl: bool,
) -> Vec<u8> {
    let mut bytes = packet.bytes.to_vec();
    bytes[8] -= u8::from(decrement_ttl);
    let copied = world.policy.decap_dscp_copy;
    let dscp = if copied { outer.traffic_class() } else { packet.tos() } & 0xfc;
    bytes[1] = dscp | ecn;
    fix_ipv4_checksum(&mut bytes);
    mss::clamp(world, &mut bytes);
    bytes
}
