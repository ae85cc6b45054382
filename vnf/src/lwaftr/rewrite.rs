//! Adding and taking away the tunnel header (E3-E6, D4): the only code that moves a packet within
//! its frame.

use super::settings::{DecapDscp, Dscp, Ecn, FlowLabel, Policy};
use crate::frame::Frame;
use crate::wire::ethernet::Template;
use crate::wire::ipv6::{self, Outer};
use crate::wire::{ipv4, protocol};

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

/// Turns the IPv4 packet at `place` into an IPv6 one: `false` when the frame has no room for it.
#[inline(always)]
pub(super) fn encapsulate<F: Frame>(
    frame: &mut F,
    place: Place,
    ethernet: &Template,
    outer: &Outer,
    decrement_ttl: bool,
) -> bool {
    if !reshape(frame, place, ethernet.header_len() + ipv6::HEADER) {
        return false;
    }
    let Some(rest) = ethernet.write(frame.bytes_mut()) else { return false };
    let Some((head, inner)) = rest.split_first_chunk_mut::<{ ipv6::HEADER }>() else {
        return false;
    };
    ipv6::write_header(head, outer);
    if decrement_ttl {
        ipv4::decrement_ttl(inner);
    }
    true
}

/// Leaves only the IPv4 packet at `place`. `tos` replaces its own.
#[inline(always)]
pub(super) fn decapsulate<F: Frame>(
    frame: &mut F,
    place: Place,
    ethernet: &Template,
    decrement_ttl: bool,
    tos: Option<u8>,
) -> bool {
    if !reshape(frame, place, ethernet.header_len()) {
        return false;
    }
    let Some(packet) = ethernet.write(frame.bytes_mut()) else { return false };
    if decrement_ttl {
        ipv4::decrement_ttl(packet);
    }
    if let Some(tos) = tos {
        ipv4::set_tos(packet, tos);
    }
    true
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

/// What a decapsulated packet's DSCP and ECN become, if not what they are (D3).
#[inline(always)]
pub(super) fn decapsulated_tos(policy: &Policy, inner: u8, outer: u8) -> Option<u8> {
    match policy.decap_dscp {
        DecapDscp::Keep => None,
        DecapDscp::Copy => Some(outer & 0xfc | inner & 0x03),
    }
}
