//! I4: ICMPv6 errors about our tunnels.

use std::net::Ipv6Addr;

use crate::bytes::{IPIP, be16, ipv6_at};
use crate::errors;
use crate::internal::Packet6;
use crate::ipv4::{self, Packet};
use crate::keys;
use crate::link::Arrived;
use crate::verdict::{Passed, Verdict, drop};
use crate::world::{Hairpinning, Softwire, World};

/// What a router quotes of a packet of ours.
struct Quoted<'a> {
    softwire: &'a Softwire,
    /// Of the IPv6 packet, as it says.
    len: usize,
    inner: Packet<'a>,
}

/// An ICMPv6 message of type 1 to 4, its checksum verified.
pub(crate) fn judge(world: &World, outer: Packet6<'_>) -> Passed<Verdict> {
    const UNREACHABLE: u8 = 1;
    const TOO_BIG: u8 = 2;
    const TIME_EXCEEDED: u8 = 3;
    const PARAMETER_PROBLEM: u8 = 4;
    let (head, quotation) = outer.payload.split_at(8);
    let Some(quoted) = quoted(world, outer.destination(), quotation) else {
        return drop("icmpv6-embedded");
    };
    let report = match (head[0], head[1]) {
        (TOO_BIG, 0) => {
            let mtu = u32::from_be_bytes(head[4..].try_into().unwrap()) as usize;
            if mtu < 1280 || mtu >= quoted.len {
                return drop("icmpv6-embedded");
            }
            let mtu = mtu.min(world.internal.mtu);
            world.learn(quoted.softwire.b4, mtu);
            let inner = quoted.inner;
            inner.dont_fragment().then(|| errors::too_big(world, inner, mtu - 40)).flatten()
        }
        (UNREACHABLE, _) | (TIME_EXCEEDED, 0) | (PARAMETER_PROBLEM, _) => {
            errors::tunnel_broken(world, quoted.inner)
        }
        _ => return drop("icmpv6-embedded"),
    };
    // We need not tell ourselves.
    let report = report.filter(|_| !world.is_our_ipv4(quoted.inner.source()));
    Ok(Verdict::Consume(report.map(|report| addressed(world, quoted.inner, report))))
}

/// Where the report to a packet's source leaves: through its softwire if it is a B4's, unless
/// such packets leave by the external side (D6).
fn addressed(world: &World, about: Packet<'_>, report: Vec<u8>) -> (Arrived, Vec<u8>) {
    match keys::quoted(world, about, keys::Subscriber::Source) {
        Some(sender) if world.policy.hairpinning != Hairpinning::External => {
            (Arrived::Internal, errors::encapsulated(world, sender, &report))
        }
        _ => (Arrived::External, report),
    }
}

/// The packet of ours that a router quotes, if it is one.
fn quoted<'a>(world: &'a World, br: Ipv6Addr, bytes: &'a [u8]) -> Option<Quoted<'a>> {
    const FRAGMENT: u8 = 44;
    if bytes.len() < 40 || bytes[0] >> 4 != 6 || ipv6_at(bytes, 8) != br {
        return None;
    }
    // P2: what follows its end is not of it.
    let len = 40 + usize::from(be16(bytes, 4));
    let bytes = &bytes[..bytes.len().min(len)];
    let payload = match bytes[6] {
        IPIP => &bytes[40..],
        FRAGMENT => match &bytes[40..] {
            [IPIP, _, high, low, _, _, _, _, rest @ ..] if *high == 0 && *low < 8 => rest,
            _ => return None,
        },
        _ => return None,
    };
    let header_len = usize::from(payload.first()? & 15) * 4;
    if payload[0] >> 4 != 4 || header_len < 20 || header_len > payload.len() {
        return None;
    }
    let total_len = usize::from(be16(payload, 2));
    if total_len < header_len {
        return None;
    }
    let inner = Packet { bytes: &payload[..payload.len().min(total_len)] };
    // P3: we would not have sent it, unless it is our own.
    ipv4::no_martians(inner).ok()?;
    ipv4::no_source_route(world, inner).ok()?;
    let softwire = keys::quoted(world, inner, keys::Subscriber::Destination)?;
    let ours = softwire.br == br && softwire.b4 == ipv6_at(bytes, 24);
    ours.then_some(Quoted { softwire, len, inner })
}
