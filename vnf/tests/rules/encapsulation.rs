//! E1 to E10: into the tunnel.

use std::collections::BTreeSet;

use vnf::side::Side;

use crate::lab::{
    ALICE, ALICES, BOB, BOBS, BR1, BR2, CAROL, CAROLS, DAVE, DAVES, DNS, ERIN, EXTERNAL, HOST, Lab,
    NOBODYS, OFFSET, SHARED, UNKNOWN, WHOLE, WHOLE_OFFSET, alices, at_alice, at_dave, our_error,
    to_alice,
};
use crate::oracle;
use crate::packets::{Bytes, Endpoint, Ipv4, data};
use crate::tunnel::Ipv6;

const TCP: u8 = 6;
const WITH_PORTS: [u8; 5] = [TCP, 17, 33, 132, 136];

#[test]
fn e1_the_destination_address_and_port_tell_the_softwire() {
    let mut lab = Lab::new();
    for protocol in WITH_PORTS {
        // The other port is one of BOB's, and does not matter.
        let packet = Ipv4::with_ports(protocol, (HOST, BOBS.1), ALICES);
        lab.internet_sends(&packet).forwarded(&[&at_alice(&packet.aged())]);
        let packet = Ipv4::with_ports(protocol, (HOST, ALICES.1), BOBS);
        lab.internet_sends(&packet).forwarded(&[&Ipv6::tunnel(BR2, BOB, &packet.aged())]);
        let packet = Ipv4::with_ports(protocol, (HOST, ALICES.1), CAROLS);
        lab.internet_sends(&packet).forwarded(&[&Ipv6::tunnel(BR1, CAROL, &packet.aged())]);
    }
    // All ports of the set, and none beside it.
    for (port, is_hers) in [(0x11ff, false), (0x1200, true), (0x12ff, true), (0x1300, false)] {
        let outcome = lab.internet_sends(&Ipv4::udp(DNS, (SHARED, port), 9));
        assert_eq!(outcome.fate() == "forwarded-packets", is_hers, "{port:#x}");
    }
}

#[test]
fn e1_a_protocol_without_ports_does_not_reach_a_shared_address() {
    let mut lab = Lab::new();
    for protocol in [41, 47, 50, 51, 59, 253] {
        lab.internet_sends(&Ipv4::new(protocol, HOST, SHARED, &data(32)))
            .dropped("port-less-protocol");
    }
}

#[test]
fn e1_to_a_whole_address_everything_passes() {
    let mut lab = Lab::new();
    for protocol in [4, 41, 47, 50, 59, 253] {
        let packet = Ipv4::new(protocol, HOST, WHOLE, &data(32));
        lab.internet_sends(&packet).forwarded(&[&at_dave(&packet.aged())]);
        let packet = Ipv4::new(protocol, HOST, WHOLE_OFFSET, &data(32));
        lab.internet_sends(&packet).forwarded(&[&Ipv6::tunnel(BR1, ERIN, &packet.aged())]);
    }
    for port in [0, 1, 1023, 4095, 4096, 65535] {
        let packet = Ipv4::udp(DNS, (WHOLE_OFFSET, port), 9);
        lab.internet_sends(&packet).forwarded(&[&Ipv6::tunnel(BR1, ERIN, &packet.aged())]);
    }
    // Too short for ports, which nobody asks for.
    let short = Ipv4::new(TCP, HOST, WHOLE, &[1, 2]);
    lab.internet_sends(&short).forwarded(&[&at_dave(&short.aged())]);
}

#[test]
fn e2_ports_below_the_offset_belong_to_nobody() {
    let mut lab = Lab::new();
    for port in [0, 0b0000_0000_0100_1001, 1023] {
        let packet = Ipv4::udp(DNS, (OFFSET, port), 9);
        let error = our_error((3, 1), 0, &packet, HOST);
        lab.internet_sends(&packet).dropped_and_told("no-softwire", &error);
    }
    // The same PSID under every other value of the offset's bits.
    for high in 1..64 {
        let packet = Ipv4::udp((HOST, high), (OFFSET, high << 10 | 0x49), 9);
        lab.internet_sends(&packet).forwarded(&[&Ipv6::tunnel(BR1, CAROL, &packet.aged())]);
    }
}

#[test]
fn e2_port_0_and_identifier_0_are_like_any_other() {
    let mut lab = Lab::new();
    let to_0 = Ipv4::udp(DNS, (WHOLE, 0), 9);
    lab.internet_sends(&to_0).forwarded(&[&at_dave(&to_0.aged())]);
    let echo = Ipv4::echo(8, HOST, WHOLE, 0);
    lab.internet_sends(&echo).forwarded(&[&at_dave(&echo.aged())]);
    // PSID 0 of the shared address is nobody's.
    let packet = Ipv4::udp(DNS, (SHARED, 0), 9);
    let error = our_error((3, 1), 0, &packet, HOST);
    lab.internet_sends(&packet).dropped_and_told("no-softwire", &error);
    lab.internet_sends(&Ipv4::echo(8, HOST, SHARED, 0)).dropped("icmp-no-softwire");
}

#[test]
fn e3_the_outer_header_is_the_softwires() {
    let mut lab = Lab::with_policy("hop-limit = 17");
    let packet = to_alice();
    let expected = at_alice(&packet.aged()).hop_limit(17);
    lab.internet_sends(&packet).forwarded(&[&expected]);
    // Payload length and all the rest, once more by name.
    assert_eq!(expected.payload.len(), packet.bytes().len());
    let packet = Ipv4::udp(DNS, BOBS, 5);
    let expected = Ipv6::new(4, BR2, BOB, &packet.aged().bytes()).hop_limit(17);
    lab.internet_sends(&packet).forwarded(&[&expected]);
    let mut lab = Lab::new();
    lab.internet_sends(&to_alice()).forwarded(&[&at_alice(&to_alice().aged()).hop_limit(64)]);
}

#[test]
fn e4_dscp_and_ecn_are_copied_or_set() {
    for (policy, class) in [
        ("", [0x00, 0xb9, 0x1a, 0xff]),
        ("ecn = \"compatibility\"", [0x00, 0xb8, 0x18, 0xfc]),
        ("dscp = 10", [0x28, 0x29, 0x2a, 0x2b]),
        ("dscp = 0\necn = \"compatibility\"", [0; 4]),
    ] {
        let mut lab = Lab::with_policy(policy);
        for (tos, class) in [0x00, 0xb9, 0x1a, 0xff].into_iter().zip(class) {
            let packet = to_alice().tos(tos);
            let expected = Ipv6::carrying(BR1, ALICE, &packet.aged()).traffic_class(class);
            lab.internet_sends(&packet).forwarded(&[&expected]);
        }
    }
}

#[test]
fn e5_the_flow_label_is_a_hash_of_the_5_tuple() {
    let mut lab = Lab::with_policy("flow-label = \"hash\"");
    let mut label =
        |packet: &Ipv4| oracle::flow_label(&lab.internet_sends(packet).packets(Side::Internal)[0]);
    let packet = |from: u16, size| Ipv4::udp((HOST, from), DAVES, size);
    // Neither length nor identification nor TTL matters.
    let first = label(&packet(1, 9));
    assert_eq!(first, label(&packet(1, 700).identification(9).ttl(3)));
    let labels: BTreeSet<u32> = (0..500).map(|port| label(&packet(port, 9))).collect();
    assert!(labels.len() > 495 && !labels.contains(&0), "{} labels", labels.len());
    // Each part of the tuple does.
    let other_address = Ipv4::udp((UNKNOWN, 1), DAVES, 9);
    let other_port = Ipv4::udp((HOST, 1), (WHOLE, 8), 9);
    let other_protocol = Ipv4::with_ports(TCP, (HOST, 1), DAVES);
    for other in [other_address, other_port, other_protocol] {
        assert_ne!(label(&other), first);
    }
}

#[test]
fn e5_without_ports_addresses_and_protocol_are_the_flow() {
    let mut lab = Lab::with_policy("flow-label = \"hash\"");
    let mut label =
        |packet: &Ipv4| oracle::flow_label(&lab.internet_sends(packet).packets(Side::Internal)[0]);
    let whole = Ipv4::udp(DNS, DAVES, 88);
    let first = label(&whole.piece(0..48));
    assert_eq!(first, label(&whole.piece(48..96)));
    assert_eq!(first, label(&Ipv4::udp((HOST, 9), DAVES, 88).piece(0..48)));
    let gre = |body: u8| Ipv4::new(47, HOST, WHOLE, &[body; 40]);
    assert_eq!(label(&gre(1)), label(&gre(2)));
    assert_ne!(label(&gre(1)), first);
}

#[test]
fn e5_our_own_icmp_has_the_label_of_its_flow() {
    let mut lab = Lab::with_policy("flow-label = \"hash\"");
    let mut label = |b4, packet: &Ipv4| {
        let outcome = lab.b4s_send(&Ipv6::tunnel(b4, BR1, packet));
        oracle::flow_label(&outcome.packets(Side::Internal)[0])
    };
    let to_alice = label(ALICE, &alices().ttl(1));
    let to_dave = label(DAVE, &Ipv4::udp(DAVES, DNS, 9).ttl(1));
    assert!(![0, 1].contains(&to_alice) && ![0, 1].contains(&to_dave));
    assert_ne!(to_alice, to_dave);
    // The same addresses and protocol are the same flow.
    assert_eq!(label(ALICE, &Ipv4::echo(8, SHARED, EXTERNAL, ALICES.1)), to_alice);
    assert_eq!(label(DAVE, &Ipv4::echo(8, WHOLE, EXTERNAL, 1)), to_dave);
}

#[test]
fn e5_or_it_is_fixed() {
    let mut lab = Lab::with_policy("flow-label = 0x12345");
    let expected = at_alice(&to_alice().aged()).flow_label(0x12345);
    lab.internet_sends(&to_alice()).forwarded(&[&expected]);
}

#[test]
fn e6_the_ttl_is_one_less_and_the_checksum_right() {
    let mut lab = Lab::new();
    for ttl in 2..=255 {
        let packet = to_alice().ttl(ttl);
        // The expected packet's checksum is computed, not updated.
        lab.internet_sends(&packet).forwarded(&[&at_alice(&packet.aged())]);
    }
    for id in (0..=u16::MAX).step_by(97) {
        let packet = to_alice().identification(id);
        lab.internet_sends(&packet).forwarded(&[&at_alice(&packet.aged())]);
    }
}

#[test]
fn e6_an_expired_packet_gets_time_exceeded() {
    let mut lab = Lab::new();
    for ttl in [0, 1] {
        let packet = to_alice().ttl(ttl);
        let error = our_error((11, 0), 0, &packet, HOST);
        lab.internet_sends(&packet).dropped_and_told("ttl-expired", &error);
    }
}

#[test]
fn e7_no_softwire_gets_host_unreachable() {
    let mut lab = Lab::new();
    for to in [NOBODYS, (UNKNOWN, 80)] {
        let packet = Ipv4::udp(DNS, to, 700);
        let error = our_error((3, 1), 0, &packet, HOST);
        assert_eq!(error.bytes().len(), 576);
        lab.internet_sends(&packet).dropped_and_told("no-softwire", &error);
    }
}

#[test]
fn e7_the_key_governs_this_error_only() {
    let mut lab = Lab::with_policy("generate-icmpv4-errors = false");
    lab.internet_sends(&Ipv4::udp(DNS, NOBODYS, 9)).dropped("no-softwire");
    let expired = to_alice().ttl(1);
    let error = our_error((11, 0), 0, &expired, HOST);
    lab.internet_sends(&expired).dropped_and_told("ttl-expired", &error);
}

#[test]
fn e8_too_big_with_df_gets_the_mtu_minus_40() {
    for (mtu, fits) in [(1500, 1460), (1280, 1240), (1540, 1500)] {
        let mut lab = Lab::configured(|config| config.mtus[1] = mtu);
        let packet = |len: usize| Ipv4::udp(DNS, ALICES, len - 28).dont_fragment();
        lab.internet_sends(&packet(fits)).forwarded(&[&at_alice(&packet(fits).aged())]);
        let error = our_error((3, 4), fits as u16, &packet(fits + 1), HOST);
        lab.internet_sends(&packet(fits + 1)).dropped_and_told("too-big", &error);
    }
}

/// The relay's choice of identification, and the fragments that must come of it.
fn outer_fragments(sent: &[Vec<u8>], whole: &Ipv6, mtu: usize) -> Vec<Ipv6> {
    let (identification, _) = oracle::identification(&sent[0]);
    let (room, len) = ((mtu - 48) & !7, whole.payload.len());
    let starts = (0..len).step_by(room);
    starts.map(|at| whole.piece(at..len.min(at + room), identification)).collect()
}

#[test]
fn e8_too_big_without_df_is_encapsulated_and_then_cut() {
    let mut lab = Lab::configured(|config| config.mtus[1] = 1280);
    for size in [1300, 2000, 5000] {
        let packet = Ipv4::udp(DNS, ALICES, size).tos(0xb9);
        let sent = lab.internet_sends(&packet);
        let pieces = sent.packets(Side::Internal);
        let expected = outer_fragments(&pieces, &at_alice(&packet.aged()), 1280);
        let expected: Vec<&dyn Bytes> = expected.iter().map(|piece| piece as &dyn Bytes).collect();
        sent.forwarded(&expected);
    }
}

#[test]
fn e8_too_big_df_fragment_cuts_outside() {
    let mut lab = Lab::with_policy("too-big-df = \"fragment\"\nfragment = \"inner\"");
    let packet = Ipv4::udp(DNS, ALICES, 1472).dont_fragment();
    let sent = lab.internet_sends(&packet);
    let expected = outer_fragments(&sent.packets(Side::Internal), &at_alice(&packet.aged()), 1500);
    sent.forwarded(&[&expected[0], &expected[1]]);
}

#[test]
fn e8_fragment_inner_cuts_the_ipv4_packet() {
    let mut lab = Lab::with_policy("fragment = \"inner\"");
    let packet = Ipv4::udp(DNS, ALICES, 1472).aged();
    // 1460 bytes fit: 20 of header and 1440 of payload.
    let pieces = [0..1440, 1440..1480].map(|range| at_alice(&packet.piece(range)));
    lab.internet_sends(&Ipv4::udp(DNS, ALICES, 1472)).forwarded(&[&pieces[0], &pieces[1]]);
}

fn syn(from: Endpoint, to: Endpoint, mss: u16) -> Ipv4 {
    use etherparse::TcpOptionElement::{MaximumSegmentSize, Noop, WindowScale};
    Ipv4::tcp(from, to, |tcp| {
        tcp.syn = true;
        tcp.set_options(&[Noop, WindowScale(7), MaximumSegmentSize(mss)]).unwrap();
    })
}

#[test]
fn e10_the_segment_size_is_lowered_both_ways() {
    for (mtus, policy, most) in [
        ([1500, 1500], "", Some(1420)),
        ([1500, 1280], "", Some(1200)),
        ([1461, 1500], "", Some(1420)),
        // The internal side carries whatever comes.
        ([1460, 1500], "", None),
        ([1500, 1540], "", None),
        ([1500, 1500], "mss-clamp = 1000", Some(1000)),
        ([1500, 1500], "mss-clamp = \"off\"", None),
    ] {
        let mut lab = Lab::configured(|config| {
            config.mtus = mtus;
            config.policy = policy.into();
        });
        for announced in [536, 1460, 8960] {
            let left = most.map_or(announced, |most| announced.min(most));
            let (packet, expected) = (syn(DNS, ALICES, announced), syn(DNS, ALICES, left));
            lab.internet_sends(&packet).forwarded(&[&at_alice(&expected.aged())]);
            let (packet, expected) = (syn(ALICES, DNS, announced), syn(ALICES, DNS, left));
            lab.alice_sends(&packet).forwarded(&[&expected.aged()]);
        }
    }
}

#[test]
fn e10_nothing_else_is_touched() {
    let mut lab = Lab::new();
    // Without the option none is added; without SYN it is no announcement.
    let plain = Ipv4::tcp(DNS, ALICES, |tcp| tcp.syn = true);
    lab.internet_sends(&plain).forwarded(&[&at_alice(&plain.aged())]);
    let mut late = syn(DNS, ALICES, 8960);
    late.payload[13] &= !2;
    lab.internet_sends(&late).forwarded(&[&at_alice(&late.aged())]);
    // Bytes that look like it in a later fragment, and in another protocol.
    let later = syn(DNS, DAVES, 8960).fragment(false, 9);
    lab.internet_sends(&later).forwarded(&[&at_dave(&later.aged())]);
    let mut other = syn(DNS, ALICES, 8960);
    other.header.protocol = etherparse::IpNumber(132);
    lab.internet_sends(&other).forwarded(&[&at_alice(&other.aged())]);
}

#[test]
fn e10_of_a_first_fragment_it_is_lowered() {
    let mut lab = Lab::new();
    let first = |mss| syn(DNS, DAVES, mss).fragment(true, 0);
    let mut expected = first(1420).aged();
    // The checksum is over the whole segment, of which only what changed is known.
    expected.payload[16..18].copy_from_slice(&syn(DNS, DAVES, 1420).payload[16..18]);
    lab.internet_sends(&first(8960)).forwarded(&[&at_dave(&expected)]);
}
