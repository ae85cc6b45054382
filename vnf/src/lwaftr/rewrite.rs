//! Adding and taking away the tunnel header (E3-E6, D4): the only code that moves a packet within
//! its frame.

use super::settings::{DecapDscp, Dscp, Ecn, FlowLabel, Policy};
use crate::frame::Frame;
use crate::wire::ethernet::Template;
use crate::wire::ipv6::{self, Outer};
use crate::wire::{ipv4, protocol, tcp};

/// Where an IP packet is in its frame.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    /// Bytes before it.
    pub(super) start: usize,
    /// Bytes of it.
    pub(super) len: usize,
}

impl Place {
    /// Where it ends.
    #[inline]
    pub(super) fn end(self) -> usize {
        self.start + self.len
    }
}

/// Makes the frame consist of `front` bytes to be written and the packet at `place`. False when
/// there is no room in front.
#[inline(always)]
pub(super) fn reshape<F: Frame>(frame: &mut F, place: Place, front: usize) -> bool {
    frame.reframe(front, place.start, place.len)
}

/// Puts an Ethernet and an IPv6 header in front of the bytes at `place`: `false` when the frame has
/// no room for them.
#[inline(always)]
#[cfg_attr(lwaftr_no_panic, no_panic::no_panic)]
pub(super) fn encapsulate<F: Frame>(
    frame: &mut F,
    place: Place,
    ethernet: &Template,
    outer: &Outer,
) -> bool {
    if !reshape(frame, place, ethernet.header_len() + ipv6::HEADER) {
        return false;
    }
    let Some(rest) = ethernet.write(frame.bytes_mut()) else { return false };
    let Some(head) = rest.first_chunk_mut::<{ ipv6::HEADER }>() else { return false };
    ipv6::write_header(head, outer);
    true
}

/// Puts an Ethernet header in front of the packet at `place`, and leaves nothing else before it.
#[inline(always)]
#[cfg_attr(lwaftr_no_panic, no_panic::no_panic)]
pub(super) fn bare<F: Frame>(frame: &mut F, place: Place, ethernet: &Template) -> bool {
    reshape(frame, place, ethernet.header_len()) && ethernet.write(frame.bytes_mut()).is_some()
}

/// What changes in an IPv4 packet that is forwarded.
#[derive(Debug, Clone, Copy)]
pub(super) struct Changes {
    /// D4, E6
    pub(super) decrement_ttl: bool,
    /// DSCP and ECN that it takes on, if not its own (D3).
    pub(super) tos: Option<u8>,
    /// E10
    pub(super) most_segment: Option<u16>,
}

impl Changes {
    /// Makes them in the packet at `place`.
    #[inline(always)]
    #[cfg_attr(lwaftr_no_panic, no_panic::no_panic)]
    pub(super) fn make<F: Frame>(self, frame: &mut F, place: Place) {
        let Some(packet) = frame.bytes_mut().get_mut(place.start..place.end()) else {
            return;
        };
        if self.decrement_ttl {
            ipv4::decrement_ttl(packet);
        }
        if let Some(tos) = self.tos {
            ipv4::set_tos(packet, tos);
        }
        if let Some(most) = self.most_segment
            && let Some(segment) = ipv4::tcp_segment(packet)
        {
            tcp::clamp_mss(segment, most);
        }
    }
}

/// The header of a tunnelled packet (E3-E5). `tos` and `flow` are the inner packet's.
#[inline(always)]
pub(super) fn outer(
    policy: &Policy,
    br: u128,
    b4: u128,
    inner_len: usize,
    tos: u8,
    flow: u32,
) -> Outer {
    let dscp = match policy.dscp {
        Dscp::Copy => tos & 0xfc,
        Dscp::Fixed(dscp) => dscp << 2,
    };
    let ecn = match policy.ecn {
        Ecn::Normal => tos & 0x03,
        Ecn::Compatibility => 0,
    };
    let flow_label = match policy.flow_label {
        // 0 would say that there is no label.
        FlowLabel::Hash => flow & 0xf_ffff | u32::from(flow & 0xf_ffff == 0),
        FlowLabel::Fixed(label) => label,
    };
    Outer {
        traffic_class: dscp | ecn,
        flow_label,
        payload_len: inner_len as u16,
        next_header: protocol::IPV4,
        hop_limit: policy.hop_limit,
        source: br,
        destination: b4,
    }
}

/// What a decapsulated packet's DSCP and ECN become, if not what they are (D3; RFC 6040 section
/// 4.2). `None` where the outer header is marked and the packet could not carry the mark on.
#[inline(always)]
pub(super) fn decapsulated_tos(policy: &Policy, inner: u8, outer: u8) -> Option<Option<u8>> {
    let dscp = match policy.decap_dscp {
        DecapDscp::Keep => inner & !ECN,
        DecapDscp::Copy => outer & !ECN,
    };
    let ecn = match (inner & ECN, outer & ECN) {
        (NOT_ECT, CE) => return None,
        (ECT_0, ECT_1) => ECT_1,
        (ECT_0 | ECT_1, CE) => CE,
        (inner, _) => inner,
    };
    let tos = dscp | ecn;
    Some((tos != inner).then_some(tos))
}

const ECN: u8 = 0b11;
const NOT_ECT: u8 = 0b00;
const ECT_1: u8 = 0b01;
const ECT_0: u8 = 0b10;
const CE: u8 = 0b11;

/// Gives the frame this length; its content is to be written anew.
pub(super) fn resize<F: Frame>(frame: &mut F, len: usize) -> bool {
    frame.truncate(len);
    frame.grow_back(len - frame.bytes().len())
}
