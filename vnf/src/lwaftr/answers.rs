//! ICMPv6 to our own addresses and groups: whose it is, and who answers it (N2, N4, I4). An answer
//! is made of the frame it answers.

use super::context::Context;
use super::others;
use super::relay::Relay;
use super::rewrite::Place;
use super::verdict::Verdict;
use crate::frame::{Frame, FramePool};
use crate::telemetry::{DropReason, IgnoreReason};
use crate::wire::ethernet::Ethernet;
use crate::wire::icmpv6::{self, Icmpv6};
use crate::wire::ipv6::{self, Ipv6};
use crate::wire::mld::{self, Query};
use crate::wire::ndp::{self, Neighbour};
use crate::wire::protocol;

impl<P: FramePool> Relay<P> {
    /// N2 and N4: ICMPv6 to us, or to a group. `place` is the packet, `message` its ICMPv6.
    #[cold]
    pub(super) fn answer_icmpv6(
        &mut self,
        cx: &Context<'_>,
        frame: &mut P::Frame,
        place: Place,
        message: Place,
    ) -> Verdict {
        let Some(ethernet) = Ethernet::parse(frame.bytes()) else {
            return DropReason::FrameTooShort.into();
        };
        let Some(Ok(packet)) = frame.bytes().get(place.start..).map(Ipv6::parse) else {
            return DropReason::Ipv6Truncated.into();
        };
        let (source, destination) = (packet.source(), packet.destination());
        let hop_limit = packet.hop_limit();
        let bytes =
            frame.bytes().get(message.start..message.start + message.len).unwrap_or_default();
        if let Some(query) = listener_query(cx, &packet, bytes) {
            return self.hear_query(cx, &query);
        }
        if let Some(ignored) = others_icmpv6(cx, bytes, destination) {
            return Verdict::Ignore(ignored);
        }
        let Some(icmp) = Icmpv6::parse(bytes, source.into(), destination.into()) else {
            return DropReason::Icmpv6BadChecksum.into();
        };
        match icmp.kind() {
            icmpv6::NEIGHBOUR_SOLICITATION | icmpv6::NEIGHBOUR_ADVERTISEMENT => {
                // Nobody solicits or advertises in fragments (RFC 6980 section 5).
                let in_fragment = packet
                    .upper_unchecked()
                    .is_ok_and(|upper| upper.protocol == protocol::FRAGMENT);
                let neighbour = (hop_limit == ndp::HOP_LIMIT && !in_fragment)
                    .then(|| Neighbour::parse(icmp.message()))
                    .flatten();
                let Some(neighbour) = neighbour else { return DropReason::NdpMalformed.into() };
                self.answer_neighbour(cx, frame, &ethernet, place, &neighbour)
            }
            _ if ipv6::is_group(destination) => Verdict::Ignore(IgnoreReason::OtherMulticast),
            icmpv6::ECHO_REQUEST => self.answer_echo_v6(cx, frame, &ethernet, place, message),
            icmpv6::UNREACHABLE
            | icmpv6::PACKET_TOO_BIG
            | icmpv6::TIME_EXCEEDED
            | icmpv6::PARAMETER_PROBLEM => match self.hear_tunnel_error(cx, destination, &icmp) {
                Ok(()) => Verdict::Consume,
                Err(reason) => reason.into(),
            },
            _ => DropReason::Icmpv6Type.into(),
        }
    }
}

/// A query of a router on the link that is to be answered: RFC 3810 section 6.2 says which are.
/// Others are other people's.
fn listener_query(cx: &Context<'_>, packet: &Ipv6<'_>, message: &[u8]) -> Option<Query> {
    let query = Query::parse(message)?;
    let (source, destination) = (packet.source().into(), packet.destination());
    let snapshot = cx.snapshot;
    let is_valid = std::net::Ipv6Addr::is_unicast_link_local(&source)
        && packet.hop_limit() == mld::HOP_LIMIT
        && mld::has_router_alert(packet)
        && (snapshot.is_own_group(destination) || snapshot.is_own_ipv6(destination))
        && (query.group.is_unspecified() || snapshot.neighbours.listens_to(query.group));
    let verifies = || Icmpv6::parse(message, source, destination.into()).is_some();
    (is_valid && verifies()).then_some(query)
}

/// ICMPv6 that is between others: told by its type, or by its group.
fn others_icmpv6(cx: &Context<'_>, message: &[u8], destination: u128) -> Option<IgnoreReason> {
    let kind = others::of_icmpv6(*message.first()?);
    others::is_between_others(cx.snapshot, destination, kind).then_some(kind)
}
