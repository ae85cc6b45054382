//! P1 to P6: frames and headers.

use std::net::{Ipv4Addr, Ipv6Addr};

use vnf::side::Side;

use crate::lab::{
    ALICE, ALICES, BR1, DNS, ELSEWHERE, EXTERNAL, HOST, INTERNAL, LINK_LOCAL, Lab, MACS,
    NEXT_HOP_MACS, NEXT_HOP6, WHOLE, alices, at_alice, at_dave, our_error, our_error6, to_alice,
};
use crate::link::{self, frame, group_mac, solicited_node};
use crate::packets::{Bytes, Ipv4, data, with_bytes};
use crate::tunnel::Ipv6;

const STRANGER: [u8; 6] = [2, 0, 0, 0, 0, 0x77];
const STRANGER6: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0x77);

#[test]
fn p1_the_tag_is_required_on_what_comes_and_put_on_what_goes() {
    let mut lab = Lab::configured(|config| config.vlans = [Some(10), Some(20)]);
    // `outgoing` puts a tag of priority 0 on what is expected.
    lab.internet_sends(&to_alice()).forwarded(&[&at_alice(&to_alice().aged())]);
    lab.alice_sends(&alices()).forwarded(&[&alices().aged()]);
    for vlan in [None, Some(0), Some(11), Some(20)] {
        let wrong = frame(NEXT_HOP_MACS[0], MACS[0], vlan, 0x0800, &to_alice());
        lab.frame(Side::External, &wrong).dropped("vlan-mismatch");
    }
    // Whoever sends it may choose the priority.
    let mut urgent = lab.incoming(Side::External, &to_alice());
    urgent[14] |= 0xe0;
    lab.frame(Side::External, &urgent).forwarded(&[&at_alice(&to_alice().aged())]);
    // No room for the tag that is announced.
    lab.frame(Side::External, &urgent[..17]).dropped("frame-too-short");
}

#[test]
fn p1_vid_0_counts_as_no_tag() {
    let mut lab = Lab::new();
    let tagged = |vlan| frame(NEXT_HOP_MACS[0], MACS[0], Some(vlan), 0x0800, &to_alice());
    lab.frame(Side::External, &tagged(0)).forwarded(&[&at_alice(&to_alice().aged())]);
    lab.frame(Side::External, &tagged(1)).dropped("vlan-mismatch");
    // A second tag is an EtherType that no side carries.
    let twice = frame(NEXT_HOP_MACS[0], MACS[0], Some(0), 0x8100, &data(60));
    lab.frame(Side::External, &twice).dropped("unknown-ethertype");
}

#[test]
fn p1_other_stations_frames_are_dropped_unless_promiscuous() {
    let other = frame(NEXT_HOP_MACS[0], STRANGER, None, 0x0800, &to_alice());
    Lab::new().frame(Side::External, &other).dropped("not-our-mac");
    let mut lab = Lab::configured(|config| config.external = "promiscuous = true".into());
    lab.frame(Side::External, &other).forwarded(&[&at_alice(&to_alice().aged())]);
}

#[test]
fn p1_what_a_side_does_not_carry_is_dropped() {
    let mut lab = Lab::new();
    let to_us = |side: Side, ethertype| {
        frame(NEXT_HOP_MACS[side.index()], MACS[side.index()], None, ethertype, &data(60))
    };
    for (side, ethertype) in [
        (Side::External, 0x86dd),
        (Side::External, 0x88b5),
        (Side::Internal, 0x0800),
        (Side::Internal, 0x0806),
        // An IEEE 802.3 length.
        (Side::External, 60),
    ] {
        lab.frame(side, &to_us(side, ethertype)).dropped("unknown-ethertype");
    }
    lab.frame(Side::External, &[]).dropped("frame-too-short");
    lab.frame(Side::Internal, &to_us(Side::Internal, 0x86dd)[..13]).dropped("frame-too-short");
}

#[test]
fn p1_a_packet_in_a_group_frame_is_not_forwarded_and_no_error_is_sent() {
    let mut lab = Lab::new();
    let group = [1, 0, 0x5e, 0, 0, 1];
    let expired = to_alice().ttl(1);
    for packet in [to_alice(), expired, Ipv4::udp(DNS, (WHOLE, 9), 9)] {
        for to in [link::BROADCAST, group] {
            let sent = frame(NEXT_HOP_MACS[0], to, None, 0x0800, &packet);
            lab.frame(Side::External, &sent).dropped("multicast-frame");
        }
    }
    let spoofed = Ipv6::tunnel(ELSEWHERE, BR1, &alices());
    let sent = frame(NEXT_HOP_MACS[1], group_mac(BR1), None, 0x86dd, &spoofed);
    lab.frame(Side::Internal, &sent).dropped("multicast-frame");
}

#[test]
fn p1_no_station_has_a_group_address() {
    let mut lab = Lab::new();
    for group in [link::BROADCAST, [1, 0, 0x5e, 0, 0, 1], group_mac(BR1)] {
        let sent = frame(group, MACS[0], None, 0x0800, &to_alice());
        lab.frame(Side::External, &sent).dropped("bad-source-mac");
        let sent = frame(group, MACS[1], None, 0x86dd, &Ipv6::tunnel(ALICE, BR1, &alices()));
        lab.frame(Side::Internal, &sent).dropped("bad-source-mac");
    }
}

#[test]
fn p1_other_peoples_control_traffic_is_ignored_and_never_a_drop() {
    let mut lab = Lab::configured(|config| config.vlans = [None, Some(20)]);
    let link_control = |last| frame(STRANGER, [1, 0x80, 0xc2, 0, 0, last], None, 0x88cc, &data(46));
    for last in [0, 2, 14, 15] {
        // Not even where a tag is required: they never carry one.
        lab.frame(Side::External, &link_control(last)).ignored("link-control");
        lab.frame(Side::Internal, &link_control(last)).ignored("link-control");
    }
    // IS-IS speaks LLC: there is a length where others have an EtherType.
    for group in [[1, 0x80, 0xc2, 0, 0, 0x14], [1, 0x80, 0xc2, 0, 0, 0x15], [9, 0, 0x2b, 0, 0, 5]] {
        let hello = frame(STRANGER, group, None, 1497, &data(1497));
        lab.frame(Side::External, &hello).ignored("link-control");
        lab.frame(Side::Internal, &hello).ignored("link-control");
    }
    let station = |last| Ipv4Addr::new(192, 0, 2, last);
    let asked = link::who_has((STRANGER, station(50)), station(60));
    lab.frame(Side::External, &asked).ignored("arp");
    let ipv4 = |protocol, group: [u8; 4]| {
        let packet = Ipv4::new(protocol, station(50), group.into(), &data(32)).ttl(1);
        frame(STRANGER, [1, 0, 0x5e, group[1] & 0x7f, group[2], group[3]], None, 0x0800, &packet)
    };
    lab.frame(Side::External, &ipv4(2, [224, 0, 0, 22])).ignored("multicast");
    lab.frame(Side::External, &ipv4(89, [224, 0, 0, 5])).ignored("routing");
    lab.frame(Side::External, &ipv4(112, [224, 0, 0, 18])).ignored("routing");
    lab.frame(Side::External, &ipv4(17, [239, 1, 2, 3])).ignored("other-multicast");
    let groups = |packet: &Ipv6| {
        let group = packet.header.destination.into();
        frame(STRANGER, group_mac(group), Some(20), 0x86dd, packet)
    };
    let all_nodes = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
    let routers = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 2);
    let ospf = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 5);
    let reports = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0x16);
    let advertised = Ipv6::icmp(STRANGER6, all_nodes, (134, 0), [64, 0, 7, 8], &[0; 8]);
    lab.frame(Side::Internal, &groups(&advertised.hop_limit(255))).ignored("router-discovery");
    let solicited = Ipv6::icmp(STRANGER6, routers, (133, 0), [0; 4], &[]);
    lab.frame(Side::Internal, &groups(&solicited.hop_limit(255))).ignored("router-discovery");
    // MLD reports come with a router alert (RFC 3810 section 5).
    let report = Ipv6::icmp(STRANGER6, reports, (143, 0), [0; 4], &[]);
    let report = report.extended(0, &[5, 2, 0, 0, 1, 0]).hop_limit(1);
    lab.frame(Side::Internal, &groups(&report)).ignored("multicast");
    lab.frame(Side::Internal, &groups(&Ipv6::new(89, STRANGER6, ospf, &data(36))))
        .ignored("routing");
    let about = solicited_node(NEXT_HOP6);
    let asked = link::solicitation(STRANGER6, about, NEXT_HOP6, Some(STRANGER));
    lab.frame(Side::Internal, &groups(&asked)).ignored("ndp");
    for side in Side::BOTH {
        assert_eq!(lab.counter(side, "drop multicast-frame"), 0);
    }
}

/// A packet behind an authentication header (RFC 4302) with 12 bytes of check value.
fn authenticated(next: u8, behind: &[u8]) -> Vec<u8> {
    [&[next, 4], &[0; 22][..], behind].concat()
}

#[test]
fn p1_others_multicast_is_told_by_protocol_port_and_group() {
    let mut lab = Lab::new();
    let router = Ipv4Addr::new(192, 0, 2, 50);
    let ipv4 = |group: [u8; 4], packet: &Ipv4| {
        frame(STRANGER, [1, 0, 0x5e, group[1] & 0x7f, group[2], group[3]], None, 0x0800, packet)
    };
    let udp4 =
        |group: [u8; 4], port| ipv4(group, &Ipv4::udp((router, port), (group.into(), port), 20));
    let raw4 = |group: [u8; 4], protocol, payload: &[u8]| {
        ipv4(group, &Ipv4::new(protocol, router, group.into(), payload))
    };
    for (sent, kind) in [
        (udp4([224, 0, 0, 251], 5353), "other-multicast"),
        (udp4([224, 0, 0, 252], 5355), "other-multicast"),
        (udp4([239, 255, 255, 250], 1900), "other-multicast"),
        (udp4([224, 0, 0, 9], 520), "routing"),
        (udp4([224, 0, 0, 2], 646), "routing"),
        (udp4([224, 0, 0, 2], 1985), "routing"),
        (udp4([224, 0, 0, 102], 3222), "routing"),
        (udp4([255, 255, 255, 255], 520), "routing"),
        (udp4([255, 255, 255, 255], 67), "other-multicast"),
        // Encrypted, only the group tells.
        (raw4([224, 0, 0, 5], 50, &data(40)), "routing"),
        (raw4([224, 0, 0, 1], 50, &data(40)), "other-multicast"),
        (raw4([224, 0, 0, 18], 51, &authenticated(112, &data(20))), "routing"),
        (raw4([224, 0, 0, 1], 1, &[9, 0, 0, 0, 1, 2, 7, 8]), "router-discovery"),
        (raw4([224, 0, 0, 1], 1, &[8, 0, 0, 0, 1, 2, 7, 8]), "other-multicast"),
    ] {
        lab.frame(Side::External, &sent).ignored(kind);
    }
    let group = |last| Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, last);
    let ipv6 = |packet: &Ipv6| {
        frame(STRANGER, group_mac(packet.header.destination.into()), None, 0x86dd, packet)
    };
    let udp = |port: u16| Ipv4::udp((router, port), (router, port), 20).payload;
    let hello = authenticated(89, &data(36));
    for (packet, kind) in [
        (Ipv6::new(17, STRANGER6, group(9), &udp(521)), "routing"),
        (Ipv6::new(17, STRANGER6, group(0x66), &udp(2029)), "routing"),
        (Ipv6::new(17, STRANGER6, group(0xfb), &udp(5353)), "other-multicast"),
        (Ipv6::new(17, STRANGER6, "ff02::1:2".parse().unwrap(), &udp(547)), "other-multicast"),
        (Ipv6::new(51, STRANGER6, group(5), &hello), "routing"),
        (Ipv6::new(51, STRANGER6, "ff05::77".parse().unwrap(), &hello), "routing"),
        (Ipv6::new(50, STRANGER6, group(6), &data(40)), "routing"),
        // Of a fragmented packet, its first piece.
        (Ipv6::new(89, STRANGER6, group(1), &data(64)).piece(0..32, 7), "routing"),
        (Ipv6::new(17, STRANGER6, group(1), &udp(521)).piece(8..28, 7), "other-multicast"),
    ] {
        lab.frame(Side::Internal, &ipv6(&packet)).ignored(kind);
    }
}

#[test]
fn p1_others_multicast_is_ignored_whatever_its_extension_headers_are() {
    const DISCARD_AND_TELL: [u8; 6] = [0x9e, 4, 0, 0, 0, 0];
    const SEGMENTS_LEFT: [u8; 6] = [0, 1, 0, 0, 0, 0];
    let mut lab = Lab::new();
    let sent = |packet: &Ipv6| {
        frame(STRANGER, group_mac(packet.header.destination.into()), None, 0x86dd, packet)
    };
    let group = |last| Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, last);
    let report = Ipv6::icmp(STRANGER6, group(0x16), (143, 0), [0; 4], &[]);
    let hello = Ipv6::new(89, STRANGER6, group(5), &data(36));
    let query = Ipv6::new(17, STRANGER6, group(0xfb), &data(36));
    let advertised = Ipv6::icmp(STRANGER6, group(1), (134, 0), [64, 0, 7, 8], &[0; 8]);
    for (packet, kind) in [
        (report, "multicast"),
        (hello, "routing"),
        (query, "other-multicast"),
        (advertised, "router-discovery"),
    ] {
        let nine =
            (0..9).fold(packet.clone(), |packet, _| packet.extended(60, &[1, 4, 0, 0, 0, 0]));
        // Beyond the bound nobody looks at what it carries.
        let beyond = if kind == "routing" { "routing" } else { "other-multicast" };
        let all_nodes = packet.header.destination == group(1).octets();
        lab.frame(Side::Internal, &sent(&packet.clone().extended(60, &DISCARD_AND_TELL)))
            .ignored(kind);
        lab.frame(Side::Internal, &sent(&packet.clone().extended(0, &DISCARD_AND_TELL)))
            .ignored(kind);
        lab.frame(Side::Internal, &sent(&packet.extended(43, &SEGMENTS_LEFT))).ignored(kind);
        match all_nodes {
            true => lab.frame(Side::Internal, &sent(&nine)).dropped("ipv6-extension-chain"),
            false => lab.frame(Side::Internal, &sent(&nine)).ignored(beyond),
        };
    }
    // A group of ours: it may be for us. Nor is a length ever trusted.
    let ping = Ipv6::icmp(STRANGER6, group(1), (128, 0), [0; 4], &data(8));
    lab.frame(Side::Internal, &sent(&ping.extended(60, &DISCARD_AND_TELL)))
        .dropped("ipv6-unknown-option");
    let cut = Ipv6::new(60, STRANGER6, group(5), &[89, 1, 1, 4, 0, 0, 0, 0]);
    lab.frame(Side::Internal, &sent(&cut)).dropped("ipv6-truncated");
}

#[test]
fn p2_claimed_longer_than_present_is_dropped() {
    let mut lab = Lab::new();
    let whole = to_alice().bytes();
    for len in [0, 1, 19, 20, 27, whole.len() - 1] {
        lab.internet_sends(&whole[..len].to_vec()).dropped("ipv4-truncated");
    }
    let tunnel = Ipv6::tunnel(ALICE, BR1, &alices()).bytes();
    for len in [0, 39, 40, 59, tunnel.len() - 1] {
        lab.b4s_send(&tunnel[..len].to_vec()).dropped("ipv6-truncated");
    }
    // The inner packet reaches beyond the payload of the outer one, though the bytes are there.
    let short = with_bytes(&tunnel, &[(5, tunnel[5] - 1)]);
    lab.b4s_send(&short).dropped("ipv4-truncated");
    // An extension header beyond the end.
    let chain = Ipv6::new(60, ALICE, BR1, &[4, 1, 1, 4, 0, 0, 0, 0]);
    lab.b4s_send(&chain).dropped("ipv6-truncated");
    lab.internet_sends(&Ipv4::new(17, HOST, ALICES.0, &[0, 53, 0x12]))
        .dropped("transport-truncated");
    lab.internet_sends(&Ipv4::new(1, HOST, ALICES.0, &[8, 0, 0xf7, 0xff]))
        .dropped("icmp-truncated");
}

#[test]
fn p2_padding_neither_enters_nor_leaves_a_tunnel() {
    let mut lab = Lab::new();
    let small = Ipv4::udp(DNS, ALICES, 1);
    let padded = [small.bytes(), vec![0; 17]].concat();
    lab.internet_sends(&padded).forwarded(&[&at_alice(&small.aged())]);
    let small = Ipv4::udp(ALICES, DNS, 1);
    let padded = [Ipv6::tunnel(ALICE, BR1, &small).bytes(), vec![0xee; 9]].concat();
    lab.b4s_send(&padded).forwarded(&[&small.aged()]);
    // Nor what the tunnel header claims behind the inner packet.
    let trailed = [small.bytes(), vec![0xee; 9]].concat();
    lab.b4s_send(&Ipv6::carrying(ALICE, BR1, &trailed)).forwarded(&[&small.aged()]);
}

#[test]
fn p2_only_the_ports_of_a_transport_header_are_read() {
    let mut lab = Lab::new();
    let ports = Ipv4::new(6, HOST, ALICES.0, &[0, 53, 0x12, 0x34]);
    lab.internet_sends(&ports).forwarded(&[&at_alice(&ports.aged())]);
}

#[test]
fn p3_the_header_is_checked() {
    let mut lab = Lab::new();
    let packet = to_alice();
    // Version, header length, total length shorter than the header.
    for changes in [[(0, 0x55)], [(0, 0x44)], [(0, 0x40)], [(3, 19)]] {
        let mut bytes = packet.with_bytes(&changes);
        bytes[2] = 0;
        lab.internet_sends(&bytes).dropped("ipv4-bad-header");
        let outer = Ipv6::carrying(ALICE, BR1, &bytes);
        lab.b4s_send(&outer).dropped("ipv4-bad-header");
    }
    for at in 0..20 {
        // Addresses, TTL, flags: one bit anywhere but in the lengths is a wrong checksum.
        if !matches!(at, 0 | 2 | 3) {
            let flipped = packet.bytes()[at] ^ 0x10;
            lab.internet_sends(&packet.with_bytes(&[(at, flipped)])).dropped("ipv4-bad-checksum");
        }
    }
    let flipped = alices().bytes()[9] ^ 1;
    let outer = Ipv6::carrying(ALICE, BR1, &alices().with_bytes(&[(9, flipped)]));
    lab.b4s_send(&outer).dropped("ipv4-bad-checksum");
}

/// RFC 1624 section 3: sums of 0 and 0xffff are the same, and both are met.
#[test]
fn p3_a_checksum_of_0_and_of_ffff_are_the_same_sum() {
    let mut lab = Lab::new();
    let zero = (0..=u16::MAX)
        .map(|id| to_alice().identification(id))
        .find(|packet| packet.bytes()[10..12] == [0, 0])
        .unwrap();
    lab.internet_sends(&zero).forwarded(&[&at_alice(&zero.aged())]);
    let ones = zero.with_bytes(&[(10, 0xff), (11, 0xff)]);
    lab.internet_sends(&ones).forwarded(&[&at_alice(&zero.aged())]);
}

#[test]
fn p3_martians_and_our_own_address_are_no_source() {
    let mut lab = Lab::new();
    for martian in ["0.1.2.3", "127.0.0.1", "169.254.9.9", "224.0.0.9", "255.255.255.255"] {
        let martian: Ipv4Addr = martian.parse().unwrap();
        lab.internet_sends(&Ipv4::udp((martian, 53), ALICES, 9)).dropped("ipv4-martian");
        lab.internet_sends(&Ipv4::udp(DNS, (martian, 53), 9)).dropped("ipv4-martian");
        lab.alice_sends(&Ipv4::udp(ALICES, (martian, 53), 9)).dropped("ipv4-martian");
    }
    lab.internet_sends(&Ipv4::udp((EXTERNAL, 53), ALICES, 9)).dropped("ipv4-source-is-ours");
    // Errors come from such addresses.
    for ordinary in ["10.1.2.3", "100.64.0.1", "172.16.3.4", "192.168.1.1"] {
        let packet = Ipv4::udp((ordinary.parse().unwrap(), 53), ALICES, 9);
        lab.internet_sends(&packet).forwarded(&[&at_alice(&packet.aged())]);
    }
    let mut lab = Lab::with_policy("martians = [\"203.0.113.0/24\"]");
    lab.internet_sends(&to_alice()).dropped("ipv4-martian");
    let loopback = Ipv4::udp((Ipv4Addr::LOCALHOST, 53), ALICES, 9);
    lab.internet_sends(&loopback).forwarded(&[&at_alice(&loopback.aged())]);
}

#[test]
fn p3_source_routes_are_dropped_unless_allowed_and_other_options_carried() {
    const LOOSE: [u8; 8] = [131, 7, 4, 10, 0, 0, 1, 0];
    const STRICT: [u8; 8] = [1, 137, 7, 4, 10, 0, 0, 1];
    // Router alert; record route; and nothing behind the end of the list is an option.
    const OTHERS: [&[u8]; 3] = [&[148, 4, 0, 0], &[7, 7, 4, 0, 0, 0, 0, 0], &[0, 131, 3, 4]];
    let mut lab = Lab::new();
    let mut open = Lab::with_policy("allow-source-route = true");
    for options in [LOOSE, STRICT] {
        let packet = to_alice().options(&options);
        lab.internet_sends(&packet).dropped("ipv4-source-route");
        lab.alice_sends(&alices().options(&options)).dropped("ipv4-source-route");
        open.internet_sends(&packet).forwarded(&[&at_alice(&packet.aged())]);
    }
    for options in OTHERS {
        let packet = to_alice().options(options);
        lab.internet_sends(&packet).forwarded(&[&at_alice(&packet.aged())]);
        lab.alice_sends(&alices().options(options)).forwarded(&[&alices().options(options).aged()]);
    }
}

#[test]
fn p4_version_and_source_are_checked() {
    let mut lab = Lab::new();
    let tunnel = Ipv6::tunnel(ALICE, BR1, &alices());
    lab.b4s_send(&with_bytes(&tunnel, &[(0, 0x45)])).dropped("ipv6-bad-header");
    let multicast = Ipv6Addr::new(0xff0e, 0, 0, 0, 0, 0, 0, 9);
    for source in [multicast, Ipv6Addr::LOCALHOST, BR1, INTERNAL, LINK_LOCAL] {
        lab.b4s_send(&Ipv6::tunnel(source, BR1, &alices())).dropped("ipv6-bad-source");
    }
}

#[test]
fn p4_extension_headers_are_walked_within_a_bound() {
    const HOP_BY_HOP: u8 = 0;
    const ROUTING: u8 = 43;
    const DESTINATION: u8 = 60;
    const PADDING: [u8; 6] = [1, 4, 0, 0, 0, 0];
    let mut lab = Lab::new();
    let tunnel = || Ipv6::tunnel(ALICE, BR1, &alices());
    let passes: [Ipv6; 4] = [
        // The tunnel encapsulation limit and padding, as Linux sends it.
        tunnel().extended(DESTINATION, &[4, 1, 4, 1, 1, 0]),
        tunnel().extended(HOP_BY_HOP, &PADDING),
        tunnel().extended(DESTINATION, &PADDING).extended(ROUTING, &[4, 0, 0, 0, 0, 0]),
        (0..8).fold(tunnel(), |packet, _| packet.extended(DESTINATION, &PADDING)),
    ];
    for packet in passes {
        lab.b4s_send(&packet).forwarded(&[&alices().aged()]);
    }
    let nine = (0..9).fold(tunnel(), |packet, _| packet.extended(DESTINATION, &PADDING));
    lab.b4s_send(&nine).dropped("ipv6-extension-chain");
    // 256 bytes of headers are walked, 264 are not.
    let long = |bytes: usize| {
        let mut padding = vec![0; bytes - 2];
        padding[..2].copy_from_slice(&[1, (bytes - 4) as u8]);
        tunnel().extended(DESTINATION, &padding)
    };
    lab.b4s_send(&long(256)).forwarded(&[&alices().aged()]);
    lab.b4s_send(&long(248).extended(DESTINATION, &PADDING)).forwarded(&[&alices().aged()]);
    lab.b4s_send(&long(256).extended(DESTINATION, &PADDING)).dropped("ipv6-extension-chain");
    // Hop-by-hop options anywhere but in front.
    let late = tunnel().extended(HOP_BY_HOP, &PADDING).extended(DESTINATION, &PADDING);
    lab.b4s_send(&late).dropped("ipv6-extension-chain");
    // Type 0, and segments left.
    for kind in [[0, 0], [0, 1], [4, 1]] {
        let routed = tunnel().extended(ROUTING, &[kind[0], kind[1], 0, 0, 0, 0]);
        lab.b4s_send(&routed).dropped("ipv6-routing-header");
    }
}

#[test]
fn p4_unknown_options_do_what_their_highest_bits_say() {
    let mut lab = Lab::new();
    let with_option =
        |to, kind| Ipv6::tunnel(ALICE, to, &alices()).extended(60, &[1, 0, kind, 2, 0xaa, 0xbb]);
    lab.b4s_send(&with_option(BR1, 0x1e)).forwarded(&[&alices().aged()]);
    lab.b4s_send(&with_option(BR1, 0x5e)).dropped("ipv6-unknown-option");
    for kind in [0x9e, 0xde] {
        let packet = with_option(BR1, kind);
        // The option's place: behind the header, next header, length and two bytes of padding.
        let error = our_error6((4, 2), 44, &packet);
        lab.b4s_send(&packet).dropped_and_told("ipv6-unknown-option", &error);
        lab.b4s_send(&with_option(ELSEWHERE, kind)).dropped("ipv6-unknown-option");
    }
}

#[test]
fn p5_both_sides_on_one_port_work_as_two_ports_do() {
    for vlans in [[None, None], [Some(10), Some(10)], [Some(10), Some(20)], [None, Some(20)]] {
        for same_mac in [true, false] {
            let mut lab = Lab::configured(|config| {
                config.on_a_stick();
                config.vlans = vlans;
                if same_mac {
                    config.macs[1] = config.macs[0];
                }
            });
            lab.internet_sends(&to_alice()).forwarded(&[&at_alice(&to_alice().aged())]);
            lab.alice_sends(&alices()).forwarded(&[&alices().aged()]);
            let wrong = frame(NEXT_HOP_MACS[0], MACS[0], Some(30), 0x86dd, &data(60));
            let outcome = lab.frame(Side::Internal, &wrong);
            assert_eq!(outcome.counted(Side::External, "drop vlan-mismatch"), 1);
        }
    }
}

#[test]
fn p6_the_mtu_counts_ip_bytes_and_limits_what_is_sent() {
    let mut lab = Lab::configured(|config| config.vlans = [Some(10), Some(20)]);
    // 1460 inner bytes are 1500 in the tunnel, whatever the tag and Ethernet header add.
    let fits = Ipv4::udp(DNS, ALICES, 1460 - 28).dont_fragment();
    lab.internet_sends(&fits).forwarded(&[&at_alice(&fits.aged())]);
    let larger = Ipv4::udp(DNS, ALICES, 1461 - 28).dont_fragment();
    let error = our_error((3, 4), 1460, &larger, HOST);
    lab.internet_sends(&larger).dropped_and_told("too-big", &error);
    let fits = Ipv4::udp(ALICES, DNS, 1500 - 28).dont_fragment();
    lab.alice_sends(&fits).forwarded(&[&fits.aged()]);
}

#[test]
fn p6_up_to_9000_bytes_are_received_whatever_the_mtu() {
    let mut lab = Lab::new();
    let jumbo = Ipv4::udp(DNS, ALICES, 9000 - 28).dont_fragment();
    let error = our_error((3, 4), 1460, &jumbo, HOST);
    lab.internet_sends(&jumbo).dropped_and_told("too-big", &error);
    let jumbo = Ipv4::udp(ALICES, DNS, 8960 - 28).dont_fragment();
    let error = at_alice(&our_error((3, 4), 1500, &jumbo, ALICES.0));
    lab.alice_sends(&jumbo).dropped_and_told("too-big", &error);
    let mut wide = Lab::configured(|config| config.mtus = [1500, 9000]);
    let jumbo = Ipv4::udp(DNS, (WHOLE, 9), 8960 - 28);
    wide.internet_sends(&jumbo).forwarded(&[&at_dave(&jumbo.aged())]);
}
