//! I1 to I6 and M1: ICMP.

use std::net::Ipv4Addr;
use std::sync::Arc;

use vnf::frame::{Burst, HeapFrame};
use vnf::side::Side;
use vnf::telemetry::{DropReason, InterfaceTotals, WorkerCounters};

use crate::lab::{
    ALICE, ALICES, BOB, BOBS, BR1, BR2, DAVES, DNS, ELSEWHERE, EXTERNAL, HOST, INTERNAL, Lab,
    NOBODYS, SHARED, UNKNOWN, WHOLE, alices, at_alice, at_dave, our_error, our_error6, to_alice,
};
use crate::packets::{Bytes, Ipv4, data, with_bytes};
use crate::tunnel::Ipv6;

const ROUTER: Ipv4Addr = Ipv4Addr::new(10, 9, 8, 7);
const ROUTER6: std::net::Ipv6Addr = ELSEWHERE;
const UNREACHABLE: (u8, u8) = (3, 1);
const PORT_UNREACHABLE: (u8, u8) = (3, 3);
const TIME_EXCEEDED: (u8, u8) = (11, 0);
const PARAMETER_PROBLEM: (u8, u8) = (12, 0);
const ERRORS: [(u8, u8); 4] = [UNREACHABLE, PORT_UNREACHABLE, TIME_EXCEEDED, PARAMETER_PROBLEM];

#[test]
fn i1_of_an_echo_the_identifier_is_the_port() {
    let mut lab = Lab::new();
    for kind in [0, 8] {
        let echo = Ipv4::echo(kind, HOST, SHARED, ALICES.1);
        lab.internet_sends(&echo).forwarded(&[&at_alice(&echo.aged())]);
        let echo = Ipv4::echo(kind, HOST, SHARED, BOBS.1);
        lab.internet_sends(&echo).forwarded(&[&Ipv6::tunnel(BR2, BOB, &echo.aged())]);
    }
}

#[test]
fn i1_of_an_error_the_quoted_source_port_is() {
    let mut lab = Lab::new();
    for kind in ERRORS {
        for about in [alices(), Ipv4::echo(8, SHARED, HOST, ALICES.1)] {
            let error = Ipv4::error(ROUTER, SHARED, kind, &about);
            lab.internet_sends(&error).forwarded(&[&at_alice(&error.aged())]);
        }
    }
    // What routers change does not matter, and four bytes of ports are enough.
    let seen = alices().ttl(0).tos(0xff).with_bytes(&[(10, 1), (11, 2)])[..24].to_vec();
    let error = Ipv4::error(ROUTER, SHARED, TIME_EXCEEDED, &seen);
    lab.internet_sends(&error).forwarded(&[&at_alice(&error.aged())]);
    // The quoted packet must be one that the receiver sent.
    let foreign = Ipv4::error(ROUTER, SHARED, UNREACHABLE, &Ipv4::udp((UNKNOWN, ALICES.1), DNS, 9));
    lab.internet_sends(&foreign).dropped("icmp-embedded");
    let later = Ipv4::error(ROUTER, SHARED, UNREACHABLE, &alices().fragment(false, 3));
    lab.internet_sends(&later).dropped("icmp-embedded");
    for left in [19, 23] {
        let cut = alices().bytes()[..left].to_vec();
        lab.internet_sends(&Ipv4::error(ROUTER, SHARED, UNREACHABLE, &cut))
            .dropped("icmp-truncated");
    }
}

#[test]
fn i1_ports_are_found_behind_quoted_options() {
    let mut lab = Lab::new();
    // Record route, and ICMP extensions behind the padded quotation (RFC 4884).
    let quoted = alices().options(&[7, 11, 4, 1, 2, 3, 4, 0, 0, 0, 0, 0]).bytes();
    let mut extended = quoted.clone();
    extended.resize(128, 0);
    extended.extend([0x20, 0, 0xdf, 0xff, 0, 4, 1, 1]);
    for about in [quoted, extended] {
        let error = Ipv4::error(ROUTER, SHARED, TIME_EXCEEDED, &about);
        lab.internet_sends(&error).forwarded(&[&at_alice(&error.aged())]);
    }
}

#[test]
fn i1_other_types_have_no_port() {
    let mut lab = Lab::new();
    for kind in [4, 5, 9, 13, 17, 42, 255] {
        let message = Ipv4::icmp(HOST, SHARED, (kind, 0), [0x12, 0x34, 0, 0], &data(32));
        lab.internet_sends(&message).dropped("icmp-type");
        // To a whole address any type passes, about whatever packet.
        let message = Ipv4::icmp(HOST, WHOLE, (kind, 0), [0; 4], &data(32));
        lab.internet_sends(&message).forwarded(&[&at_dave(&message.aged())]);
    }
    let odd = Ipv4::error(ROUTER, WHOLE, UNREACHABLE, &Ipv4::new(47, UNKNOWN, HOST, &[]));
    lab.internet_sends(&odd).forwarded(&[&at_dave(&odd.aged())]);
}

#[test]
fn i1_the_checksum_must_be_right_unless_it_is_a_fragment() {
    let mut lab = Lab::new();
    for to in [SHARED, WHOLE] {
        let echo = Ipv4::echo(8, HOST, to, ALICES.1);
        lab.internet_sends(&echo.with_bytes(&[(23, 0), (22, 0)])).dropped("icmp-bad-checksum");
    }
    let mut first = Ipv4::echo(8, HOST, WHOLE, 1).fragment(true, 0);
    first.payload[2] ^= 1;
    lab.internet_sends(&first).forwarded(&[&at_dave(&first.aged())]);
}

#[test]
fn i1_policy_says_whether_and_how_much() {
    let mut lab = Lab::with_policy("allow-incoming-icmpv4 = false");
    for to in [SHARED, WHOLE] {
        lab.internet_sends(&Ipv4::echo(8, HOST, to, ALICES.1)).dropped("icmp-not-allowed");
    }
    // It does not concern what subscribers send.
    let echo = Ipv4::echo(8, SHARED, HOST, ALICES.1);
    lab.alice_sends(&echo).forwarded(&[&echo.aged()]);
    let mut lab = Lab::with_policy("icmpv4-rate = 2");
    let echo = Ipv4::echo(8, HOST, SHARED, ALICES.1);
    for _ in 0..2 {
        lab.internet_sends(&echo).forwarded(&[&at_alice(&echo.aged())]);
    }
    lab.internet_sends(&echo).dropped("rate-limited");
    lab.internet_sends(&to_alice()).forwarded(&[&at_alice(&to_alice().aged())]);
    drop(lab.wait(500));
    lab.internet_sends(&echo).forwarded(&[&at_alice(&echo.aged())]);
}

#[test]
fn i1_a_fragment_that_waits_is_charged_once() {
    let mut lab = Lab::with_policy("icmpv4-rate = 3");
    let echo = Ipv4::icmp(HOST, SHARED, (8, 0), [0x12, 0x34, 0, 1], &data(1200));
    let len = echo.payload.len();
    let [first, middle, last] = [0..400, 400..800, 800..len].map(|range| echo.piece(range));
    for piece in [&middle, &last] {
        assert_eq!(lab.internet_sends(piece).fate(), "held-packets");
    }
    let outcome = lab.internet_sends(&first);
    assert_eq!(outcome.counted(Side::External, "forwarded-packets"), 3);
    lab.internet_sends(&first).dropped("rate-limited");
}

#[test]
fn i2_icmp_for_nobody_is_dropped_without_an_error() {
    let mut lab = Lab::new();
    for to in [NOBODYS, (UNKNOWN, 9)] {
        lab.internet_sends(&Ipv4::echo(8, HOST, to.0, to.1)).dropped("icmp-no-softwire");
        let error = Ipv4::error(ROUTER, to.0, UNREACHABLE, &Ipv4::udp(to, DNS, 9));
        lab.internet_sends(&error).dropped("icmp-no-softwire");
    }
}

#[test]
fn i3_from_a_b4_the_identifier_is_the_source_port() {
    let mut lab = Lab::new();
    for kind in [0, 8] {
        let echo = Ipv4::echo(kind, SHARED, HOST, ALICES.1);
        lab.alice_sends(&echo).forwarded(&[&echo.aged()]);
        let spoofed = Ipv6::tunnel(ALICE, BR1, &Ipv4::echo(kind, SHARED, HOST, BOBS.1));
        let error = our_error6((1, 5), 0, &spoofed);
        lab.b4s_send(&spoofed).dropped_and_told("source-wrong-b4", &error);
    }
}

#[test]
fn i3_in_an_error_it_is_the_quoted_destination_port() {
    let mut lab = Lab::new();
    for kind in ERRORS {
        for about in [to_alice(), Ipv4::echo(8, HOST, SHARED, ALICES.1)] {
            let error = Ipv4::error(SHARED, HOST, kind, &about);
            lab.alice_sends(&error).forwarded(&[&error.aged()]);
        }
        // About what was sent to BOB; no error is sent about an error (I5).
        let spoofed = Ipv4::error(SHARED, HOST, kind, &Ipv4::udp(DNS, BOBS, 9));
        lab.alice_sends(&spoofed).dropped("source-wrong-b4");
    }
    let foreign = Ipv4::error(SHARED, HOST, UNREACHABLE, &Ipv4::udp(DNS, (WHOLE, ALICES.1), 9));
    lab.alice_sends(&foreign).dropped("icmp-embedded");
    lab.alice_sends(&Ipv4::icmp(SHARED, HOST, (5, 1), [0x12, 0x34, 0, 0], &to_alice().bytes()))
        .dropped("icmp-type");
}

#[test]
fn i3_a_whole_addresss_messages_are_its_receivers_to_check() {
    let mut lab = Lab::new();
    let mut broken = Ipv4::icmp(WHOLE, HOST, (42, 9), [1, 2, 3, 4], &data(5));
    broken.payload[2] ^= 1;
    lab.dave_sends(&broken).forwarded(&[&broken.aged()]);
    let mut broken = Ipv4::echo(8, SHARED, HOST, ALICES.1);
    broken.payload[2] ^= 1;
    lab.alice_sends(&broken).dropped("icmp-bad-checksum");
    lab.alice_sends(&Ipv4::new(1, SHARED, HOST, &[8, 0, 0xf7, 0xff])).dropped("icmp-truncated");
}

/// What a router on the way to a B4 says about a packet of ours.
fn about_tunnel(kind: (u8, u8), parameter: u32, packet: &impl Bytes) -> Ipv6 {
    let mut quoted = packet.bytes();
    quoted.truncate(1280 - 48);
    let to: [u8; 16] = quoted[8..24].try_into().unwrap();
    Ipv6::error(ROUTER6, to.into(), kind, parameter, &quoted)
}

#[test]
fn i4_too_big_is_told_to_the_inner_source() {
    let mut lab = Lab::new();
    let inner = Ipv4::udp(DNS, ALICES, 1400).dont_fragment();
    let heard = about_tunnel((2, 0), 1400, &at_alice(&inner));
    let told = our_error((3, 4), 1360, &inner.bytes()[..1280 - 48 - 40].to_vec(), HOST);
    lab.b4s_send(&heard).consumed_and_told(Side::External, &told);
    // Without DF there is nothing to tell, but to remember (M1).
    let inner = Ipv4::udp(DNS, DAVES, 1400);
    lab.b4s_send(&about_tunnel((2, 0), 1300, &at_dave(&inner))).consumed();
    let packet = Ipv4::udp(DNS, DAVES, 1400).dont_fragment();
    let error = our_error((3, 4), 1260, &packet, HOST);
    lab.internet_sends(&packet).dropped_and_told("too-big", &error);
}

#[test]
fn i4_other_errors_become_host_unreachable() {
    let mut lab = Lab::with_policy("per-destination-rate = 1000");
    for kind in [(1, 0), (1, 3), (1, 5), (3, 0), (4, 0), (4, 1), (4, 2)] {
        let told = our_error((3, 1), 0, &to_alice(), HOST);
        lab.b4s_send(&about_tunnel(kind, 0, &at_alice(&to_alice())))
            .consumed_and_told(Side::External, &told);
    }
    // Reassembly time exceeded is no reason to give up.
    lab.b4s_send(&about_tunnel((3, 1), 0, &at_alice(&to_alice()))).dropped("icmpv6-embedded");
    // About the first fragment of a packet.
    let inner = Ipv4::udp(DNS, ALICES, 600);
    let whole = at_alice(&inner);
    let told = our_error((3, 1), 0, &inner.bytes()[..400].to_vec(), HOST);
    lab.b4s_send(&about_tunnel((1, 3), 0, &whole.piece(0..400, 99)))
        .consumed_and_told(Side::External, &told);
    lab.b4s_send(&about_tunnel((1, 3), 0, &whole.piece(400..628, 99))).dropped("icmpv6-embedded");
}

#[test]
fn i4_an_inner_source_that_is_another_b4s_is_told_through_its_softwire() {
    let mut lab = Lab::new();
    let inner = Ipv4::udp(BOBS, ALICES, 9);
    let told = Ipv6::tunnel(BR2, BOB, &our_error((3, 1), 0, &inner, SHARED));
    lab.b4s_send(&about_tunnel((1, 3), 0, &at_alice(&inner)))
        .consumed_and_told(Side::Internal, &told);
}

#[test]
fn i4_what_we_could_not_have_sent_is_not_believed() {
    let mut lab = Lab::new();
    let inner = Ipv4::udp(DNS, ALICES, 1400).dont_fragment();
    let not_ours = [
        // From BR to B4 the wrong way round, to another B4, from another BR address of ours.
        Ipv6::tunnel(BR1, BOB, &inner),
        Ipv6::tunnel(BR1, ELSEWHERE, &inner),
        Ipv6::tunnel(BR2, ALICE, &inner),
        Ipv6::tunnel(INTERNAL, ALICE, &inner),
        // An inner packet that is nobody's, a martian's, or no IPv4.
        Ipv6::tunnel(BR1, ALICE, &Ipv4::udp(DNS, NOBODYS, 1400)),
        Ipv6::tunnel(BR1, ALICE, &Ipv4::udp((Ipv4Addr::LOCALHOST, 53), ALICES, 1400)),
        Ipv6::new(41, BR1, ALICE, &inner.bytes()),
    ];
    for packet in not_ours {
        lab.b4s_send(&about_tunnel((2, 0), 1300, &packet)).dropped("icmpv6-embedded");
        lab.b4s_send(&about_tunnel((1, 3), 0, &packet)).dropped("icmpv6-embedded");
    }
    // Sent to another address of ours than the packet came from.
    let quoted = at_alice(&to_alice()).bytes();
    lab.b4s_send(&Ipv6::error(ROUTER6, BR2, (1, 3), 0, &quoted)).dropped("icmpv6-embedded");
    // MTUs below 1280, or that the packet did not exceed.
    for mtu in [0, 1279, 1468, 1500] {
        lab.b4s_send(&about_tunnel((2, 0), mtu, &at_alice(&inner))).dropped("icmpv6-embedded");
    }
    let heard = about_tunnel((2, 0), 1300, &at_alice(&inner));
    lab.b4s_send(&with_bytes(&heard, &[(42, 0), (43, 0)])).dropped("icmpv6-bad-checksum");
    lab.b4s_send(&Ipv6::icmp(ROUTER6, BR1, (200, 0), [0; 4], &data(60))).dropped("icmpv6-type");
    lab.internet_sends(&inner).forwarded(&[&at_alice(&inner.aged())]);
}

#[test]
fn i5_icmpv4_errors_are_as_rfc_1812_says() {
    let mut lab = Lab::new();
    // `our_error` says how: source, TTL 64, TOS 0xc0, DF, identification 0. 576 bytes at most.
    for size in [0, 9, 520, 521, 900] {
        let packet = Ipv4::udp(DNS, NOBODYS, size);
        let error = our_error((3, 1), 0, &packet, HOST);
        assert_eq!(error.bytes().len(), 576.min(28 + 28 + size));
        let padded = [packet.bytes(), vec![0; 20]].concat();
        lab.internet_sends(&padded).dropped_and_told("no-softwire", &error);
    }
    let mut lab = Lab::with_policy("icmpv4-source = \"198.51.100.250\"");
    let packet = Ipv4::udp(DNS, NOBODYS, 9);
    let mut error = our_error((3, 1), 0, &packet, HOST);
    error.header.source = [198, 51, 100, 250];
    lab.internet_sends(&packet).dropped_and_told("no-softwire", &error);
}

#[test]
fn i5_icmpv6_errors_are_as_rfc_4443_says() {
    let mut lab = Lab::with_policy("hop-limit = 99");
    for size in [0, 1164, 1165, 1400] {
        let packet = Ipv6::tunnel(ALICE, BR2, &Ipv4::udp(NOBODYS, DNS, size)).flow_label(77);
        let error = our_error6((1, 5), 0, &packet).hop_limit(99);
        assert_eq!(error.bytes().len(), 1280.min(48 + 68 + size));
        lab.b4s_send(&packet).dropped_and_told("source-no-softwire", &error);
    }
}

#[test]
fn i5_no_error_about_errors_later_fragments_and_groups() {
    let mut lab = Lab::new();
    for kind in ERRORS.into_iter().chain([(4, 0), (5, 1)]) {
        let error = Ipv4::error(ROUTER, WHOLE, kind, &Ipv4::udp(DAVES, DNS, 9)).ttl(1);
        lab.internet_sends(&error).dropped("ttl-expired");
    }
    lab.internet_sends(&Ipv4::udp(DNS, DAVES, 64).piece(64..72).ttl(1)).dropped("ttl-expired");
    // But about the first fragment, and about echo.
    let first = Ipv4::udp(DNS, DAVES, 64).piece(0..64).ttl(1);
    lab.internet_sends(&first)
        .dropped_and_told("ttl-expired", &our_error((11, 0), 0, &first, HOST));
    let echo = Ipv4::echo(8, HOST, WHOLE, 1).ttl(1);
    lab.internet_sends(&echo).dropped_and_told("ttl-expired", &our_error((11, 0), 0, &echo, HOST));
    // Not to broadcast on our own link.
    for broadcast in ["192.0.2.255", "192.0.2.0"] {
        let packet = Ipv4::udp((broadcast.parse().unwrap(), 9), NOBODYS, 9);
        lab.internet_sends(&packet).dropped("no-softwire");
    }
    // Nor in ICMPv6 about ICMP errors and later fragments in the tunnel.
    let error = Ipv4::error(SHARED, HOST, UNREACHABLE, &Ipv4::udp(DNS, BOBS, 9));
    lab.alice_sends(&error).dropped("source-wrong-b4");
    let later = Ipv4::udp((UNKNOWN, 9), DNS, 64).piece(64..72);
    lab.alice_sends(&later).dropped("source-no-softwire");
}

#[test]
fn i5_no_icmpv6_error_about_errors_or_to_nobody() {
    let mut lab = Lab::new();
    let unknown = [0x9e, 0, 1, 2, 0, 0];
    let echo = Ipv6::icmp(ALICE, BR1, (128, 0), [0; 4], &data(9)).extended(60, &unknown);
    let error = our_error6((4, 2), 42, &echo);
    lab.b4s_send(&echo).dropped_and_told("ipv6-unknown-option", &error);
    let about = at_alice(&to_alice());
    let heard = Ipv6::error(ROUTER6, BR1, (1, 3), 0, &about).extended(60, &unknown);
    lab.b4s_send(&heard).dropped("ipv6-unknown-option");
    // A redirect is no error, and yet none may be about it (RFC 4443 section 2.4 e).
    let redirect = Ipv6::icmp(ALICE, BR1, (137, 0), [0; 4], &data(32)).extended(60, &unknown);
    lab.b4s_send(&redirect).dropped("ipv6-unknown-option");
    let mut from_nobody = echo;
    from_nobody.header.source = [0; 16];
    lab.b4s_send(&from_nobody).dropped("ipv6-unknown-option");
    let carried = Ipv4::error(SHARED, HOST, UNREACHABLE, &to_alice());
    let tunnelled = Ipv6::tunnel(ALICE, BR1, &carried).extended(60, &unknown);
    lab.b4s_send(&tunnelled).dropped("ipv6-unknown-option");
}

#[test]
fn i6_each_class_has_a_bucket_of_one_second() {
    let cases: [(&str, &str, Ipv4, &str); 4] = [
        ("too-big-rate", "3", Ipv4::udp(DNS, ALICES, 1472).dont_fragment(), "too-big"),
        ("time-exceeded-rate", "3", to_alice().ttl(1), "ttl-expired"),
        ("icmpv4-error-rate", "3", Ipv4::udp(DNS, NOBODYS, 9), "no-softwire"),
        ("too-big-rate", "0", Ipv4::udp(DNS, ALICES, 1472).dont_fragment(), "too-big"),
    ];
    for (key, rate, packet, reason) in cases {
        let mut lab = Lab::with_policy(&format!("{key} = {rate}"));
        let rate: usize = rate.parse().unwrap();
        for _ in 0..rate {
            assert_eq!(lab.internet_sends(&packet).sent.len(), 1);
        }
        lab.internet_sends(&packet).dropped_in_silence(reason);
        drop(lab.wait(1000));
        assert_eq!(lab.internet_sends(&packet).sent.len(), rate.min(1));
        let drops = lab.counter(Side::External, &format!("drop {reason}"));
        let (told, silent) = (
            lab.counter(Side::External, "originated-packets"),
            lab.counter(Side::External, "suppressed-errors"),
        );
        assert_eq!(drops, told + silent);
    }
    let mut lab = Lab::with_policy("icmpv6-rate = 2");
    let spoofed = Ipv6::tunnel(ALICE, BR1, &Ipv4::udp(BOBS, DNS, 9));
    for _ in 0..2 {
        assert_eq!(lab.b4s_send(&spoofed).sent.len(), 1);
    }
    lab.b4s_send(&spoofed).dropped_in_silence("source-wrong-b4");
    let mut lab = Lab::with_policy("echo-rate = 1");
    let echo = Ipv4::echo(8, HOST, EXTERNAL, 1);
    assert_eq!(lab.internet_sends(&echo).fate(), "answered-packets");
    lab.internet_sends(&echo).dropped("rate-limited");
}

#[test]
fn i6_one_destination_cannot_use_up_what_others_need() {
    let mut lab = Lab::new();
    let from = |last| Ipv4::udp((Ipv4Addr::new(203, 0, 113, last), 53), NOBODYS, 9);
    let mut told = [0_usize; 2];
    for _ in 0..300 {
        told[0] += lab.internet_sends(&from(1)).sent.len();
    }
    for _ in 0..5 {
        told[1] += lab.internet_sends(&from(2)).sent.len();
    }
    // Ten at once, and one in each tenth of a second afterwards.
    assert!((10..=14).contains(&told[0]), "{told:?}");
    assert_eq!(told[1], 5);
}

#[test]
fn m1_a_path_mtu_is_kept_for_ten_minutes() {
    let mut lab = Lab::new();
    let probe = Ipv4::udp(DNS, DAVES, 1400).dont_fragment();
    let heard = about_tunnel((2, 0), 1400, &at_dave(&probe));
    assert_eq!(lab.b4s_send(&heard).fate(), "consumed-packets");
    let error = our_error((3, 4), 1360, &probe, HOST);
    lab.internet_sends(&probe).dropped_and_told("too-big", &error);
    // Only for this B4.
    let other = Ipv4::udp(DNS, ALICES, 1400).dont_fragment();
    lab.internet_sends(&other).forwarded(&[&at_alice(&other.aged())]);
    // What has no DF is cut to it.
    let free = Ipv4::udp(DNS, DAVES, 1400);
    let sent = lab.internet_sends(&free).packets(Side::Internal);
    assert_eq!(sent.len(), 2);
    assert!(sent.iter().all(|piece| piece.len() <= 1400));
    drop(lab.wait(9 * 60_000));
    lab.internet_sends(&probe).dropped_and_told("too-big", &error);
    drop(lab.wait(60_000));
    lab.internet_sends(&probe).forwarded(&[&at_dave(&probe.aged())]);
}

#[test]
fn m1_it_is_at_least_1280_and_never_above_the_link() {
    let mut lab = Lab::configured(|config| config.mtus[1] = 1300);
    let probe = Ipv4::udp(DNS, DAVES, 1600);
    // A packet of 1668 bytes, which went in fragments, did not fit a link of 1600.
    let heard = Ipv6::error(ROUTER6, BR1, (2, 0), 1600, &at_dave(&probe));
    lab.b4s_send(&heard).consumed();
    let packet = |len: usize| Ipv4::udp(DNS, DAVES, len - 28).dont_fragment();
    lab.internet_sends(&packet(1260)).forwarded(&[&at_dave(&packet(1260).aged())]);
    let error = our_error((3, 4), 1260, &packet(1261), HOST);
    lab.internet_sends(&packet(1261)).dropped_and_told("too-big", &error);
    let heard = Ipv6::error(ROUTER6, BR1, (2, 0), 1279, &at_dave(&probe));
    lab.b4s_send(&heard).dropped("icmpv6-embedded");
    let heard = Ipv6::error(ROUTER6, BR1, (2, 0), 1280, &at_dave(&probe));
    lab.b4s_send(&heard).consumed();
    let error = our_error((3, 4), 1240, &packet(1241), HOST);
    lab.internet_sends(&packet(1241)).dropped_and_told("too-big", &error);
}

/// What one worker hears holds for what another forwards, until the table is loaded anew.
#[test]
fn m1_it_holds_for_all_workers_until_a_reload() {
    let lab = Lab::new();
    let probe = Ipv4::udp(DNS, DAVES, 1400).dont_fragment();
    let heard = lab.incoming(Side::Internal, &about_tunnel((2, 0), 1400, &at_dave(&probe)));
    let probe = lab.incoming(Side::External, &probe);
    let (table, reloaded) = (lab.snapshot(), Lab::new().snapshot());
    let counters = [0, 1].map(|_| Arc::new(WorkerCounters::default()));
    let mut workers = [0, 1].map(|number| lab.worker(number, 2, counters[number].clone()));
    let mut receive = |worker: usize, side, snapshot, frame: &[u8]| {
        let mut burst: Burst<HeapFrame> = [HeapFrame::new(frame)].into_iter().collect();
        workers[worker].receive(side, snapshot, 0, &mut burst);
        let mut totals = InterfaceTotals::default();
        totals.add(counters[worker].of(Side::External));
        totals.drops[DropReason::TooBig as usize].packets
    };
    assert_eq!(receive(0, Side::External, &table, &probe), 0);
    receive(1, Side::Internal, &table, &heard);
    assert_eq!(receive(0, Side::External, &table, &probe), 1);
    assert_eq!(receive(1, Side::External, &table, &probe), 1);
    for worker in 0..2 {
        assert_eq!(receive(worker, Side::External, &reloaded, &probe), 1);
    }
}

/// A reply of our own that was too large is no reason to tell anybody, but one to remember.
#[test]
fn i4_our_own_packets_teach_a_path_mtu_too() {
    let mut lab = Lab::new();
    let reply = Ipv4::icmp(EXTERNAL, DAVES.0, (0, 0), [0, 7, 0, 1], &[0; 1400]);
    lab.b4s_send(&about_tunnel((2, 0), 1400, &at_dave(&reply))).consumed();
    let packet = Ipv4::udp(DNS, DAVES, 1400).dont_fragment();
    let error = our_error((3, 4), 1360, &packet, HOST);
    lab.internet_sends(&packet).dropped_and_told("too-big", &error);
    // That its receiver cannot be reached is nothing to be told to ourselves.
    lab.b4s_send(&about_tunnel((1, 3), 0, &at_dave(&reply))).consumed();
}

/// A class for each error: with all the others at zero it is sent, and with its own at zero it is
/// not.
#[test]
fn i6_each_error_is_of_its_class() {
    const KEYS: [&str; 5] =
        ["too-big-rate", "time-exceeded-rate", "icmpv4-error-rate", "icmpv6-rate", "echo-rate"];
    let big = |from, to| Ipv4::udp(from, to, 1472).dont_fragment();
    let tunnelled = |packet: &Ipv4| Ipv6::tunnel(ALICE, BR1, packet).bytes();
    let internal = |packet: &Ipv4| (Side::Internal, tunnelled(packet));
    let external = |packet: &Ipv4| (Side::External, packet.bytes());
    let about = |kind, parameter, packet: &Ipv4| {
        (Side::Internal, about_tunnel(kind, parameter, &at_alice(packet)).bytes())
    };
    let echo6 = Ipv6::icmp(ALICE, BR1, (128, 0), [0; 4], &[]);
    let udp6 = Ipv6::new(17, ALICE, BR1, &[0, 9, 0, 9, 0, 8, 1, 1]);
    let odd = Ipv6::tunnel(ALICE, BR1, &alices()).extended(60, &[0x80, 0, 0, 0, 0, 0]);
    let cases = [
        ("too-big-rate", external(&big(DNS, ALICES))),
        ("too-big-rate", internal(&big(ALICES, DNS))),
        ("too-big-rate", about((2, 0), 1400, &big(DNS, ALICES))),
        ("time-exceeded-rate", external(&to_alice().ttl(1))),
        ("time-exceeded-rate", internal(&alices().ttl(1))),
        ("icmpv4-error-rate", external(&Ipv4::udp(DNS, NOBODYS, 9))),
        ("icmpv4-error-rate", internal(&Ipv4::udp(ALICES, NOBODYS, 9))),
        ("icmpv4-error-rate", external(&Ipv4::udp(DNS, (EXTERNAL, 9), 9))),
        ("icmpv4-error-rate", internal(&Ipv4::udp(ALICES, (EXTERNAL, 9), 9))),
        ("icmpv4-error-rate", about((1, 3), 0, &to_alice())),
        ("icmpv6-rate", internal(&Ipv4::udp(BOBS, DNS, 9))),
        ("icmpv6-rate", (Side::Internal, odd.bytes())),
        ("icmpv6-rate", (Side::Internal, udp6.bytes())),
        ("echo-rate", external(&Ipv4::echo(8, HOST, EXTERNAL, 1))),
        ("echo-rate", internal(&Ipv4::echo(8, ALICES.0, EXTERNAL, ALICES.1))),
        ("echo-rate", (Side::Internal, echo6.bytes())),
    ];
    for (class, (side, packet)) in cases {
        for key in KEYS {
            let rate = |of: &&str| format!("{of} = {}\n", if **of == *key { 0 } else { 9 });
            let policy: String = KEYS.iter().map(rate).collect();
            let mut lab = Lab::configured(|config| {
                config.mtus[0] = 1400;
                config.policy = policy;
            });
            let frame = lab.incoming(side, &packet);
            let sent = lab.frame(side, &frame).sent.len();
            assert_eq!(sent, usize::from(key != class), "{key} = 0: {packet:02x?}");
        }
    }
}
