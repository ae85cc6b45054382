//! F2, F3, F4, E9, F6: IPv4 fragments to and from shared addresses.

use std::net::Ipv4Addr;

use vnf::side::Side;

use crate::lab::{
    ALICE, ALICES, BOB, BOBS, BR1, BR2, CAROL, CAROLS, DAVES, DNS, HOST, Lab, NOBODYS, SHARED,
    alices, at_alice, at_dave, our_error, our_error6, to_alice,
};
use crate::packets::{Bytes, Ipv4, data};
use crate::tunnel::Ipv6;

const TCP: u8 = 6;
const OTHER_HOST: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 10);

/// Three fragments of a datagram.
fn cut(packet: &Ipv4) -> [Ipv4; 3] {
    let len = packet.payload.len();
    [packet.piece(0..400), packet.piece(400..800), packet.piece(800..len)]
}

fn inbound() -> Ipv4 {
    Ipv4::udp(DNS, ALICES, 1200)
}

fn outbound() -> Ipv4 {
    Ipv4::udp(ALICES, DNS, 1200)
}

#[test]
fn e9_fragments_to_a_shared_address_go_where_their_first_does() {
    let mut lab = Lab::new();
    for (to, b4, br) in [(ALICES, ALICE, BR1), (BOBS, BOB, BR2), (CAROLS, CAROL, BR1)] {
        for piece in cut(&Ipv4::udp(DNS, to, 1200).identification(to.1)) {
            lab.internet_sends(&piece).forwarded(&[&Ipv6::tunnel(br, b4, &piece.aged())]);
        }
    }
    let first = &cut(&Ipv4::udp(DNS, NOBODYS, 1200).identification(9))[0];
    let error = our_error((3, 1), 0, first, HOST);
    lab.internet_sends(first).dropped_and_told("no-softwire", &error);
}

#[test]
fn f2_the_first_fragment_tells_the_port_and_each_is_forwarded_on_its_own() {
    let mut lab = Lab::new();
    for piece in cut(&inbound()) {
        lab.internet_sends(&piece).forwarded(&[&at_alice(&piece.aged())]);
    }
    // Echo tells its identifier.
    for piece in cut(&Ipv4::icmp(HOST, SHARED, (8, 0), [0x12, 0x34, 0, 1], &data(1200))) {
        lab.internet_sends(&piece).forwarded(&[&at_alice(&piece.aged())]);
    }
    // A whole address needs no first.
    for piece in cut(&Ipv4::udp(DNS, DAVES, 1200)).into_iter().rev() {
        lab.internet_sends(&piece).forwarded(&[&at_dave(&piece.aged())]);
    }
}

#[test]
fn f2_fragments_ahead_of_the_first_wait_for_it() {
    let mut lab = Lab::new();
    let [first, middle, last] = cut(&inbound());
    for piece in [&last, &middle] {
        assert_eq!(lab.internet_sends(piece).fate(), "held-packets");
    }
    let outcome = lab.internet_sends(&first);
    assert_eq!(outcome.counted(Side::External, "forwarded-packets"), 3);
    let expected = [first, last, middle].map(|piece| at_alice(&piece.aged()).bytes());
    assert_eq!(outcome.packets(Side::Internal), expected);
    assert_eq!(lab.counter(Side::External, "held-packets"), 0);
}

#[test]
fn f2_four_of_a_packet_wait_for_a_second() {
    let mut lab = Lab::new();
    let packet = Ipv4::udp(DNS, ALICES, 1200);
    for at in 1..5 {
        let piece = packet.piece(at * 80..at * 80 + 80);
        assert_eq!(lab.internet_sends(&piece).fate(), "held-packets");
    }
    lab.internet_sends(&packet.piece(480..560)).dropped("ipv4-fragment-limit");
    assert_eq!(lab.wait(900).counted(Side::External, "drop ipv4-fragment-timeout"), 0);
    assert_eq!(lab.wait(200).counted(Side::External, "drop ipv4-fragment-timeout"), 4);
    assert_eq!(lab.counter(Side::External, "held-packets"), 0);
}

#[test]
fn f2_the_port_is_remembered_for_30_s() {
    let mut lab = Lab::new();
    let [first, middle, last] = cut(&inbound());
    lab.internet_sends(&first).forwarded(&[&at_alice(&first.aged())]);
    drop(lab.wait(29_900));
    lab.internet_sends(&middle).forwarded(&[&at_alice(&middle.aged())]);
    drop(lab.wait(200));
    assert_eq!(lab.internet_sends(&last).fate(), "held-packets");
    drop(lab.wait(2_000));
    assert_eq!(lab.counter(Side::External, "drop ipv4-fragment-timeout"), 1);
}

#[test]
fn f2_addresses_protocol_and_identification_tell_packets_apart() {
    let mut lab = Lab::new();
    let [first, middle, last] = cut(&inbound());
    lab.internet_sends(&first).forwarded(&[&at_alice(&first.aged())]);
    let other_host = cut(&Ipv4::udp((OTHER_HOST, 53), ALICES, 1200));
    let other_protocol = cut(&Ipv4::new(132, HOST, SHARED, &inbound().payload));
    let other_number = cut(&inbound().identification(7));
    for [_, other, _] in [other_host, other_protocol, other_number] {
        assert_eq!(lab.internet_sends(&other).fate(), "held-packets");
    }
    for piece in [middle, last] {
        lab.internet_sends(&piece).forwarded(&[&at_alice(&piece.aged())]);
    }
}

#[test]
fn f3_fragments_from_a_b4_leave_by_the_port_their_first_told() {
    let mut lab = Lab::new();
    for piece in cut(&outbound()) {
        lab.alice_sends(&piece).forwarded(&[&piece.aged()]);
    }
    let [first, middle, last] = cut(&outbound().identification(2));
    assert_eq!(lab.alice_sends(&last).fate(), "held-packets");
    let outcome = lab.alice_sends(&first);
    assert_eq!(outcome.packets(Side::External), [first, last].map(|piece| piece.aged().bytes()));
    lab.alice_sends(&middle).forwarded(&[&middle.aged()]);
}

#[test]
fn f3_the_outer_addresses_of_every_fragment_are_checked() {
    let mut lab = Lab::new();
    let [first, middle, last] = cut(&outbound());
    lab.alice_sends(&first).forwarded(&[&first.aged()]);
    // BOB, and ALICE by another BR address, do not profit from what ALICE's first one told.
    for (b4, br) in [(BOB, BR1), (BOB, BR2), (ALICE, BR2)] {
        let outcome = lab.b4s_send(&Ipv6::tunnel(b4, br, &middle));
        assert_eq!(outcome.counted(Side::Internal, "forwarded-packets"), 0);
        assert!(outcome.sent.is_empty());
    }
    drop(lab.wait(2_000));
    assert_eq!(lab.counter(Side::Internal, "drop ipv4-fragment-timeout"), 3);
    lab.alice_sends(&last).forwarded(&[&last.aged()]);
    // A first fragment with BOB's port is refused, and so are those behind it.
    let [first, middle, _] = cut(&Ipv4::udp(BOBS, DNS, 1200).identification(3));
    let spoofed = Ipv6::tunnel(ALICE, BR1, &first);
    lab.b4s_send(&spoofed).dropped_and_told("source-wrong-b4", &our_error6((1, 5), 0, &spoofed));
    lab.alice_sends(&middle).dropped("source-wrong-b4");
}

#[test]
fn f3_fragments_between_b4s_go_by_both_ports_of_their_first() {
    let mut lab = Lab::new();
    for piece in cut(&Ipv4::udp(ALICES, BOBS, 1200)) {
        lab.alice_sends(&piece).hairpinned(&Ipv6::tunnel(BR2, BOB, &piece.aged()));
    }
}

#[test]
fn f4_first_fragments_too_short_for_their_ports_are_dropped() {
    let mut lab = Lab::new();
    let first = |protocol, size: usize| {
        let payload = [&[0, 53, 0x12, 0x34][..], &[0; 60]].concat();
        Ipv4::new(protocol, HOST, SHARED, &payload[..size]).fragment(true, 0)
    };
    for (protocol, size) in [(17, 0), (17, 3), (TCP, 4), (TCP, 8), (132, 2), (33, 1)] {
        lab.internet_sends(&first(protocol, size)).dropped("ipv4-fragment-tiny");
    }
    for (protocol, size) in [(17, 8), (TCP, 24)] {
        let whole = first(protocol, size);
        lab.internet_sends(&whole).forwarded(&[&at_alice(&whole.aged())]);
    }
    let tiny = Ipv4::new(TCP, SHARED, HOST, &[0x12, 0x34, 0, 80, 0, 0, 0, 1]).fragment(true, 0);
    lab.alice_sends(&tiny).dropped("ipv4-fragment-tiny");
}

#[test]
fn f4_fragments_that_overwrite_the_ports_are_dropped() {
    let mut lab = Lab::new();
    let segment = Ipv4::tcp(DNS, ALICES, |tcp| tcp.ack = true);
    let first = segment.piece(0..24);
    lab.internet_sends(&first).forwarded(&[&at_alice(&first.aged())]);
    // The flags of the header once more (RFC 1858), and the ports (RFC 3128).
    lab.internet_sends(&segment.piece(8..24)).dropped("ipv4-fragment-overlap");
    let others = Ipv4::tcp(DNS, BOBS, |tcp| tcp.syn = true);
    lab.internet_sends(&others.piece(0..8)).dropped("ipv4-fragment-tiny");
    let rest = segment.piece(24..segment.payload.len());
    lab.internet_sends(&rest).forwarded(&[&at_alice(&rest.aged())]);
    let segment = Ipv4::tcp(ALICES, DNS, |tcp| tcp.ack = true);
    lab.alice_sends(&segment.piece(8..24)).dropped("ipv4-fragment-overlap");
}

/// Later fragments whose first never comes.
#[test]
fn f6_a_flood_of_ipv4_fragments_takes_bounded_memory_and_nothing_from_others() {
    let mut lab = Lab::new();
    let mut most = 0;
    for round in 0..100_u16 {
        let [first, middle, last] = cut(&inbound().identification(round));
        lab.internet_sends(&first).forwarded(&[&at_alice(&first.aged())]);
        let flood: Vec<Vec<u8>> = (0..32)
            .map(|number| {
                let packet =
                    Ipv4::udp((OTHER_HOST, 9), BOBS, 1200).identification(round << 5 | number);
                lab.incoming(Side::External, &packet.piece(400..480))
            })
            .collect();
        let flood: Vec<&[u8]> = flood.iter().map(Vec::as_slice).collect();
        assert!(lab.burst(Side::External, &flood).sent.is_empty());
        most = most.max(lab.counter(Side::External, "held-packets"));
        for piece in [middle, last] {
            lab.internet_sends(&piece).forwarded(&[&at_alice(&piece.aged())]);
        }
        lab.internet_sends(&to_alice()).forwarded(&[&at_alice(&to_alice().aged())]);
        lab.alice_sends(&alices()).forwarded(&[&alices().aged()]);
    }
    assert!(most <= 1_024, "{most} fragments waited at once");
    drop(lab.wait(2_000));
    assert_eq!(lab.counter(Side::External, "held-packets"), 0);
}
