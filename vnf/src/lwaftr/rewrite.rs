//! Adding and taking away the tunnel header (E3-E6, D4): the only code that moves a packet within
//! its frame.

use super::settings::{DecapDscp, Dscp, Ecn, FlowLabel, Policy};
use crate::frame::Frame;
use crate::wire::ethernet::Template;
use crate::wire::ipv6::{self, Outer};
use crate::wire::{ipv4, protocol, tcp};

/// Where an IP packet is in its frame.
#[derive(Debug, Clone, Copy, Default)]
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
        if let Some(packet) = frame.bytes_mut().get_mut(place.start..place.end()) {
            self.make_in(packet);
        }
    }

    /// Makes them in this packet.
    #[inline(always)]
    pub(super) fn make_in(self, packet: &mut [u8]) {
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

/// What the policy makes of outer headers (E3-E5), in masks instead of choices: of the first eight
/// bytes, which are all that differs but for the addresses.
#[derive(Debug, Clone, Copy)]
pub(super) struct OuterRules {
    /// What is the same in each.
    fixed: u64,
    /// Bits of the traffic class that the inner packet says.
    copied: u64,
    /// Bits of the flow label that are a hash.
    hashed: u64,
}

/// Where the fields are in the first eight bytes.
const TRAFFIC_CLASS: u32 = 52;
const FLOW_LABEL: u32 = 32;
const PAYLOAD_LEN: u32 = 16;
const NEXT_HEADER: u32 = 8;

impl OuterRules {
    pub(super) fn new(policy: &Policy) -> Self {
        let (dscp, class) = match policy.dscp {
            Dscp::Copy => (!ECN, 0),
            Dscp::Fixed(dscp) => (0, dscp << 2),
        };
        let ecn = match policy.ecn {
            Ecn::Normal => ECN,
            Ecn::Compatibility => 0,
        };
        let (hashed, label) = match policy.flow_label {
            FlowLabel::Hash => (0xf_ffff, 0),
            FlowLabel::Fixed(label) => (0, label & 0xf_ffff),
        };
        let fixed = 6 << 60
            | u64::from(class) << TRAFFIC_CLASS
            | u64::from(label) << FLOW_LABEL
            | u64::from(protocol::IPV4) << NEXT_HEADER
            | u64::from(policy.hop_limit);
        Self { fixed, copied: u64::from(dscp | ecn) << TRAFFIC_CLASS, hashed: hashed << FLOW_LABEL }
    }

    /// The first eight bytes of a tunnelled packet's header. `tos` and `flow` are the inner packet's.
    #[inline(always)]
    pub(super) fn first_word(&self, inner_len: usize, tos: u8, flow: u32) -> u64 {
        let hash = u64::from(flow) << FLOW_LABEL & self.hashed;
        // 0 would say that there is no label.
        let hash = hash | u64::from(hash == 0) << FLOW_LABEL & self.hashed;
        let class = u64::from(tos) << TRAFFIC_CLASS & self.copied;
        self.fixed | class | hash | (inner_len as u64) << PAYLOAD_LEN
    }

    /// The header of a tunnelled packet.
    fn outer(&self, br: u128, b4: u128, inner_len: usize, tos: u8, flow: u32) -> Outer {
        let first = self.first_word(inner_len, tos, flow);
        Outer {
            traffic_class: (first >> TRAFFIC_CLASS) as u8,
            flow_label: (first >> FLOW_LABEL) as u32 & 0xf_ffff,
            payload_len: (first >> PAYLOAD_LEN) as u16,
            next_header: (first >> NEXT_HEADER) as u8,
            hop_limit: first as u8,
            source: br,
            destination: b4,
        }
    }
}

/// The header of one tunnelled packet (E3-E5). `tos` and `flow` are the inner packet's.
pub(super) fn outer(
    policy: &Policy,
    br: u128,
    b4: u128,
    inner_len: usize,
    tos: u8,
    flow: u32,
) -> Outer {
    OuterRules::new(policy).outer(br, b4, inner_len, tos, flow)
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

/// Does a decapsulated packet surely keep its ECN, whatever it is?
#[inline(always)]
pub(super) fn keeps_ecn(inner: u8, outer: u8) -> bool {
    (outer & ECT_1 == 0) | ((inner ^ outer) & ECN == 0)
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
