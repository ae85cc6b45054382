//! The two frames of a flow: as it comes from the Internet, and as it comes from its B4.

use std::net::Ipv4Addr;

use super::network;
use crate::softwire::Softwire;
use crate::wire::checksum::Sum;
use crate::wire::ethernet::{self, Template, ethertype};
use crate::wire::ipv6::Outer;
use crate::wire::{ipv4, ipv6, protocol};

/// Hosts send with this TTL and hop limit.
const TTL: u8 = 64;

/// UDP's header.
const UDP: usize = 8;

/// A UDP conversation between a subscriber and a host on the Internet.
pub(super) struct Flow {
    pub(super) softwire: Softwire,
    /// The subscriber's port.
    pub(super) port: u16,
    pub(super) remote: Ipv4Addr,
    pub(super) remote_port: u16,
    /// Bytes of its IPv4 packets.
    pub(super) packet_len: u16,
}

/// The frame from the Internet.
pub(super) fn external(flow: &Flow) -> Vec<u8> {
    let packet_at = ethernet::HEADER;
    let mut frame = vec![0; packet_at + usize::from(flow.packet_len)];
    let header =
        Template::new(network::EXTERNAL_MAC, network::EXTERNAL_NEXT_HOP_MAC, None, ethertype::IPV4);
    if let Some(packet) = header.write(&mut frame) {
        udp(packet, (flow.remote, flow.remote_port), (flow.softwire.ipv4, flow.port));
    }
    frame
}

/// The frame from the B4.
pub(super) fn internal(flow: &Flow) -> Vec<u8> {
    let packet_at = ethernet::HEADER + ipv6::HEADER;
    let mut frame = vec![0; packet_at + usize::from(flow.packet_len)];
    let header =
        Template::new(network::INTERNAL_MAC, network::INTERNAL_NEXT_HOP_MAC, None, ethertype::IPV6);
    let outer = Outer {
        traffic_class: 0,
        flow_label: 0,
        payload_len: flow.packet_len,
        next_header: protocol::IPV4,
        hop_limit: TTL,
        source: flow.softwire.b4.into(),
        destination: flow.softwire.br.into(),
    };
    if let Some((head, packet)) = header.write(&mut frame).and_then(<[u8]>::split_first_chunk_mut) {
        ipv6::write_header(head, &outer);
        udp(packet, (flow.softwire.ipv4, flow.port), (flow.remote, flow.remote_port));
    }
    frame
}

/// Fills `packet` with a UDP datagram in IPv4.
fn udp(packet: &mut [u8], from: (Ipv4Addr, u16), to: (Ipv4Addr, u16)) {
    let total_len = packet.len() as u16;
    let Some((head, datagram)) = packet.split_first_chunk_mut() else { return };
    ipv4::write_header(head, total_len, TTL, protocol::UDP, from.0, to.0);
    let len = datagram.len();
    let Some((head, payload)) = datagram.split_first_chunk_mut::<UDP>() else { return };
    for (byte, value) in payload.iter_mut().zip((0..=u8::MAX).cycle()) {
        *byte = value;
    }
    head[0..2].copy_from_slice(&from.1.to_be_bytes());
    head[2..4].copy_from_slice(&to.1.to_be_bytes());
    head[4..6].copy_from_slice(&(len as u16).to_be_bytes());
    let sum = Sum::default().pseudo_v4(from.0, to.0, protocol::UDP, len).bytes(datagram).finish();
    // RFC 768: a sum of zero is sent as all ones.
    let sum = if sum == 0 { 0xffff } else { sum };
    datagram[6..8].copy_from_slice(&sum.to_be_bytes());
}
