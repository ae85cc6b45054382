//! Frames, ARP and neighbour discovery, made by etherparse.

use std::net::{Ipv4Addr, Ipv6Addr};

use etherparse::{
    ArpHardwareId, ArpOperation, ArpPacket, EtherType, Ethernet2Header, SingleVlanHeader,
};

use crate::packets::Bytes;
use crate::tunnel::Ipv6;

pub(crate) type Mac = [u8; 6];

/// What is around a packet on one side of the relay.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wire {
    pub(crate) mac: Mac,
    pub(crate) vlan: Option<u16>,
    pub(crate) next_hop: Mac,
    pub(crate) ethertype: u16,
}

impl Wire {
    /// The frame in which the relay sends a packet to the next hop.
    pub(crate) fn outgoing(&self, packet: &dyn Bytes) -> Vec<u8> {
        frame(self.mac, self.next_hop, self.vlan, self.ethertype, &packet.bytes())
    }
}

pub(crate) const BROADCAST: Mac = [0xff; 6];

/// A frame, perhaps with an 802.1Q tag of priority 0.
pub(crate) fn frame(
    from: Mac,
    to: Mac,
    vlan: Option<u16>,
    ethertype: u16,
    payload: &impl Bytes,
) -> Vec<u8> {
    let ether_type = EtherType(ethertype);
    let mut ethernet = Ethernet2Header { source: from, destination: to, ether_type };
    let Some(vlan) = vlan else {
        return [&ethernet.to_bytes()[..], &payload.bytes()].concat();
    };
    ethernet.ether_type = EtherType::VLAN_TAGGED_FRAME;
    let tag = SingleVlanHeader {
        vlan_id: vlan.try_into().unwrap(),
        ether_type,
        ..SingleVlanHeader::default()
    };
    [&ethernet.to_bytes()[..], &tag.to_bytes(), &payload.bytes()].concat()
}

/// The group address of an IPv6 group (RFC 2464 section 7).
pub(crate) fn group_mac(group: Ipv6Addr) -> Mac {
    let [.., a, b, c, d] = group.octets();
    [0x33, 0x33, a, b, c, d]
}

/// The solicited-node group of an address (RFC 4291 section 2.7.1).
pub(crate) fn solicited_node(address: Ipv6Addr) -> Ipv6Addr {
    let [.., a, b, c] = address.octets();
    Ipv6Addr::from([0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, a, b, c])
}

/// A sender or target of ARP.
pub(crate) type Station = (Mac, Ipv4Addr);

/// An ARP packet (RFC 826).
pub(crate) fn arp(operation: u16, sender: Station, target: Station) -> Vec<u8> {
    let packet = ArpPacket::new(
        ArpHardwareId::ETHERNET,
        EtherType::IPV4,
        ArpOperation(operation),
        &sender.0,
        &sender.1.octets(),
        &target.0,
        &target.1.octets(),
    );
    packet.unwrap().to_bytes().to_vec()
}

/// A question for an address, in its frame.
pub(crate) fn who_has(from: Station, address: Ipv4Addr) -> Vec<u8> {
    frame(from.0, BROADCAST, None, 0x0806, &arp(1, from, ([0; 6], address)))
}

/// The answer to it, in its frame.
pub(crate) fn is_at(from: Station, to: Station) -> Vec<u8> {
    frame(from.0, to.0, None, 0x0806, &arp(2, from, to))
}

/// Link-layer address options (RFC 4861 section 4.6.1): the sender's and the target's.
pub(crate) const SOURCE_OPTION: u8 = 1;
pub(crate) const TARGET_OPTION: u8 = 2;

/// A neighbour solicitation; `mac` is the sender's in its option.
pub(crate) fn solicitation(
    from: Ipv6Addr,
    to: Ipv6Addr,
    target: Ipv6Addr,
    mac: Option<Mac>,
) -> Ipv6 {
    let option = mac.map_or(Vec::new(), |mac| [&[SOURCE_OPTION, 1], &mac[..]].concat());
    let body = [&target.octets()[..], &option].concat();
    Ipv6::icmp(from, to, (135, 0), [0; 4], &body).hop_limit(255)
}

/// Flags of an advertisement.
pub(crate) const SOLICITED: u8 = 0x40;
pub(crate) const OVERRIDE: u8 = 0x20;

/// A neighbour advertisement.
pub(crate) fn advertisement(
    from: Ipv6Addr,
    to: Ipv6Addr,
    target: Ipv6Addr,
    mac: Mac,
    flags: u8,
) -> Ipv6 {
    let body = [&target.octets()[..], &[TARGET_OPTION, 1], &mac].concat();
    Ipv6::icmp(from, to, (136, 0), [flags, 0, 0, 0], &body).hop_limit(255)
}
