//! E0: of several things that are wrong with a frame, the first that is checked names the drop.

use vnf::side::Side;

use crate::lab::{
    ALICE, ALICES, BOBS, BR1, BR2, DNS, ELSEWHERE, EXTERNAL, HOST, Lab, NEXT_HOP_MACS, NOBODYS,
    UNKNOWN, alices, at_alice, our_error, our_error6, to_alice,
};
use crate::link::frame;
use crate::packets::{Bytes, Ipv4, with_bytes};
use crate::tunnel::Ipv6;

const OTHER_MAC: [u8; 6] = [2, 0, 0, 0, 0, 0x77];
const LOOPBACK: std::net::Ipv4Addr = std::net::Ipv4Addr::LOCALHOST;

/// Each packet has the fault that it is dropped for, and all the later ones that it can have.
#[test]
fn e0_from_the_internet_the_first_failed_check_names_the_drop() {
    let mut lab = Lab::configured(|config| {
        config.vlans = [Some(10), Some(20)];
        config.mtus[1] = 1280;
        config.policy = "allow-incoming-icmpv4 = false".into();
    });
    let too_big = |to| Ipv4::udp(DNS, to, 1400).dont_fragment();
    // Within P1: tag, EtherType, MAC address.
    let bad_packet = too_big(NOBODYS).ttl(1).with_bytes(&[(10, 0), (11, 0)]);
    let unlike = |vlan, ethertype| frame(NEXT_HOP_MACS[0], OTHER_MAC, vlan, ethertype, &bad_packet);
    lab.frame(Side::External, &unlike(Some(10), 0x9999)[..13]).dropped("frame-too-short");
    lab.frame(Side::External, &unlike(Some(11), 0x9999)).dropped("vlan-mismatch");
    lab.frame(Side::External, &unlike(Some(10), 0x9999)).dropped("unknown-ethertype");
    lab.frame(Side::External, &unlike(Some(10), 0x0800)).dropped("not-our-mac");
    // Within P3: header, martians, our own address, source routes.
    let source_route = |from| Ipv4::udp((from, 53), NOBODYS, 1400).options(&[131, 3, 4, 0]).ttl(1);
    lab.internet_sends(&source_route(LOOPBACK).with_bytes(&[(0, 0x41)])).dropped("ipv4-bad-header");
    lab.internet_sends(&source_route(LOOPBACK).with_bytes(&[(10, 0), (11, 0)]))
        .dropped("ipv4-bad-checksum");
    lab.internet_sends(&source_route(LOOPBACK)).dropped("ipv4-martian");
    lab.internet_sends(&source_route(EXTERNAL)).dropped("ipv4-source-is-ours");
    lab.internet_sends(&source_route(HOST)).dropped("ipv4-source-route");
    // To ourselves, before anything is asked about subscribers.
    lab.internet_sends(&Ipv4::new(47, HOST, EXTERNAL, &[]).ttl(1)).dropped("unsupported-protocol");
    // What tells the subscriber, the look-up, TTL, MTU.
    lab.internet_sends(&Ipv4::echo(8, HOST, NOBODYS.0, NOBODYS.1).ttl(1))
        .dropped("icmp-not-allowed");
    let nobodys = too_big(NOBODYS).ttl(1);
    let error = our_error((3, 1), 0, &nobodys, HOST);
    lab.internet_sends(&nobodys).dropped_and_told("no-softwire", &error);
    let expired = too_big(ALICES).ttl(1);
    let error = our_error((11, 0), 0, &expired, HOST);
    lab.internet_sends(&expired).dropped_and_told("ttl-expired", &error);
    let error = our_error((3, 4), 1240, &too_big(ALICES), HOST);
    lab.internet_sends(&too_big(ALICES)).dropped_and_told("too-big", &error);
    lab.internet_sends(&to_alice()).forwarded(&[&at_alice(&to_alice().aged())]);
}

#[test]
fn e0_from_a_b4_the_first_failed_check_names_the_drop() {
    let mut lab = Lab::configured(|config| {
        config.policy = "hairpinning = \"drop\"".into();
        config.mtus[0] = 1280;
    });
    let cut = |packet: &Ipv6, left: usize| packet.bytes()[..left].to_vec();
    let spoofed = Ipv4::udp(NOBODYS, (LOOPBACK, 1), 1300).dont_fragment().ttl(1);
    let bad = spoofed.with_bytes(&[(10, 0), (11, 0)]);
    // The outer packet: length, header, source, extension headers, destination.
    let outer = |from, to| Ipv6::carrying(from, to, &bad).extended(43, &[0, 1, 0, 0, 0, 0]);
    lab.b4s_send(&cut(&outer(BR1, ELSEWHERE), 60)).dropped("ipv6-truncated");
    lab.b4s_send(&with_bytes(&outer(BR1, ELSEWHERE), &[(0, 0x50)])).dropped("ipv6-bad-header");
    lab.b4s_send(&outer(BR1, ELSEWHERE)).dropped("ipv6-bad-source");
    lab.b4s_send(&outer(ALICE, ELSEWHERE)).dropped("ipv6-routing-header");
    lab.b4s_send(&Ipv6::carrying(ALICE, ELSEWHERE, &bad)).dropped("not-for-us");
    // The inner packet's header, then whose it is, then its addresses.
    lab.b4s_send(&Ipv6::carrying(ALICE, BR1, &bad)).dropped("ipv4-bad-checksum");
    let marked = Ipv6::tunnel(ALICE, BR1, &spoofed).traffic_class(3);
    lab.b4s_send(&marked).dropped_and_told("source-no-softwire", &our_error6((1, 5), 0, &marked));
    let through = |packet: &Ipv4| Ipv6::tunnel(ALICE, BR1, packet).traffic_class(3);
    let martian = Ipv4::udp(ALICES, (LOOPBACK, 1), 1300).dont_fragment().ttl(1);
    lab.b4s_send(&through(&martian)).dropped("ipv4-martian");
    // ECN, our own address, TTL, hairpinning, MTU.
    let big = |to| Ipv4::udp(ALICES, to, 1300).dont_fragment().ttl(1);
    lab.b4s_send(&through(&big(BOBS))).dropped("ecn-mismatch");
    let ours = Ipv4::with_ports(132, ALICES, (EXTERNAL, 9)).ttl(1);
    lab.alice_sends(&ours).dropped("unsupported-protocol");
    let error = our_error((11, 0), 0, &big(BOBS), ALICES.0);
    lab.alice_sends(&big(BOBS)).dropped_and_told("ttl-expired", &at_alice(&error));
    lab.alice_sends(&big(BOBS).ttl(9)).dropped("hairpin-denied");
    let error = our_error((3, 4), 1280, &big(DNS).ttl(9), ALICES.0);
    lab.alice_sends(&big(DNS).ttl(9)).dropped_and_told("too-big", &at_alice(&error));
    lab.alice_sends(&alices()).forwarded(&[&alices().aged()]);
}

#[test]
fn e0_an_address_without_softwires_fails_the_look_up_whatever_the_packet_lacks() {
    let mut lab = Lab::new();
    let gre = Ipv4::new(47, HOST, UNKNOWN, &[0; 16]);
    let error = our_error((3, 1), 0, &gre, HOST);
    lab.internet_sends(&gre).dropped_and_told("no-softwire", &error);
    let short = Ipv4::new(17, HOST, UNKNOWN, &[0; 3]);
    let error = our_error((3, 1), 0, &short, HOST);
    lab.internet_sends(&short).dropped_and_told("no-softwire", &error);
    let unowned = Ipv6::tunnel(ALICE, BR2, &Ipv4::new(47, UNKNOWN, HOST, &[0; 16]));
    let error = our_error6((1, 5), 0, &unowned);
    lab.b4s_send(&unowned).dropped_and_told("source-no-softwire", &error);
}

/// Nothing is sent before the next hop is known, but what is wrong is found before that.
#[test]
fn e0_the_next_hop_is_asked_for_last() {
    let mut lab = Lab::configured(|config| {
        config.ask_for_next_hops();
        config.policy = "generate-icmpv4-errors = false".into();
    });
    drop(lab.wait(0));
    lab.internet_sends(&Ipv4::udp(DNS, NOBODYS, 9)).dropped("no-softwire");
    assert_eq!(lab.internet_sends(&to_alice()).fate(), "held-packets");
    assert_eq!(lab.alice_sends(&alices()).fate(), "held-packets");
}

/// Who would not be let out is not kept until the next hop is known, however large it is.
#[test]
fn e0_the_egress_filter_is_asked_before_the_next_hop() {
    let mut lab = Lab::configured(|config| {
        config.ask_for_next_hops();
        // Of what leaves: the TTL that it leaves with, outside and in the tunnel.
        config.external = "egress-filter = \"ip[8] = 63\"\n".into();
        config.internal = "egress-filter = \"ip6[6] = 4 and ip6[48] = 63\"\n".into();
    });
    drop(lab.wait(0));
    for size in [9, 1600] {
        let incoming = Ipv4::udp(DNS, ALICES, size);
        assert_eq!(lab.internet_sends(&incoming.clone().ttl(64)).fate(), "held-packets");
        lab.internet_sends(&incoming.ttl(65)).dropped("filter-egress");
        let outgoing = Ipv4::udp(ALICES, DNS, size);
        assert_eq!(lab.alice_sends(&outgoing.clone().ttl(64)).fate(), "held-packets");
        lab.alice_sends(&outgoing.ttl(65)).dropped("filter-egress");
        let hairpin = Ipv4::udp(ALICES, BOBS, size);
        assert_eq!(lab.alice_sends(&hairpin.clone().ttl(64)).fate(), "held-packets");
        lab.alice_sends(&hairpin.ttl(65)).dropped("filter-egress");
    }
}

/// D2 comes before what D3 says of marks, for packets that came in fragments too.
#[test]
fn e0_a_wrong_sender_comes_before_the_marks_of_fragments() {
    let mut lab = Lab::new();
    for (source, reason) in [(BOBS, "drop source-wrong-b4"), (ALICES, "drop ecn-mismatch")] {
        let whole = Ipv6::tunnel(ALICE, BR1, &Ipv4::udp(source, DNS, 900).tos(2));
        let last = whole.piece(400..whole.payload.len(), 1).traffic_class(0);
        assert_eq!(lab.b4s_send(&whole.piece(0..400, 1).traffic_class(3)).fate(), "held-packets");
        assert_eq!(lab.b4s_send(&last).counted(Side::Internal, reason), 1);
    }
}
