//! What routers, or B4s, say in ICMPv6 about packets that we sent into a tunnel (I4): the sender of
//! the inner packet is told in ICMPv4, and a path MTU is remembered (M1).

use super::context::Context;
use super::errors::{Icmpv4Error, Path};
use super::external::check_addresses;
use super::keys::{End, Lookup};
use super::relay::Relay;
use super::settings::Hairpinning;
use crate::frame::FramePool;
use crate::softwire::Slot;
use crate::telemetry::DropReason;
use crate::wire::icmpv6::{self, Icmpv6};
use crate::wire::ipv4::Ipv4;
use crate::wire::ipv6::{self, Ipv6, first_fragment};
use crate::wire::protocol;

/// The smallest MTU of an IPv6 link (RFC 8200 section 5).
const LEAST_MTU: u32 = 1280;

impl<P: FramePool> Relay<P> {
    /// Takes in an ICMPv6 error whose checksum is right. It was sent to the source of the packet
    /// that it is about (RFC 4443 section 3).
    pub(super) fn hear_tunnel_error(
        &mut self,
        cx: &Context<'_>,
        destination: u128,
        icmp: &Icmpv6<'_>,
    ) -> Result<(), DropReason> {
        let (outer, inner, slot) = ours(cx, icmp.body())
            .filter(|(outer, ..)| outer.source() == destination)
            .ok_or(DropReason::Icmpv6Embedded)?;
        // An echo reply or an error of our own: there is nobody to tell.
        let tells = !cx.snapshot.is_own_ipv4(inner.source());
        let error = match (icmp.kind(), icmp.code()) {
            (icmpv6::PACKET_TOO_BIG, 0) => {
                let mtu = icmp.last_word();
                let sent = ipv6::HEADER + outer.payload_len();
                if mtu < LEAST_MTU || mtu as usize >= sent {
                    return Err(DropReason::Icmpv6Embedded);
                }
                // Below the length of a packet, which is at most 65 575: only one that we would
                // never send does not fit 16 bits, and the link's MTU is below it.
                let mtu = u16::try_from(mtu)
                    .unwrap_or(u16::MAX)
                    .min(cx.snapshot.settings.internal.link.mtu);
                cx.snapshot.table.learn_path_mtu(slot, mtu, cx.now);
                if !inner.dont_fragment() {
                    return Ok(());
                }
                Icmpv4Error::TooBig(mtu - ipv6::HEADER as u16)
            }
            (icmpv6::UNREACHABLE | icmpv6::PARAMETER_PROBLEM, _) | (icmpv6::TIME_EXCEEDED, 0) => {
                Icmpv4Error::HostUnreachable
            }
            _ => return Err(DropReason::Icmpv6Embedded),
        };
        if tells {
            self.icmpv4_error(cx, error, &inner, path_to_source(cx, &inner));
        }
        Ok(())
    }
}

/// The tunnel packet that an error is about, the packet in it, and its softwire: if it is one that
/// we could have sent.
fn ours<'a>(cx: &Context<'_>, body: &'a [u8]) -> Option<(Ipv6<'a>, Ipv4<'a>, Slot)> {
    let outer = Ipv6::parse_embedded(body).ok()?;
    let payload = match outer.next_header() {
        protocol::IPV4 => outer.payload(),
        protocol::FRAGMENT => {
            let upper = first_fragment(outer.payload())?;
            (upper.protocol == protocol::IPV4).then_some(upper.payload)?
        }
        _ => return None,
    };
    let inner = Ipv4::parse_embedded(payload).ok()?;
    // Nothing else was let in or made here, and to such a source no error may go (I5).
    if !matches!(check_addresses(cx.snapshot, &inner), Ok(()) | Err(DropReason::Ipv4SourceIsOurs)) {
        return None;
    }
    let table = &cx.snapshot.table;
    let slot = table.locate(Lookup::of_quoted(&inner, End::Destination).key);
    let ends = table.endpoints(slot)?;
    let br = u128::from(*table.br_addresses().get(usize::from(ends.br))?);
    (ends.b4 == outer.destination() && br == outer.source()).then_some((outer, inner, slot))
}

/// How the sender of the inner packet is reached: through its softwire, if it has one.
fn path_to_source(cx: &Context<'_>, inner: &Ipv4<'_>) -> Path {
    let table = &cx.snapshot.table;
    if cx.snapshot.settings.policy.hairpinning == Hairpinning::External {
        return Path::External;
    }
    let slot = table.locate(Lookup::of_quoted(inner, End::Source).key);
    let br = |number: u16| table.br_addresses().get(usize::from(number)).copied();
    match table.endpoints(slot).and_then(|ends| Some((ends.b4, br(ends.br)?))) {
        Some((b4, br)) => Path::Softwire { b4, br: br.into() },
        None => Path::External,
    }
}
