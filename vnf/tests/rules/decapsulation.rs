//! D1 to D7: out of the tunnel.

use std::net::Ipv6Addr;

use vnf::side::Side;

use crate::lab::{
    ALICE, ALICES, BOB, BOBS, BR1, BR2, CAROL, CAROLS, DAVES, DNS, ELSEWHERE, ERIN, EXTERNAL, HOST,
    INTERNAL, LINK_LOCAL, Lab, NOBODYS, SHARED, UNKNOWN, WHOLE_OFFSET, alices, at_alice, at_dave,
    our_error, our_error6,
};
use crate::packets::{Bytes, Ipv4, data};
use crate::tunnel::Ipv6;

#[test]
fn d1_a_tunnelled_packet_is_next_header_4_to_a_br_address() {
    let mut lab = Lab::new();
    lab.alice_sends(&alices()).forwarded(&[&alices().aged()]);
    let bobs = Ipv4::udp(BOBS, DNS, 9);
    lab.b4s_send(&Ipv6::tunnel(BOB, BR2, &bobs)).forwarded(&[&bobs.aged()]);
    // Whatever the hop limit and flow label.
    let odd = Ipv6::tunnel(ALICE, BR1, &alices()).hop_limit(0).flow_label(0xfffff);
    lab.b4s_send(&odd).forwarded(&[&alices().aged()]);
}

#[test]
fn d1_everything_else_ends_here_without_an_error() {
    let mut lab = Lab::new();
    for protocol in [4, 17, 6, 58, 41, 59] {
        lab.b4s_send(&Ipv6::new(protocol, ALICE, ELSEWHERE, &alices().bytes()))
            .dropped("not-for-us");
    }
    for ours in [INTERNAL, LINK_LOCAL] {
        lab.b4s_send(&Ipv6::tunnel(ALICE, ours, &alices())).dropped("unsupported-protocol");
    }
    // IPv6 in IPv6, GRE, no next header, TCP to ourselves.
    for protocol in [41, 47, 59, 6] {
        lab.b4s_send(&Ipv6::new(protocol, ALICE, BR1, &data(48))).dropped("unsupported-protocol");
    }
    let group = Ipv6Addr::new(0xff0e, 0, 0, 0, 0, 0, 0, 9);
    lab.b4s_send(&Ipv6::tunnel(ALICE, group, &alices())).dropped("not-for-us");
    lab.b4s_send(&Ipv6::new(17, ALICE, group, &data(48))).ignored("other-multicast");
}

#[test]
fn d2_what_is_not_the_senders_own_is_dropped_and_told() {
    let mut lab = Lab::with_policy("per-destination-rate = 1000");
    let tunnels = [
        ("source-no-softwire", ALICE, BR1, NOBODYS),
        ("source-no-softwire", ALICE, BR1, (UNKNOWN, 9)),
        ("source-no-softwire", ELSEWHERE, BR1, NOBODYS),
        ("source-wrong-b4", ALICE, BR2, BOBS),
        ("source-wrong-b4", ELSEWHERE, BR1, ALICES),
        ("source-wrong-br", ALICE, BR2, ALICES),
        ("source-wrong-br", BOB, BR1, BOBS),
        // Where both are wrong the B4 is named.
        ("source-wrong-b4", ALICE, BR1, BOBS),
        // A whole address is no exception.
        ("source-wrong-b4", ALICE, BR1, DAVES),
        ("source-wrong-b4", ALICE, BR1, (WHOLE_OFFSET, 9)),
        ("source-wrong-br", ERIN, BR2, (WHOLE_OFFSET, 9)),
    ];
    for (reason, b4, br, source) in tunnels {
        let packet = Ipv6::tunnel(b4, br, &Ipv4::udp(source, DNS, 9));
        let error = our_error6((1, 5), 0, &packet);
        lab.b4s_send(&packet).dropped_and_told(reason, &error);
    }
}

#[test]
fn d2_the_key_governs_the_error() {
    let mut lab = Lab::with_policy("generate-icmpv6-errors = false");
    lab.b4s_send(&Ipv6::tunnel(ALICE, BR1, &Ipv4::udp(BOBS, DNS, 9))).dropped("source-wrong-b4");
}

#[test]
fn d2_a_protocol_without_ports_from_a_shared_address_gets_no_error() {
    let mut lab = Lab::new();
    lab.alice_sends(&Ipv4::new(47, SHARED, HOST, &data(16))).dropped("port-less-protocol");
    let gre = Ipv4::new(47, DAVES.0, HOST, &data(16));
    lab.dave_sends(&gre).forwarded(&[&gre.aged()]);
}

#[test]
fn d3_the_inner_packet_ends_where_it_says_and_within_the_outer_one() {
    let mut lab = Lab::new();
    let trailed = Ipv6::carrying(ALICE, BR1, &[alices().bytes(), data(33)].concat());
    lab.b4s_send(&trailed).forwarded(&[&alices().aged()]);
    let whole = alices().bytes();
    let cut = Ipv6::carrying(ALICE, BR1, &whole[..whole.len() - 1].to_vec());
    lab.b4s_send(&cut).dropped("ipv4-truncated");
    let long = [cut.bytes(), vec![whole[whole.len() - 1]]].concat();
    lab.b4s_send(&long).dropped("ipv4-truncated");
}

#[test]
fn d3_dscp_stays_or_is_copied() {
    for (policy, dscp) in [("", 46), ("decap-dscp = \"copy\"", 10)] {
        let mut lab = Lab::with_policy(policy);
        let packet = alices().tos(46 << 2);
        let tunnelled = Ipv6::carrying(ALICE, BR1, &packet).traffic_class(10 << 2);
        lab.b4s_send(&tunnelled).forwarded(&[&packet.tos(dscp << 2).aged()]);
    }
}

/// The table of RFC 6040 section 4.2: a row for each inner field, a column for each outer one.
#[test]
fn d3_ecn_is_merged_as_rfc_6040_says() {
    const NOT_ECT: u8 = 0;
    const ECT_1: u8 = 1;
    const ECT_0: u8 = 2;
    const CE: u8 = 3;
    let outer = [NOT_ECT, ECT_0, ECT_1, CE];
    let rows = [
        (NOT_ECT, [Some(NOT_ECT), Some(NOT_ECT), Some(NOT_ECT), None]),
        (ECT_0, [Some(ECT_0), Some(ECT_0), Some(ECT_1), Some(CE)]),
        (ECT_1, [Some(ECT_1), Some(ECT_1), Some(ECT_1), Some(CE)]),
        (CE, [Some(CE); 4]),
    ];
    let mut lab = Lab::new();
    for (inner, row) in rows {
        for (outer, becomes) in outer.into_iter().zip(row) {
            let packet = alices().tos(0x28 | inner);
            let tunnelled = Ipv6::carrying(ALICE, BR1, &packet).traffic_class(0x28 | outer);
            let outcome = lab.b4s_send(&tunnelled);
            match becomes {
                Some(ecn) => outcome.forwarded(&[&packet.tos(0x28 | ecn).aged()]),
                None => outcome.dropped("ecn-mismatch"),
            }
        }
    }
}

#[test]
fn d4_the_relay_is_a_hop() {
    let mut lab = Lab::new();
    for ttl in [2, 64, 255] {
        lab.alice_sends(&alices().ttl(ttl)).forwarded(&[&alices().ttl(ttl - 1)]);
    }
    for ttl in [0, 1] {
        let packet = alices().ttl(ttl);
        let error = at_alice(&our_error((11, 0), 0, &packet, SHARED));
        lab.alice_sends(&packet).dropped_and_told("ttl-expired", &error);
    }
    // The error comes from the BR address that the softwire has.
    let bobs = Ipv4::udp(BOBS, DNS, 9).ttl(1);
    let error = Ipv6::tunnel(BR2, BOB, &our_error((11, 0), 0, &bobs, SHARED));
    lab.b4s_send(&Ipv6::tunnel(BOB, BR2, &bobs)).dropped_and_told("ttl-expired", &error);
}

#[test]
fn d4_keep_leaves_the_ttl_alone() {
    let mut lab = Lab::with_policy("decap-ttl = \"keep\"");
    for ttl in [1, 64, 255] {
        lab.alice_sends(&alices().ttl(ttl)).forwarded(&[&alices().ttl(ttl)]);
    }
}

#[test]
fn d4_a_ttl_of_zero_is_never_forwarded() {
    let mut lab = Lab::with_policy("decap-ttl = \"keep\"");
    let packet = alices().ttl(0);
    let error = at_alice(&our_error((11, 0), 0, &packet, SHARED));
    lab.alice_sends(&packet).dropped_and_told("ttl-expired", &error);
}

#[test]
fn d5_too_big_with_df_is_told_through_the_softwire() {
    let mut lab = Lab::configured(|config| config.mtus = [1400, 1540]);
    let packet = |len: usize| Ipv4::udp(ALICES, DNS, len - 28).dont_fragment();
    lab.alice_sends(&packet(1400)).forwarded(&[&packet(1400).aged()]);
    let error = at_alice(&our_error((3, 4), 1400, &packet(1401), SHARED));
    lab.alice_sends(&packet(1401)).dropped_and_told("too-big", &error);
}

#[test]
fn d5_without_df_it_is_cut_and_keeps_its_identification() {
    let mut lab = Lab::configured(|config| config.mtus = [1400, 9000]);
    // Router alert is copied into every fragment, record route only stands in the first.
    let options = [148, 4, 0, 0, 7, 3, 4, 0];
    let packet = Ipv4::udp(ALICES, DNS, 3000).identification(0xbeef).options(&options).aged();
    let len = packet.payload.len();
    let first = packet.piece(0..1368);
    let later = |range| packet.clone().options(&options[..4]).piece(range);
    let (second, third) = (later(1368..2744), later(2744..len));
    lab.alice_sends(&packet.clone().ttl(60)).forwarded(&[&first, &second, &third]);
}

#[test]
fn d6_from_one_b4_straight_to_another() {
    let mut lab = Lab::new();
    let packet = Ipv4::udp(ALICES, BOBS, 9).tos(0x28);
    lab.alice_sends(&packet).hairpinned(&Ipv6::tunnel(BR2, BOB, &packet.aged()));
    assert_eq!(lab.counter(Side::External, "out-packets"), 0);
    // To herself, to a whole address, and ICMP.
    let packet = Ipv4::udp(ALICES, (SHARED, 0x12ab), 9);
    lab.alice_sends(&packet).hairpinned(&at_alice(&packet.aged()));
    let packet = Ipv4::udp(CAROLS, DAVES, 9);
    lab.b4s_send(&Ipv6::tunnel(CAROL, BR1, &packet)).hairpinned(&at_dave(&packet.aged()));
    let echo = Ipv4::echo(8, DAVES.0, SHARED, ALICES.1);
    lab.dave_sends(&echo).hairpinned(&at_alice(&echo.aged()));
    let error = Ipv4::error(DAVES.0, SHARED, (3, 3), &Ipv4::udp(ALICES, DAVES, 9));
    lab.dave_sends(&error).hairpinned(&at_alice(&error.aged()));
    // As big as the tunnel carries, and no bigger.
    let big = Ipv4::udp(ALICES, BOBS, 1461 - 28).dont_fragment();
    let error = at_alice(&our_error((3, 4), 1460, &big, SHARED));
    let outer = Ipv6::tunnel(ALICE, BR1, &big);
    lab.b4s_send(&outer).dropped_and_told("too-big", &error);
}

#[test]
fn d6_a_port_that_nobody_has_is_told_through_the_senders_softwire() {
    let mut lab = Lab::new();
    let packet = Ipv4::udp(ALICES, NOBODYS, 9);
    let error = at_alice(&our_error((3, 1), 0, &packet, SHARED));
    lab.alice_sends(&packet).dropped_and_told("no-softwire", &error);
    lab.alice_sends(&Ipv4::echo(8, SHARED, SHARED, ALICES.1))
        .hairpinned(&at_alice(&Ipv4::echo(8, SHARED, SHARED, ALICES.1).aged()));
    lab.dave_sends(&Ipv4::echo(8, DAVES.0, SHARED, NOBODYS.1)).dropped("icmp-no-softwire");
}

#[test]
fn d6_it_can_go_outside_or_be_forbidden() {
    let packet = Ipv4::udp(ALICES, BOBS, 9);
    let mut lab = Lab::with_policy("hairpinning = \"external\"");
    lab.alice_sends(&packet).forwarded(&[&packet.aged()]);
    let mut lab = Lab::with_policy("hairpinning = \"drop\"");
    lab.alice_sends(&packet).dropped("hairpin-denied");
    // By address, whatever the port.
    lab.alice_sends(&Ipv4::udp(ALICES, NOBODYS, 9)).dropped("hairpin-denied");
    lab.dave_sends(&Ipv4::echo(8, DAVES.0, SHARED, 9)).dropped("hairpin-denied");
}

#[test]
fn d6_the_ttl_goes_down_even_where_it_is_kept() {
    let mut lab = Lab::with_policy("decap-ttl = \"keep\"");
    let packet = Ipv4::udp(ALICES, BOBS, 9).ttl(2);
    lab.alice_sends(&packet).hairpinned(&Ipv6::tunnel(BR2, BOB, &packet.aged()));
    let packet = packet.aged();
    let error = at_alice(&our_error((11, 0), 0, &packet, SHARED));
    lab.alice_sends(&packet).dropped_and_told("ttl-expired", &error);
}

#[test]
fn d7_our_own_address_answers_through_the_softwire() {
    let mut lab = Lab::new();
    let request = Ipv4::echo(8, SHARED, EXTERNAL, ALICES.1).tos(0x28);
    let reply = Ipv4::echo(0, EXTERNAL, SHARED, ALICES.1).tos(0x28).ttl(64);
    let outcome = lab.alice_sends(&request);
    let frame = outcome.sent[0].1.clone();
    assert_eq!(outcome.packets(Side::Internal), [at_alice(&reply).bytes()]);
    outcome.answered(&frame);
    // An identifier of somebody else's is D2's.
    let spoofed = Ipv6::tunnel(ALICE, BR1, &Ipv4::echo(8, SHARED, EXTERNAL, BOBS.1));
    lab.b4s_send(&spoofed).dropped_and_told("source-wrong-b4", &our_error6((1, 5), 0, &spoofed));
    // So that traceroute ends well.
    let probe = Ipv4::udp(ALICES, (EXTERNAL, 33434), 9).ttl(1);
    let error = at_alice(&our_error((3, 3), 0, &probe, SHARED));
    lab.alice_sends(&probe).dropped_and_told("unsupported-protocol", &error);
}
